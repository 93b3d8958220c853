//! OTLP in its JSON form, written straight into a buffer.
//!
//! proto3's JSON mapping with OTLP's own deviations ("OTLP/HTTP, JSON Protobuf Encoding"): ids are lower-case hex rather than
//! base64, enums are numbers, 64-bit integers are strings, and fields with their default value may be left out. A body is
//! [`open`], records separated by commas, [`close`].

use crate::config::write_text;
use crate::exchange::CalloutAnswer;
use crate::span::{Span, SpanKind, SpanStatus, Value};

/// The version of the semantic conventions that names of attributes follow.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.38.0";

/// What kind of records a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Spans,
    Logs,
}

impl Signal {
    /// The path that OTLP/HTTP names for it.
    pub fn path(self) -> &'static str {
        match self {
            Self::Spans => "/v1/traces",
            Self::Logs => "/v1/logs",
        }
    }

    /// The keys of a body, from the outside in.
    fn keys(self) -> [&'static str; 3] {
        match self {
            Self::Spans => ["resourceSpans", "scopeSpans", "spans"],
            Self::Logs => ["resourceLogs", "scopeLogs", "logRecords"],
        }
    }

    fn rejected(self) -> &'static str {
        match self {
            Self::Spans => "rejectedSpans",
            Self::Logs => "rejectedLogRecords",
        }
    }
}

/// Begins a body: the resource that all of its records are about, and the scope (library) that made them.
#[inline(never)]
pub fn open(
    out: &mut String,
    signal: Signal,
    resource: &[(&str, Value)],
    (scope, version): (&str, &str),
) {
    let [resources, scopes, records] = signal.keys();
    for part in ["{\"", resources, "\":[{\"resource\":{\"attributes\":"] {
        out.push_str(part);
    }
    attributes(out, resource, usize::MAX);
    for part in ["},\"", scopes, "\":[{\"schemaUrl\":\"", SCHEMA_URL] {
        out.push_str(part);
    }
    out.push_str("\",\"scope\":{\"name\":");
    write_text(out, scope);
    out.push_str(",\"version\":");
    write_text(out, version);
    for part in ["},\"", records, "\":["] {
        out.push_str(part);
    }
}

/// Ends a body.
pub fn close(out: &mut String) {
    out.push_str("]}]}]}");
}

/// A list of attributes. Texts are cut to so many bytes, never within a character.
#[inline]
pub fn attributes(out: &mut String, attributes: &[(&str, Value)], max_bytes: usize) {
    out.push('[');
    for (at, (key, value)) in attributes.iter().enumerate() {
        out.push_str(if at == 0 { "{\"key\":" } else { ",{\"key\":" });
        write_text(out, key);
        out.push_str(",\"value\":");
        any_value(out, value, max_bytes);
        out.push('}');
    }
    out.push(']');
}

/// An `AnyValue`.
#[inline]
pub fn any_value(out: &mut String, value: &Value, max_bytes: usize) {
    match value {
        Value::Text(text) => {
            out.push_str("{\"stringValue\":");
            write_text(out, cut(text, max_bytes));
        }
        Value::Int(number) => {
            out.push_str("{\"intValue\":\"");
            if *number < 0 {
                out.push('-');
            }
            decimal(out, number.unsigned_abs());
            out.push('"');
        }
        Value::Bool(value) => {
            out.push_str("{\"boolValue\":");
            out.push_str(if *value { "true" } else { "false" });
        }
    }
    out.push('}');
}

/// At most so many bytes of a text, whole characters only.
#[inline]
pub fn cut(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes))
        .unwrap_or(text)
}

/// An id: quoted lower-case hex.
#[inline]
pub fn id(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    out.push('"');
}

/// A 64-bit number, which JSON carries as a string.
#[inline]
pub fn u64_text(out: &mut String, number: u64) {
    out.push('"');
    decimal(out, number);
    out.push('"');
}

fn decimal(out: &mut String, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        used += 1;
        if number == 0 {
            break;
        }
    }
    let text = digits.get(digits.len() - used..).unwrap_or_default();
    out.push_str(std::str::from_utf8(text).unwrap_or_default());
}

/// A span. `flags`: its parent is in another process, and whoever reads it is told so.
#[inline]
pub fn span(out: &mut String, span: &Span, max_bytes: usize) {
    /// SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK and SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK of trace.proto.
    const PARENT_IS_REMOTE: u32 = 0x300;
    out.push_str("{\"traceId\":");
    id(out, &span.trace_id);
    out.push_str(",\"spanId\":");
    id(out, &span.span_id);
    let mut flags = u32::from(span.flags);
    if let Some(parent) = &span.parent_span_id {
        out.push_str(",\"parentSpanId\":");
        id(out, parent);
        flags |= PARENT_IS_REMOTE;
    }
    if !span.trace_state.is_empty() {
        out.push_str(",\"traceState\":");
        write_text(out, &span.trace_state);
    }
    out.push_str(",\"flags\":");
    decimal(out, u64::from(flags));
    out.push_str(",\"name\":");
    write_text(out, cut(&span.name, max_bytes));
    out.push_str(match span.kind {
        SpanKind::Server => ",\"kind\":2,\"startTimeUnixNano\":",
        SpanKind::Client => ",\"kind\":3,\"startTimeUnixNano\":",
    });
    u64_text(out, span.start);
    out.push_str(",\"endTimeUnixNano\":");
    u64_text(out, span.end);
    out.push_str(",\"attributes\":");
    attributes(out, &span.attributes, max_bytes);
    out.push_str(match span.status {
        SpanStatus::Unset => "}",
        SpanStatus::Error => ",\"status\":{\"code\":2}}",
    });
}

/// How many records a 2xx answer's `partialSuccess` says were refused for good.
#[inline(never)]
pub fn rejected(signal: Signal, answer: &CalloutAnswer) -> u64 {
    let read = || {
        let body = crate::config::parse(&answer.body)?;
        let count = body.get("partialSuccess")?.get(signal.rejected())?;
        count.as_u64().or_else(|| count.as_str()?.parse().ok())
    };
    read().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::Headers;
    use serde_json::json;

    #[test]
    fn a_body_of_spans_is_what_otlp_writes_as_json() {
        let span_of = |parent| Span {
            trace_id: [0xab; 16],
            span_id: [1; 8],
            parent_span_id: parent,
            flags: 3,
            trace_state: "a=1".into(),
            name: "GET \"orders\"".into(),
            kind: SpanKind::Server,
            start: u64::MAX,
            end: 0,
            attributes: vec![
                ("text", Value::Text("häß".into())),
                ("int", Value::Int(i64::MIN)),
                ("bool", Value::Bool(true)),
            ],
            status: SpanStatus::Error,
        };
        let mut body = String::new();
        let resource = [("service.name", Value::Text("gate".into()))];
        open(&mut body, Signal::Spans, &resource, ("scope", "1.0"));
        span(&mut body, &span_of(Some([2; 8])), 3);
        body.push(',');
        span(&mut body, &span_of(None), 100);
        close(&mut body);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let written = |text: &str, parent: Option<&str>, flags: u32, name: &str| {
            let mut span = json!({
                "traceId": "ab".repeat(16), "spanId": "01".repeat(8), "traceState": "a=1", "flags": flags,
                "name": name, "kind": 2,
                "startTimeUnixNano": "18446744073709551615", "endTimeUnixNano": "0",
                "attributes": [
                    {"key": "text", "value": {"stringValue": text}},
                    {"key": "int", "value": {"intValue": "-9223372036854775808"}},
                    {"key": "bool", "value": {"boolValue": true}},
                ],
                "status": {"code": 2},
            });
            if let Some(parent) = parent {
                span["parentSpanId"] = parent.into();
            }
            span
        };
        let first = written("hä", Some("0202020202020202"), 0x303, "GET");
        let second = written("häß", None, 3, "GET \"orders\"");
        assert_eq!(
            body,
            json!({"resourceSpans": [{
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "gate"}}]},
                "scopeSpans": [{
                    "schemaUrl": SCHEMA_URL, "scope": {"name": "scope", "version": "1.0"},
                    "spans": [first, second],
                }],
            }]})
        );
    }

    #[test]
    fn a_partial_success_is_a_number_or_a_text() {
        let read = |signal, body: &str| {
            let answer = CalloutAnswer {
                headers: Headers::default(),
                body: body.into(),
            };
            rejected(signal, &answer)
        };
        let spans = |body| read(Signal::Spans, body);
        assert_eq!(spans(r#"{"partialSuccess":{"rejectedSpans":"3"}}"#), 3);
        assert_eq!(spans(r#"{"partialSuccess":{"rejectedSpans":3}}"#), 3);
        for none in [
            "",
            "{}",
            "\u{1}\n",
            r#"{"partialSuccess":null}"#,
            r#"{"partialSuccess":{"rejectedSpans":-1}}"#,
            r#"{"partialSuccess":{"rejectedLogRecords":"3"}}"#,
        ] {
            assert_eq!(spans(none), 0, "{none}");
        }
        let logs = r#"{"partialSuccess":{"rejectedLogRecords":"3"}}"#;
        assert_eq!(read(Signal::Logs, logs), 3);
    }
}
