//! With any number of workers and many connections at once: every response is whole, every id is new, every count is exact.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::HashSet;
use std::process::ExitCode;
use std::thread;

use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Response, cases, suite,
};
use portcullis_suites::everything;
use serde_json::json;

const CONNECTIONS: usize = 16;
const REQUESTS: usize = 50;

fn main() -> ExitCode {
    suite::run(
        || Upstream::start().unwrap(),
        cases![
            one_worker_serves_all_alike,
            two_workers_serve_all_alike,
            four_workers_serve_all_alike
        ],
    )
}

fn one_worker_serves_all_alike(upstream: &Upstream) {
    all_alike(upstream, 1);
}

fn two_workers_serve_all_alike(upstream: &Upstream) {
    all_alike(upstream, 2);
}

fn four_workers_serve_all_alike(upstream: &Upstream) {
    all_alike(upstream, 4);
}

fn start(upstream: &Upstream, workers: u32) -> Envoy {
    let chain = json!({
        "security_headers": everything::security_headers(),
        "request_tracing": everything::request_tracing(),
    });
    let listener = Listener::new("main")
        .filter(Filter::wasm("portcullis", chain))
        .hcm(&json!({"generate_request_id": false}));
    let config = Config::new(upstream.port())
        .concurrency(workers)
        .listener(listener);
    Envoy::start("workers", &config).unwrap_or_else(|error| panic!("{error}"))
}

/// Every other request is a cross-site POST, which is refused.
fn converse(port: u16) -> Vec<Response> {
    let mut connection = Connection::open(port);
    (0..REQUESTS)
        .map(|i| {
            let request = if i % 2 == 0 {
                Request::get("/v1/users")
            } else {
                // Without a body: Envoy ends a connection whose request it answers before the body is there.
                Request::post("/v1/users", "")
                    .header("content-length", "0")
                    .header("sec-fetch-site", "cross-site")
            };
            connection.exchange(&request)
        })
        .collect()
}

fn all_alike(upstream: &Upstream, workers: u32) {
    let envoy = start(upstream, workers);
    let port = envoy.port("main");
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| thread::spawn(move || converse(port)))
        .collect();
    let responses: Vec<Response> = clients
        .into_iter()
        .flat_map(|client| client.join().unwrap())
        .collect();

    let all = CONNECTIONS * REQUESTS;
    assert_eq!(responses.len(), all);
    for (status, count) in [(200, all / 2), (403, all / 2)] {
        assert_eq!(
            responses
                .iter()
                .filter(|response| response.status == status)
                .count(),
            count
        );
    }
    for response in &responses {
        assert_eq!(
            response.header("x-content-type-options").as_deref(),
            Some("nosniff"),
            "{response}"
        );
    }
    let ids: HashSet<String> = responses
        .iter()
        .filter_map(|response| response.header("x-request-id"))
        .collect();
    assert_eq!(ids.len(), all, "each response has an id of its own");

    let counted = envoy
        .admin()
        .stats("portcullis_security_headers_csrf_total");
    let refused: u64 = counted
        .iter()
        .filter(|(name, _)| name.contains("refused"))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(refused, (all / 2) as u64, "{counted:?}");
    assert_eq!(envoy.admin().vm_reloads(), 0);
}
