//! Stack frames of Java, Python, Node, Go, .NET, Ruby, PHP and Rust. From the first one on everything goes.

use super::scan::{ALPHANUMERIC, Spans, Text, is_token_end};

/// What begins a trace, or stands in one only.
const MARKERS: [&str; 26] = [
    "#0 /",
    "#0 {",
    "#1 /",
    "(native method)",
    "(unknown source)",
    "--- end of",
    "called `option::unwrap()`",
    "called `result::unwrap()`",
    "caused by:",
    "exception in thread",
    "fatal error: uncaught",
    "goroutine ",
    "nil pointer dereference",
    "node:internal",
    "ora-06512",
    "panicked at",
    "php fatal error",
    "php warning",
    "runtime error:",
    "segmentation fault",
    "stack backtrace:",
    "stack trace:",
    "stacktrace:",
    "traceback (most recent call last)",
    "uncaught exception",
    "unhandled exception",
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

/// No place in a source file is longer.
const MAX_PLACE_BYTES: usize = 256;

pub fn frames(text: &Text<'_>, spans: &mut Spans) {
    let marker = text.starts(&MARKERS, |marker| marker).find(|(at, marker)| {
        match **marker {
            // "goroutine 1" is one, "goroutine pool" is not.
            "goroutine " => text.at(at + 10).is_ascii_digit(),
            "caused by:" => is_cause(text, *at, at + 10),
            "runtime error:" => text.at(*at) == b'r',
            _ => true,
        }
    });
    let marker = marker.map(|(at, _)| at);
    let file = text
        .starts(&FILES, |file| file)
        .find_map(|(at, file)| located(text, at, file));
    let first = marker.into_iter().chain(file).chain(at_frame(text)).min();
    if let Some(from) = first {
        spans.add(from, text.len());
    }
}

/// `Caused by: java.io.IOException`: a line of its own, or followed by the name of a class. People write it within a sentence.
fn is_cause(text: &Text<'_>, at: usize, end: usize) -> bool {
    let line = text.run_back(at.saturating_sub(MAX_PLACE_BYTES), at, &|byte| {
        matches!(byte, b' ' | b'\t')
    });
    let from = text.spaces(end);
    let limit = text.len().min(from + MAX_PLACE_BYTES);
    let word = text.slice(from, limit);
    let to = word.iter().position(|byte| byte.is_ascii_whitespace());
    let word = word.get(..to.unwrap_or(word.len())).unwrap_or_default();
    let name = word.strip_suffix(b":").unwrap_or(word);
    let within = name
        .iter()
        .rev()
        .skip(1)
        .any(|byte| matches!(byte, b'.' | b':'));
    matches!(text.before(line), 0 | b'\n' | b'\r')
        || within
        || name.ends_with(b"Exception")
        || name.ends_with(b"Error")
}

/// Where the word begins that names a source file, of which the extension stands here, and a line in it.
fn located(text: &Text<'_>, at: usize, file: &str) -> Option<usize> {
    let next = text.spaces(at + file.len());
    let line = text.at(next).is_ascii_digit() || text.is_at(next, "line ");
    if !line || !ALPHANUMERIC.has(text.before(at)) {
        return None;
    }
    let first = at.saturating_sub(MAX_PLACE_BYTES);
    Some(text.run_back(first, at, &|byte| !is_token_end(byte) && byte != b'('))
}

/// `at com.example.Foo.bar(Foo.java:12)`, `at fn (/app/x.js:1:2)`, `at App.Service.Run(String s) in C:\x.cs:line 1`.
fn at_frame(text: &Text<'_>) -> Option<usize> {
    for (found, _) in text.starts(&["at "], |at| at) {
        let at = found + 3;
        let end = text.run_while(at, &|byte| !byte.is_ascii_whitespace());
        let word = text.slice(at, end);
        let call = word.iter().position(|byte| *byte == b'(');
        let method = call.and_then(|call| word.get(..call)).is_some_and(|name| {
            name.iter().filter(|byte| **byte == b'.').count() >= 1
                && name.first().is_some_and(u8::is_ascii_alphabetic)
        });
        // `at order.items(0)` is a place in a list.
        let index = call
            .and_then(|call| word.get(call + 1..))
            .and_then(|rest| rest.split(|byte| *byte == b')').next())
            .is_some_and(|index| !index.is_empty() && index.iter().all(u8::is_ascii_digit));
        let method = method && !index;
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
    let inner = text.slice(at, text.len().min(at + MAX_PLACE_BYTES));
    let end = inner.iter().position(|byte| matches!(byte, b')' | b'\n'));
    let inner = inner.get(..end.unwrap_or(inner.len())).unwrap_or_default();
    let line = inner
        .windows(2)
        .any(|part| matches!(part, [b':', digit] if digit.is_ascii_digit()));
    // In `(Gate B/C:12)` there is no file.
    let file = inner.starts_with(b"/") || inner.iter().any(|byte| matches!(byte, b'.' | b'\\'));
    line && (file || inner.starts_with(b"node:"))
        && inner.iter().any(|byte| matches!(byte, b'/' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::scan::is_in_order;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn markers_stand_in_the_order_of_their_first_characters() {
        assert!(is_in_order(&MARKERS, |marker| marker));
        assert!(is_in_order(&FILES, |file| file));
    }
}
