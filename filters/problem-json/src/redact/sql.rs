//! SQL, and what databases say about it.

use super::databases::sayings;
use super::scan::{Spans, Text};

/// A statement's first word, a word that must follow (a space before and after it), and what one of must follow that
/// where they are not written in capitals: English knows these words too. In the order of the first character, as all that
/// [`Text::starts`] looks for.
const STATEMENTS: [(&str, &str, &[&str]); 6] = [
    ("delete ", " from ", &[" where "]),
    ("insert ", " into ", &["(", "values"]),
    ("merge ", " into ", &["using"]),
    ("select ", " from ", &["*", "where ", " join "]),
    ("update ", " set ", &["="]),
    ("with ", " as (", &["select"]),
];
/// How far apart the words of a statement are at most that tell it from English.
const WINDOW: usize = 512;

/// Words that change a schema, and what they change.
const SCHEMA: [&str; 4] = ["alter ", "create ", "drop ", "truncate "];
const OBJECTS: [&str; 9] = [
    "table", "database", "index", "view", "schema", "user", "role", "column", "trigger",
];

pub fn statements(text: &Text<'_>, spans: &mut Spans) {
    let mut done = 0;
    for (from, (first, second, evidence)) in text.starts(&STATEMENTS, |statement| statement.0) {
        if from < done {
            continue;
        }
        // The two may share the space between them.
        let at = from + first.len() - 1;
        let Some(next) = text.find_within(at, at + WINDOW, second) else {
            continue;
        };
        let to = text.line_end_within(from, next + WINDOW);
        let capitals = is_upper(text, from, first) && is_upper(text, next, second);
        let shown = || {
            let shows = |sign: &&str| text.find_within(from, to, sign).is_some();
            let from_table = *first == "select " || *first == "delete " && next == at;
            evidence.iter().any(shows) || from_table && names_table(text, at, next)
        };
        if next < to && (capitals || shown()) {
            done = text.line_end(from);
            spans.add(from, done);
        }
    }
    for (from, verb) in text.starts(&SCHEMA, |verb| verb) {
        let at = from + verb.len();
        let object = OBJECTS.iter().find(|object| text.is_at(at, object));
        if object.is_some_and(|object| is_upper(text, at, object)) && is_upper(text, from, verb) {
            spans.add(from, text.line_end(from));
        }
    }
    sayings(text, spans);
}

/// Whether what stands between the words are columns, or nothing, and a table's name in quotes follows. In `a value from "red"`
/// there are words between them.
fn names_table(text: &Text<'_>, from: usize, next: usize) -> bool {
    let quoted = matches!(text.at(next + " from ".len()), b'"' | b'`');
    if !quoted || from == next {
        return quoted;
    }
    let columns = text.slice(from + 1, next);
    let apart = columns
        .windows(2)
        .all(|pair| !matches!(pair, [before, b' '] if *before != b','));
    apart || columns.iter().any(|byte| b"\"`(._".contains(byte))
}

fn is_upper(text: &Text<'_>, at: usize, word: &str) -> bool {
    !text
        .slice(at, at + word.len())
        .iter()
        .any(u8::is_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::scan::is_in_order;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn statements_stand_in_the_order_of_their_first_characters() {
        assert!(is_in_order(&STATEMENTS, |statement| statement.0));
        assert!(is_in_order(&SCHEMA, |verb| verb));
    }
}
