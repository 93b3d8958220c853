//! security-headers where only a real proxy can show it: responses that no upstream made, TLS, filters around it.
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
use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Response, Route, cases, http2, suite,
};
use serde_json::{Value, json};

struct Shared {
    upstream: Upstream,
    certificate: Certificate,
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
            hsts_is_sent_on_tls_only,
            http2_over_tls_gets_hsts_and_secure_cookies,
            a_trusted_forwarded_proto_counts_as_tls_where_the_settings_say_so,
            bodies_of_every_framing_pass_unchanged,
            the_filter_applied_twice_changes_nothing_more,
            every_nonce_is_new_and_the_upstream_has_it,
            a_refusal_tells_why_in_the_access_log,
            a_refusal_of_a_grpc_call_is_a_grpc_status,
            hundreds_of_cookies_stay_apart_and_in_order,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let certificate = Certificate::new();
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
            Listener::new("tls")
                .filter(filter(json!({})))
                .tls(&certificate),
        )
        .listener(
            Listener::new("forwarded")
                .filter(filter(json!({"tls": "forwarded_proto"})))
                .hcm(&json!({"use_remote_address": false})),
        )
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
    Shared {
        upstream,
        certificate,
        envoy,
    }
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

#[track_caller]
fn assert_hardened(response: &Response) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(
            response.header(name).as_deref(),
            Some(value),
            "{name}:\n{response}"
        );
    }
    assert!(
        response
            .header("content-security-policy")
            .is_some_and(|policy| policy.contains("sandbox")),
        "{response}"
    );
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

fn hsts_is_sent_on_tls_only(shared: &Shared) {
    let mut connection = Connection::open_tls(shared.port("tls"), &shared.certificate);
    for target in ["/text", "/status/500"] {
        let response = connection.exchange(&Request::get(target));
        assert_eq!(
            response.header("strict-transport-security").as_deref(),
            Some("max-age=63072000; includeSubDomains")
        );
        assert_hardened(&response);
    }
    // A client's word for it is not enough.
    let claimed = Request::get("/text")
        .header("x-forwarded-proto", "https")
        .send(shared.port("plain"));
    assert_eq!(claimed.header("strict-transport-security"), None);
}

fn http2_over_tls_gets_hsts_and_secure_cookies(shared: &Shared) {
    let target = "/text?header=Set-Cookie:a=1&header=Set-Cookie:b=2;%20SameSite=None;%20Secure&header=Set-Cookie:c=3";
    let response = http2::send_tls(
        shared.port("tls"),
        &shared.certificate,
        &Request::get(target),
    );
    assert_eq!(
        response.header("strict-transport-security").as_deref(),
        Some("max-age=63072000; includeSubDomains")
    );
    assert_eq!(
        response.lines("set-cookie"),
        [
            &b"a=1; Secure; HttpOnly; SameSite=Lax"[..],
            b"b=2; SameSite=None; Secure",
            b"c=3; Secure; HttpOnly; SameSite=Lax",
        ]
    );
    assert_hardened(&response);
    let cleartext = http2::send(shared.port("plain"), &Request::get(target));
    assert_eq!(cleartext.header("strict-transport-security"), None);
    assert_eq!(
        cleartext.lines("set-cookie")[0],
        b"a=1; HttpOnly; SameSite=Lax"
    );
}

fn a_trusted_forwarded_proto_counts_as_tls_where_the_settings_say_so(shared: &Shared) {
    let with = |proto: &str| {
        Request::get("/text")
            .header("x-forwarded-proto", proto)
            .send(shared.port("forwarded"))
    };
    assert!(with("https").header("strict-transport-security").is_some());
    assert_eq!(with("http").header("strict-transport-security"), None);
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
