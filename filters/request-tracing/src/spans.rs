//! The span of a request, by OpenTelemetry's semantic conventions for HTTP servers (v1.38).

use portcullis_kit::exchange::Exchange;
use portcullis_kit::property;
use portcullis_kit::span::{Span, SpanKind, SpanStatus, Value};

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
    put("server.address", text(":authority"));
    put("user_agent.original", text("user-agent"));
    drop(request);
    let route = property::route_name(exchange);
    put("http.route", route.clone());
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
        flags: traced.flags,
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

/// The response's status, if there was a response.
pub fn status<X: Exchange>(exchange: &mut X) -> Option<u16> {
    let status = exchange.response_header(":status")?;
    std::str::from_utf8(&status).ok()?.parse().ok()
}
