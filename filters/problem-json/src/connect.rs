//! Errors of Connect: which bodies are one, and what of them passes. A client reads an error by its members, so they keep
//! their names; what they say is no safer than other JSON.

use portcullis_kit::config::{json_text, parse};
use serde_json::{Map, Value};

use crate::redact::{MAX_TEXT_BYTES, Redaction};
use crate::upstream::Said;

/// Connect's codes, each with the statuses that it comes with (Connect protocol, "Error Codes"): today's, and that of
/// servers from before 2024.
const CODES: [(&str, u16, u16); 16] = [
    ("aborted", 409, 409),
    ("already_exists", 409, 409),
    ("canceled", 499, 408),
    ("data_loss", 500, 500),
    ("deadline_exceeded", 504, 408),
    ("failed_precondition", 400, 412),
    ("internal", 500, 500),
    ("invalid_argument", 400, 400),
    ("not_found", 404, 404),
    ("out_of_range", 400, 400),
    ("permission_denied", 403, 403),
    ("resource_exhausted", 429, 429),
    ("unauthenticated", 401, 401),
    ("unavailable", 503, 503),
    ("unimplemented", 501, 404),
    ("unknown", 500, 500),
];

/// Details that tell of the inside by what they are.
const FOR_DEVELOPERS: [&str; 3] = [
    "google.rpc.DebugInfo",
    "google.rpc.RequestInfo",
    "google.rpc.ResourceInfo",
];

/// An error of Connect.
#[derive(Debug)]
pub struct ConnectError(Map<String, Value>);

/// What leaves in its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Safe {
    /// `None` where the body passes as it came.
    pub body: Option<Vec<u8>>,
    /// How many things were taken out.
    pub redacted: u32,
}

impl ConnectError {
    /// `None` where the body is no error as Connect writes it: a code that belongs to the status, and nothing beside what
    /// Connect defines. Else every `{"code", "message"}` of an upstream's would be one.
    pub fn read(body: &[u8], status: u16) -> Option<Self> {
        let Some(Value::Object(members)) = parse(body) else {
            return None;
        };
        let code = members.get("code").and_then(Value::as_str)?;
        let known = CODES
            .iter()
            .any(|(name, now, before)| *name == code && [*now, *before].contains(&status));
        let foreign = |name: &String| !matches!(name.as_str(), "code" | "message" | "details");
        (known && !members.keys().any(foreign)).then_some(Self(members))
    }

    pub fn code(&self) -> &str {
        let code = self.0.get("code").and_then(Value::as_str);
        code.unwrap_or_default()
    }

    /// A server's error says its code alone, with our own words: what it means to say is for its developers.
    pub fn of_server(&self, words: &str) -> Safe {
        Safe {
            body: Some(self.body(Some(words), &[])),
            redacted: 0,
        }
    }

    /// A client's error with its message redacted and without details that hold something to redact. `words` stand for a
    /// message of which nothing is left.
    pub fn of_client(&self, redaction: &Redaction, words: &str) -> Safe {
        let message = self.0.get("message");
        let mut said = Said {
            message: message.and_then(Value::as_str).map(str::to_owned),
            ..Said::default()
        };
        let mut redacted = said.redact(redaction);
        let mut changed = redacted > 0 || message.is_some_and(|message| !message.is_string());
        let mut kept = Vec::new();
        if let Some(details) = self.0.get("details") {
            let mut room = MAX_TEXT_BYTES;
            changed |= !details.is_array();
            for detail in details.as_array().into_iter().flatten() {
                let safe = safe_detail(detail, redaction, &mut room);
                redacted += u32::from(safe.is_none());
                changed |= safe.is_none() || detail.get("debug").is_some();
                kept.extend(safe);
            }
        }
        let message = message.map(|_| said.message.as_deref().unwrap_or(words));
        Safe {
            body: changed.then(|| self.body(message, &kept)),
            redacted,
        }
    }

    fn body(&self, message: Option<&str>, details: &[Detail<'_>]) -> Vec<u8> {
        let mut out = String::from("{\"code\":");
        out.push_str(&json_text(self.code()));
        if let Some(message) = message {
            out.push_str(",\"message\":");
            out.push_str(&json_text(message));
        }
        for (at, detail) in details.iter().enumerate() {
            let parts = match at {
                0 => ",\"details\":[{\"type\":",
                _ => ",{\"type\":",
            };
            out.push_str(parts);
            out.push_str(&json_text(detail.kind));
            out.push_str(",\"value\":");
            out.push_str(&json_text(detail.value));
            out.push('}');
        }
        if !details.is_empty() {
            out.push(']');
        }
        out.push('}');
        out.into_bytes()
    }
}

/// A detail without `debug`, which shows its message once more for developers.
struct Detail<'d> {
    kind: &'d str,
    value: &'d str,
}

/// None where it is no detail of Connect's, or tells something of the inside: by its type, or in the texts of its message.
fn safe_detail<'d>(
    detail: &'d Value,
    redaction: &Redaction,
    room: &mut usize,
) -> Option<Detail<'d>> {
    let members = detail.as_object()?;
    let foreign = |name: &String| !matches!(name.as_str(), "type" | "value" | "debug");
    let kind = members.get("type")?.as_str()?;
    let value = members.get("value")?.as_str()?;
    *room = room.checked_sub(kind.len())?.checked_sub(value.len())?;
    let hidden = members.keys().any(foreign)
        || !is_type(kind)
        || FOR_DEVELOPERS.contains(&kind)
        || redaction.found_in(&texts(value)?) > 0;
    (!hidden).then_some(Detail { kind, value })
}

/// The full name of a message of protobuf. Like a class, but it is part of the interface.
fn is_type(name: &str) -> bool {
    name.split('.').all(|word| {
        word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// The texts in a serialised message of protobuf, given in base64. What stands between them, as between the name and the
/// value of a map, becomes a colon: `password: hunter2`. None where it is no base64.
fn texts(value: &str) -> Option<String> {
    let (mut bits, mut count) = (0_u32, 0);
    let mut bytes = Vec::with_capacity(value.len());
    for letter in value.trim_end_matches('=').bytes() {
        let digit = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut out = String::with_capacity(text.len());
    let mut between = false;
    for letter in text.chars() {
        let control = letter.is_control() || letter == char::REPLACEMENT_CHARACTER;
        if control && !between {
            out.push_str(": ");
        } else if !control {
            out.push(letter);
        }
        between = control;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::{Kinds, Mode};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_error_of_connect_is_known_by_its_members_and_its_status() {
        for (status, body, is) in [
            (404, r#"{"code":"not_found"}"#, true),
            (500, r#"{"code":"not_found"}"#, false),
            (404, r#"{"code":"unimplemented"}"#, true),
            (501, r#"{"code":"unimplemented"}"#, true),
            (
                500,
                r#"{"code":"internal","message":"x","details":[{"type":"a.b","value":"AA"}]}"#,
                true,
            ),
            (404, r#"{"code":"NOT_FOUND","message":"x"}"#, false),
            (404, r#"{"code":5,"message":"x"}"#, false),
            (500, r#"{"code":"internal","stack":"x"}"#, false),
            (500, r#"{"message":"x"}"#, false),
            (500, r#"["internal"]"#, false),
            (500, "internal", false),
        ] {
            let read = ConnectError::read(body.as_bytes(), status);
            assert_eq!(read.is_some(), is, "{status} {body}");
        }
    }

    #[test]
    fn the_texts_of_a_message_are_read_out_of_its_base64() {
        // A map's entry: field 1 `password`, field 2 `hunter2`.
        let value = "CghwYXNzd29yZBIHaHVudGVyMg";
        assert_eq!(texts(value).as_deref(), Some(": password: hunter2"));
        assert_eq!(texts("CghwYXNzd29yZBIHaHVudGVyMg=="), texts(value));
        assert_eq!(texts("not base64"), None);
        assert_eq!(texts(""), Some(String::new()));
    }

    #[test]
    fn a_detail_passes_without_debug_and_not_at_all_where_it_tells_of_the_inside() {
        let redaction = Redaction::new(Kinds::ALL, Mode::DenyList, &[]).unwrap();
        let pass = |detail: &str| {
            let body = format!(r#"{{"code":"not_found","message":"m","details":[{detail}]}}"#);
            let error = ConnectError::read(body.as_bytes(), 404).unwrap();
            let safe = error.of_client(&redaction, "ours");
            let body = safe.body.unwrap_or_else(|| body.into_bytes());
            let document: Value = serde_json::from_slice(&body).unwrap();
            document["details"].to_string()
        };
        // `google.rpc.ErrorInfo {reason: "OUT_OF_STOCK", domain: "orders.example.com"}`
        let good = r#"{"type":"google.rpc.ErrorInfo","value":"CgxPVVRfT0ZfU1RPQ0sSEm9yZGVycy5leGFtcGxlLmNvbQ"}"#;
        assert_eq!(pass(good), format!("[{good}]"));
        let debug = good.replace("\"type\"", "\"debug\":{\"stack\":\"x\"},\"type\"");
        assert_eq!(pass(&debug), format!("[{good}]"));
        for bad in [
            "\"at com.acme.Foo(Foo.java:1)\"".to_owned(),
            r#"{"password":"hunter2"}"#.to_owned(),
            good.replace("ErrorInfo", "DebugInfo"),
            good.replace("\"type\"", "\"more\":1,\"type\""),
            good.replace("google", "/etc/passwd"),
            good.replace("google", ""),
            r#"{"type":"a.B","value":"CghwYXNzd29yZBIHaHVudGVyMg"}"#.to_owned(),
            r#"{"type":"a.B","value":"SELECT * FROM users"}"#.to_owned(),
            format!(r#"{{"type":"a.B","value":"{}"}}"#, "A".repeat(9000)),
        ] {
            assert_eq!(pass(&bad), "null", "{bad}");
        }
    }
}
