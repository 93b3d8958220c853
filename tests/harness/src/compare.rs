//! Telling two answers apart, byte by byte.

use crate::response::{Response, latin1};
use portcullis_upstream::{Line, Request};

/// Headers that differ between any two answers.
pub const VOLATILE: &[&str] = &["date", "x-envoy-upstream-service-time"];

/// What differs between two responses, apart from these headers; `None` if nothing does.
pub fn responses(one: &Response, other: &Response, ignoring: &[&str]) -> Option<String> {
    let of = |response: &Response| {
        let mut text = format!("{} {:?}\n", response.status, response.ending);
        text += &lines(&response.headers, ignoring);
        text += "\n";
        text += &response.text();
        text += &lines(&response.trailers, ignoring);
        text
    };
    difference(&of(one), &of(other))
}

/// What differs between two requests that an upstream received, apart from these headers; `None` if nothing does.
pub fn requests(one: &Request, other: &Request, ignoring: &[&str]) -> Option<String> {
    let of = |request: &Request| {
        let mut text = format!("{} {}\n", latin1(&request.method), latin1(&request.target));
        text += &lines(&request.headers, ignoring);
        text += "\n";
        text += &latin1(&request.body);
        text
    };
    difference(&of(one), &of(other))
}

fn lines(lines: &[Line], ignoring: &[&str]) -> String {
    lines
        .iter()
        .filter(|(name, _)| {
            !ignoring
                .iter()
                .any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
        })
        .map(|(name, value)| format!("{}: {}\n", latin1(name), latin1(value)))
        .collect()
}

fn difference(one: &str, other: &str) -> Option<String> {
    (one != other).then(|| format!("--- one\n{one}\n--- other\n{other}"))
}
