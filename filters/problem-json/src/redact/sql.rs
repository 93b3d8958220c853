//! SQL, and what databases say about it.

use super::scan::{Spans, Text};

/// A statement's first word, a word that must follow (a space before and after it), and what one of must follow that
/// where they are not written in capitals: English knows these words too.
const STATEMENTS: [(&str, &str, &[&str]); 6] = [
    (
        "select ",
        " from ",
        &["*", "where ", "`", "\"", ";", " join ", "limit "],
    ),
    ("insert ", " into ", &["(", "values"]),
    ("update ", " set ", &["="]),
    ("delete ", " from ", &[" where ", "`", "\"", ";"]),
    ("merge ", " into ", &["using"]),
    ("with ", " as (", &["select"]),
];
/// How far apart the words of a statement are at most that tell it from English.
const WINDOW: usize = 512;

/// Words that change a schema, and what they change.
const SCHEMA: [&str; 4] = ["create ", "alter ", "drop ", "truncate "];
const OBJECTS: [&str; 9] = [
    "table", "database", "index", "view", "schema", "user", "role", "column", "trigger",
];

/// What drivers and databases write about a statement; the line goes from there.
const MESSAGES: [&str; 40] = [
    "access denied for user",
    "password authentication failed",
    "could not connect to server",
    "role \"",
    "sqlstate",
    "ora-0",
    "ora-1",
    "ora-2",
    "syntax error at or near",
    "sql syntax",
    "violates unique constraint",
    "violates foreign key",
    "violates not-null",
    "violates check constraint",
    "duplicate key value",
    "duplicate entry '",
    "unknown column",
    "unknown database",
    "relation \"",
    "null value in column",
    "column \"",
    "no such table",
    "no such column",
    "constraint failed",
    "e11000 duplicate",
    "deadlock detected",
    "mongoservererror",
    "mongoerror",
    "incorrect syntax near",
    "invalid object name",
    "invalid column name",
    "cannot insert duplicate key",
    "foreign key constraint fails",
    "pq: ",
    "pg::",
    "psycopg2",
    "pdoexception",
    "error in your sql",
    "sql logic error",
    "near \"",
];

pub fn statements(text: &Text<'_>, spans: &mut Spans) {
    for (from, (first, second, evidence)) in text.starts(&STATEMENTS, |statement| statement.0) {
        // The two may share the space between them.
        let at = from + first.len() - 1;
        let Some(next) = text.find_within(at, at + WINDOW, second) else {
            continue;
        };
        let to = text.line_end(from);
        let capitals = is_upper(text, from, first) && is_upper(text, next, second);
        let shown = || {
            let window = to.min(next + WINDOW);
            let shows = |sign: &&str| text.find_within(from, window, sign).is_some();
            evidence.iter().any(shows)
        };
        if next < to && (capitals || shown()) {
            spans.add(from, to);
        }
    }
    for (from, verb) in text.starts(&SCHEMA, |verb| verb) {
        let at = from + verb.len();
        let object = OBJECTS.iter().find(|object| text.is_at(at, object));
        if object.is_some_and(|object| is_upper(text, at, object)) && is_upper(text, from, verb) {
            spans.add(from, text.line_end(from));
        }
    }
    for (from, _) in text.starts(&MESSAGES, |message| message) {
        spans.add(from, text.line_end(from));
    }
}

fn is_upper(text: &Text<'_>, at: usize, word: &str) -> bool {
    !text
        .slice(at, at + word.len())
        .iter()
        .any(u8::is_ascii_lowercase)
}
