//! The configuration that we ship, as it is: only ports and the modules' folder are replaced.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::Path;
use std::process::ExitCode;

use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Connection, Envoy, Request, Response, Template, artifacts, cases, suite, wait,
};
use serde_json::json;

struct Shared {
    upstream: Upstream,
    envoy: Envoy,
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
            every_error_carries_the_security_headers,
            one_id_stands_in_request_response_and_access_log,
            metrics_carry_labels,
            a_client_over_its_plan_is_told_so_with_all_headers,
            every_example_starts_and_hardens_responses,
            all_filters_as_one_plugin_make_documents_of_errors,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let envoy = serve("envoy.yaml", &upstream);
    Shared { upstream, envoy }
}

/// Starts Envoy with a file of `envoy/`.
#[track_caller]
fn serve(file: &str, upstream: &Upstream) -> Envoy {
    let template = Template::read(artifacts::root().join("envoy").join(file))
        .set("admin.address.socket_address.port_value", 0)
        .set("static_resources.listeners[0].address.socket_address", json!({"address": "127.0.0.1", "port_value": 0}))
        .set(
            "static_resources.clusters[0].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value",
            upstream.port(),
        )
        .each("filename", |path| {
            let name = Path::new(path.as_str().unwrap()).file_stem().unwrap().to_owned();
            *path = artifacts::module(name.to_str().unwrap()).to_str().unwrap().into();
        });
    let name = file.replace(['/', '.'], "-");
    Envoy::start_template(&name, &template, 2).unwrap_or_else(|error| panic!("{file}: {error}"))
}

impl Shared {
    #[track_caller]
    fn send(&self, request: &Request) -> Response {
        let response = request.send(self.envoy.port("edge"));
        assert_eq!(self.envoy.admin().vm_reloads(), 0);
        response
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
        response.header("strict-transport-security").is_none(),
        "no TLS, no HSTS: {response}"
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
    let mut connection = Connection::open(shared.envoy.port("edge"));
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

fn one_id_stands_in_request_response_and_access_log(shared: &Shared) {
    let response = shared.send(&Request::get("/one-id").case("shipped id"));
    let id = response.header("x-request-id").unwrap();
    let received = shared.upstream.recorder().requests("shipped id").remove(0);
    assert_eq!(received.header_lines("x-request-id"), [id.as_bytes()]);
    let line = wait::until("the access log", || {
        shared
            .envoy
            .output()
            .into_iter()
            .find(|line| line["path"] == "/one-id")
    });
    assert_eq!(line["request_id"], id.as_str());
    assert_eq!(
        line["traceparent"].as_str().map(str::len),
        Some(55),
        "{line}"
    );
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
    let page = shared.envoy.admin().prometheus();
    let counted = page.lines().find(|line| {
        line.starts_with("portcullis_rate_limit_denied_total{")
            && labels.iter().all(|label| line.contains(label))
    });
    assert!(
        counted.is_some_and(|line| line.ends_with(" 1")),
        "{counted:?}"
    );
    let line = wait::until("the access log", || {
        let mut lines = shared.envoy.output().into_iter();
        lines.find(|line| line["ratelimit"] == "denied:minute")
    });
    assert_eq!(line["tier"], "free", "{line}");
}

fn metrics_carry_labels(shared: &Shared) {
    shared.send(&Request::post("/web/text", "x").header("sec-fetch-site", "cross-site"));
    let page = shared.envoy.admin().prometheus();
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

fn every_example_starts_and_hardens_responses(shared: &Shared) {
    let folder = artifacts::root().join("envoy/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".yaml") {
            continue;
        }
        let envoy = serve(&format!("examples/{name}"), &shared.upstream);
        let response = Request::get("/text").send(envoy.port("edge"));
        assert_eq!(response.status, 200, "{name}");
        assert_eq!(
            response.header("x-content-type-options").as_deref(),
            Some("nosniff"),
            "{name}:\n{response}"
        );
        assert_eq!(envoy.admin().vm_reloads(), 0, "{name}");
        seen += 1;
    }
    assert!(seen > 0);
}

fn all_filters_as_one_plugin_make_documents_of_errors(shared: &Shared) {
    let envoy = serve("examples/one-plugin.yaml", &shared.upstream);
    let port = envoy.port("edge");
    // Of the upstream with a body and without, and of Envoy before any filter.
    let with_body = Request::get("/status/404").send(port);
    let without = Request::get("/text?status=404&body=").send(port);
    let mut connection = Connection::open(port);
    connection.send(b"GET / HTTP/1.1\r\n\r\n");
    let malformed = connection.read_response("GET").unwrap();
    for (response, status) in [(with_body, 404), (without, 404), (malformed, 400)] {
        assert_eq!(response.status, status, "{response}");
        let kind = response.header("content-type");
        assert_eq!(
            kind.as_deref(),
            Some("application/problem+json"),
            "{response}"
        );
        let document = response.json();
        assert_eq!(document["status"], status, "{response}");
        assert_eq!(
            document["request_id"].as_str(),
            response.header("x-request-id").as_deref()
        );
        assert_hardened(&response);
    }
    let page = Request::get("/web/page?status=404")
        .header("accept", "text/html")
        .header("sec-fetch-mode", "navigate")
        .send(port);
    let kind = page.header("content-type");
    assert_eq!(kind.as_deref(), Some("text/html; charset=utf-8"), "{page}");
}
