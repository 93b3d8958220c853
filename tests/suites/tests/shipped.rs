//! The configuration that we ship: what its filters do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::HashSet;
use std::process::ExitCode;

use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{Request, Response, Sink, Template, artifacts, cases, http2, suite, wait};
use portcullis_suites::shipped::{self, Edge};
use serde_json::json;

struct Shared {
    upstream: Upstream,
    collector: Sink,
    edge: Edge,
}

fn main() -> ExitCode {
    suite::run(
        start,
        cases![
            an_api_response_is_hardened_and_carries_its_id,
            a_page_gets_the_profile_of_its_route,
            a_cross_site_post_is_refused_with_all_headers,
            a_cors_preflight_is_answered_with_security_headers,
            an_allowed_origin_may_read_with_credentials_and_another_may_not,
            events_are_streamed,
            a_websocket_passes,
            http_2_is_served_too,
            every_error_carries_the_security_headers,
            one_id_stands_in_request_response_access_log_and_audit_record,
            a_failed_request_leaves_a_span,
            metrics_carry_labels,
            every_label_of_a_metric_is_a_tag,
            a_client_over_its_plan_is_told_so_with_all_headers,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let collector = Sink::start();
    let certificate = Certificate::new();
    let mut template = shipped::template("envoy.yaml", upstream.port(), &certificate);
    shipped::behind(&mut template, "otel-collector", collector.port());
    Shared {
        edge: Edge::start("shipped", &template, certificate),
        collector,
        upstream,
    }
}

impl Shared {
    #[track_caller]
    fn send(&self, request: &Request) -> Response {
        self.edge.send(request)
    }
}

#[track_caller]
fn assert_hardened(response: &Response) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(response.header(name).as_deref(), Some(value), "{response}");
    }
    assert!(
        response.header("content-security-policy").is_some(),
        "{response}"
    );
    assert!(response.header("x-request-id").is_some(), "{response}");
    assert!(
        response.header("strict-transport-security").is_some(),
        "{response}"
    );
}

fn an_api_response_is_hardened_and_carries_its_id(shared: &Shared) {
    let response = shared.send(&Request::get("/leaky"));
    assert_eq!(response.status, 200);
    assert_hardened(&response);
    assert_eq!(
        response.header("cache-control").as_deref(),
        Some("no-store")
    );
    for leaking in ["server", "x-powered-by", "x-aspnet-version"] {
        assert_eq!(response.header(leaking), None, "{leaking}");
    }
}

fn a_page_gets_the_profile_of_its_route(shared: &Shared) {
    let response = shared.send(&Request::get("/web/html"));
    assert!(response.text().starts_with("<!doctype html>"), "{response}");
    assert_hardened(&response);
    let policy = response.header("content-security-policy").unwrap();
    assert!(
        policy.contains("'self'") && !policy.contains("sandbox"),
        "{policy}"
    );
}

fn a_cross_site_post_is_refused_with_all_headers(shared: &Shared) {
    let request = Request::post("/text", "x")
        .header("sec-fetch-site", "cross-site")
        .case("shipped csrf");
    let response = shared.send(&request);
    assert_eq!(response.status, 403);
    assert_eq!(
        response.header("content-type").as_deref(),
        Some("application/problem+json")
    );
    assert_hardened(&response);
    assert!(
        shared
            .upstream
            .recorder()
            .requests("shipped csrf")
            .is_empty()
    );
}

fn a_cors_preflight_is_answered_with_security_headers(shared: &Shared) {
    let preflight = Request::new("OPTIONS", "/json")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "PUT")
        .header("sec-fetch-site", "cross-site");
    let response = shared.send(&preflight);
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("access-control-allow-origin").as_deref(),
        Some("https://app.example.com")
    );
    assert!(
        response
            .header("access-control-allow-methods")
            .is_some_and(|methods| methods.contains("PUT"))
    );
    assert_hardened(&response);
}

fn an_allowed_origin_may_read_with_credentials_and_another_may_not(shared: &Shared) {
    let from = |origin: &str| shared.send(&Request::get("/json").header("origin", origin));
    let allowed = from("https://app.example.com");
    assert_eq!(
        allowed.header("access-control-allow-origin").as_deref(),
        Some("https://app.example.com")
    );
    assert_eq!(
        allowed
            .header("access-control-allow-credentials")
            .as_deref(),
        Some("true")
    );
    assert!(
        allowed
            .lines("vary")
            .iter()
            .any(|vary| vary.eq_ignore_ascii_case(b"origin")),
        "{allowed}"
    );
    let other = from("https://evil.example");
    assert_eq!(other.header("access-control-allow-origin"), None);
    assert_eq!(other.header("access-control-allow-credentials"), None);
}

fn events_are_streamed(shared: &Shared) {
    let response = shared.send(&Request::get("/sse"));
    assert_eq!(
        response.header("content-type").as_deref(),
        Some("text/event-stream")
    );
    assert_eq!(response.text(), "data: 1\n\ndata: 2\n\ndata: 3\n\n");
}

fn a_websocket_passes(shared: &Shared) {
    let mut connection = shared.edge.open();
    let upgrade = Request::get("/chat")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
    assert_eq!(connection.exchange(&upgrade).status, 101);
    connection.send(b"\x81\x02hi");
    assert_eq!(connection.read_exactly(4), b"\x81\x02hi");
}

fn every_error_carries_the_security_headers(shared: &Shared) {
    for target in [
        "/status/400",
        "/status/404",
        "/status/429",
        "/status/500",
        "/abort/headers?how=reset",
    ] {
        let response = shared.send(&Request::get(target));
        assert!(response.status >= 400);
        assert_hardened(&response);
    }
}

fn every_label_of_a_metric_is_a_tag(shared: &Shared) {
    let file = Template::read(artifacts::root().join("envoy/envoy.yaml")).0;
    let tags = file["stats_config"]["stats_tags"]
        .as_array()
        .unwrap()
        .iter();
    let tags: HashSet<&str> = tags.map(|tag| tag["tag_name"].as_str().unwrap()).collect();
    let stats = shared.edge.envoy.admin().stats("portcullis_");
    let labels: HashSet<&str> = stats
        .keys()
        .flat_map(|name| name.split('.').filter_map(|part| part.split_once('=')))
        .map(|(label, _)| label)
        .collect();
    assert!(labels.len() > 5, "{labels:?}");
    let missing: Vec<&&str> = labels.difference(&tags).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn http_2_is_served_too(shared: &Shared) {
    let port = shared.edge.envoy.port("edge");
    let response = http2::send_tls(port, &shared.edge.certificate, &Request::get("/leaky"));
    assert_eq!(response.status, 200);
    assert_hardened(&response);
}

fn one_id_stands_in_request_response_access_log_and_audit_record(shared: &Shared) {
    let request = Request::get("/one-id").header("x-api-key", "demo-professional");
    let response = shared.send(&request.case("shipped id"));
    let id = response.header("x-request-id").unwrap();
    let received = shared.upstream.recorder().requests("shipped id").remove(0);
    assert_eq!(received.header_lines("x-request-id"), [id.as_bytes()]);
    let line = wait::until("the access log", || {
        let mut lines = shared.edge.envoy.output().into_iter();
        lines.find(|line| line["path"] == "/one-id")
    });
    assert_eq!(line["request_id"], id.as_str());
    let traceparent = line["traceparent"].as_str().unwrap();
    assert_eq!(traceparent.len(), 55, "{line}");
    assert_eq!(
        received.header("traceparent"),
        Some(traceparent.as_bytes()),
        "{line}"
    );
    assert_eq!(line["trace_id"], traceparent[3..35], "{line}");
    assert_eq!(
        (&line["tier"], &line["ratelimit"], &line["upstream"]),
        (
            &json!("professional"),
            &json!("allowed"),
            &json!("upstream-blue")
        ),
        "{line}"
    );
    let record = wait::until("the audit record", || {
        let bodies = shared.collector.taken().into_iter();
        let mut texts = bodies.map(|body| body.to_string());
        texts.find(|text| text.contains("resourceLogs") && text.contains(&id))
    });
    assert!(record.contains("hmac-sha256:h1:"), "{record}");
    assert!(!record.contains("demo-professional"), "{record}");
}

fn a_failed_request_leaves_a_span(shared: &Shared) {
    let response = shared.send(&Request::get("/status/500").case("shipped span"));
    assert_eq!(response.status, 500);
    let received = shared.upstream.recorder().requests("shipped span");
    let parent = received[0].header("traceparent").unwrap().to_vec();
    let trace = String::from_utf8(parent).unwrap()[3..35].to_owned();
    let span = wait::until("the span", || {
        let mut spans = shared.collector.spans().into_iter();
        spans.find(|span| span["traceId"] == trace.as_str())
    });
    assert_eq!(span["status"]["code"], 2, "{span}");
}

fn a_client_over_its_plan_is_told_so_with_all_headers(shared: &Shared) {
    let call = || {
        let request = Request::get("/json")
            .header("x-api-key", "demo-free")
            .header("origin", "https://app.example.com")
            .case("shipped plan");
        shared.send(&request)
    };
    for _ in 0..10 {
        assert_eq!(call().status, 200);
    }
    let refused = call();
    assert_eq!(refused.status, 429);
    assert_hardened(&refused);
    assert_eq!(
        refused.header("access-control-allow-origin").as_deref(),
        Some("https://app.example.com")
    );
    assert_eq!(refused.json()["upgrade"]["tier"], "starter", "{refused}");
    assert!(refused.header("retry-after").is_some(), "{refused}");
    let labels = ["tier=\"free\"", "limit=\"minute\"", "profile=\"default\""];
    let page = shared.edge.envoy.admin().prometheus();
    let counted = page.lines().find(|line| {
        line.starts_with("portcullis_rate_limit_denied_total{")
            && labels.iter().all(|label| line.contains(label))
    });
    assert!(
        counted.is_some_and(|line| line.ends_with(" 1")),
        "{counted:?}"
    );
    let line = wait::until("the access log", || {
        let mut lines = shared.edge.envoy.output().into_iter();
        lines.find(|line| line["ratelimit"] == "denied:minute")
    });
    assert_eq!(line["tier"], "free", "{line}");
    let trace = line["trace_id"].as_str();
    assert_eq!(trace.map(str::len), Some(32), "{line}");
}

fn metrics_carry_labels(shared: &Shared) {
    shared.send(&Request::post("/web/text", "x").header("sec-fetch-site", "cross-site"));
    let page = shared.edge.envoy.admin().prometheus();
    let labels = [
        "outcome=\"refused\"",
        "profile=\"web\"",
        "reason=\"sec_fetch_site\"",
    ];
    let counted = page.lines().find(|line| {
        line.starts_with("portcullis_security_headers_csrf_total{")
            && labels.iter().all(|label| line.contains(label))
    });
    let count = counted.and_then(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
    assert!(count.is_some_and(|count| count > 0), "{page}");
}
