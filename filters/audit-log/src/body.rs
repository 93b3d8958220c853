//! What of JSON bodies is recorded: the values at the listed places, and nothing else.
//!
//! Pieces of a body are copied on their way, up to a bound, and read at the request's end. Nothing waits for it. What is
//! no JSON, encoded, too large or broken off is not recorded, and the record says so.

use portcullis_kit::config;
use portcullis_kit::headers::Headers;
use serde_json::Value;

use crate::redact::{Key, cut};

/// The most of one value that is recorded, in bytes.
const MAX_VALUE: usize = 1024;

/// A place in a JSON document, as a JSON pointer (RFC 6901) with `*` for each item of a list.
#[derive(Debug)]
pub struct Place {
    /// As it was written, which is how records name it.
    pub pointer: String,
    pub segments: Vec<Segment>,
    /// What values are hashed as, where they are.
    pub hashed_as: Option<String>,
}

/// One step into a document.
#[derive(Debug, PartialEq, Eq)]
pub enum Segment {
    /// A member of an object, or an item of a list by its number.
    Name(String),
    /// Each item of a list.
    Each,
}

/// What of bodies is recorded. In the order of their pointers.
#[derive(Debug)]
pub struct Places {
    pub request: Vec<Place>,
    pub response: Vec<Place>,
    /// The most of one body that is read.
    pub max_bytes: usize,
    /// The most of one body that is recorded.
    pub max_recorded_bytes: usize,
}

/// One message's body, as far as it came by.
#[derive(Debug, Default)]
pub enum Body {
    /// None was seen, or nothing of it is wanted.
    #[default]
    None,
    Read(Vec<u8>),
    /// Nothing of it is recorded.
    Unread(Reason),
}

/// Why nothing of a body is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    TooLarge,
    /// Compressed, say: it is not what its type says before it is decoded.
    Encoded,
    NotJson,
    /// Broken off, no JSON after all, or two members of one name in it, of which every reader may take another.
    Unreadable,
}

/// A message whose bodies' marks are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Request,
    Response,
}

impl Side {
    /// There was more in it than is recorded.
    pub const fn partial(self) -> &'static str {
        match self {
            Self::Request => "request.body",
            Self::Response => "response.body",
        }
    }

    pub const fn unread(self, reason: Reason) -> &'static str {
        match (self, reason) {
            (Self::Request, Reason::TooLarge) => "request.body.too_large",
            (Self::Request, Reason::Encoded) => "request.body.encoded",
            (Self::Request, Reason::NotJson) => "request.body.not_json",
            (Self::Request, Reason::Unreadable) => "request.body.unreadable",
            (Self::Response, Reason::TooLarge) => "response.body.too_large",
            (Self::Response, Reason::Encoded) => "response.body.encoded",
            (Self::Response, Reason::NotJson) => "response.body.not_json",
            (Self::Response, Reason::Unreadable) => "response.body.unreadable",
        }
    }
}

impl Body {
    /// Begins with a message that has a body.
    #[inline(never)]
    pub fn begin(headers: &Headers, max_bytes: usize) -> Self {
        let encoding = headers.get("content-encoding").unwrap_or_default();
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") {
            return Self::Unread(Reason::Encoded);
        }
        if !headers.get("content-type").is_some_and(is_json) {
            return Self::Unread(Reason::NotJson);
        }
        let length = headers.get("content-length");
        let length = length.and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > max_bytes) {
            return Self::Unread(Reason::TooLarge);
        }
        Self::Read(Vec::new())
    }

    /// Goes on with a piece; `read` gives at most so many bytes of it.
    #[inline(never)]
    pub fn piece(&mut self, max_bytes: usize, read: impl FnOnce(usize) -> Vec<u8>) {
        let Self::Read(bytes) = self else {
            return;
        };
        // One more than there is room for shows that it is too much. What another filter made of the piece may be longer
        // than what the host told.
        let room = max_bytes.saturating_sub(bytes.len());
        let piece = read(room.saturating_add(1));
        if piece.len() > room {
            *self = Self::Unread(Reason::TooLarge);
        } else if bytes.is_empty() {
            *bytes = piece;
        } else {
            bytes.extend_from_slice(&piece);
        }
    }

    /// What of it is recorded, and what there was besides.
    #[inline(never)]
    pub fn recorded<'p>(
        &self,
        places: &'p [Place],
        max_bytes: usize,
        key: Option<&Key>,
        side: Side,
        redacted: &mut Vec<&'static str>,
    ) -> Vec<(&'p str, Vec<Vec<u8>>)> {
        let bytes = match self {
            Self::None => return Vec::new(),
            Self::Read(bytes) if bytes.is_empty() => return Vec::new(),
            Self::Read(bytes) => bytes,
            Self::Unread(reason) => {
                redacted.push(side.unread(*reason));
                return Vec::new();
            }
        };
        let Some(document) = config::parse(bytes) else {
            redacted.push(side.unread(Reason::Unreadable));
            return Vec::new();
        };
        let mut left = scalars(&document);
        let mut room = max_bytes;
        let mut whole = true;
        let mut recorded = Vec::new();
        for place in places {
            let mut found = Vec::new();
            find(&document, &place.segments, &mut found);
            let mut values = Vec::with_capacity(found.len());
            for value in found {
                let text = match value {
                    Value::String(text) => text.as_bytes().to_vec(),
                    other => other.to_string().into_bytes(),
                };
                let shown = match (&place.hashed_as, key) {
                    (Some(field), Some(key)) => key.hash(field, &text),
                    // Not without a key: the settings are refused then.
                    (Some(_), None) => continue,
                    (None, _) => cut(&text, MAX_VALUE).to_vec(),
                };
                whole &= place.hashed_as.is_some() || shown.len() == text.len();
                let Some(rest) = room.checked_sub(shown.len()) else {
                    room = 0;
                    continue;
                };
                room = rest;
                left = left.saturating_sub(1);
                values.push(shown);
            }
            if !values.is_empty() {
                recorded.push((place.pointer.as_str(), values));
            }
        }
        if left > 0 || !whole {
            redacted.push(side.partial());
        }
        recorded
    }
}

/// `application/json`, `application/problem+json` and their kin, whatever the parameters.
#[inline(never)]
fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    let Some((kind, rest)) = essence.split_at_checked(b"application/".len()) else {
        return false;
    };
    let suffix = rest.len().checked_sub(b"+json".len());
    let suffix = suffix.and_then(|at| rest.get(at..)).unwrap_or_default();
    kind.eq_ignore_ascii_case(b"application/")
        && (rest.eq_ignore_ascii_case(b"json") || suffix.eq_ignore_ascii_case(b"+json"))
}

/// The values at a place. Objects and lists are none: they hold what is not listed.
fn find<'v>(value: &'v Value, segments: &[Segment], found: &mut Vec<&'v Value>) {
    let Some((segment, rest)) = segments.split_first() else {
        if !value.is_object() && !value.is_array() {
            found.push(value);
        }
        return;
    };
    match (segment, value) {
        (Segment::Each, Value::Array(items)) => {
            for item in items {
                find(item, rest, found);
            }
        }
        (Segment::Name(name), Value::Object(members)) => {
            if let Some(member) = members.get(name) {
                find(member, rest, found);
            }
        }
        (Segment::Name(name), Value::Array(items)) => {
            let item = name.parse().ok().and_then(|at: usize| items.get(at));
            if let Some(item) = item {
                find(item, rest, found);
            }
        }
        _ => {}
    }
}

/// How many values there are that are neither objects nor lists.
fn scalars(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.values().map(scalars).sum(),
        Value::Array(items) => items.iter().map(scalars).sum(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn only_what_says_that_it_is_json_is() {
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
            " application/vnd.a.b+JSON ;v=1",
        ] {
            assert!(is_json(json.as_bytes()), "{json}");
        }
        for other in [
            "",
            "json",
            "text/json",
            "application/jsonl",
            "application/x-json",
            "application/json-seq",
            "application/jsonp+xml",
            "text/vnd+json",
            "application/json, text/plain",
        ] {
            assert!(!is_json(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_body_is_copied_up_to_its_bound_and_never_beyond() {
        let json = Headers::from_lines([("content-type", "application/json")]);
        let through = |pieces: &[&str]| {
            let mut body = Body::begin(&json, 8);
            for piece in pieces {
                body.piece(8, |most| piece.as_bytes()[..piece.len().min(most)].to_vec());
            }
            body
        };
        let whole = |body: &Body| matches!(body, Body::Read(bytes) if bytes == b"12345678");
        assert!(whole(&through(&["12345678"])));
        assert!(whole(&through(&["1234", "", "5678", ""])));
        for pieces in [&["123456789"][..], &["12345678", "9"], &["1234", "56789"]] {
            let body = through(pieces);
            assert!(matches!(body, Body::Unread(Reason::TooLarge)), "{body:?}");
        }
        let long = Headers::from_lines([
            ("content-type", "application/json"),
            ("content-length", "9"),
        ]);
        assert!(matches!(
            Body::begin(&long, 8),
            Body::Unread(Reason::TooLarge)
        ));
        assert!(matches!(Body::begin(&long, 9), Body::Read(_)));
    }
}
