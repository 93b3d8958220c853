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
