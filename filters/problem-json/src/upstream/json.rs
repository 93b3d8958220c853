//! JSON: from bytes to the shape.

use serde_json::{Map, Value};

use super::{Found, Said, details, nested, shapes};

/// Reads JSON: a byte order mark is skipped, and bytes that are no UTF-8 are replaced. What gives a name twice could mean
/// either, and what nests deeper than 128 means to harm: both say nothing.
pub fn read(body: &[u8], graphql: bool) -> Found {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if !matches!(body.trim_ascii_start(), [b'{' | b'[', ..]) {
        return Found::Unknown;
    }
    match portcullis_kit::config::parse(String::from_utf8_lossy(body).as_bytes()) {
        Some(Value::Object(members)) => object(&members, graphql),
        Some(Value::Array(items)) => {
            let mut said = Said::new("list");
            details::list(&mut said, &items);
            details::speak_for_one(&mut said);
            Found::of(said)
        }
        _ => Found::Unknown,
    }
}

fn object(members: &Map<String, Value>, graphql: bool) -> Found {
    if let Some(said) = nested::read(members) {
        return Found::of(said);
    }
    match shapes::read(members, graphql) {
        Found::Known(said) => Found::of(said),
        other => other,
    }
}
