//! Stack frames of Java, Python, Node, Go, .NET, Ruby, PHP and Rust. From the first one on everything goes.

use super::scan::{ALPHANUMERIC, Spans, Text, is_token_end};

/// What begins a trace, or stands in one only.
const MARKERS: [&str; 26] = [
    "traceback (most recent call last)",
    "caused by:",
    "exception in thread",
    "panicked at",
    "stack backtrace:",
    "stack trace:",
    "stacktrace:",
    "--- end of",
    "php fatal error",
    "php warning",
    "fatal error: uncaught",
    "uncaught exception",
    "unhandled exception",
    "goroutine ",
    "runtime error:",
    "nil pointer dereference",
    "segmentation fault",
    "(unknown source)",
    "(native method)",
    "node:internal",
    "#0 /",
    "#0 {",
    "#1 /",
    "ora-06512",
    "called `result::unwrap()`",
    "called `option::unwrap()`",
];
/// A source file, then what leads to a line in it.
const FILES: [&str; 24] = [
    ".java:",
    ".kt:",
    ".scala:",
    ".py:",
    ".py\", line",
    ".js:",
    ".mjs:",
    ".cjs:",
    ".ts:",
    ".tsx:",
    ".go:",
    ".rb:",
    ".rs:",
    ".php:",
    ".php(",
    ".php on line",
    ".cs:",
    ".cpp:",
    ".cc:",
    ".ex:",
    ".exs:",
    ".erl:",
    ".swift:",
    ".pl line",
];

pub fn frames(text: &Text<'_>, spans: &mut Spans) {
    let marker = MARKERS.iter().filter_map(|marker| {
        let found = text.find(0, marker)?;
        // "goroutine 1" is one, "goroutine pool" is not.
        let numbered = *marker != "goroutine " || text.at(found + 10).is_ascii_digit();
        numbered.then_some(found)
    });
    let file = FILES.iter().filter_map(|file| located(text, file));
    let first = marker.chain(file).chain(at_frame(text)).min();
    if let Some(from) = first {
        spans.add(from, text.len());
    }
}

/// Where the word begins that names a source file and a line in it.
fn located(text: &Text<'_>, file: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text.find(at, file) {
        at = found + file.len();
        let next = text.run_while(at, |byte| byte == b' ');
        let line = text.at(next).is_ascii_digit() || text.is_at(next, "line ");
        if line && ALPHANUMERIC.has(text.before(found)) {
            let start = text.run_back(0, found, |byte| !is_token_end(byte) && byte != b'(');
            return Some(start);
        }
    }
    None
}

/// `at com.example.Foo.bar(Foo.java:12)`, `at fn (/app/x.js:1:2)`, `at App.Service.Run(String s) in C:\x.cs:line 1`.
fn at_frame(text: &Text<'_>) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text.find(at, "at ") {
        at = found + 3;
        if ALPHANUMERIC.has(text.before(found)) {
            continue;
        }
        let end = text.run_while(at, |byte| !byte.is_ascii_whitespace());
        let word = text.slice(at, end);
        let call = word.iter().position(|byte| *byte == b'(');
        let method = call.and_then(|call| word.get(..call)).is_some_and(|name| {
            name.iter().filter(|byte| **byte == b'.').count() >= 1
                && name.first().is_some_and(u8::is_ascii_alphabetic)
        });
        let anonymous = text.is_at(at, "<anonymous>") || text.is_at(at, "async ");
        if method || anonymous || is_located(text, end) {
            return Some(found);
        }
    }
    None
}

/// ` (/app/routes.js:10:5)`: a place in a file, in parentheses.
fn is_located(text: &Text<'_>, at: usize) -> bool {
    if !text.is_at(at, " (") {
        return false;
    }
    let to = text.run_while(at, |byte| !matches!(byte, b')' | b'\n'));
    let inner = text.slice(at, to);
    let line = inner
        .windows(2)
        .any(|part| matches!(part, [b':', digit] if digit.is_ascii_digit()));
    line && inner.iter().any(|byte| matches!(byte, b'/' | b'\\'))
}
