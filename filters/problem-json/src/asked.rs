//! What of a request decides how its error looks.

use portcullis_kit::{Exchange, Headers, property};

use crate::negotiate::{self, Format};
use crate::profile::Profile;

/// The format that the client gets.
pub fn format(request: &Headers, profile: &Profile) -> Format {
    let accept = || request.get_all("accept");
    // Whoever sends one header of Fetch Metadata sends this one, so it is the only one that `Vary` has to name.
    let mode = request.get("sec-fetch-mode");
    let browser = negotiate::navigation(mode, accept());
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
    /// `made` is the id that the proxy gave its own document, where it made one.
    pub fn of<X: Exchange>(request: &Headers, exchange: &mut X, made: Option<&[u8]>) -> Self {
        let request_id = property::request_id(exchange).map(|id| id.to_string());
        let text = |id: &[u8]| String::from_utf8(id.to_vec()).ok();
        let request_id = request_id
            .or_else(|| text(request.get("x-request-id")?))
            .filter(|id| is_id(id))
            .or_else(|| text(made?).filter(|id| is_id(id)));
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

/// What a request id may be made of: it goes into documents as it is. The proxy's `local_reply_config` asks for the same.
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
