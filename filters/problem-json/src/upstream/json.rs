//! JSON: from bytes to the shape.

use serde_json::{Map, Value};

use super::{Found, Said, details, nested, shapes};

/// Reads JSON: a byte order mark is skipped, bytes that are no UTF-8 are replaced, of duplicate names the last counts.
/// What nests deeper than serde_json's limit (128) fails, and says nothing.
pub fn read(body: &[u8], graphql: bool) -> Found {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if !matches!(body.trim_ascii_start(), [b'{' | b'[', ..]) {
        return Found::Unknown;
    }
    match serde_json::from_str(&String::from_utf8_lossy(body)) {
        Ok(Value::Object(members)) => object(&members, graphql),
        Ok(Value::Array(items)) => {
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
