//! Protocols with errors of their own. A client says which one it speaks, but only a response that speaks it too is left
//! alone: else every client could have what an upstream says of its errors by naming one.

use portcullis_kit::{Exchange, Headers};

/// Headers that tell such a protocol, where no request is to be read whole. All of them are absent from most requests, and
/// asking for what is absent costs little.
const HEADERS: [&str; 3] = ["te", "x-grpc-web", CONNECT];
/// Those of a call without a body. One of gRPC has at least the five bytes before its message; an empty message of Connect
/// is none.
const HEADERS_WITHOUT_BODY: [&str; 1] = [CONNECT];
const CONNECT: &str = "connect-protocol-version";

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
pub fn is_special<X: Exchange>(exchange: &mut X, has_body: bool) -> bool {
    let names: &[&str] = match has_body {
        true => &HEADERS,
        false => &HEADERS_WITHOUT_BODY,
    };
    names
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
}
