//! What an upstream says and should not: CORS that cannot be meant, headers that name software.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use common::{answer, json, load, one};
use portcullis_kit::testing::Fake;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const OK: (&str, &str) = (":status", "200");

#[test]
fn leaking_headers_go_and_the_others_stay() {
    let upstream = [
        OK,
        ("server", "nginx/1.2"),
        ("X-Powered-By", "PHP"),
        ("x-powered-by", "again"),
        ("x-envoy-upstream-service-time", "3"),
        ("x-own", "1"),
        ("etag", "x"),
        ("x-request-id", "r"),
    ];
    let left = |settings| {
        let got = answer(settings, Fake::get("/"), &upstream);
        upstream
            .iter()
            .skip(1)
            .map(|(name, _)| *name)
            .filter(|name| got.response.contains(name))
            .collect::<Vec<_>>()
    };
    assert_eq!(left(json!({})), ["x-own", "etag", "x-request-id"]);
    let kept = json!({"leaks": {"keep": ["Server"], "remove": ["X-Own"]}});
    assert_eq!(left(kept), ["server", "etag", "x-request-id"]);
    assert_eq!(left(json!({"leaks": {"list": "off"}})).len(), 7);
    assert_eq!(left(json!({"preset": "off"})).len(), 7);
    assert_eq!(
        left(json!({"preset": "off", "leaks": {"list": "owasp"}})).len(),
        3
    );
}

#[test]
fn every_name_on_the_list_goes() {
    let loaded = load(json!({}));
    let upstream: Vec<_> = [OK]
        .into_iter()
        .chain(security_headers::leaks::all().map(|name| (name, "x")))
        .collect();
    assert_eq!(upstream.len(), 90);
    let got = loaded.exchange(Fake::get("/"), &upstream);
    assert!(security_headers::leaks::all().all(|name| !got.response.contains(name)));
}

#[test]
fn cors_responses_are_repaired() {
    let acao = "access-control-allow-origin";
    let acac = "access-control-allow-credentials";
    let settings = json!({"cors": {"allowed_origins": ["https://app.example.com"]}});
    for (origin, vary, credentials) in [
        ("*", Some("accept"), false),
        ("null", Some("accept, Origin"), false),
        ("https://app.example.com", Some("accept, Origin"), true),
        ("https://evil.example", Some("accept, Origin"), false),
    ] {
        let upstream = [OK, (acao, origin), (acac, "true"), ("vary", "accept")];
        let got = answer(settings.clone(), Fake::get("/"), &upstream);
        assert_eq!(one(&got, "vary").as_deref(), vary, "{origin}");
        assert_eq!(got.response.contains(acac), credentials, "{origin}");
        assert_eq!(
            one(&got, acao).as_deref(),
            Some(origin),
            "the protocol is not ours"
        );
    }
    let off = json!({"cors": {"repair": "off"}});
    let got = answer(off, Fake::get("/"), &[OK, (acao, "*"), (acac, "true")]);
    assert!(got.response.contains(acac));
    let got = answer(
        json!({}),
        Fake::get("/"),
        &[OK, (acao, "https://any.example"), (acac, "true")],
    );
    assert!(got.response.contains(acac) && one(&got, "vary").unwrap() == "Origin");
    assert_eq!(
        got.count("portcullis_security_headers_cors_repaired_total.what=vary.profile=default"),
        1
    );
}

#[test]
fn a_cors_response_that_is_sound_is_not_counted_as_repaired() {
    let upstream = [OK, ("access-control-allow-origin", "*")];
    let got = answer(json!({}), Fake::get("/"), &upstream);
    assert!(got.counts.borrow().is_empty(), "{:?}", got.counts);
}

#[test]
fn vary_only_grows() {
    let settings = json!({"headers": {"vary": {"append": "Accept, X-Tenant"}}});
    let got = answer(
        settings,
        Fake::get("/"),
        &[
            OK,
            ("vary", "accept-encoding"),
            ("vary", "accept"),
            ("access-control-allow-origin", "https://a.example"),
        ],
    );
    assert_eq!(
        one(&got, "vary").unwrap(),
        "accept-encoding, accept, X-Tenant, Origin"
    );
}
