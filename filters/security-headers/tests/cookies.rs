//! What becomes of a response's cookies and of data that a client keeps.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use common::{all, answer, json, one, over_tls};
use portcullis_kit::testing::Fake;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const OK: (&str, &str) = (":status", "200");

#[test]
fn each_cookie_stays_a_line_of_its_own_in_its_order() {
    let lines = [
        "a=1",
        "b=2; SameSite=None; Secure",
        "c=3; HttpOnly; SameSite=Strict; Secure",
    ];
    let upstream: Vec<_> = [OK]
        .into_iter()
        .chain(lines.map(|line| ("set-cookie", line)))
        .collect();
    let got = answer(json!({}), over_tls(), &upstream);
    assert_eq!(
        all(&got, "set-cookie"),
        ["a=1; Secure; HttpOnly; SameSite=Lax", lines[1], lines[2]]
    );
    assert_eq!(
        got.count("portcullis_security_headers_cookies_hardened_total.profile=default"),
        1
    );
    let plain = answer(json!({}), Fake::get("/"), &[OK, ("set-cookie", "a=1")]);
    assert_eq!(
        one(&plain, "set-cookie").unwrap(),
        "a=1; HttpOnly; SameSite=Lax"
    );
}

#[test]
fn no_cookie_is_lost_where_a_line_cannot_be_written_again() {
    // The kit refuses values with CR, LF or NUL, and hosts other than Envoy may let an upstream send them.
    for unsafe_line in ["b=2\0", "b=2\r", "b=\n2; HttpOnly"] {
        for lines in [["a=1", unsafe_line], [unsafe_line, "a=1"]] {
            let upstream = [OK, ("set-cookie", lines[0]), ("set-cookie", lines[1])];
            let got = answer(json!({}), over_tls(), &upstream);
            assert_eq!(all(&got, "set-cookie"), lines);
        }
        let alone = answer(json!({}), over_tls(), &[OK, ("set-cookie", unsafe_line)]);
        assert_eq!(all(&alone, "set-cookie"), [unsafe_line]);
    }
}

#[test]
fn cookie_rules_come_from_the_settings() {
    let settings = json!({"cookies": {
        "secure": true, "http_only": {"except": ["XSRF-TOKEN"]}, "same_site": {"only": ["sid"]}}});
    let got = answer(
        settings,
        over_tls(),
        &[OK, ("set-cookie", "XSRF-TOKEN=1"), ("set-cookie", "sid=1")],
    );
    assert_eq!(
        all(&got, "set-cookie"),
        [
            "XSRF-TOKEN=1; Secure",
            "sid=1; Secure; HttpOnly; SameSite=Lax"
        ]
    );
    for off in [
        json!({"preset": "off"}),
        json!({"cookies": {"secure": false, "http_only": "off", "same_site": false}}),
    ] {
        let got = answer(off, over_tls(), &[OK, ("set-cookie", "a=1")]);
        assert_eq!(one(&got, "set-cookie").unwrap(), "a=1");
    }
}

#[test]
fn site_data_is_cleared_on_success_and_redirects_alone() {
    let settings = json!({"clear_site_data": ["cache", "cookies", "storage"]});
    for (status, sent) in [
        ("200", true),
        ("204", true),
        ("303", true),
        ("400", false),
        ("401", false),
        ("500", false),
    ] {
        let got = answer(settings.clone(), Fake::get("/"), &[(":status", status)]);
        let value = sent.then(|| r#""cache", "cookies", "storage""#.to_owned());
        assert_eq!(one(&got, "clear-site-data"), value, "{status}");
    }
    let got = answer(json!({"clear_site_data": ["all"]}), Fake::get("/"), &[OK]);
    assert_eq!(one(&got, "clear-site-data").unwrap(), r#""*""#);
}

#[test]
fn site_data_is_cleared_once_where_the_upstream_clears_it_too() {
    let clear = "clear-site-data";
    let settings = json!({"clear_site_data": ["cache", "cookies"]});
    let ours = r#""cache", "cookies""#;
    for (upstream, added) in [
        (vec![ours], false),
        (vec![r#""cookies" ,"cache""#], false),
        (vec![r#""cookies""#, r#""cache""#], false),
        (vec![r#""cookies", "storage", "cache""#], false),
        (vec![r#""*""#], false),
        (vec![r#""cookies""#], true),
        (vec![r#""storage""#], true),
        // Names have a case, and are quoted.
        (vec![r#""Cache", "cookies""#], true),
        (vec!["cache, cookies"], true),
        (vec![""], true),
    ] {
        let lines: Vec<_> = [OK]
            .into_iter()
            .chain(upstream.iter().map(|line| (clear, *line)))
            .collect();
        let got = answer(settings.clone(), Fake::get("/"), &lines);
        let mut expected = upstream.clone();
        expected.extend(added.then_some(ours));
        assert_eq!(all(&got, clear), expected, "{upstream:?}");
    }
    let every = answer(
        json!({"clear_site_data": ["all"]}),
        Fake::get("/"),
        &[OK, (clear, ours)],
    );
    assert_eq!(all(&every, clear), [ours, r#""*""#]);
}

#[test]
fn an_informational_response_gets_no_policies_but_hardened_cookies() {
    let upstream = [
        (":status", "101"),
        ("upgrade", "websocket"),
        ("server", "x"),
        ("set-cookie", "a=1"),
    ];
    let got = answer(json!({}), over_tls(), &upstream);
    assert_eq!(got.response.len(), 3);
    assert_eq!(
        one(&got, "set-cookie").unwrap(),
        "a=1; Secure; HttpOnly; SameSite=Lax"
    );
}
