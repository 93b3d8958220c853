//! problem-json on a real Envoy before clients of Connect: their errors stay errors of Connect, and say no more than others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::process::ExitCode;

use portcullis_harness::upstream::{Answer, Upstream};
use portcullis_harness::{
    Config, Envoy, Filter, Listener, Request, Response, Route, cases, http2, suite,
};
use serde_json::{Value, json};

struct Shared {
    upstream: Upstream,
    envoy: Envoy,
}

const LISTENERS: [&str; 4] = ["all", "json", "hold", "chain"];

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            a_call_with_an_empty_message_gets_an_error_of_connect,
            nothing_of_the_inside_leaves_in_an_error_of_connect,
            who_does_not_speak_connect_gets_a_problem,
            nothing_died,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let listener = |name: &str| Listener::new(name).route(Route::prefix("/"));
    let problems = |settings: Value| Filter::wasm("problem_json", settings);
    let hold = problems(json!({"formats": ["json"], "body": "hold"}))
        .over(&json!({"allow_on_headers_stop_iteration": true}));
    let chain = json!({"request_tracing": {}, "problem_json": {"formats": ["json"]}});
    let config = Config::new(upstream.port())
        .listener(listener("all").filter(problems(json!({}))))
        .listener(listener("json").filter(problems(json!({"formats": ["json"]}))))
        .listener(listener("hold").filter(hold))
        .listener(listener("chain").filter(Filter::wasm("portcullis", chain)));
    let envoy =
        Envoy::start("problem-json-connect", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared { upstream, envoy }
}

fn call(message: &str) -> Request {
    Request::post("/acme.order.v1.Orders/Get", message)
        .header("content-type", "application/proto")
        .header("connect-protocol-version", "1")
}

impl Shared {
    /// What each listener answers, over HTTP/1.1 and HTTP/2.
    fn answers(&self, name: &str, answer: Answer, request: &Request) -> Vec<(String, Response)> {
        self.upstream.recorder().answer(name, answer);
        let request = request.clone().case(name);
        let send = |listener: &&str| {
            let port = self.envoy.port(listener);
            [
                (format!("{name} on {listener}"), request.send(port)),
                (
                    format!("{name} on {listener} by h2"),
                    http2::send(port, &request),
                ),
            ]
        };
        LISTENERS.iter().flat_map(send).collect()
    }
}

#[track_caller]
fn assert_connect(what: &str, response: &Response, status: u16) {
    assert_eq!(response.status, status, "{what}: {response}");
    let kind = response.header("content-type");
    assert_eq!(
        kind.as_deref(),
        Some("application/json"),
        "{what}: {response}"
    );
    if let Some(length) = response.header("content-length") {
        assert_eq!(
            length,
            response.body.len().to_string(),
            "{what}: {response}"
        );
    }
}

fn a_call_with_an_empty_message_gets_an_error_of_connect(shared: &Shared) {
    let error = r#"{"code":"not_found","message":"There is no such order."}"#;
    for message in ["", "x"] {
        let answer = Answer::with_body("application/json", error).status(404);
        for (what, response) in shared.answers("not found", answer, &call(message)) {
            assert_connect(&what, &response, 404);
            assert_eq!(response.text(), error, "{what}: {response}");
        }
    }
}

fn nothing_of_the_inside_leaves_in_an_error_of_connect(shared: &Shared) {
    for (status, code) in [(500, "internal"), (503, "unavailable"), (404, "not_found")] {
        let error = json!({
            "code": code,
            "message": "pq: password authentication failed for user \"orders_rw\"; SELECT * FROM customers; /etc/passwd",
            "details": [
                "at com.acme.Foo(Foo.java:1)",
                {"password": "hunter2"},
                {"type": "google.rpc.DebugInfo", "value": "aHVudGVyMg", "debug": {"x": "hunter2"}},
            ],
        });
        let answer = Answer::with_body("application/json", error.to_string()).status(status);
        for (what, response) in shared.answers(code, answer, &call("")) {
            assert_connect(&what, &response, status);
            let whole = response.to_string();
            for part in [
                "orders_rw",
                "customers",
                "passwd",
                "acme",
                "hunter2",
                "aHVud",
            ] {
                assert!(!whole.contains(part), "{part:?} in {what}: {whole}");
            }
            let told = response.json();
            assert_eq!(told["code"], code, "{what}: {whole}");
            assert!(told["message"].is_string(), "{what}: {whole}");
            assert_eq!(told.as_object().unwrap().len(), 2, "{what}: {whole}");
        }
    }
}

fn who_does_not_speak_connect_gets_a_problem(shared: &Shared) {
    let error = r#"{"code":"internal","message":"There is no such order."}"#;
    // A code of Connect's with a status that it does not have, and a client that asks for nothing of it.
    let plain = Request::post("/x", "x").header("content-type", "application/json");
    for (name, status, request) in [("code", 404, call("")), ("client", 500, plain)] {
        let answer = Answer::with_body("application/json", error).status(status);
        for (what, response) in shared.answers(name, answer, &request) {
            assert_eq!(response.status, status, "{what}: {response}");
            assert_eq!(response.json()["status"], status, "{what}: {response}");
        }
    }
}

fn nothing_died(shared: &Shared) {
    let admin = shared.envoy.admin();
    assert_eq!(admin.vm_reloads(), 0, "{}", shared.envoy.log());
    let refused = admin.stats("portcullis_problem_json_host_refusals_total");
    assert_eq!(refused.values().sum::<u64>(), 0, "{refused:?}");
}
