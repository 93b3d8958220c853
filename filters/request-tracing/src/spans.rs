//! The span of a request, by OpenTelemetry's semantic conventions for HTTP servers (v1.38).

use portcullis_kit::exchange::Exchange;
use portcullis_kit::glob::without_port;
use portcullis_kit::property;
use portcullis_kit::span::{Span, SpanKind, SpanStatus, Value};

use crate::context::{RANDOM, SAMPLED};
use crate::filter::Traced;

/// The methods that keep their name; others are `_OTHER`, so that clients cannot invent values.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// Builds the record. Both header maps can be read now; neither the path nor the query is recorded.
pub fn record<X: Exchange>(traced: &Traced, end: u64, exchange: &mut X) -> Span {
    let request = exchange.request();
    let text = |name: &str| {
        request
            .get(name)
            .and_then(|value| std::str::from_utf8(value).ok())
            .map(str::to_owned)
    };
    let method = text(":method");
    let known = method
        .as_deref()
        .and_then(|method| METHODS.into_iter().find(|known| *known == method));
    let mut attributes = vec![(
        "http.request.method",
        Value::Text(known.unwrap_or("_OTHER").to_owned()),
    )];
    let mut put = |name: &'static str, value: Option<String>| {
        if let Some(value) = value {
            attributes.push((name, Value::Text(value)));
        }
    };
    put("url.scheme", text(":scheme"));
    let (host, port) = server(request.get(":authority").unwrap_or_default());
    put("server.address", host);
    put("user_agent.original", text("user-agent"));
    if known.is_none() {
        put("http.request.method_original", method.clone());
    }
    if let Some(port) = port {
        attributes.push(("server.port", Value::Int(i64::from(port))));
    }
    drop(request);
    let route = property::route_name(exchange);
    if let Some(route) = &route {
        attributes.push(("http.route", Value::Text(route.clone())));
    }
    let status = status(exchange);
    let failed = status.is_none_or(|status| status >= 500);
    if let Some(status) = status {
        attributes.push(("http.response.status_code", Value::Int(i64::from(status))));
        if failed {
            attributes.push(("error.type", Value::Text(status.to_string())));
        }
    } else {
        // The client went away, or the upstream did before it answered.
        attributes.push(("error.type", Value::Text("no_response".to_owned())));
    }
    let name = match (known.unwrap_or("HTTP"), route) {
        (method, Some(route)) => [method, route.as_str()].join(" "),
        (method, None) => method.to_owned(),
    };
    Span {
        trace_id: traced.trace_id,
        span_id: traced.span_id,
        parent_span_id: traced.parent,
        // B3's debug flag is no bit of W3C's flags byte.
        flags: traced.flags & (SAMPLED | RANDOM),
        trace_state: traced.trace_state.clone(),
        name,
        kind: SpanKind::Server,
        start: traced.start,
        end: end.max(traced.start),
        attributes,
        status: if failed {
            SpanStatus::Error
        } else {
            SpanStatus::Unset
        },
    }
}

/// Host and port of an authority, apart; the brackets of an IPv6 address are the authority's, not the address's.
#[inline]
fn server(authority: &[u8]) -> (Option<String>, Option<u16>) {
    let host = without_port(authority);
    let port = authority
        .get(host.len()..)
        .and_then(|port| port.strip_prefix(b":"))
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok());
    let address = host
        .strip_prefix(b"[")
        .and_then(|host| host.strip_suffix(b"]"))
        .unwrap_or(host);
    let address = std::str::from_utf8(address)
        .ok()
        .filter(|address| !address.is_empty());
    (address.map(str::to_owned), port)
}

/// Status 5xx, or none: the client went away, or the upstream did before it answered.
pub fn is_server_error<X: Exchange>(exchange: &mut X) -> bool {
    status(exchange).is_none_or(|status| status >= 500)
}

/// The response's status, if there was a response.
pub fn status<X: Exchange>(exchange: &mut X) -> Option<u16> {
    let status = exchange.response_header(":status")?;
    std::str::from_utf8(&status).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_servers_address_and_port_are_told_apart() {
        for (authority, address, port) in [
            ("api.example.com", Some("api.example.com"), None),
            ("api.example.com:8443", Some("api.example.com"), Some(8443)),
            ("192.0.2.1:80", Some("192.0.2.1"), Some(80)),
            ("[2001:db8::1]:443", Some("2001:db8::1"), Some(443)),
            ("[2001:db8::1]", Some("2001:db8::1"), None),
            ("api.example.com:99999", Some("api.example.com"), None),
            ("", None, None),
        ] {
            let expected = (address.map(str::to_owned), port);
            assert_eq!(server(authority.as_bytes()), expected, "{authority}");
        }
        assert_eq!(server(b"\xff:80"), (None, Some(80)));
    }
}
