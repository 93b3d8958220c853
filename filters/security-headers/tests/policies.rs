//! The content security policies of a response, and where they report to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use common::{all, answer, json, one};
use portcullis_kit::testing::Fake;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const OK: (&str, &str) = (":status", "200");

const API_CSP: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox";

#[test]
fn each_rule_for_the_csp_does_what_it_says() {
    let (ours, theirs) = ("img-src 'none'", "default-src 'self'");
    for (rule, silent, speaking) in [
        (json!({"set": ours}), &[ours][..], &[ours][..]),
        (json!({"default": ours}), &[ours][..], &[theirs][..]),
        (json!({"merge": ours}), &[ours][..], &[theirs, ours][..]),
        (json!("remove"), &[][..], &[][..]),
        (json!("off"), &[][..], &[theirs][..]),
        (json!(null), &[API_CSP][..], &[theirs][..]),
    ] {
        let header = "content-security-policy";
        let got = answer(json!({"csp": rule}), Fake::get("/"), &[OK]);
        assert_eq!(all(&got, header), silent, "{rule}");
        let got = answer(
            json!({"csp": rule}),
            Fake::get("/"),
            &[OK, (header, theirs)],
        );
        assert_eq!(all(&got, header), speaking, "{rule}");
    }
    let got = answer(
        json!({"csp": {"merge": ours}}),
        Fake::get("/"),
        &[OK, ("content-security-policy", ours)],
    );
    assert_eq!(
        all(&got, "content-security-policy"),
        [ours],
        "one is enough"
    );
}

#[test]
fn reporting_names_the_endpoint_in_every_policy() {
    let settings = json!({"report_only": {"endpoint": "https://r.example/x", "name": "main"}});
    let got = answer(settings.clone(), Fake::get("/"), &[OK]);
    for enforced in [
        "content-security-policy",
        "cross-origin-opener-policy",
        "cross-origin-embedder-policy",
        "permissions-policy",
    ] {
        assert!(!got.response.contains(enforced), "{enforced}");
    }
    assert_eq!(
        one(&got, "reporting-endpoints").unwrap(),
        "main=\"https://r.example/x\""
    );
    assert_eq!(
        one(&got, "content-security-policy-report-only").unwrap(),
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; report-uri https://r.example/x; report-to main"
    );
    assert_eq!(
        one(&got, "cross-origin-opener-policy-report-only").unwrap(),
        "same-origin; report-to=\"main\""
    );
    assert_eq!(
        one(&got, "cross-origin-embedder-policy-report-only").unwrap(),
        "require-corp; report-to=\"main\""
    );
    assert!(
        one(&got, "permissions-policy-report-only")
            .unwrap()
            .contains("usb=();report-to=main, ")
    );
    assert_eq!(
        one(&got, "x-frame-options").as_deref(),
        Some("DENY"),
        "the others are enforced"
    );

    let upstream = [
        OK,
        ("content-security-policy", "default-src 'self'"),
        ("reporting-endpoints", "own=\"/r\""),
    ];
    let got = answer(settings, Fake::get("/"), &upstream);
    assert_eq!(all(&got, "content-security-policy"), ["default-src 'self'"]);
    assert!(
        !got.response.contains("content-security-policy-report-only"),
        "a default is not needed here"
    );
    assert_eq!(
        all(&got, "reporting-endpoints"),
        ["own=\"/r\"", "main=\"https://r.example/x\""]
    );

    let upstream = [
        OK,
        ("cross-origin-opener-policy-report-only", "same-origin"),
    ];
    let both = json!({"report_only": {"endpoint": "/r"}});
    let got = answer(both, Fake::get("/"), &upstream);
    assert_eq!(
        one(&got, "cross-origin-opener-policy-report-only").as_deref(),
        Some("same-origin"),
        "there can be one only"
    );

    let one_policy = json!({"report_only": {"endpoint": "/r", "policies": ["coop"]}});
    let got = answer(one_policy, Fake::get("/"), &[OK]);
    assert!(
        got.response.contains("content-security-policy")
            && got.response.contains("permissions-policy")
    );
    assert!(
        got.response
            .contains("cross-origin-opener-policy-report-only")
    );
}
