//! Any headers as trace context: what leaves is valid, continues a valid trace, and lets nothing through at the edge.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::{exchange, lines, request};
use portcullis_kit::Headers;
use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::Bench;
use request_tracing::tracestate::{MAX_MEMBERS, TraceState};
use request_tracing::{RequestTracing, baggage, formats, traceparent};
use serde_json::json;

fuzz_target!(|bytes: &[u8]| {
    let lines = lines(bytes);
    let given = request(&lines).request;
    let all = json!(["w3c", "b3", "b3_multi", "xray", "datadog"]);
    let settings = json!({"trust": "internal", "propagation": {"extract": all, "inject": all}});
    let sent = run(&settings, &lines);
    check(&sent);
    let w3c = run(&json!({"trust": "internal"}), &lines);
    check(&w3c);
    if let Ok((trace_id, ..)) = traceparent::parse(given.get_all("traceparent")) {
        let (kept, ..) = traceparent::parse(w3c.get_all("traceparent")).expect("checked");
        assert_eq!(kept, trace_id, "a valid trace is continued");
    }
    let edge = run(&json!({}), &lines);
    check(&edge);
    for (name, value) in edge
        .iter()
        .filter(|(name, _)| formats::is_context_header(name))
    {
        let name = name.escape_ascii().to_string();
        assert!(
            ["traceparent", "tracestate"].contains(&name.as_str()),
            "{name} passed the edge"
        );
        assert!(
            !given.get_all(&name).any(|given| given == value),
            "{name} passed the edge"
        );
    }
    assert!(!edge.contains("baggage"));
});

fn run(settings: &serde_json::Value, lines: &[(Vec<u8>, Vec<u8>)]) -> Headers {
    let bench = Bench::<Plugin<RequestTracing>>::load(settings).expect("valid settings");
    exchange(&bench, request(lines), &[]).request
}

fn check(sent: &Headers) {
    let parents: Vec<&[u8]> = sent.get_all("traceparent").collect();
    let [parent] = parents.as_slice() else {
        panic!("one traceparent: {parents:?}")
    };
    assert_eq!(parent.len(), traceparent::LEN);
    assert!(!parent.iter().any(u8::is_ascii_uppercase));
    traceparent::parse(parents.iter().copied()).expect("a valid traceparent");
    assert!(sent.get_all("tracestate").count() <= 1);
    if let Some(state) = sent.get("tracestate") {
        let state = TraceState::parse([state].into_iter()).expect("a valid tracestate");
        assert!((1..=MAX_MEMBERS).contains(&state.len()));
    }
    let carried: usize = sent.get_all("baggage").map(<[u8]>::len).sum();
    assert!(carried <= baggage::MAX_LEN, "{carried} bytes of baggage");
}
