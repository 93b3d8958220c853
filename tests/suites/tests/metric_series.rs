//! What clients send makes no new series: labels are known once settings are loaded. The shipped configuration, without TLS.
//!
//! `SERIES_REQUESTS` says how many hostile requests come; `make test` sends a part of what `make test-series-full` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{Envoy, Request, Template, cases, load, suite, wait};
use portcullis_suites::hostile_client::HostileClient;
use portcullis_suites::shipped;
use serde_json::{Value, json};

const CONNECTIONS: usize = 32;
const REQUESTS: u64 = 10_000;
/// Of them so many may pass, so that both ways through the filters are taken.
const ADMITTED: u64 = 20_000;

struct Shared {
    // Serves as long as it lives.
    _upstream: Upstream,
    envoy: Envoy,
}

fn main() -> ExitCode {
    suite::run_in_order(start, cases![hostile_requests_make_no_new_series])
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let template = configuration(upstream.port());
    let envoy = Envoy::start_template("metric-series", &template, 2)
        .unwrap_or_else(|error| panic!("{error}"));
    Shared {
        _upstream: upstream,
        envoy,
    }
}

/// `envoy/envoy.yaml` before this upstream and without TLS, which costs time and is nobody's label.
fn configuration(upstream: u16) -> Template {
    let mut template = shipped::template("envoy.yaml", upstream, &Certificate::new())
        .each("transport_socket", |socket| *socket = Value::Null)
        .each("anonymous", |tier| {
            if let Some(limits) = tier.get_mut("limits").and_then(Value::as_array_mut) {
                limits
                    .iter_mut()
                    .for_each(|limit| limit["count"] = json!(ADMITTED));
            }
        });
    // Nobody takes spans and records. In the end they are dropped, which is counted too.
    shipped::behind(&mut template, "otel-collector", 1);
    template
}

/// The names of all series, with their labels and without their values.
fn series(envoy: &Envoy) -> BTreeSet<String> {
    let text = envoy.admin().prometheus();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()))
        .collect()
}

/// One request of each kind that Envoy counts apart: by status, by what became of it.
fn one_of_each(port: u16) {
    let mut requests = vec![
        Request::get("/leaky"),
        Request::get("/web/cookies"),
        Request::get("/status/404"),
        Request::get("/status/503"),
        Request::get("/nothing/here"),
        Request::get("/abort/headers"),
        Request::post("/text", "x").header("sec-fetch-site", "cross-site"),
        Request::new("OPTIONS", "/text")
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "GET"),
        Request::get("/a%2fb"),
        Request::new("STRANGE", "/text"),
    ];
    requests.extend((0..12).map(|_| Request::get("/text").header("x-api-key", "demo-free")));
    for request in requests {
        request.send(port);
    }
}

fn hostile_requests_make_no_new_series(shared: &Shared) {
    let envoy = &shared.envoy;
    let port = envoy.port("edge");
    one_of_each(port);
    // Histograms appear some seconds later, when Envoy has put its workers' together; a sink's cluster with the first batch.
    const LAST: [&str; 3] = [
        "envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix=\"edge\"",
        "envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name=\"upstream-blue\"",
        "envoy_cluster_upstream_rq{envoy_response_code=\"503\",envoy_cluster_name=\"otel-collector\"",
    ];
    let before = wait::until("one series of each kind", || {
        let series = series(envoy);
        LAST.iter()
            .all(|name| series.iter().any(|series| series.starts_with(name)))
            .then_some(series)
    });

    // A command that has no number hands over an empty one.
    let wanted = std::env::var("SERIES_REQUESTS").ok();
    let wanted = wanted.filter(|text| !text.is_empty());
    let wanted = wanted.map_or(REQUESTS, |text| text.parse().unwrap());
    let mut client = HostileClient::new(6);
    let mut sent = 0;
    let mut statuses = BTreeMap::<u16, u64>::new();
    let lost = load::run(
        port,
        CONNECTIONS,
        |request| {
            sent += 1;
            (sent <= wanted).then(|| client.request(request))
        },
        |(), answer| *statuses.entry(answer.status).or_default() += 1,
    );
    let answered: u64 = statuses.values().sum();
    eprintln!(
        "{wanted} hostile requests: {statuses:?}, {} without answer; {} series",
        lost.len(),
        before.len()
    );
    assert!(answered >= wanted * 9 / 10, "{statuses:?}");
    for status in [200, 403, 404] {
        assert!(
            statuses
                .get(&status)
                .is_some_and(|count| *count > wanted / 100),
            "{statuses:?}"
        );
    }

    let mut after = series(envoy);
    // What was sent last is told after the next flush.
    wait::until("the counts", || {
        after = series(envoy);
        (envoy.admin().stat("http.edge.downstream_rq_completed") >= answered).then_some(())
    });
    let new: Vec<_> = after.difference(&before).collect();
    assert!(
        new.is_empty(),
        "{} new series, such as {:?}",
        new.len(),
        &new[..new.len().min(10)]
    );
    assert_eq!(envoy.admin().vm_reloads(), 0, "{}", envoy.log());
}
