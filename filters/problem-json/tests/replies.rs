//! Replies that take the place of errors without a body, and statuses that are none.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod passing;

use passing::{HTML, ID, bench, get, pass};
use portcullis_kit::Flow;
use portcullis_kit::testing::Bench;
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn an_error_without_a_body_gets_a_reply_that_keeps_what_its_headers_said() {
    let bench = bench(json!({"reply_headers": "api"}));
    let response = [
        (":status", "401"),
        ("content-length", "0"),
        ("www-authenticate", "Bearer realm=\"a\""),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("retry-after", "7"),
        ("date", "Sat, 21 Nov 2026 10:22:56 GMT"),
        ("x-powered-by", "PHP/5.2"),
        ("server", "Apache/2.2.3"),
    ];
    let sent = pass(&bench, get(&[]), &response, &[]);
    assert_eq!(sent.flow, Flow::Replied);
    assert_eq!(sent.header(":status"), Some("401"));
    assert_eq!(sent.json()["retryable"], true);
    assert_eq!(sent.header("www-authenticate"), Some("Bearer realm=\"a\""));
    assert_eq!(sent.fake.response.get_all("set-cookie").count(), 2);
    for gone in ["date", "x-powered-by", "server"] {
        assert_eq!(sent.header(gone), None, "{gone}");
    }
    assert_eq!(sent.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(sent.header("x-request-id"), Some(ID));
    assert!(sent.header("content-security-policy").is_some());

    let leaving = Bench::load(&json!({"empty": "leave"})).unwrap();
    let sent = pass(&leaving, get(&[]), &response, &[]);
    assert_eq!(sent.flow, Flow::Continue);
    assert_eq!(sent.fake.response.len(), response.len());
}

/// The reply's lines of that name.
fn lines(
    settings: &serde_json::Value,
    tls: bool,
    response: &[(&str, &str)],
    name: &str,
) -> Vec<String> {
    let bench = bench(settings.clone());
    let mut fake = get(&[]);
    if tls {
        fake.properties
            .insert("connection.tls_version".into(), b"TLSv1.3".to_vec());
    }
    let sent = pass(&bench, fake, response, &[]);
    assert_eq!(sent.flow, Flow::Replied);
    let lines = sent.fake.response.get_all(name);
    lines
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect()
}

#[test]
fn cookies_of_an_error_without_a_body_are_hardened_as_the_preset_does_it() {
    let response = [
        (":status", "401"),
        ("set-cookie", "sid=; Max-Age=0"),
        ("set-cookie", "b=2; SameSite=None; Secure"),
    ];
    let cookies = |settings, tls| lines(&settings, tls, &response, "set-cookie");
    assert_eq!(
        cookies(json!({"reply_headers": "api"}), true),
        [
            "sid=; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
            response[2].1
        ]
    );
    assert_eq!(
        cookies(json!({"reply_headers": "web"}), false),
        ["sid=; Max-Age=0; HttpOnly; SameSite=Lax", response[2].1]
    );
    assert_eq!(cookies(json!({}), true), [response[1].1, response[2].1]);
}

#[test]
fn cors_of_an_error_without_a_body_is_repaired_as_the_preset_does_it() {
    let credentials = "access-control-allow-credentials";
    for (origin, vary, may_send) in [
        (
            "https://app.example.com",
            "Accept, Sec-Fetch-Mode|Origin",
            1,
        ),
        ("null", "Accept, Sec-Fetch-Mode|Origin", 0),
        ("*", "Accept, Sec-Fetch-Mode", 0),
    ] {
        let response = [
            (":status", "404"),
            ("access-control-allow-origin", origin),
            (credentials, "true"),
        ];
        let settings = json!({"reply_headers": "api"});
        assert_eq!(
            lines(&settings, false, &response, "vary").join("|"),
            vary,
            "{origin}"
        );
        assert_eq!(
            lines(&settings, false, &response, credentials).len(),
            may_send,
            "{origin}"
        );
        let kept = lines(&settings, false, &response, "access-control-allow-origin");
        assert_eq!(kept, [origin]);
    }
}

#[test]
fn a_status_that_is_none_leaves_as_502_and_is_told() {
    for status in ["600", "999", "99", "0"] {
        let number: u16 = status.parse().unwrap();
        for hold in [false, true] {
            let bench = bench(json!({"body": if hold { "hold" } else { "replace" }}));
            for kind in ["text/html", "application/json", "application/problem+json"] {
                let response = [(":status", status), ("content-type", kind)];
                let sent = pass(&bench, get(&[]), &response, &[HTML]);
                assert_eq!(sent.header(":status"), Some("502"), "{status} {kind}");
                assert_eq!(sent.json()["status"], 502);
                assert_eq!(sent.json()["upstream_status"], number);
                assert_eq!(sent.json()["category"], "external");
                assert!(!String::from_utf8_lossy(&sent.body).contains("acme"));
            }
            let empty = pass(&bench, get(&[]), &[(":status", status)], &[]);
            assert_eq!(
                (empty.flow, empty.header(":status")),
                (Flow::Replied, Some("502"))
            );
            let head = get(&[(":method", "HEAD")]);
            let head = pass(&bench, head, &[(":status", status)], &[]);
            assert_eq!(head.header(":status"), Some("502"));
        }
    }
}

#[test]
fn a_status_that_is_none_follows_what_the_settings_say_of_502() {
    let html = [(":status", "700"), ("content-type", "text/html")];
    let mapped = bench(json!({"map_status": {"502": 500}, "types": {"502": "urn:x:bad-gateway"}}));
    let document = pass(&mapped, get(&[]), &html, &[HTML]).json();
    assert_eq!(document["status"], 500);
    assert_eq!(document["upstream_status"], 700);
    assert_eq!(document["type"], "urn:x:bad-gateway");
    let left = pass(
        &bench(json!({"statuses": ["4xx"]})),
        get(&[]),
        &html,
        &[HTML],
    );
    assert_eq!(
        (left.header(":status"), left.body.as_slice()),
        (Some("700"), HTML)
    );
}
