//! security-headers where only a real proxy can show it: responses that no upstream made, filters around it. TLS
//! has a suite of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::HashSet;
use std::process::ExitCode;

use portcullis_harness::config::{cluster, http2_cluster};
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Route, cases, http2, suite,
};
use portcullis_suites::hardened::assert_hardened;
use serde_json::{Value, json};

struct Shared {
    upstream: Upstream,
    envoy: Envoy,
}

fn main() -> ExitCode {
    suite::run(
        start,
        cases![
            every_response_that_the_filter_can_see_is_hardened,
            a_304_says_nothing_about_caching_that_the_upstream_did_not_say,
            local_replies_of_later_filters_are_hardened,
            codec_errors_are_the_proxys_alone,
            http2_responses_are_hardened,
            bodies_of_every_framing_pass_unchanged,
            the_filter_applied_twice_changes_nothing_more,
            every_nonce_is_new_and_the_upstream_has_it,
            a_refusal_tells_why_in_the_access_log,
            a_refusal_of_a_grpc_call_is_a_grpc_status,
            no_leaking_header_of_the_list_passes,
            hundreds_of_cookies_stay_apart_and_in_order,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let filter = |settings: Value| Filter::wasm("security_headers", settings);
    let config = Config::new(upstream.port())
        .cluster(http2_cluster("http2", upstream.port()))
        .cluster(cluster("dead", 1))
        .listener(
            Listener::new("api")
                .filter(filter(json!({})))
                .filter(refuse_everything_with_429())
                .filter(forbid())
                .route(Route::prefix("/dead").cluster("dead"))
                .route(
                    Route::prefix("/nowhere")
                        .cluster("no-such-cluster")
                        .over(&json!({"route": {"cluster": null, "cluster_header": "x-cluster"}})),
                )
                .route(Route::prefix("/direct").direct(503, "by the proxy"))
                .route(
                    Route::matching(json!({"prefix": "/redirect"}))
                        .over(&json!({"route": null, "redirect": {"path_redirect": "/x"}})),
                )
                .route(Route::prefix("/limited").per_filter("limit", limit(1)))
                .route(Route::prefix("/forbidden").per_filter("forbid", rbac_deny()))
                .route(Route::prefix("/served"))
                .route(Route::prefix("/slow").over(&json!({"route": {"timeout": "0.05s"}}))),
        )
        .listener(Listener::new("plain").filter(filter(json!({}))))
        .listener(
            Listener::new("twice")
                .filter(filter(json!({})))
                .filter(filter(json!({}))),
        )
        .listener(
            Listener::new("nonce")
                .filter(filter(json!({"preset": "web-nonce"})))
                .route(Route::prefix("/grpc").cluster("http2"))
                .route(Route::prefix("/")),
        );
    let envoy = Envoy::start("security-headers", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared { upstream, envoy }
}

/// Envoy's own limiter, which a route turns on.
fn refuse_everything_with_429() -> Filter {
    let mut off = limit(1);
    off["filter_enabled"]["default_value"]["numerator"] = 0.into();
    off.as_object_mut().unwrap().remove("@type");
    Filter::native(
        "limit",
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        off,
    )
}

fn limit(tokens: u32) -> Value {
    let always = json!({"default_value": {"numerator": 100}, "runtime_key": ""});
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "limit",
        "token_bucket": {"max_tokens": tokens, "tokens_per_fill": 1, "fill_interval": "3600s"},
        "filter_enabled": always,
        "filter_enforced": always,
    })
}

fn forbid() -> Filter {
    Filter::native(
        "forbid",
        "envoy.extensions.filters.http.rbac.v3.RBAC",
        json!({}),
    )
}

fn rbac_deny() -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
        "rbac": {"rules": {"action": "ALLOW", "policies": {}}},
    })
}

impl Shared {
    fn port(&self, listener: &str) -> u16 {
        self.envoy.port(listener)
    }
}

fn every_response_that_the_filter_can_see_is_hardened(shared: &Shared) {
    for status in [
        200, 201, 204, 206, 301, 400, 401, 403, 404, 418, 429, 500, 502, 503, 504, 599,
    ] {
        let response = Request::get(format!("/served?status={status}")).send(shared.port("api"));
        assert_eq!(response.status, status);
        assert_hardened(&response);
    }
    for (target, status) in [
        ("/dead", 503),
        ("/nowhere", 503),
        ("/direct", 503),
        ("/redirect", 301),
        ("/no-route", 404),
        ("/served?abort=headers&how=reset", 503),
        ("/slow?delay=2000", 504),
    ] {
        let response = Request::get(target)
            .header("x-cluster", "missing")
            .send(shared.port("api"));
        assert_eq!(response.status, status, "{target}");
        assert_hardened(&response);
    }
}

/// It speaks of a response that the client has stored: `no-store` here would take that away (RFC 9110 section 15.4.5).
fn a_304_says_nothing_about_caching_that_the_upstream_did_not_say(shared: &Shared) {
    let response = Request::get("/served?status=304").send(shared.port("api"));
    assert_eq!(response.status, 304);
    assert_eq!(response.header("cache-control"), None);
    assert_eq!(
        response.header("x-content-type-options").as_deref(),
        Some("nosniff")
    );
}

fn local_replies_of_later_filters_are_hardened(shared: &Shared) {
    let statuses: Vec<u16> = (0..3)
        .map(|_| {
            let response = Request::get("/limited?status=200").send(shared.port("api"));
            assert_hardened(&response);
            response.status
        })
        .collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    let response = Request::get("/forbidden").send(shared.port("api"));
    assert_eq!(response.status, 403);
    assert_hardened(&response);
}

/// A limit of the host, not a wish: no filter runs for what is no request.
fn codec_errors_are_the_proxys_alone(shared: &Shared) {
    let mut connection = Connection::open(shared.port("api"));
    connection.send(b"GET / HTTP/1.1\r\n\r\n");
    let response = connection.read_response("GET").unwrap();
    assert_eq!(response.status, 400);
    assert_eq!(response.header("x-content-type-options"), None);
}

fn http2_responses_are_hardened(shared: &Shared) {
    let response = http2::send(shared.port("api"), &Request::get("/served?status=404"));
    assert_eq!(response.status, 404);
    assert_hardened(&response);
}

fn bodies_of_every_framing_pass_unchanged(shared: &Shared) {
    for target in [
        "/chunked",
        "/sse",
        "/bytes/3000000",
        "/text?framing=close",
        "/bytes/0",
    ] {
        let direct = Request::get(target).send(shared.upstream.port());
        let through = Request::get(target).send(shared.port("plain"));
        assert_eq!(
            (through.status, through.ending),
            (direct.status, direct.ending)
        );
        assert!(through.body == direct.body, "{target}");
    }
}

fn the_filter_applied_twice_changes_nothing_more(shared: &Shared) {
    let target = "/cookies?header=Vary:Accept&header=Access-Control-Allow-Origin:https://a.example&header=Server:x";
    let [mut once, mut twice] = ["plain", "twice"].map(|listener| {
        let mut response = Request::get(target).send(shared.port(listener));
        response
            .headers
            .retain(|(name, _)| name != b"date" && name != b"x-envoy-upstream-service-time");
        response
    });
    // The policy is merged, so there is one more line of it: the same policy twice is that policy.
    let policies: HashSet<_> = twice.lines("content-security-policy").into_iter().collect();
    assert_eq!(policies.len(), 1);
    once.headers
        .retain(|(name, _)| name != b"content-security-policy");
    twice
        .headers
        .retain(|(name, _)| name != b"content-security-policy");
    assert_eq!(once.to_string(), twice.to_string());
}

fn every_nonce_is_new_and_the_upstream_has_it(shared: &Shared) {
    let mut nonces = HashSet::new();
    for i in 0..200 {
        let case = format!("nonce {i}");
        let response = Request::get("/text").case(&case).send(shared.port("nonce"));
        let received = shared.upstream.recorder().requests(&case).remove(0);
        let lines = received.header_lines("x-csp-nonce");
        assert_eq!(lines.len(), 1);
        let nonce = String::from_utf8(lines[0].to_vec()).unwrap();
        assert!(nonce.trim_end_matches('=').len() * 6 >= 128, "{nonce}");
        let policy = response.header("content-security-policy").unwrap();
        assert!(policy.contains(&format!("'nonce-{nonce}'")), "{policy}");
        assert!(
            response
                .header("cache-control")
                .is_some_and(|value| value.contains("no-store"))
        );
        assert!(nonces.insert(nonce), "a nonce came twice");
    }
}

fn a_refusal_tells_why_in_the_access_log(shared: &Shared) {
    let request = Request::post("/text", "x")
        .header("sec-fetch-site", "cross-site")
        .case("refused");
    let response = request.send(shared.port("nonce"));
    assert_eq!(response.status, 403);
    let problem = response.json();
    assert_eq!(problem["status"], 403);
    assert!(
        problem["title"].is_string() && problem["type"].is_string(),
        "{problem}"
    );
    let line = shared.envoy.access_log_of("nonce", "refused");
    assert!(
        line["details"]
            .as_str()
            .is_some_and(|details| details.contains("csrf")),
        "{line}"
    );
}

fn a_refusal_of_a_grpc_call_is_a_grpc_status(shared: &Shared) {
    let request = Request::post("/grpc/0", [0; 5])
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("sec-fetch-site", "cross-site");
    let response = http2::send(shared.port("nonce"), &request);
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("grpc-status").as_deref(),
        Some("7"),
        "{response}"
    );
}

fn no_leaking_header_of_the_list_passes(shared: &Shared) {
    let names: Vec<&str> = security_headers::leaks::all().collect();
    assert!(names.len() >= 87, "{}", names.len());
    let query: Vec<String> = names
        .iter()
        .map(|name| format!("header={name}:leak"))
        .collect();
    let request = Request::get(format!("/text?{}&header=x-kept:1", query.join("&")));
    let direct = request.send(shared.upstream.port());
    let through = request.send(shared.port("plain"));
    for name in names {
        assert_eq!(direct.lines(name), [b"leak"], "{name} is not sent");
        assert!(through.lines(name).is_empty(), "{name}:\n{through}");
    }
    assert_eq!(through.header("x-kept").as_deref(), Some("1"));
}

fn hundreds_of_cookies_stay_apart_and_in_order(shared: &Shared) {
    let query: Vec<String> = (0..300)
        .map(|i| format!("header=Set-Cookie:c{i}={i}"))
        .collect();
    let response = Request::get(format!("/text?{}", query.join("&"))).send(shared.port("plain"));
    let cookies = response.lines("set-cookie");
    assert_eq!(cookies.len(), 300);
    for (i, cookie) in cookies.iter().enumerate() {
        let cookie = String::from_utf8_lossy(cookie);
        assert!(cookie.starts_with(&format!("c{i}={i}; ")), "{cookie}");
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
            "{cookie}"
        );
        assert!(!cookie.contains("Secure"), "not on TLS: {cookie}");
    }
}
