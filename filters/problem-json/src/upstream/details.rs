//! Mistakes in single fields, in the ways frameworks list them: lists of objects, lists of texts, maps of fields.

use portcullis_kit::config::number_text;
use serde_json::{Map, Value};

use crate::redact::is_among_in_any_case;

use super::{Detail, MAX_POINTER_BYTES, Place, Said, code, text};

/// How deep maps of fields nest (Django REST's nested serializers).
const DEPTH: u8 = 6;

/// Members that hold mistakes, whatever the shape around them.
pub const LISTS: [&str; 8] = [
    "errors",
    "violations",
    "issues",
    "fieldErrors",
    "field_errors",
    "invalid-params",
    "invalidParams",
    "invalid_params",
];

/// Parts of names, in lower case, under which no mistakes in fields stand but what a program tells its developers.
const DIAGNOSTIC: [&str; 5] = ["debug", "trace", "stack", "exception", "sql"];
/// Names of fields as well: a text passes there, and what is below does not.
const CLOSED: [&str; 5] = ["query", "params", "meta", "metadata", "context"];

/// Whether a name says that what stands there is for developers.
pub fn is_diagnostic(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    DIAGNOSTIC.iter().any(|part| name.contains(part))
}

/// A list, or a map of fields.
pub fn any(said: &mut Said, value: Option<&Value>) {
    match value {
        Some(Value::Array(items)) => list(said, items),
        Some(Value::Object(fields)) => map(said, "", fields, DEPTH),
        _ => {}
    }
}

pub fn list(said: &mut Said, items: &[Value]) {
    for item in items {
        if said.is_full() {
            return;
        }
        match item {
            Value::String(_) => said.add(Detail {
                message: text(item),
                ..Detail::default()
            }),
            Value::Object(members) => said.add(one(members)),
            _ => {}
        }
    }
}

/// One mistake as an object: JSON:API, Spring, FastAPI, Zod, express-validator, Microsoft, GitHub, Kubernetes, RFC 7807's
/// `invalid-params`. Rejected values, inputs, links, contexts and class names stay behind.
fn one(members: &Map<String, Value>) -> Detail {
    let find = |names: &[&str], read: fn(&Value) -> Option<String>| {
        names
            .iter()
            .find_map(|name| members.get(*name).and_then(read))
    };
    let message = find(
        &[
            "detail",
            "message",
            "msg",
            "defaultMessage",
            "description",
            "title",
        ],
        text,
    );
    // Some say the code in `reason`, some the text.
    let (message, reason) = match message {
        Some(message) => (Some(message), find(&["reason"], code)),
        None => (find(&["reason"], text), None),
    };
    let nested_code = || {
        let extensions = members.get("extensions")?;
        extensions.get("code").and_then(code)
    };
    // What express-validator calls a type tells nothing.
    let kinds: &[&str] = if members.contains_key("location") {
        &[]
    } else {
        &["type", "keyword", "rule", "error"]
    };
    let code = find(&["code", "errorCode"], code)
        .or_else(nested_code)
        .or(reason)
        .or_else(|| find(kinds, code));
    Detail {
        message,
        code,
        place: place(members),
    }
}

fn place(members: &Map<String, Value>) -> Option<Place> {
    if let Some(source) = members.get("source") {
        let named = |name: &str| source.get(name).and_then(text);
        return named("pointer")
            .map(|pointer| Place::Pointer(super::details::pointer("", &pointer)))
            .or_else(|| named("parameter").map(Place::Parameter))
            .or_else(|| named("header").map(Place::Header));
    }
    if let Some(Value::Array(location)) = members.get("loc") {
        return location_path(location);
    }
    let is_in = ["location", "in"]
        .iter()
        .find_map(|name| members.get(*name).and_then(Value::as_str));
    if let Some(parameter) = members.get("parameter").and_then(text) {
        return Some(Place::Parameter(parameter));
    }
    if let Some(header) = members.get("header").and_then(text) {
        return Some(Place::Header(header));
    }
    // What GraphQL calls a path leads into the answer, not the request.
    let is_graphql = members.contains_key("locations") || members.contains_key("extensions");
    if let Some(Value::Array(path)) = members.get("path").filter(|_| !is_graphql) {
        return Some(Place::Pointer(pointer_of(path)));
    }
    let field = [
        "pointer",
        "instancePath",
        "field",
        "property",
        "propertyPath",
        "param",
        "path",
        "target",
        "attribute",
        "name",
    ]
    .iter()
    .find_map(|name| members.get(*name).and_then(text))?;
    Some(match is_in {
        Some("query" | "params" | "path" | "cookies" | "cookie" | "parameter") => {
            Place::Parameter(field)
        }
        Some("headers" | "header") => Place::Header(field),
        _ => Place::Pointer(pointer("", &field)),
    })
}

/// FastAPI's `loc`: `["body", "user", "age"]`, `["query", "page"]`.
fn location_path(location: &[Value]) -> Option<Place> {
    let (first, rest) = location.split_first()?;
    let name = || rest.last().and_then(text);
    match first.as_str() {
        Some("query" | "path" | "cookie") => name().map(Place::Parameter),
        Some("header") => name().map(Place::Header),
        Some("body") => Some(Place::Pointer(pointer_of(rest))),
        _ => Some(Place::Pointer(pointer_of(location))),
    }
}

/// A map of fields: `{"name": ["is required"], "items": {"0": {"price": "…"}}}`.
pub fn map(said: &mut Said, at: &str, fields: &Map<String, Value>, depth: u8) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    for (name, value) in fields {
        if said.is_full() {
            return;
        }
        let closed = CLOSED.contains(&name.as_str()) && !value.is_string() && !is_texts(value);
        if closed || is_diagnostic(name) {
            continue;
        }
        // Mistakes of the whole: Django, Rails, ASP.NET.
        let whole = matches!(name.as_str(), "" | "base" | "__all__" | "$")
            || name.ends_with("non_field_errors");
        let place = if whole {
            at.to_owned()
        } else {
            pointer(at, name)
        };
        // Each mistake below would copy it.
        if place.len() > MAX_POINTER_BYTES {
            continue;
        }
        let add = |said: &mut Said, detail: Detail| {
            said.add(Detail {
                place: (!place.is_empty()).then(|| Place::Pointer(place.clone())),
                ..detail
            });
        };
        // A single word is rather a value than what is wrong with it: then only the place is told.
        let as_text = |value: &Value| Detail {
            message: text(value).filter(|text| is_saying(text)),
            ..Detail::default()
        };
        match value {
            Value::String(_) => add(said, as_text(value)),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if said.is_full() {
                        return;
                    }
                    match item {
                        Value::String(_) => add(said, as_text(item)),
                        Value::Object(members)
                            if !members.is_empty() && members.values().all(Value::is_string) =>
                        {
                            add(said, one(members));
                        }
                        Value::Object(members) => {
                            map(said, &pointer(&place, &index.to_string()), members, depth);
                        }
                        _ => {}
                    }
                }
            }
            Value::Object(members) => map(said, &place, members, depth),
            _ => {}
        }
    }
}

fn is_texts(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().all(Value::is_string))
}

/// More than one word, or written where words are not kept apart (from Thai on), or a word that is said of values.
fn is_saying(text: &str) -> bool {
    let plain = text.trim_end_matches(['.', '!']);
    text.contains(|character: char| character.is_whitespace() || character >= '\u{0e00}')
        || crate::redact::is_about(plain)
}

/// One mistake without a place is the message itself.
pub fn speak_for_one(said: &mut Said) {
    if said.message.is_none() {
        said.message = said.details.first().and_then(|first| first.message.clone());
    }
    if said.code.is_none() {
        said.code = said.details.first().and_then(|first| first.code.clone());
    }
    leave_echo(said);
}

/// Leaves out a single mistake that says no more than the message.
pub fn leave_echo(said: &mut Said) {
    if let [only] = said.details.as_slice()
        && only.place.is_none()
        && only.message == said.message
        && (only.code.is_none() || only.code == said.code)
    {
        said.details.clear();
    }
}

fn pointer_of(path: &[Value]) -> String {
    let mut out = String::from("#");
    for segment in path {
        match segment {
            Value::String(name) => push_segment(&mut out, name),
            Value::Number(index) => push_segment(&mut out, &number_text(index)),
            _ => {}
        }
    }
    out
}

/// Directories at the root of a system by which no field is called.
const SYSTEM: &str = " bin boot etc lib lib64 mnt nix proc sbin srv tmp usr var ";

/// A field's name as a JSON Pointer below another: `user.tags[0]`, `$.age`, `/data/attributes/age`, `items.0.name`. Empty where
/// it is a file's path.
fn pointer(at: &str, field: &str) -> String {
    let mut out = String::from(if at.is_empty() { "#" } else { at });
    let field = field.strip_prefix('#').unwrap_or(field);
    if let Some(pointer) = field.strip_prefix('/') {
        let (root, below) = pointer.split_once('/').unwrap_or_default();
        if !below.is_empty() && is_among_in_any_case(SYSTEM, root.as_bytes()) {
            return String::new();
        }
        for segment in pointer.split('/') {
            push_segment(&mut out, &segment.replace("~1", "/").replace("~0", "~"));
        }
        return out;
    }
    field
        .strip_prefix("$.")
        .unwrap_or(field)
        .split(['.', '[', ']'])
        .filter(|segment| !segment.is_empty())
        .for_each(|segment| push_segment(&mut out, segment));
    out
}

/// Escaped as a segment of a pointer (RFC 6901 §3) within a URI's fragment (RFC 3986 §3.5).
fn push_segment(out: &mut String, segment: &str) {
    out.push('/');
    for byte in segment.bytes() {
        match byte {
            b'~' => out.push_str("~0"),
            b'/' => out.push_str("~1"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            _ if b"-._!$&'()*+,;=:@?".contains(&byte) => out.push(char::from(byte)),
            _ => {
                out.push('%');
                for digit in [byte >> 4, byte & 15] {
                    let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
                    out.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
}

/// The segments of a pointer as they were before [`push_segment`] escaped them.
pub fn segments(pointer: &str) -> Vec<String> {
    let path = pointer.trim_start_matches('#');
    path.split('/').skip(1).map(plain).collect()
}

fn plain(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let code = (*first == b'%')
            .then(|| after.split_at_checked(2))
            .flatten();
        let code = code.and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        match code {
            Some((byte, after)) => {
                bytes.push(byte);
                rest = after;
            }
            None => bytes.push(*first),
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    text.replace("~1", "/").replace("~0", "~")
}
