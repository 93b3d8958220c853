//! JSON text inside a scalar: its own tree, with places in the file around it.

use std::borrow::Cow;
use std::rc::Rc;

use saphyr_parser::ScalarStyle;

use super::node::{Entry, Kind, Node};
use super::source::{Pos, Source, Span};
use super::yaml::read_all;

/// The tree of the JSON text in a scalar. `None` where the text cannot be read, or its characters cannot be found again
/// in the file; the scalar as a whole is then the place of every mistake.
pub fn embedded(source: &Source, scalar: &Node) -> Option<Rc<Node>> {
    let map = CharMap::new(source, scalar)?;
    let (documents, faults) = read_all(&without_surrogates(scalar.text()?));
    if faults.iter().any(super::Fault::is_fatal) {
        return None;
    }
    documents.first().map(|root| moved(root, &map))
}

/// The place of a line and column (from 1) of the text in a scalar.
pub fn place_in(source: &Source, scalar: &Node, inner: Pos) -> Option<Pos> {
    Some(CharMap::new(source, scalar)?.outer(inner))
}

/// YAML knows no UTF-16 pairs: `\ud83d\ude00` becomes `\U0001F600`. What follows on that line moves by two columns.
pub fn without_surrogates(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        out.push_str(before);
        if let Some((letter, length)) = pair(escape) {
            out.push_str(&format!("\\U{:08X}", u32::from(letter)));
            rest = escape.get(length..).unwrap_or_default();
        } else {
            out.push('\\');
            let escaped = escape.chars().next();
            out.extend(escaped);
            rest = escape
                .get(escaped.map_or(0, char::len_utf8)..)
                .unwrap_or_default();
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The letter of `uD83D\uDE00`, and how long that text is.
fn pair(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| u16::from_str_radix(text.get(at..at + 4)?, 16).ok();
    let joined = text.starts_with('u') && text.get(5..7) == Some("\\u");
    let units = [unit(1)?, joined.then(|| unit(7))??];
    let letter = char::decode_utf16(units).next()?.ok()?;
    Some((letter, 11)).filter(|(letter, _)| u32::from(*letter) > 0xffff)
}

fn moved(node: &Node, map: &CharMap) -> Rc<Node> {
    let span = |span: Span| Span {
        start: map.outer(span.start),
        end: map.outer_end(span),
    };
    let kind = match &node.kind {
        Kind::Scalar(scalar) => Kind::Scalar(super::Scalar {
            text: scalar.text.clone(),
            ..*scalar
        }),
        Kind::List(items) => Kind::List(items.iter().map(|item| moved(item, map)).collect()),
        Kind::Map(entries) => Kind::Map(
            entries
                .iter()
                .map(|entry| Entry {
                    key: entry.key.clone(),
                    key_span: span(entry.key_span),
                    value: moved(&entry.value, map),
                })
                .collect(),
        ),
    };
    Rc::new(Node {
        span: span(node.span),
        kind,
        size: node.size,
    })
}

/// Where each character of a scalar's text stands in the file.
struct CharMap {
    places: Vec<Pos>,
    /// The index of each line's first character.
    lines: Vec<usize>,
    end: Pos,
}

impl CharMap {
    fn new(source: &Source, scalar: &Node) -> Option<Self> {
        let Kind::Scalar(content) = &scalar.kind else {
            return None;
        };
        let mut written = written(source, scalar.span, content.style)
            .into_iter()
            .peekable();
        let mut places = Vec::with_capacity(content.text.len());
        let mut lines = vec![0];
        let mut here = scalar.span.start;
        for (index, letter) in content.text.chars().enumerate() {
            if letter.is_whitespace() {
                // Line ends and indentation may have been folded into one blank.
                if let Some((place, _)) = written.next_if(|(_, letter)| letter.is_whitespace()) {
                    here = place;
                }
            } else {
                while written
                    .next_if(|(_, letter)| letter.is_whitespace())
                    .is_some()
                {}
                let (place, _) = written.next_if(|(_, found)| *found == letter)?;
                here = place;
            }
            places.push(here);
            if letter == '\n' {
                lines.push(index.saturating_add(1));
            }
        }
        Some(Self {
            places,
            lines,
            end: here,
        })
    }

    fn outer(&self, inner: Pos) -> Pos {
        let line = inner
            .line
            .checked_sub(1)
            .and_then(|line| self.lines.get(line));
        line.and_then(|first| {
            self.places
                .get(first.saturating_add(inner.column).checked_sub(1)?)
        })
        .copied()
        .unwrap_or(self.end)
    }

    /// The end of a span: one after the place of its last character.
    fn outer_end(&self, span: Span) -> Pos {
        if span.end == span.start || span.end.column <= 1 {
            return self.outer(span.end);
        }
        let last = self.outer(Pos {
            column: span.end.column.saturating_sub(1),
            ..span.end
        });
        Pos {
            column: last.column.saturating_add(1),
            ..last
        }
    }
}

/// The characters that a span of a file stands for, each with its place. Escapes are one character.
fn written(source: &Source, span: Span, style: ScalarStyle) -> Vec<(Pos, char)> {
    let quoted = matches!(style, ScalarStyle::DoubleQuoted | ScalarStyle::SingleQuoted);
    let mut raw = raw(source, span)
        .into_iter()
        .skip(usize::from(quoted))
        .peekable();
    let mut out = Vec::new();
    while let Some((place, letter)) = raw.next() {
        let letter = match (style, letter) {
            (ScalarStyle::SingleQuoted, '\'') => match raw.next() {
                Some((_, '\'')) => '\'',
                _ => break,
            },
            (ScalarStyle::DoubleQuoted, '"') => break,
            (ScalarStyle::DoubleQuoted, '\\') => {
                let escape = raw.next().map_or('\\', |(_, letter)| letter);
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                let code: String = raw.by_ref().take(digits).map(|(_, digit)| digit).collect();
                unescaped(escape, &code)
            }
            (_, letter) => letter,
        };
        out.push((place, letter));
    }
    out
}

/// The characters of a span as they stand in the file, line ends included.
fn raw(source: &Source, span: Span) -> Vec<(Pos, char)> {
    let mut out = Vec::new();
    let lines = source.text.split('\n').enumerate();
    let skipped = span.start.line.saturating_sub(1);
    for (index, text) in lines.skip(skipped) {
        let line = index.saturating_add(1);
        if line > span.end.line {
            break;
        }
        for (index, letter) in text.chars().chain(['\n']).enumerate() {
            let place = Pos {
                line,
                column: index.saturating_add(1),
            };
            if place >= span.start && place < span.end {
                out.push((place, letter));
            }
        }
    }
    out
}

fn unescaped(escape: char, code: &str) -> char {
    match escape {
        'x' | 'u' | 'U' => u32::from_str_radix(code, 16)
            .ok()
            .and_then(char::from_u32)
            .unwrap_or(char::REPLACEMENT_CHARACTER),
        '0' => '\0',
        'a' => '\x07',
        'b' => '\x08',
        'n' => '\n',
        't' => '\t',
        'v' => '\x0b',
        'f' => '\x0c',
        'r' => '\r',
        'e' => '\x1b',
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn place_of_b(text: &str) -> (usize, usize) {
        let source = Source {
            name: "x".into(),
            text: text.into(),
        };
        let root = read(text).unwrap().remove(0);
        let tree = embedded(&source, root.get("value").unwrap()).expect("found again");
        let start = tree.get("a").unwrap().entry("b").unwrap().key_span.start;
        (start.line, start.column)
    }

    #[test]
    fn every_style_of_scalar_leads_back_into_the_file() {
        for (text, place) in [
            ("value: '{\"a\": {\"b\": 1}}'\n", (1, 16)),
            ("value: \"{\\\"a\\\": {\\\"b\\\": 1}}\"\n", (1, 18)),
            (
                "x: 1\nvalue: |\n  {\n    \"a\": {\n      \"b\": 1}}\n",
                (5, 7),
            ),
            ("value: >-\n  {\"a\":\n\n  {\"b\":\n  1}}\n", (4, 4)),
            (
                "value: \"{\\\"a\\\":\n  {\\\"b\\\": \\\"\\u00e9\\\"}}\"\n",
                (2, 4),
            ),
            ("value: '{\"it''s\": 1, \"a\":\n    {\"b\": 1}}'\n", (2, 6)),
            ("value: \"{\\n  \\\"a\\\": {\\n \\\"b\\\": 1}}\"\n", (1, 25)),
        ] {
            assert_eq!(place_of_b(text), place, "{text}");
        }
    }

    #[test]
    fn a_pair_of_surrogates_is_one_letter_and_an_escaped_backslash_starts_none() {
        assert_eq!(
            without_surrogates(r#""\ud83d\ude00 \\ud83d\ude00""#),
            r#""\U0001F600 \\ud83d\ude00""#
        );
        assert_eq!(without_surrogates(r#""\u00e9\""#), r#""\u00e9\""#);
    }
}
