//! A plugin's settings: the value its code gets, and the tree that says where everything stands.

use std::rc::Rc;

use portcullis_kit::config::{ConfigError, Mistake, Path, read};
use serde_json::Value;

use super::{Document, nothing};
use crate::diagnostic::{Diagnostic, Severity};
use crate::document::{self, Node, Pointer, Pos, Span, locate, place_in, to_value};
use crate::finding::Check;

#[derive(Debug)]
pub struct Settings {
    /// `None` where they cannot be read at all; the findings then say why.
    pub value: Option<Value>,
    pub tree: Option<Rc<Node>>,
    /// The place of the settings as a whole.
    pub outside: Span,
}

impl Settings {
    pub fn none(outside: Span) -> Self {
        Self {
            value: Some(nothing()),
            tree: None,
            outside,
        }
    }

    pub fn of_tree(document: Document<'_>, tree: &Rc<Node>, outside: Span) -> Self {
        Self {
            value: Some(to_value(tree, document.dialect)),
            tree: Some(Rc::clone(tree)),
            outside,
        }
    }

    /// Settings that reach the plugin as text, which must be JSON.
    pub fn of_text(
        document: Document<'_>,
        scalar: &Node,
        outside: Span,
    ) -> Result<Self, Diagnostic> {
        let text = scalar.text().unwrap_or_default();
        let tree = document::embedded(document.source, scalar);
        match read(text.as_bytes()) {
            Ok(value) => Ok(Self {
                value: Some(value),
                tree,
                outside,
            }),
            Err(error) => Err(unreadable(document, scalar, tree.as_ref(), outside, &error)),
        }
    }

    /// The place of a path in them.
    pub fn locate(&self, path: &Path, pointer: Pointer<'_>) -> Span {
        match &self.tree {
            Some(tree) => locate(tree, self.outside, path, pointer),
            None => self.outside,
        }
    }
}

fn unreadable(
    document: Document<'_>,
    scalar: &Node,
    tree: Option<&Rc<Node>>,
    outside: Span,
    error: &ConfigError,
) -> Diagnostic {
    let (span, message) = match (&error.mistake, tree) {
        (
            Mistake::Syntax {
                line,
                column,
                problem,
            },
            _,
        ) => {
            let inner = Pos {
                line: *line,
                column: *column,
            };
            let place = place_in(document.source, scalar, inner);
            (place.map_or(outside, Span::at), problem.clone())
        }
        (Mistake::Duplicate { name }, Some(tree)) => {
            let pointer = Pointer::KeyBelow(name);
            (
                locate(tree, outside, &error.path, pointer),
                error.mistake.to_string(),
            )
        }
        (mistake, _) => (outside, mistake.to_string()),
    };
    Diagnostic::new(document.file, span, Severity::Error, message).of(Check::Settings)
}
