//! What happens to requests: CSRF protection and nonces.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::rc::Rc;

use common::{all, answer, json, load, one, over_tls};
use portcullis_kit::testing::Fake;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const OK: (&str, &str) = (":status", "200");

fn post(headers: &[(&str, &str)]) -> Fake {
    let pseudo = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "api.example.com"),
        (":path", "/"),
    ];
    Fake::request(pseudo.iter().chain(headers).copied())
}

#[test]
fn a_forged_request_is_refused_with_a_problem_document_and_all_security_headers() {
    let got = answer(
        json!({"csrf": {}}),
        post(&[("sec-fetch-site", "cross-site")]),
        &[OK],
    );
    assert_eq!(one(&got, ":status").as_deref(), Some("403"));
    assert_eq!(
        one(&got, "content-type").as_deref(),
        Some("application/problem+json")
    );
    assert_eq!(one(&got, "vary").as_deref(), Some("Sec-Fetch-Site, Origin"));
    assert_eq!(one(&got, "cache-control").as_deref(), Some("no-store"));
    assert_eq!(
        one(&got, "x-content-type-options").as_deref(),
        Some("nosniff")
    );
    assert!(got.response.contains("content-security-policy"));
    let reply = &got.replies[0];
    assert_eq!(reply.details, "csrf_sec_fetch_site");
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        (&body["status"], &body["title"]),
        (&json!(403), &json!("Forbidden"))
    );
    assert_eq!(
        got.filter_state["portcullis.csrf"],
        b"refused_sec_fetch_site"
    );
    let counter = "portcullis_security_headers_csrf_total.outcome=refused.reason=sec_fetch_site.profile=default";
    assert_eq!(got.count(counter), 1);
}

#[test]
fn the_problem_document_names_the_request() {
    let mut request = post(&[("origin", "https://evil.example")]);
    request.facts.request_id = Some(Rc::from("r-1"));
    let got = answer(json!({"csrf": {}}), request, &[OK]);
    let body: serde_json::Value = serde_json::from_slice(&got.replies[0].body).unwrap();
    assert_eq!(body["request_id"], "r-1");
    assert_eq!(got.replies[0].details, "csrf_origin");
}

#[test]
fn the_problem_document_names_the_request_as_an_earlier_module_did() {
    let named = |id: &str| {
        let request =
            post(&[("origin", "https://evil.example")]).with_property("portcullis.request_id", id);
        let got = answer(json!({"csrf": {}}), request, &[OK]);
        let body: serde_json::Value = serde_json::from_slice(&got.replies[0].body).unwrap();
        body["request_id"].clone()
    };
    assert_eq!(named("r-1"), "r-1");
    assert!(named("").is_null());
    // A request that passes is not asked for it.
    let passes = post(&[]).with_property("portcullis.request_id", "r-1");
    assert_eq!(
        answer(json!({"csrf": {}}), passes, &[OK]).byte_reads.get(),
        1
    );
}

#[test]
fn csrf_protection_is_on_where_cookies_are_used_or_it_is_named() {
    for (settings, refused) in [
        (json!({}), false),
        (json!({"preset": "off"}), false),
        (json!({"preset": "web"}), true),
        (json!({"preset": "web-nonce"}), true),
        (json!({"csrf": {}}), true),
        (json!({"preset": "off", "csrf": {}}), true),
        (json!({"preset": "web", "csrf": {"mode": "off"}}), false),
        (json!({"preset": "web", "csrf": {"mode": false}}), false),
        (json!({"preset": "web", "csrf": {"mode": "shadow"}}), false),
        (json!({"preset": "web", "mode": "shadow"}), false),
        (
            json!({"preset": "web", "csrf": {"trusted_origins": ["https://evil.example"]}}),
            false,
        ),
    ] {
        let request = post(&[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://evil.example"),
        ]);
        let got = answer(settings.clone(), request, &[OK]);
        let expected = if refused { "403" } else { "200" };
        assert_eq!(
            one(&got, ":status").as_deref(),
            Some(expected),
            "{settings}"
        );
    }
}

#[test]
fn a_profile_lets_its_routes_by() {
    let settings = json!({"preset": "web", "csrf": {"trusted_origins": ["https://app.example.com"]},
        "profiles": {"webhooks": {"csrf": {"mode": "off"}}},
        "routes": [{"profile": "webhooks", "paths": [{"prefix": "/hooks"}]}]});
    let loaded = load(settings);
    for (path, status) in [("/hooks/x", "200"), ("/form", "403")] {
        let request = Fake::request([
            (":method", "POST"),
            (":authority", "a"),
            (":path", path),
            ("origin", "https://b"),
        ]);
        assert_eq!(
            one(&loaded.exchange(request, &[OK]), ":status").as_deref(),
            Some(status)
        );
    }
}

#[test]
fn in_shadow_a_forged_request_is_counted_and_passes() {
    let got = answer(
        json!({"csrf": {"mode": "shadow"}}),
        post(&[("origin", "null")]),
        &[OK],
    );
    assert!(got.replies.is_empty());
    assert_eq!(got.filter_state["portcullis.csrf"], b"shadow_origin");
    let counter =
        "portcullis_security_headers_csrf_total.outcome=shadow.reason=origin.profile=default";
    assert_eq!(got.count(counter), 1);
}

#[test]
fn a_trusted_origin_passes_and_is_counted() {
    let settings = json!({"csrf": {"trusted_origins": ["https://App.example.com:443"]}});
    let got = answer(
        settings,
        post(&[
            ("sec-fetch-site", "same-site"),
            ("origin", "https://app.example.com"),
        ]),
        &[OK],
    );
    assert!(got.replies.is_empty());
    let counter =
        "portcullis_security_headers_csrf_total.outcome=passed.reason=trusted.profile=default";
    assert_eq!(got.count(counter), 1);
}

#[test]
fn the_scheme_is_known_by_tls_or_by_a_trusted_header() {
    let origin = |scheme: &str| format!("{scheme}://api.example.com");
    let https = "connection.tls_version";
    let by_connection = json!({"csrf": {}});
    let by_header = json!({"csrf": {}, "tls": "forwarded_proto"});
    for (settings, scheme, tls, proto, status) in [
        (&by_connection, "http", true, None, "403"),
        (&by_connection, "https", true, None, "200"),
        (&by_connection, "http", false, None, "200"),
        (&by_connection, "https", false, None, "200"),
        (&by_connection, "https", false, Some("http"), "200"),
        (&by_header, "https", false, Some("http"), "403"),
        (&by_header, "http", false, Some("https"), "403"),
        (&by_header, "https", false, Some("https"), "200"),
        (&by_header, "https", false, None, "200"),
    ] {
        let origin = origin(scheme);
        let mut lines = vec![("origin", origin.as_str())];
        lines.extend(proto.map(|proto| ("x-forwarded-proto", proto)));
        let mut request = post(&lines);
        if tls {
            request = request.with_property(https, "TLSv1.3");
        }
        let got = answer(settings.clone(), request, &[OK]);
        assert_eq!(
            one(&got, ":status").as_deref(),
            Some(status),
            "{settings} {scheme} {tls} {proto:?}"
        );
    }
}

#[test]
fn every_response_has_a_nonce_of_its_own_that_the_upstream_knows() {
    let loaded = load(json!({"preset": "web-nonce"}));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let request = Fake::request([
            (":method", "GET"),
            (":authority", "a"),
            (":path", "/"),
            ("x-csp-nonce", "mine"),
            ("X-CSP-Nonce", "too"),
        ]);
        let got = loaded.exchange(
            request,
            &[
                OK,
                ("cache-control", "public, max-age=60"),
                ("cdn-cache-control", "max-age=9"),
            ],
        );
        let given: Vec<_> = got.request.get_all("x-csp-nonce").collect();
        assert_eq!(given.len(), 1);
        let nonce = String::from_utf8(given[0].to_vec()).unwrap();
        assert_eq!(nonce.len(), 24);
        let policy = one(&got, "content-security-policy").unwrap();
        assert_eq!(policy.matches(&format!("'nonce-{nonce}'")).count(), 2);
        assert!(!policy.contains("{nonce}"));
        assert_eq!(
            one(&got, "cache-control").as_deref(),
            Some("private, no-store")
        );
        assert_eq!(one(&got, "cdn-cache-control"), None);
        seen.insert(nonce);
    }
    assert_eq!(seen.len(), 100);
}

#[test]
fn a_response_whose_request_was_not_seen_has_a_nonce_too() {
    let loaded = load(json!({"preset": "web-nonce"}));
    let mut fake = Fake::get("/");
    fake.respond([(":status", "401")]);
    loaded.respond(&mut fake, &mut Default::default());
    let policy = one(&fake, "content-security-policy").unwrap();
    assert!(
        policy.contains("'nonce-") && !policy.contains("'nonce-'"),
        "{policy}"
    );
}

#[test]
fn an_upstreams_policy_with_the_nonce_stays_and_its_response_is_not_cached() {
    let upstream = [
        OK,
        ("content-security-policy", "script-src 'nonce-x'"),
        ("cache-control", "no-cache, No-Store"),
    ];
    let got = answer(json!({"preset": "web-nonce"}), Fake::get("/"), &upstream);
    assert_eq!(
        all(&got, "content-security-policy"),
        ["script-src 'nonce-x'"]
    );
    assert_eq!(
        one(&got, "cache-control").as_deref(),
        Some("no-cache, No-Store"),
        "says it already"
    );
}

#[test]
fn a_304_keeps_the_nonce_of_the_page_that_is_stored() {
    let got = answer(
        json!({"preset": "web-nonce"}),
        Fake::get("/"),
        &[(":status", "304")],
    );
    assert_eq!(one(&got, "content-security-policy"), None);
}

#[test]
fn a_policy_with_a_place_for_the_nonce_gets_one_under_any_preset() {
    let settings = json!({"preset": "off", "csp": {"set": "script-src 'nonce-{nonce}'"}});
    let got = answer(settings, Fake::get("/"), &[OK]);
    let nonce = String::from_utf8(got.request.get("x-csp-nonce").unwrap().to_vec()).unwrap();
    assert_eq!(
        one(&got, "content-security-policy").unwrap(),
        format!("script-src 'nonce-{nonce}'")
    );
    assert_eq!(
        one(&got, "cache-control").as_deref(),
        Some("private, no-store")
    );
}

#[test]
fn a_clients_nonce_reaches_no_upstream_that_is_asked_for_pages() {
    for (preset, kept) in [("api", true), ("web", false), ("off", true)] {
        let request = Fake::request([(":method", "GET"), (":path", "/"), ("x-csp-nonce", "mine")]);
        let got = answer(json!({"preset": preset}), request, &[OK]);
        assert_eq!(got.request.contains("x-csp-nonce"), kept, "{preset}");
    }
}

#[test]
fn shadow_changes_neither_request_nor_response() {
    let request = || over_tls();
    let upstream = [OK, ("server", "x"), ("set-cookie", "a=1")];
    let got = answer(
        json!({"preset": "web-nonce", "mode": "shadow"}),
        request(),
        &upstream,
    );
    assert_eq!(got.response.len(), 3);
    assert!(!got.request.contains("x-csp-nonce"));
}

#[test]
fn once_a_worker_saw_tls_it_is_told_without_bytes() {
    let loaded = load(json!({}));
    let version = "connection.tls_version";
    // Empty on TLS without a client's certificate, and absent without TLS.
    let subject = "connection.subject_peer_certificate";
    let hsts = |request: Fake| {
        let got = loaded.exchange(request, &[OK]);
        let sent = got.response.contains("strict-transport-security");
        (sent, got.byte_reads.get())
    };
    let plain = || Fake::get("/");
    let tls = || over_tls().with_property(subject, "");
    assert_eq!(hsts(plain()), (false, 1));
    assert_eq!(hsts(tls()), (true, 2), "the first one");
    assert_eq!(hsts(tls()), (true, 1));
    assert_eq!(hsts(plain()), (false, 1), "without TLS nothing is assumed");
    assert_eq!(hsts(tls()), (true, 2));
    // A client that shows a certificate costs what it did, and so does a host that does not know the property.
    assert_eq!(
        hsts(over_tls().with_property(subject, "CN=client")),
        (true, 2)
    );
    assert_eq!(hsts(over_tls()), (true, 2));
    assert_eq!(hsts(plain().with_property(version, "")), (false, 1));
}
