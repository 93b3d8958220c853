//! Text to trees, one per document. JSON is read as the YAML it is.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser};

use super::node::{Entry, Kind, Node, Scalar};
use super::source::{Pos, Span};

/// No document a host reads is deeper.
const MAX_DEPTH: usize = 128;
/// Bounds what aliases of aliases can grow to.
const MAX_NODES: usize = 1_000_000;

/// What makes a text unreadable or says two things at once.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub span: Span,
    pub kind: FaultKind,
}

#[derive(Debug, PartialEq, Eq)]
pub enum FaultKind {
    Syntax(String),
    Duplicate { key: String, first: Pos },
    ComplexKey,
    TooDeep,
    TooMany,
    OpenAnchor,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(problem) => write!(f, "not valid YAML: {problem}"),
            Self::Duplicate { key, first } => write!(
                f,
                "`{key}` is given twice, first on line {}; hosts take one of them without a word: keep one",
                first.line
            ),
            Self::ComplexKey => f.write_str("a key must be a plain name"),
            Self::TooDeep => write!(f, "nested deeper than {MAX_DEPTH} levels"),
            Self::TooMany => write!(
                f,
                "more than {MAX_NODES} values once its aliases are written out"
            ),
            Self::OpenAnchor => f.write_str("an alias to a value that holds it"),
        }
    }
}

impl Fault {
    /// Whether the rest of the text can still be looked at.
    pub fn is_fatal(&self) -> bool {
        !matches!(self.kind, FaultKind::Duplicate { .. })
    }
}

/// The documents of a text. Faults stop the reading, except that of a key given twice: see [`read_all`].
#[cfg(test)]
pub fn read(text: &str) -> Result<Vec<Rc<Node>>, Fault> {
    let (documents, faults) = read_all(text);
    match faults.into_iter().next() {
        Some(fault) => Err(fault),
        None => Ok(documents),
    }
}

/// The documents of a text, as far as they can be read, and what is wrong with it.
pub fn read_all(text: &str) -> (Vec<Rc<Node>>, Vec<Fault>) {
    let mut composer = Composer::default();
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => composer.take(event, span.start, span.end),
            Err(error) => {
                let problem = error.info().to_owned();
                Err(Fault {
                    span: Span::at(pos(error.marker())),
                    kind: FaultKind::Syntax(problem),
                })
            }
        };
        if let Err(fault) = step {
            composer.faults.push(fault);
            break;
        }
    }
    (composer.documents, composer.faults)
}

fn pos(marker: &Marker) -> Pos {
    Pos {
        line: marker.line(),
        column: marker.col().saturating_add(1),
    }
}

#[derive(Default)]
struct Composer {
    documents: Vec<Rc<Node>>,
    faults: Vec<Fault>,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
}

/// A list or map whose end has not come yet.
struct Open {
    start: Pos,
    anchor: usize,
    content: Content,
    size: usize,
}

/// A key that waits for its value.
struct Key {
    name: String,
    span: Span,
    /// Whether the map has it already.
    again: bool,
}

enum Content {
    List(Vec<Rc<Node>>),
    Map {
        entries: Vec<Entry>,
        key: Option<Key>,
        seen: HashMap<String, Pos>,
    },
}

impl Composer {
    fn take(&mut self, event: Event<'_>, start: Marker, end: Marker) -> Result<(), Fault> {
        let span = Span {
            start: pos(&start),
            end: pos(&end),
        };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = Scalar {
                    text: text.into_owned(),
                    style,
                    tagged: tag.is_some(),
                };
                self.place(
                    anchor,
                    Node {
                        span,
                        kind: Kind::Scalar(scalar),
                        size: 1,
                    },
                )
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => self.put(Rc::clone(node), span),
                None => Err(Fault {
                    span,
                    kind: FaultKind::OpenAnchor,
                }),
            },
            Event::SequenceStart(anchor, _) => self.begin(span, anchor, Content::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                let content = Content::Map {
                    entries: Vec::new(),
                    key: None,
                    seen: HashMap::new(),
                };
                self.begin(span, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                None => Ok(()),
                Some(open) => {
                    let kind = match open.content {
                        Content::List(items) => Kind::List(items),
                        Content::Map { entries, .. } => Kind::Map(entries),
                    };
                    let span = Span {
                        start: open.start,
                        end: span.end,
                    };
                    self.place(
                        open.anchor,
                        Node {
                            span,
                            kind,
                            size: open.size,
                        },
                    )
                }
            },
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, span: Span, anchor: usize, content: Content) -> Result<(), Fault> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Fault {
                span,
                kind: FaultKind::TooDeep,
            });
        }
        self.open.push(Open {
            start: span.start,
            anchor,
            content,
            size: 1,
        });
        Ok(())
    }

    fn place(&mut self, anchor: usize, node: Node) -> Result<(), Fault> {
        let span = node.span;
        let node = Rc::new(node);
        // The parser numbers anchors from 1.
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.put(node, span)
    }

    /// Puts a finished node where it belongs; `span` is where it is used.
    fn put(&mut self, node: Rc<Node>, span: Span) -> Result<(), Fault> {
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        open.size = open.size.saturating_add(node.size);
        if open.size > MAX_NODES {
            return Err(Fault {
                span,
                kind: FaultKind::TooMany,
            });
        }
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, key, seen } => match key.take() {
                None => {
                    let Some(name) = node.text() else {
                        return Err(Fault {
                            span,
                            kind: FaultKind::ComplexKey,
                        });
                    };
                    let first = seen.insert(name.to_owned(), span.start);
                    if let Some(first) = first {
                        let kind = FaultKind::Duplicate {
                            key: name.to_owned(),
                            first,
                        };
                        self.faults.push(Fault { span, kind });
                    }
                    *key = Some(Key {
                        name: name.to_owned(),
                        span,
                        again: first.is_some(),
                    });
                }
                Some(Key { name, span, again }) => {
                    let known = entries.iter_mut().find(|known| again && known.key == name);
                    let entry = Entry {
                        key: name,
                        key_span: span,
                        value: node,
                    };
                    match known {
                        // The last one wins, as on the hosts.
                        Some(known) => *known = entry,
                        None => entries.push(entry),
                    }
                }
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        read_all(text)
            .1
            .into_iter()
            .map(|fault| fault.kind.to_string())
            .collect()
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let documents = read("# c\na: 1\nlist:\n  - é: [x]\n---\nb: 2\n").unwrap();
        assert_eq!(documents.len(), 2);
        let list = documents[0].entry("list").unwrap();
        assert_eq!(list.key_span.start, Pos { line: 3, column: 1 });
        let item = list.value.items()[0].entry("é").unwrap();
        assert_eq!(item.key_span.start, Pos { line: 4, column: 5 });
        assert_eq!(item.value.items()[0].span.start, Pos { line: 4, column: 9 });
    }

    #[test]
    fn a_key_given_twice_is_a_fault_and_the_rest_is_still_read() {
        let (documents, found) = read_all("a: 1\nb: 2\na: 3\n");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].span.start, Pos { line: 3, column: 1 });
        assert_eq!(documents[0].get("a").unwrap().text(), Some("3"));
        assert!(!found[0].is_fatal());
    }

    #[test]
    fn an_alias_points_to_where_its_value_is_written() {
        let documents = read("a: &x {k: 1}\nb: *x\n").unwrap();
        let used = documents[0].get("b").unwrap().entry("k").unwrap();
        assert_eq!(used.key_span.start, Pos { line: 1, column: 8 });
        assert_eq!(faults("a: &x [*x]"), ["an alias to a value that holds it"]);
    }

    #[test]
    fn hostile_documents_are_refused_before_they_cost() {
        assert_eq!(faults(&"[".repeat(200)), ["nested deeper than 128 levels"]);
        assert_eq!(faults(&"[".repeat(100_000)).len(), 1);
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let item = format!("*a{}", level - 1);
            bomb.push_str(&format!(
                "a{level}: &a{level} [{}]\n",
                [item.as_str(); 10].join(", ")
            ));
        }
        assert!(faults(&bomb)[0].starts_with("more than 1000000 values"));
        assert_eq!(faults("{[a]: 1}"), ["a key must be a plain name"]);
    }
}
