//! One mistake and how it is shown.

use std::fmt::Write as _;

use portcullis_kit::config::nearest;

use crate::document::{Pos, Source, Span};
use crate::finding::Check;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It breaks, or does not do what is written.
    Error,
    /// It works, and is most likely not what is wanted.
    Warning,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A mistake at a place.
#[derive(Debug)]
pub struct Diagnostic {
    /// Which of the files.
    pub file: usize,
    pub span: Span,
    pub severity: Severity,
    pub check: Check,
    /// What is wrong.
    pub message: String,
    /// Where it stands, as a path of names.
    pub path: Option<String>,
    /// What is allowed, what was meant, what to do: a line each.
    pub help: Vec<String>,
}

impl Diagnostic {
    pub fn new(file: usize, span: Span, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            file,
            span,
            severity,
            check: Check::Syntax,
            message: message.into(),
            path: None,
            help: Vec::new(),
        }
    }

    #[must_use]
    pub fn of(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// What may stand there, and what was most likely meant.
    #[must_use]
    pub fn advise(self, found: &str, allowed: &[&str]) -> Self {
        let advised = match nearest(found, allowed) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        };
        advised.help(match allowed {
            [] => "allowed: nothing".to_owned(),
            allowed => format!("allowed: {}", allowed.join(", ")),
        })
    }

    /// The text for a terminal:
    ///
    /// ```text
    /// envoy.yaml:41:15: error: unknown key `max_aeg`
    ///   in: security-headers, hsts.max_aeg
    ///      40 |             hsts:
    ///      41 |               max_aeg: 63072000
    ///         |               ^^^^^^^
    ///      42 |               preload: true
    ///   did you mean `max_age`?
    /// ```
    pub fn render(&self, source: &Source) -> String {
        let severity = self.severity.name();
        let Pos { line, column } = self.span.start;
        let mut out = format!(
            "{}:{line}:{column}: {severity}: {}\n",
            source.name, self.message
        );
        // Writing to a String does not fail.
        if let Some(path) = &self.path {
            let _ = writeln!(out, "  in: {path}");
        }
        let last = line.saturating_add(1);
        let width = last.to_string().len().max(3);
        for number in line.saturating_sub(1)..=last {
            let Some(text) = source.line(number) else {
                continue;
            };
            let _ = writeln!(out, "  {number:>width$} | {}", text.trim_end());
            if number == line {
                let _ = writeln!(out, "  {:width$} | {}", "", self.underline(text));
            }
        }
        for help in &self.help {
            let _ = writeln!(out, "  {help}");
        }
        out
    }

    fn underline(&self, text: &str) -> String {
        let before = self.span.start.column.saturating_sub(1);
        let mut out: String = text
            .chars()
            .chain(std::iter::repeat(' '))
            .take(before)
            .map(|letter| if letter == '\t' { '\t' } else { ' ' })
            .collect();
        let end = if self.span.end.line == self.span.start.line {
            self.span.end.column.saturating_sub(1)
        } else {
            text.trim_end().chars().count()
        };
        let rest = text
            .trim_end()
            .chars()
            .count()
            .max(before.saturating_add(1));
        out.push_str(&"^".repeat(end.min(rest).saturating_sub(before).max(1)));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: usize, from: usize, to: usize) -> String {
        let source = Source {
            name: "f.yaml".into(),
            text: text.into(),
        };
        let span = Span {
            start: Pos { line, column: from },
            end: Pos { line, column: to },
        };
        Diagnostic::new(0, span, Severity::Error, "wrong")
            .path("a.b")
            .help("do it right")
            .render(&source)
    }

    #[test]
    fn the_caret_stands_under_what_is_meant_between_its_neighbours() {
        assert_eq!(
            shown("one: 1\ntwo: 22\nthree: 3\n", 2, 6, 8),
            "f.yaml:2:6: error: wrong\n  in: a.b\n    1 | one: 1\n    2 | two: 22\n      |      ^^\n    3 | three: 3\n  do it right\n"
        );
    }

    #[test]
    fn at_the_edges_of_a_file_there_are_fewer_neighbours_and_still_a_caret() {
        assert_eq!(
            shown("x", 1, 1, 9),
            "f.yaml:1:1: error: wrong\n  in: a.b\n    1 | x\n      | ^\n  do it right\n"
        );
        assert!(shown("", 1, 1, 1).starts_with("f.yaml:1:1"));
        assert!(shown("\tx", 1, 2, 3).contains("| \t^"));
    }
}
