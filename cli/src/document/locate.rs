//! From a path in the settings to the place in the file.

use std::rc::Rc;

use portcullis_kit::config::{Path, Segment};

use super::node::{Kind, Node};
use super::source::Span;

/// What at the end of a path is meant.
#[derive(Clone, Copy, Debug)]
pub enum Pointer<'a> {
    /// The value; where it goes over several lines, its key.
    Value,
    /// A key below it.
    KeyBelow(&'a str),
    /// The map itself, in which something is missing: its key.
    Name,
}

/// The place of the longest beginning of a path that exists. `outside` is the place of the tree itself, such as that of
/// the key it stands under.
pub fn locate(tree: &Rc<Node>, outside: Span, path: &Path, pointer: Pointer<'_>) -> Span {
    let mut node = tree;
    let mut name = outside;
    for segment in path.segments() {
        match segment {
            Segment::Key(key) => match node.entry(key) {
                Some(entry) => {
                    name = entry.key_span;
                    node = &entry.value;
                }
                None => return name,
            },
            Segment::Index(index) => match node.items().get(*index) {
                Some(item) => {
                    name = first_line(item);
                    node = item;
                }
                None => return name,
            },
        }
    }
    match pointer {
        Pointer::KeyBelow(key) => node.entry(key).map_or(name, |entry| entry.key_span),
        Pointer::Value if matches!(node.kind, Kind::Scalar(_)) && on_one_line(node) => node.span,
        Pointer::Value | Pointer::Name => name,
    }
}

fn on_one_line(node: &Node) -> bool {
    // Nothing written has no width; then the key says more.
    node.span.start.line == node.span.end.line && node.span.start != node.span.end
}

/// The place of a list's item: its first key, where it is a map.
fn first_line(item: &Node) -> Span {
    match item.entries().first() {
        Some(first) => first.key_span,
        None => item.span,
    }
}
