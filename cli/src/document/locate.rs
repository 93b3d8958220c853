//! From a path to the place in the file, and back.

use std::rc::Rc;

use portcullis_kit::config::{Path, Segment};

use super::node::{Kind, Node};
use super::source::{Pos, Span};

/// What at the end of a path is meant.
#[derive(Clone, Copy, Debug)]
pub enum Pointer<'a> {
    /// The value; its key, where the value is no scalar.
    Value,
    /// The value as a whole, if it stands on one line; else its key.
    Whole,
    /// A key below it, if there is one; else the value.
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
    if let Pointer::KeyBelow(key) = pointer
        && let Some(entry) = node.entry(key)
    {
        return entry.key_span;
    }
    let scalar = matches!(node.kind, Kind::Scalar(_));
    let beside = match pointer {
        Pointer::Value | Pointer::KeyBelow(_) => scalar,
        Pointer::Whole => scalar || node.span.start.line == name.start.line,
        Pointer::Name => false,
    };
    if beside && on_one_line(node) {
        node.span
    } else {
        name
    }
}

fn on_one_line(node: &Node) -> bool {
    let Span { start, end } = node.span;
    // Nothing written has no width; then the name says more.
    start.line == end.line && start != end
}

/// The place of a list's item: its first key, where it is a map.
fn first_line(item: &Node) -> Span {
    match item.entries().first() {
        Some(first) => first.key_span,
        None => item.span,
    }
}

/// The way to what stands at a place.
pub fn path_at(tree: &Node, place: Pos) -> Path {
    let mut path = Path::top();
    let mut here = tree;
    let holds = |span: Span| span.start <= place && place < span.end;
    'down: loop {
        for entry in here.entries() {
            if holds(entry.key_span) || holds(entry.value.span) {
                path = path.key(entry.key.as_str());
                if holds(entry.key_span) {
                    return path;
                }
                here = &entry.value;
                continue 'down;
            }
        }
        for (at, item) in here.items().iter().enumerate() {
            if holds(item.span) {
                path = path.index(at);
                here = item;
                continue 'down;
            }
        }
        return path;
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn a_place_leads_to_its_path_and_the_path_back_to_the_place() {
        let text = "a:\n  - b: 1\n    c: {d: [2, 3]}\n  - e\nf: |\n  text\n";
        let root = read(text).unwrap().remove(0);
        for (line, column, path) in [
            (1, 1, "a"),
            (2, 5, "a[0].b"),
            (2, 8, "a[0].b"),
            (3, 16, "a[0].c.d[1]"),
            (4, 5, "a[1]"),
            (5, 1, "f"),
        ] {
            let place = Pos { line, column };
            let found = path_at(&root, place);
            assert_eq!(found.to_string(), path);
            let back = locate(&root, root.span, &found, Pointer::Whole);
            assert_eq!(back.start.line, line, "{path}");
        }
    }
}
