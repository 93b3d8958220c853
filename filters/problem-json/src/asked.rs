//! What of a request decides how its error looks.

use portcullis_kit::{Exchange, Headers, property};

use crate::negotiate::{self, Format};
use crate::profile::Profile;

/// Headers that tell a protocol with errors of its own, where no request is to be read whole. All of them are absent from
/// most requests, and asking for what is absent costs little.
const PROTOCOLS: [&str; 4] = ["te", "x-grpc-web", "connect-protocol-version", "upgrade"];

/// Whether such a request has to be read whole.
pub fn is_special<X: Exchange>(exchange: &mut X) -> bool {
    PROTOCOLS
        .iter()
        .any(|name| exchange.request_header(name).is_some())
}

/// Whether the client speaks a protocol that has its own errors: gRPC, gRPC-Web, Connect or WebSocket.
pub fn has_own_errors(request: &Headers) -> bool {
    let upgrades = request
        .get("upgrade")
        .is_some_and(|upgrade| upgrade.trim_ascii().eq_ignore_ascii_case(b"websocket"));
    upgrades
        || request.contains("connect-protocol-version")
        || request
            .get("content-type")
            .is_some_and(|kind| is_protocol(&media_type(kind)))
}

/// Whether a media type belongs to such a protocol, or is a stream of events.
pub fn is_protocol(media_type: &[u8]) -> bool {
    media_type.starts_with(b"application/grpc")
        || media_type.starts_with(b"application/connect+")
        || media_type == b"text/event-stream"
}

/// The type and subtype of a `Content-Type`, in lower case.
pub fn media_type(content_type: &[u8]) -> Vec<u8> {
    let kind = content_type
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    kind.trim_ascii().to_ascii_lowercase()
}

/// The format that the client gets.
pub fn format(request: &Headers, profile: &Profile) -> Format {
    let accept = || request.get_all("accept");
    let mode = request.get("sec-fetch-mode");
    let metadata = mode.is_some() || request.contains("sec-fetch-site");
    let browser = negotiate::navigation(mode, metadata, accept());
    negotiate::format(accept(), browser, &profile.offers)
}

/// Which of the profile's languages the client gets.
pub fn language(request: &Headers, profile: &Profile) -> usize {
    let tables = profile.languages.as_slice();
    if tables.len() < 2 {
        return 0;
    }
    let chosen = negotiate::language(request.get_all("accept-language"), tables);
    chosen
        .and_then(|chosen| tables.iter().position(|table| std::ptr::eq(table, chosen)))
        .unwrap_or_default()
}

/// Ids of a request, as request-tracing left them.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    pub request_id: Option<String>,
    pub trace_id: Option<String>,
}

impl Ids {
    pub fn of<X: Exchange>(request: &Headers, exchange: &mut X) -> Self {
        let request_id = property::request_id(exchange).map(|id| id.to_string());
        let request_id = request_id.or_else(|| {
            let id = request.get("x-request-id")?;
            String::from_utf8(id.to_vec()).ok()
        });
        let request_id = request_id.filter(|id| is_id(id));
        let trace_id = exchange.facts().trace_id.clone();
        let trace_id = trace_id
            .map(|id| id.to_string())
            .or_else(|| trace_id_of(request.get("traceparent")?));
        Self {
            request_id,
            trace_id,
        }
    }
}

/// What a request id may be made of: it goes into documents as it is.
fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The trace id of a `traceparent` (W3C Trace Context §3.2).
fn trace_id_of(traceparent: &[u8]) -> Option<String> {
    let mut fields = traceparent.split(|byte| *byte == b'-');
    let (version, id) = (fields.next()?, fields.next()?);
    let lower_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let valid = version.len() == 2 && id.len() == 32 && id.iter().all(lower_hex);
    let zero = id.iter().all(|byte| *byte == b'0');
    (valid && !zero)
        .then(|| String::from_utf8(id.to_vec()).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn protocols_with_errors_of_their_own_are_known_by_the_request() {
        for (name, value, own) in [
            ("content-type", "application/grpc", true),
            ("content-type", "application/grpc-web+proto", true),
            ("content-type", "Application/gRPC+json; x=y", true),
            ("content-type", "application/connect+json", true),
            ("connect-protocol-version", "1", true),
            ("upgrade", "WebSocket", true),
            ("upgrade", "h2c", false),
            ("content-type", "application/json", false),
        ] {
            let request = Headers::from_lines([(name, value)]);
            assert_eq!(has_own_errors(&request), own, "{name}: {value}");
        }
    }

    #[test]
    fn a_trace_id_is_taken_from_a_valid_traceparent_only() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = format!("00-{id}-00f067aa0ba902b7-01");
        assert_eq!(trace_id_of(parent.as_bytes()).as_deref(), Some(id));
        for wrong in [
            "",
            "00",
            "00-xyz-1-2",
            "00-00000000000000000000000000000000-1-1",
        ] {
            assert_eq!(trace_id_of(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
