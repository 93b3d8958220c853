//! SQL, and what databases say about it.

use super::databases::sayings;
use super::scan::{DOTTED, Spans, Text};

/// A statement's first word, and a word that must follow, with a space before and after it. In the order of the first
/// character, as all that [`Text::starts`] looks for.
const STATEMENTS: [(&str, &str); 7] = [
    ("delete ", " from "),
    ("insert ", " into "),
    ("merge ", " into "),
    ("replace ", " into "),
    ("select ", " from "),
    ("update ", " set "),
    ("with ", " as ("),
];
/// How far apart the words of a statement are at most: in capitals, and else, where English has them too.
const CAPITALS_WINDOW: usize = 1024;
const WINDOW: usize = 512;

/// Words that change a schema, and what they change.
const SCHEMA: [&str; 3] = ["alter ", "create ", "drop "];
const OBJECTS: [&str; 9] = [
    "table", "database", "index", "view", "schema", "user", "role", "column", "trigger",
];
/// Further statements, in capitals, and what must follow.
const CAPITALS: [(&str, &str); 6] = [
    ("call ", "("),
    ("exec ", ""),
    ("execute ", ""),
    ("grant ", " on "),
    ("revoke ", " on "),
    ("truncate ", ""),
];
/// How a condition goes on.
const COMPARISONS: [&str; 6] = ["=", "<", ">", " in (", " is ", " like "];
/// Words that stand before what is no table.
const ARTICLES: [&str; 10] = [
    "a", "an", "any", "each", "our", "that", "the", "these", "this", "your",
];

pub fn statements(text: &Text<'_>, spans: &mut Spans) {
    if text.holds_one_of(b"\t\n\r+") {
        let blank = |byte: &u8| {
            if byte.is_ascii_whitespace() || *byte == b'+' {
                b' '
            } else {
                *byte
            }
        };
        let flat: Vec<u8> = text.bytes.iter().map(blank).collect();
        let flat = Text::of(&flat, text.is_name());
        on_one_line(&flat, text, spans);
        text.count(flat.work());
    } else {
        on_one_line(text, text, spans);
    }
    sayings(text, spans);
}

/// Statements of a text whose lines are one, and which ends a paragraph in the text as it is.
fn on_one_line(text: &Text<'_>, written: &Text<'_>, spans: &mut Spans) {
    let mut done = 0;
    let mut add = |from: usize| {
        let end = written.paragraph_end(from);
        spans.add(from, end);
        end
    };
    for (from, (first, second)) in text.starts(&STATEMENTS, |statement| statement.0) {
        if from < done {
            continue;
        }
        let capitals = is_upper(text, from, first);
        // The two may share the space between them.
        let at = from + first.len() - 1;
        let window = if capitals { CAPITALS_WINDOW } else { WINDOW };
        let next = text.find_within(at, at + window, second);
        let qualified = || *first == "select " && selects_of_tables(text, at + 1);
        let is_statement = match next {
            None => qualified(),
            Some(next) => {
                capitals && is_upper(text, next, second)
                    || is_shown(text, first, at, next)
                    || qualified()
            }
        };
        if is_statement {
            done = add(from);
        }
    }
    for (from, verb) in text.starts(&SCHEMA, |verb| verb) {
        let at = text.spaces(from + verb.len());
        let object = OBJECTS.iter().find(|object| text.is_at(at, object));
        if from >= done
            && object.is_some_and(|object| is_upper(text, at, object))
            && is_upper(text, from, verb)
        {
            done = add(from);
        }
    }
    for (from, (verb, second)) in text.starts(&CAPITALS, |statement| statement.0) {
        let at = from + verb.len();
        let end = text.run(at, &DOTTED);
        let follows = || match *second {
            "(" => end > at && text.at(end) == b'(',
            "" => {
                *verb == "truncate " || text.slice(at, end).iter().any(|byte| b"._".contains(byte))
            }
            second => text.find_within(at, at + WINDOW / 4, second).is_some(),
        };
        if from >= done && is_upper(text, from, verb) && follows() {
            done = add(from);
        }
    }
}

/// Whether what stands around two words that are not in capitals is a statement's: `at` is where the first word ends, `next`
/// where the second begins.
fn is_shown(text: &Text<'_>, first: &str, at: usize, next: usize) -> bool {
    let between = text.slice(at + 1, next);
    let spaces = between.iter().filter(|byte| **byte == b' ').count();
    let follows = |from: usize, signs: &[&str]| {
        signs
            .iter()
            .any(|sign| text.find_within(from, from + WINDOW / 8, sign).is_some())
    };
    let table = next + if first == "with " { 0 } else { " from ".len() };
    let behind = table_end(text, table);
    match first {
        "select " => {
            let apart = between
                .windows(2)
                .all(|pair| !matches!(pair, [before, b' '] if *before != b','));
            let marked = between.iter().any(|byte| b"\"`(._,".contains(byte));
            between.starts_with(b"*")
                || names_table(text, at, next)
                || behind.is_some_and(|end| {
                    apart && marked || is_condition(text, end) || follows(end, &[" join "])
                })
        }
        "delete " => {
            at == next
                && (names_table(text, at, next)
                    && behind.is_some_and(|end| matches!(text.at(end), 0 | b';'))
                    || behind.is_some_and(|end| is_condition(text, end)))
        }
        "update " => {
            let alias = between.rsplit(|byte| *byte == b' ').next();
            table_end(text, at + 1).is_some()
                && (spaces == 0 || spaces == 1 && alias.is_some_and(|alias| alias.len() < 3))
                && follows(next, &["="])
        }
        "merge " => at == next && behind.is_some_and(|end| follows(end, &[" using "])),
        "with " => text.is_at(text.spaces(next + 5), "select"),
        _ => {
            let direct = at == next || [&b"ignore"[..], b"or replace"].contains(&between);
            direct
                && behind.is_some_and(|end| {
                    let end = text.spaces(end);
                    ["(", "values", "select", "set "]
                        .iter()
                        .any(|sign| text.is_at(end, sign))
                })
        }
    }
}

/// Where the name of a table ends that stands here.
fn table_end(text: &Text<'_>, at: usize) -> Option<usize> {
    let from = text.spaces(at);
    let to = text.run_while(from, &|byte| DOTTED.has(byte) || b"\"`[]$".contains(&byte));
    let name = text.slice(from, to);
    let article = ARTICLES
        .iter()
        .any(|article| name.eq_ignore_ascii_case(article.as_bytes()));
    (from < to && !article).then_some(to)
}

/// Whether a condition follows a table's name, behind an alias at most.
fn is_condition(text: &Text<'_>, at: usize) -> bool {
    let Some(found) = text.find_within(at, at + 32, " where ") else {
        return false;
    };
    let alias = text.slice(at + 1, found);
    let end = found + WINDOW / 8;
    alias.iter().filter(|byte| **byte == b' ').count() < 2
        && COMPARISONS
            .iter()
            .any(|sign| text.find_within(found + 7, end, sign).is_some())
}

/// Whether columns stand here by the names of their tables: `o.id, …`, `o.id as …`.
fn selects_of_tables(text: &Text<'_>, at: usize) -> bool {
    let from = text.spaces(at);
    let to = text.run(from, &DOTTED);
    let name = text.slice(from, to);
    let next = text.spaces(to);
    name.contains(&b'.')
        && !name.ends_with(b".")
        && (text.at(to) == b',' || text.is_at(next, "as "))
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
        assert!(is_in_order(&CAPITALS, |statement| statement.0));
    }
}
