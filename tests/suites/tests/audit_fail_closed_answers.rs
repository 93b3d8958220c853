//! What a client gets whose request is not recorded, and who is not asked to wait, on a real Envoy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::sink::Mood;
use portcullis_harness::{Filter, Listener, Request, cases, http2, suite, wait};
use portcullis_suites::fail_closed::{Shared, all, listener, settings, start};
use serde_json::json;

fn main() -> ExitCode {
    // In order: the sink has one mood at a time.
    suite::run_in_order(
        || start("audit-fail-closed-answers", listeners()),
        cases![
            exempt_paths_pass_while_the_sink_is_down,
            head_and_grpc_requests_are_refused_in_their_own_way,
            a_refusal_passes_the_outer_filters_and_what_goes_on_passes_the_inner_ones,
            shadow_mode_neither_waits_nor_refuses,
        ],
    )
}

fn listeners() -> [Listener; 3] {
    let chain = json!({
        "request_tracing": {"trust": "edge"},
        "security_headers": {"preset": "api"},
        "audit_log": settings(&json!({})),
        "problem_json": {},
        "rate_limit": {
            "identity": [{"header": {"name": "x-api-key", "hash": true}}],
            "plans": "none",
            "tier": {"default": "t"},
            "tiers": {"t": {"limits": [{"name": "minute", "count": 2, "window": "1m"}]}},
        },
    });
    [
        all(),
        listener("shadow", &json!({"mode": "shadow"})),
        Listener::new("chain").filter(Filter::wasm("portcullis", chain)),
    ]
}

fn exempt_paths_pass_while_the_sink_is_down(shared: &Shared) {
    shared.sink.set(Mood::Down);
    let port = shared.envoy.port("all");
    wait::until("a refusal", || {
        (Request::get("/text").send(port).status == 503).then_some(())
    });
    assert_eq!(Request::get("/status/204").send(port).status, 204);
    shared.well("all");
}

fn head_and_grpc_requests_are_refused_in_their_own_way(shared: &Shared) {
    shared.sink.set(Mood::Hang);
    let port = shared.envoy.port("all");
    let head = Request::new("HEAD", "/text").case("head").send(port);
    assert_eq!((head.status, head.body.len()), (503, 0));
    assert_eq!(head.header("retry-after").as_deref(), Some("1"));
    let grpc = Request::post("/grpc", "")
        .case("grpc")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let response = http2::send(port, &grpc);
    assert_eq!(response.status, 200);
    assert_eq!(response.header("grpc-status").as_deref(), Some("14"));
    let message = response.header("grpc-message").unwrap();
    assert!(
        message.contains("cannot be recorded") || message.contains("cannot%20be"),
        "{message}"
    );
    assert!(shared.seen("head").is_none() && shared.seen("grpc").is_none());
    shared.well("all");
    let head = Request::new("HEAD", "/text").case("head").send(port);
    assert_eq!((head.status, head.body.len()), (200, 0));
}

fn a_refusal_passes_the_outer_filters_and_what_goes_on_passes_the_inner_ones(shared: &Shared) {
    let send = |case: &str| {
        Request::get("/text")
            .case(case)
            .header("x-api-key", "k")
            .send(shared.envoy.port("chain"))
    };
    shared.sink.set(Mood::Up);
    wait::until("a request that goes on", || {
        (send("chain 1").status == 200).then_some(())
    });
    shared.sink.set(Mood::Hang);
    let refused = send("chain 2");
    assert_eq!(refused.status, 503);
    assert_eq!(
        refused.header("x-content-type-options").as_deref(),
        Some("nosniff")
    );
    let id = refused.header("x-request-id").unwrap();
    assert_eq!(refused.json()["request_id"], json!(id));
    assert!(
        refused.header("ratelimit").is_none(),
        "rate-limit never saw it"
    );
    assert_eq!(
        shared.envoy.access_log_of("chain", "chain 2")["details"],
        "audit_log_timeout"
    );
    shared.sink.set(Mood::Up);
    let mut statuses = Vec::new();
    wait::until("the limit", || {
        let response = send("chain 3");
        statuses.push(response.status);
        (response.status == 429).then_some(())
    });
    // One of two was used above; what was refused consumed nothing.
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(passed, 1, "{statuses:?}");
}

fn shadow_mode_neither_waits_nor_refuses(shared: &Shared) {
    shared.sink.set(Mood::Hang);
    let refused = || shared.stats("portcullis_audit_log_fail_closed_shadow_denials_total");
    let before = refused();
    for case in 0..10 {
        let case = format!("shadow {case}");
        let response = Request::get("/text")
            .case(&case)
            .send(shared.envoy.port("shadow"));
        assert_eq!(response.status, 200);
        assert!(shared.seen(&case).is_some());
    }
    wait::until("all would have been refused", || {
        (refused() == before + 10).then_some(())
    });
    shared.well("all");
}
