//! What happens to responses.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use common::{all, answer, json, load, one, over_tls};
use portcullis_kit::Headers;
use portcullis_kit::testing::Fake;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const OK: (&str, &str) = (":status", "200");
const API_CSP: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox";

#[test]
fn the_api_preset_sends_every_header_it_promises() {
    let got = answer(json!({}), over_tls(), &[OK]);
    for (name, value) in [
        ("content-security-policy", API_CSP),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-resource-policy", "same-origin"),
        ("origin-agent-cluster", "?1"),
        ("x-permitted-cross-domain-policies", "none"),
        ("x-dns-prefetch-control", "off"),
        (
            "strict-transport-security",
            "max-age=63072000; includeSubDomains",
        ),
    ] {
        assert_eq!(one(&got, name).as_deref(), Some(value), "{name}");
    }
    let permissions = one(&got, "permissions-policy").unwrap();
    assert!(permissions.contains("geolocation=()") && permissions.contains("sync-xhr=()"));
    assert_eq!(
        got.response.len(),
        14,
        "{:?}",
        got.response.iter().collect::<Vec<_>>()
    );
}

#[test]
fn every_status_gets_them_whether_the_request_was_seen_or_not() {
    let loaded = load(json!({}));
    for status in [
        "200", "204", "301", "400", "404", "429", "500", "503", "599",
    ] {
        for seen in [true, false] {
            let mut stream = Default::default();
            let mut fake = Fake::get("/");
            if seen {
                loaded.request(&mut fake, &mut stream);
            }
            fake.respond([(":status", status)]);
            loaded.respond(&mut fake, &mut stream);
            assert_eq!(
                one(&fake, "content-security-policy").as_deref(),
                Some(API_CSP),
                "{status}"
            );
            assert_eq!(
                one(&fake, "x-content-type-options").as_deref(),
                Some("nosniff")
            );
        }
    }
}

#[test]
fn what_the_upstream_says_stays_where_it_is_a_default() {
    let upstream = [
        OK,
        ("cache-control", "max-age=60"),
        ("x-frame-options", "SAMEORIGIN"),
        ("content-security-policy", "default-src 'self'"),
        ("referrer-policy", "origin"),
        ("permissions-policy", "camera=(self)"),
        ("strict-transport-security", "max-age=1; preload"),
    ];
    let got = answer(json!({}), over_tls(), &upstream);
    for (name, value) in &upstream {
        assert_eq!(one(&got, name).as_deref(), Some(*value), "{name}");
    }
}

#[test]
fn an_empty_line_of_the_upstream_says_nothing() {
    let names = [
        "cache-control",
        "x-frame-options",
        "content-security-policy",
        "strict-transport-security",
    ];
    let upstream: Vec<_> = [OK]
        .into_iter()
        .chain(names.map(|name| (name, " ")))
        .collect();
    let got = answer(json!({}), over_tls(), &upstream);
    for name in names {
        assert!(!one(&got, name).unwrap().trim().is_empty(), "{name}");
    }
}

#[test]
fn each_rule_for_a_header_does_what_it_says() {
    for (rule, upstream, expected) in [
        (json!({"set": "a"}), &[][..], &["a"][..]),
        (json!({"set": "a"}), &["b", "c"][..], &["a"][..]),
        (json!({"set": "a"}), &["a"][..], &["a"][..]),
        (json!({"default": "a"}), &[][..], &["a"][..]),
        (json!({"default": "a"}), &["b"][..], &["b"][..]),
        (json!({"default": "a"}), &["", ""][..], &["a"][..]),
        (json!({"append": "a"}), &[][..], &["a"][..]),
        (json!({"append": "a"}), &["b"][..], &["b", "a"][..]),
        (json!({"append": "a"}), &["b, a"][..], &["b, a"][..]),
        (json!({"append": "a"}), &["a", "b"][..], &["a", "b"][..]),
        (json!("remove"), &["b", "c"][..], &[][..]),
        (json!("remove"), &[][..], &[][..]),
        (json!("off"), &["b", "c"][..], &["b", "c"][..]),
        (json!(false), &["b"][..], &["b"][..]),
    ] {
        let lines: Vec<_> = [OK]
            .into_iter()
            .chain(upstream.iter().map(|v| ("x-any", *v)))
            .collect();
        for preset in ["api", "off"] {
            let settings = json!({"preset": preset, "headers": {"X-Any": rule}});
            let got = answer(settings, Fake::get("/"), &lines);
            assert_eq!(all(&got, "x-any"), expected, "{rule} {upstream:?}");
        }
    }
}

#[test]
fn a_rule_overrides_the_presets_and_the_list_of_leaks() {
    let settings = json!({"headers": {
        "x-frame-options": {"set": "SAMEORIGIN"}, "referrer-policy": "off", "cache-control": "remove",
        "server": {"set": "gateway"}, "x-powered-by": "off"
    }});
    let upstream = [
        OK,
        ("x-frame-options", "DENY"),
        ("cache-control", "public"),
        ("server", "nginx"),
        ("x-powered-by", "PHP"),
    ];
    let got = answer(settings, Fake::get("/"), &upstream);
    assert_eq!(one(&got, "x-frame-options").as_deref(), Some("SAMEORIGIN"));
    assert_eq!(one(&got, "referrer-policy"), None);
    assert_eq!(one(&got, "cache-control"), None);
    assert_eq!(one(&got, "server").as_deref(), Some("gateway"));
    assert_eq!(one(&got, "x-powered-by").as_deref(), Some("PHP"));
}

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
fn hsts_is_sent_where_tls_is_known() {
    let hsts = "strict-transport-security";
    let forwarded = |proto: &str| {
        Fake::request([
            (":method", "GET"),
            (":path", "/"),
            (":authority", "a"),
            ("x-forwarded-proto", proto),
        ])
    };
    let cases = [
        (json!({}), Fake::get("/"), false),
        (json!({}), over_tls(), true),
        (json!({}), forwarded("https"), false),
        (json!({"tls": "forwarded_proto"}), forwarded("https"), true),
        (json!({"tls": "forwarded_proto"}), forwarded("HTTPS"), true),
        (json!({"tls": "forwarded_proto"}), forwarded("http"), false),
        (
            json!({"tls": "forwarded_proto"}),
            forwarded("https, http"),
            false,
        ),
        (json!({"tls": "forwarded_proto"}), over_tls(), false),
        (json!({"hsts": {"when": "always"}}), Fake::get("/"), true),
        (json!({"hsts": {"when": "off"}}), over_tls(), false),
        (json!({"hsts": {"when": false}}), over_tls(), false),
        (json!({"preset": "off"}), over_tls(), false),
        (json!({"preset": "off", "hsts": {}}), over_tls(), true),
    ];
    for (settings, request, sent) in cases {
        let got = answer(settings.clone(), request, &[OK]);
        assert_eq!(one(&got, hsts).is_some(), sent, "{settings}");
    }
    let settings = json!({"hsts": {"preload": true, "max_age": 31536000, "upstream": "replace"}});
    let got = answer(
        settings,
        over_tls(),
        &[OK, (hsts, "max-age=0"), (hsts, "max-age=1")],
    );
    assert_eq!(
        one(&got, hsts).unwrap(),
        "max-age=31536000; includeSubDomains; preload"
    );
}

#[test]
fn a_response_whose_request_was_not_seen_knows_tls_by_the_connection() {
    let loaded = load(json!({"tls": "forwarded_proto"}));
    let mut fake = over_tls();
    fake.respond([OK]);
    loaded.respond(&mut fake, &mut Default::default());
    assert!(one(&fake, "strict-transport-security").is_some());
}

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

#[test]
fn a_304_leaves_the_stored_responses_cache_control_alone() {
    let got = answer(json!({}), Fake::get("/"), &[(":status", "304")]);
    assert_eq!(one(&got, "cache-control"), None);
    assert_eq!(
        one(&got, "x-content-type-options").as_deref(),
        Some("nosniff")
    );
    let set = json!({"headers": {"cache-control": {"set": "no-store"}}});
    let got = answer(set, Fake::get("/"), &[(":status", "304")]);
    assert_eq!(one(&got, "cache-control").as_deref(), Some("no-store"));
}

#[test]
fn the_off_preset_changes_nothing() {
    let upstream = [
        OK,
        ("server", "x"),
        ("set-cookie", "a=1"),
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("content-security-policy", "x"),
    ];
    let got = answer(json!({"preset": "off"}), over_tls(), &upstream);
    assert_eq!(
        got.response.iter().collect::<Vec<_>>(),
        Headers::from_lines(upstream).iter().collect::<Vec<_>>()
    );
}

#[test]
fn a_profile_overrides_the_settings_for_its_routes() {
    let settings = json!({
        "profiles": {"docs": {"preset": "web"}, "logout": {"clear_site_data": ["all"]}},
        "routes": [{"profile": "docs", "paths": [{"prefix": "/docs"}]}, {"profile": "logout", "paths": [{"exact": "/logout"}]}]
    });
    let loaded = load(settings);
    let policy = |path| {
        one(
            &loaded.exchange(Fake::get(path), &[OK]),
            "content-security-policy",
        )
        .unwrap()
    };
    assert!(policy("/docs/x").contains("default-src 'self'"));
    assert_eq!(policy("/other"), API_CSP);
    assert!(
        loaded
            .exchange(Fake::get("/logout"), &[OK])
            .response
            .contains("clear-site-data")
    );
}

#[test]
fn an_ordinary_response_costs_one_read_and_on_tls_two() {
    let loaded = load(json!({}));
    let upstream = [OK, ("content-type", "application/json"), ("server", "x")];
    assert_eq!(
        loaded.exchange(Fake::get("/"), &upstream).byte_reads.get(),
        1
    );
    assert_eq!(loaded.exchange(over_tls(), &upstream).byte_reads.get(), 2);
    let web = load(json!({"preset": "web"}));
    assert_eq!(web.exchange(Fake::get("/"), &upstream).byte_reads.get(), 1);
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use super::*;
    use portcullis_kit::Headers;
    use proptest::prelude::*;

    fn upstream_headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
        let name = prop_oneof![
            Just("content-security-policy"),
            Just("Content-Security-Policy"),
            Just("cache-control"),
            Just("set-cookie"),
            Just("vary"),
            Just("access-control-allow-origin"),
            Just("access-control-allow-credentials"),
            Just("server"),
            Just("strict-transport-security"),
            Just("x-frame-options"),
            Just("x-other"),
            Just("cross-origin-opener-policy"),
            Just("x-content-type-options"),
            Just("clear-site-data"),
        ];
        let value = prop_oneof![
            "[ -~]{0,12}".prop_map(String::into_bytes),
            Just(b"default-src 'self'".to_vec()),
            Just(b"nosniff".to_vec()),
            Just(b"Origin".to_vec()),
            Just(b"https://a.example".to_vec()),
            Just(b"*".to_vec()),
            Just(b"a=1; Path=/".to_vec()),
            Just(b"\"cache\"".to_vec()),
            proptest::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80..=0xff_u8], 0..20),
        ];
        proptest::collection::vec((name.prop_map(str::to_owned), value), 0..12)
    }

    fn settings() -> impl Strategy<Value = serde_json::Value> {
        prop_oneof![
            Just(json!({})),
            Just(json!({"preset": "web"})),
            Just(json!({"preset": "web-nonce"})),
            Just(json!({"csp": {"merge": "img-src 'none'"}, "cors": {"allowed_origins": []}})),
            Just(json!({"report_only": {"endpoint": "/r"}})),
            Just(json!({"clear_site_data": ["cache"]})),
            Just(
                json!({"headers": {"x-other": {"append": "a"}, "vary": {"append": "X-T"}, "x-frame-options": {"set": "DENY"}}})
            ),
        ]
    }

    proptest! {
        #[test]
        fn an_upstream_policy_is_never_weakened(settings in settings(), upstream in upstream_headers()) {
            let lines: Vec<_> = [(":status", &b"200"[..])].into_iter()
                .chain(upstream.iter().map(|(name, value)| (name.as_str(), value.as_slice()))).collect();
            let got = load(settings).exchange(Fake::get("/"), &lines);
            let mut left: Vec<_> = got.response.get_all("content-security-policy").map(<[u8]>::to_vec).collect();
            for (_, policy) in upstream.iter().filter(|(name, value)| {
                name.eq_ignore_ascii_case("content-security-policy") && !value.trim_ascii().is_empty()
            }) {
                let at = left.iter().position(|line| line == policy);
                prop_assert!(at.is_some(), "{policy:?} is gone");
                left.remove(at.unwrap());
            }
        }

        #[test]
        fn doing_it_twice_changes_nothing_more(settings in settings(), upstream in upstream_headers(), tls: bool) {
            // A nonce is new every time.
            prop_assume!(settings.get("preset") != Some(&json!("web-nonce")));
            let loaded = load(settings.clone());
            let request = || if tls { over_tls() } else { Fake::get("/") };
            let lines: Vec<_> = [(":status", &b"200"[..])].into_iter()
                .chain(upstream.iter().map(|(name, value)| (name.as_str(), value.as_slice()))).collect();
            let once = loaded.exchange(request(), &lines);
            let lines: Vec<_> = once.response.iter()
                .map(|(name, value)| (std::str::from_utf8(name).unwrap().to_owned(), value.to_vec())).collect();
            let again: Vec<_> = lines.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
            let twice = loaded.exchange(request(), &again);
            let sorted = |headers: &Headers| {
                let mut lines: Vec<_> = headers.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
                lines.sort();
                // Reports name their endpoint once more; a dictionary's later member wins.
                lines.retain(|(name, _)| !name.ends_with(b"-report-only") && name != b"reporting-endpoints");
                lines
            };
            prop_assert_eq!(sorted(&once.response), sorted(&twice.response));
        }

        #[test]
        fn nothing_unsafe_is_ever_written_and_what_is_not_ours_stays(
            settings in settings(), upstream in upstream_headers()
        ) {
            let lines: Vec<_> = [(":status", &b"200"[..])].into_iter()
                .chain(upstream.iter().map(|(name, value)| (name.as_str(), value.as_slice()))).collect();
            let got = load(settings.clone()).exchange(Fake::get("/"), &lines);
            for (name, value) in got.response.iter() {
                prop_assert!(!value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "{name:?}");
            }
            if settings.get("headers").is_none() {
                let theirs: Vec<_> = upstream.iter().filter(|(n, _)| n == "x-other").map(|(_, v)| v.as_slice()).collect();
                prop_assert_eq!(got.response.get_all("x-other").collect::<Vec<_>>(), theirs);
            }
        }
    }
}
