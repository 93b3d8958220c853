//! Settings that are refused.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // A test that fails is to panic.

mod common;

use common::Tracing;
use portcullis_kit::testing::Bench;
use serde_json::json;

#[test]
fn every_mistake_is_refused_with_its_path_and_advice() {
    for (settings, text) in [
        (
            json!({"trust": {"cidrs": ["10.0.0.0/8", "10.0.0.1/8"]}}),
            "trust.cidrs[1]: not a range of addresses",
        ),
        (
            json!({"trust": {"cidrs": []}}),
            "trust.cidrs: the list is empty",
        ),
        (
            json!({"trust": "egde"}),
            "trust: `egde` is not one of the allowed values; did you mean `edge`?",
        ),
        (
            json!({"baggage": "pass"}),
            "baggage: with `trust: edge` all baggage is dropped",
        ),
        (
            json!({"trust": "internal", "baggage": {"allow": ["a b"]}}),
            "baggage.allow[0]: not a baggage key",
        ),
        (
            json!({"trust": "internal", "baggage": {"allow": []}}),
            "baggage.allow: the list is empty",
        ),
        (
            json!({"sampling": {"root": {"ratio": 0}}}),
            "sampling.root.ratio: a ratio is above 0",
        ),
        (
            json!({"sampling": {"root": {"ratio": 1.5}}}),
            "sampling.root.ratio: a ratio is above 0",
        ),
        (
            json!({"sampling": {"root": "never", "max_per_second": 5}}),
            "sampling.max_per_second: nothing is sampled",
        ),
        (
            json!({"sampling": {"max_per_second": 0}}),
            "sampling.max_per_second: 0 is out of range",
        ),
        (
            json!({"server_timing": {"trace_name": "a b"}}),
            "server_timing.trace_name: not a metric's name",
        ),
        (
            json!({"propagation": {"inject": ["w3c", "w3c"]}}),
            "propagation.inject[1]: this format is in the list already",
        ),
        (
            json!({"propagation": {"inject": []}}),
            "propagation.inject: the list is empty",
        ),
        (
            json!({"propagation": {"extract": ["zipkin"]}}),
            "propagation.extract[0]: `zipkin` is not one of the allowed values",
        ),
        (json!({"slow_ms": 86_400_001}), "slow_ms: longer than a day"),
        (json!({"slow_ms": -1}), "slow_ms: -1 is out of range"),
        (
            json!({"request_id": {"source": "envoy"}}),
            "request_id.source: `envoy` is not one of the allowed values",
        ),
    ] {
        let error = Bench::<Tracing>::load(&settings).err().unwrap().to_string();
        assert!(error.starts_with(text), "{error}");
    }
}
