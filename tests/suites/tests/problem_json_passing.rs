//! What problem-json lets pass on a real Envoy: what is no error, and in shadow every error, byte for byte.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::process::ExitCode;

use portcullis_harness::upstream::{Answer, Framing, Upstream};
use portcullis_harness::{Config, Envoy, Filter, Listener, Request, Response, Route, cases, suite};
use portcullis_suites::errors;
use serde_json::json;

struct Shared {
    upstream: Upstream,
    envoy: Envoy,
}

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            what_is_no_error_passes_byte_for_byte,
            in_shadow_every_error_passes_byte_for_byte,
            nothing_died,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let behind = |name: &str| {
        Listener::new(name)
            .route(Route::prefix("/"))
            .filter(Filter::wasm("request_tracing", json!({})))
            .filter(Filter::wasm("security_headers", json!({})))
    };
    let problems = |settings| Filter::wasm("problem_json", settings);
    let replies = || problems(json!({"reply_headers": "api"}));
    let hold = problems(json!({"reply_headers": "api", "body": "hold"}))
        .over(&json!({"allow_on_headers_stop_iteration": true}));
    let config = Config::new(upstream.port())
        .listener(behind("plain"))
        .listener(behind("shadow").filter(problems(json!({"mode": "shadow"}))))
        .listener(behind("separate").filter(replies()))
        .listener(behind("hold").filter(hold))
        .listener(
            behind("twice")
                .filter(replies().named("outer"))
                .filter(replies().named("inner")),
        );
    let envoy =
        Envoy::start("problem-json-passing", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared { upstream, envoy }
}

fn passing() -> Vec<(&'static str, Answer)> {
    let body: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let with = |kind: &str| Answer::with_body(kind, body.clone());
    vec![
        ("200", with("text/html")),
        ("200 json", with("application/json")),
        ("206", with("video/mp4").status(206)),
        (
            "chunked",
            Answer {
                framing: Framing::Chunked,
                ..with("text/plain")
            },
        ),
        ("204", Answer::default().status(204)),
        (
            "301",
            with("text/html").status(301).header("location", "/y"),
        ),
        ("304", Answer::default().status(304).header("etag", "\"1\"")),
        (
            "events",
            Answer {
                framing: Framing::Chunked,
                chunk: 7,
                ..Answer::with_body("text/event-stream", "data: a\n\ndata: b\n\n")
            },
        ),
        ("399", with("text/html").status(399)),
    ]
}

/// Headers that differ by the time or by a draw.
const BY_CHANCE: [&str; 5] = [
    "date",
    "x-request-id",
    "server-timing",
    "x-envoy-upstream-service-time",
    "traceparent",
];

#[track_caller]
fn assert_same(what: &str, one: &Response, other: &Response) {
    let differs = portcullis_harness::compare::responses(one, other, &BY_CHANCE);
    assert!(differs.is_none(), "{what}: {}", differs.unwrap_or_default());
}

fn what_is_no_error_passes_byte_for_byte(shared: &Shared) {
    for (name, answer) in passing() {
        shared.upstream.recorder().answer(name, answer);
        let request = Request::get("/x").case(name);
        let plain = request.send(shared.envoy.port("plain"));
        for listener in ["separate", "hold", "twice", "shadow"] {
            let response = request.send(shared.envoy.port(listener));
            assert_same(&format!("{name} on {listener}"), &plain, &response);
        }
    }
}

fn in_shadow_every_error_passes_byte_for_byte(shared: &Shared) {
    for source in errors::sources() {
        shared
            .upstream
            .recorder()
            .answer(source.name, source.answer.clone());
        let request = Request::get("/x").case(source.name);
        let plain = request.send(shared.envoy.port("plain"));
        let shadow = request.send(shared.envoy.port("shadow"));
        assert_same(source.name, &plain, &shadow);
    }
    let counted = shared
        .envoy
        .admin()
        .stats("portcullis_problem_json_rewritten_total");
    assert!(counted.values().sum::<u64>() > 0, "{counted:?}");
}

fn nothing_died(shared: &Shared) {
    let admin = shared.envoy.admin();
    assert_eq!(admin.vm_reloads(), 0, "{}", shared.envoy.log());
    let refused = admin.stats("portcullis_problem_json_host_refusals_total");
    assert_eq!(refused.values().sum::<u64>(), 0, "{refused:?}");
}
