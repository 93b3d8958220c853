//! A YAML or JSON value with its place.

use std::rc::Rc;

use saphyr_parser::ScalarStyle;

use super::source::Span;

/// A value. An alias shares the node of its anchor, and so points to where the value is written.
#[derive(Debug)]
pub struct Node {
    pub span: Span,
    pub kind: Kind,
    /// How many nodes this one is, itself and aliases written out included.
    pub size: usize,
}

#[derive(Debug)]
pub enum Kind {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

/// A scalar as written; what it means depends on who reads it.
#[derive(Debug)]
pub struct Scalar {
    pub text: String,
    pub style: ScalarStyle,
    /// Whether a tag such as `!!str` stands before it.
    pub tagged: bool,
}

/// A key and its value.
#[derive(Debug)]
pub struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Rc<Node>,
}

impl Node {
    /// The entries of a map; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub fn items(&self) -> &[Rc<Node>] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    pub fn is_map(&self) -> bool {
        matches!(self.kind, Kind::Map(_))
    }

    /// The entry of exactly that key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value of exactly that key.
    pub fn get(&self, key: &str) -> Option<&Rc<Node>> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a protobuf field: its name as declared (`root_id`) or in lowerCamelCase (`rootId`), which is what
    /// protobuf's JSON mapping takes.
    pub fn field_entry(&self, name: &str) -> Option<&Entry> {
        self.entry(name).or_else(|| self.entry(&camel(name)))
    }

    /// The value of a protobuf field.
    pub fn field(&self, name: &str) -> Option<&Rc<Node>> {
        self.field_entry(name).map(|entry| &entry.value)
    }

    /// The value at the end of a way of protobuf fields.
    pub fn at(&self, way: &[&str]) -> Option<&Node> {
        let mut here = self;
        for name in way {
            here = here.field(name)?;
        }
        Some(here)
    }

    /// The text at the end of a way of protobuf fields.
    pub fn text_at(&self, way: &[&str]) -> Option<&str> {
        self.at(way)?.text()
    }

    /// Whether a protobuf bool at the end of the way is set.
    pub fn is_true(&self, way: &[&str]) -> bool {
        self.text_at(way)
            .is_some_and(|text| super::scalar::boolean(text) == Some(true))
    }

    /// Whether a protobuf bool at the end of the way is there and not set.
    pub fn is_false(&self, way: &[&str]) -> bool {
        self.text_at(way)
            .is_some_and(|text| super::scalar::boolean(text) == Some(false))
    }
}

fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut up = false;
    for c in name.chars() {
        if c == '_' {
            up = true;
        } else {
            out.push(if up { c.to_ascii_uppercase() } else { c });
            up = false;
        }
    }
    out
}
