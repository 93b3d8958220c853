//! Protocols with errors of their own. A client says which one it speaks, but only a response that speaks it too is left
//! alone: else every client could have what an upstream says of its errors by naming one.

use portcullis_kit::config::parse;
use portcullis_kit::{Exchange, Headers};
use serde_json::Value;

/// Headers that tell such a protocol, where no request is to be read whole. All of them are absent from most requests, and
/// asking for what is absent costs little.
const HEADERS: [&str; 3] = ["te", "x-grpc-web", CONNECT];
const CONNECT: &str = "connect-protocol-version";

/// The codes of Connect's errors (Connect protocol, "Error Codes").
const CODES: [&str; 16] = [
    "aborted",
    "already_exists",
    "canceled",
    "data_loss",
    "deadline_exceeded",
    "failed_precondition",
    "internal",
    "invalid_argument",
    "not_found",
    "out_of_range",
    "permission_denied",
    "resource_exhausted",
    "unauthenticated",
    "unavailable",
    "unimplemented",
    "unknown",
];

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Nothing with errors of its own.
    Http,
    /// gRPC or gRPC-Web.
    Grpc,
    /// Connect. Its errors of single calls are JSON (those of streams come with status 200).
    Connect,
}

impl Protocol {
    pub fn of(request: &Headers) -> Self {
        let kind = media_type(request.get("content-type").unwrap_or_default());
        if is_grpc(&kind) {
            Self::Grpc
        } else if request.contains(CONNECT) {
            Self::Connect
        } else {
            Self::Http
        }
    }
}

/// Whether such a request has to be read whole.
pub fn is_special<X: Exchange>(exchange: &mut X) -> bool {
    HEADERS
        .iter()
        .any(|name| exchange.request_header(name).is_some())
}

/// Whether a response of this media type says its error in its own way, or is a stream of events.
pub fn has_own_errors(media_type: &[u8]) -> bool {
    is_grpc(media_type)
        || media_type.starts_with(b"application/connect+")
        || media_type == b"text/event-stream"
}

/// `application/grpc`, `application/grpc-web` and `application/grpc-web-text`, alone or with `+` and a format.
fn is_grpc(media_type: &[u8]) -> bool {
    let Some(rest) = media_type.strip_prefix(b"application/grpc") else {
        return false;
    };
    let rest = rest.strip_prefix(b"-web").unwrap_or(rest);
    let rest = rest.strip_prefix(b"-text").unwrap_or(rest);
    matches!(rest.first(), None | Some(b'+'))
}

/// Whether a body is an error as Connect writes it: a code of its own and nothing beside what it defines.
pub fn is_connect_error(body: &[u8]) -> bool {
    let Some(Value::Object(members)) = parse(body) else {
        return false;
    };
    let code = members.get("code").and_then(Value::as_str);
    code.is_some_and(|code| CODES.contains(&code))
        && members
            .keys()
            .all(|name| matches!(name.as_str(), "code" | "message" | "details"))
}

/// The type and subtype of a `Content-Type`, in lower case.
pub fn media_type(content_type: &[u8]) -> Vec<u8> {
    let kind = content_type
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    kind.trim_ascii().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_protocol_is_known_by_the_request() {
        use Protocol::{Connect, Grpc, Http};
        for (name, value, protocol) in [
            ("content-type", "application/grpc", Grpc),
            ("content-type", "application/grpc-web+proto", Grpc),
            ("content-type", "application/grpc-web-text", Grpc),
            ("content-type", "Application/gRPC+json; x=y", Grpc),
            ("content-type", "application/grpcx", Http),
            ("content-type", "application/grpc-webby", Http),
            ("connect-protocol-version", "1", Connect),
            ("upgrade", "websocket", Http),
            ("content-type", "application/json", Http),
        ] {
            let request = Headers::from_lines([(name, value)]);
            assert_eq!(Protocol::of(&request), protocol, "{name}: {value}");
        }
    }

    #[test]
    fn an_error_of_connect_is_known_by_its_members() {
        for (body, is) in [
            (r#"{"code":"not_found"}"#, true),
            (
                r#"{"code":"internal","message":"x","details":[{"type":"a.b","value":"AA"}]}"#,
                true,
            ),
            (r#"{"code":"NOT_FOUND","message":"x"}"#, false),
            (r#"{"code":5,"message":"x"}"#, false),
            (r#"{"code":"internal","stack":"x"}"#, false),
            (r#"{"message":"x"}"#, false),
            (r#"["internal"]"#, false),
            ("internal", false),
        ] {
            assert_eq!(is_connect_error(body.as_bytes()), is, "{body}");
        }
    }
}
