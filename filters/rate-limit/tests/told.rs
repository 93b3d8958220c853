//! What the filter tells the client of its limits.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::{Proxy, SECOND, by_key, only};
use portcullis_kit::testing::Fake;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn a_refusal_names_the_request_as_an_earlier_module_did() {
    let once = json!({"tiers": {"t": {"limits": [{"name": "hour", "count": 1, "window": "1h"}]}},
        "plans": "none", "tier": {"default": "t"}, "identity": [{"client_address": {}}]});
    let proxy = Proxy::new(once);
    let call = || {
        Fake::get("/")
            .with_property("source.address", "203.0.113.7:1")
            .with_property("portcullis.request_id", "r-1")
    };
    assert!(proxy.send(call()).admitted);
    let told = proxy.send(call());
    assert_eq!(told.problem()["request_id"], "r-1");
}

#[test]
fn the_standard_plan_holds_what_it_says_and_the_429_says_the_rest() {
    let mut proxy = Proxy::new(by_key(
        json!({"upgrade": {"url": "https://example.com/plans", "text": "More for more."}}),
    ));
    for left in (0..10).rev() {
        let told = proxy.key("k");
        assert!(told.admitted);
        let stands = told.header("ratelimit").unwrap();
        assert!(
            stands.starts_with(&format!(
                "\"minute\";r={left};t=66, \"hour\";r={}",
                90 + left
            )),
            "{stands}"
        );
        assert_eq!(
            told.header("ratelimit-policy").unwrap(),
            "\"minute\";q=10;w=60, \"hour\";q=100;w=3600, \"day\";q=1000;w=86400"
        );
        assert_eq!(told.state("portcullis.tier").unwrap(), "free");
        assert_eq!(told.state("portcullis.ratelimit").unwrap(), "allowed");
    }
    proxy.now += SECOND;
    let told = proxy.key("k");
    assert_eq!(told.status(), Some(429));
    assert_eq!(told.header("retry-after").unwrap(), "65");
    assert_eq!(
        told.header("content-type").unwrap(),
        "application/problem+json"
    );
    assert!(
        told.header("ratelimit")
            .unwrap()
            .starts_with("\"minute\";r=0;t=65, \"hour\";r=90")
    );
    assert_eq!(told.state("portcullis.ratelimit").unwrap(), "denied:minute");
    assert_eq!(
        told.problem(),
        json!({
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Quota exceeded",
            "status": 429,
            "detail": "Limit \"minute\" of plan \"free\" is used up (10 in 60 seconds). Try again in 65 seconds.",
            "violated-policies": ["minute"],
            "tier": "free",
            "upgrade": {
                "tier": "starter",
                "limits": [
                    {"policy": "minute", "quota": 30, "window": 60},
                    {"policy": "hour", "quota": 500, "window": 3600},
                    {"policy": "day", "quota": 5000, "window": 86400},
                ],
                "url": "https://example.com/plans",
                "text": "More for more.",
            },
        })
    );
    assert!(proxy.key("another").admitted);
    proxy.now += 64 * SECOND - 1_000_000;
    assert!(!proxy.key("k").admitted);
    proxy.now += 1_000_000 + SECOND;
    assert!(proxy.key("k").admitted);
}

#[test]
fn a_limit_in_shadow_tells_and_admits() {
    let proxy = Proxy::new(only(json!([
        {"name": "minute", "count": 1, "window": "1m", "mode": "shadow"},
        {"name": "hour", "count": 3, "window": "1h"},
    ])));
    assert_eq!(
        proxy.key("k").state("portcullis.ratelimit").unwrap(),
        "allowed"
    );
    let told = proxy.key("k");
    assert!(told.admitted);
    assert_eq!(
        told.state("portcullis.ratelimit").unwrap(),
        "shadow_denied:minute"
    );
    let name = "portcullis_rate_limit_shadow_denied_total.tier=t.limit=minute.profile=default";
    assert_eq!(told.fake.count(name), 1);
    let (level, line) = told.fake.logs.borrow()[0].clone();
    assert!(
        level == log::Level::Warn && line.contains("rate_limit_shadow_denied"),
        "{line}"
    );
    assert!(!line.contains("k\""), "no identity: {line}");
    assert!(proxy.key("k").admitted);
    assert!(!proxy.key("k").admitted, "the hour refuses");
}

#[test]
fn a_limit_in_shadow_is_not_told_to_the_client() {
    let mut settings = only(json!([
        {"name": "second", "count": 1, "window": "1s", "mode": "shadow"},
        {"name": "hour", "count": 3, "window": "1h"},
    ]));
    settings["headers"] = json!({"x_ratelimit": "delta", "x_ratelimit_window": "delta"});
    let proxy = Proxy::new(settings);
    for left in ["2", "1", "0"] {
        let told = proxy.key("k");
        let policy = told.header("ratelimit-policy").unwrap();
        assert_eq!(policy, "\"hour\";q=3;w=3600");
        assert!(
            told.header("ratelimit")
                .unwrap()
                .starts_with(&format!("\"hour\";r={left}"))
        );
        assert_eq!(told.header("x-ratelimit-remaining").unwrap(), left);
        assert!(told.header("x-ratelimit-limit-second").is_none());
    }
    let alone = only(json!([{"name": "second", "count": 1, "window": "1s", "mode": "shadow"}]));
    let told = Proxy::new(alone).key("k");
    assert!(told.header("ratelimit").is_none() && told.header("ratelimit-policy").is_none());
}

#[test]
fn a_refusal_names_every_limit_and_a_month_as_long_as_it_is() {
    let mut proxy = Proxy::new(by_key(json!({
        "plans": "none",
        "tier": {"default": "t"},
        "tiers": {
            "t": {
                "limits": [
                    {"name": "minute", "count": 1, "window": "1m"},
                    {"name": "hour", "count": 1, "window": "1h"},
                ],
                "upgrade_to": "more",
            },
            "more": {"limits": [{"name": "month", "count": 9, "window": "month"}]},
        },
        "upgrade": {"text": "Say \"more\"."},
    })));
    const DAY: u64 = 86_400 * SECOND;
    for days in [30, 31] {
        assert!(proxy.key("k").admitted);
        let problem = proxy.key("k").problem();
        assert_eq!(problem["violated-policies"], json!(["minute", "hour"]));
        assert_eq!(
            problem["upgrade"],
            json!({
                "tier": "more",
                "limits": [{"policy": "month", "quota": 9, "window": days * 86_400}],
                "text": "Say \"more\".",
            })
        );
        // From November into December.
        proxy.now += 20 * DAY;
    }
}

#[test]
fn a_grpc_client_is_told_in_its_own_way() {
    let proxy = Proxy::new(only(
        json!([{"name": "minute", "count": 1, "window": "1m"}]),
    ));
    let call = || {
        let mut fake = Fake::get("/pkg.Service/Method");
        fake.request.add("x-api-key", b"k");
        fake.request.add("content-type", b"application/grpc+proto");
        proxy.send(fake)
    };
    assert!(call().admitted);
    let told = call();
    let reply = &told.fake.replies[0];
    assert_eq!((reply.status, reply.grpc_status), (429, Some(8)));
    let message = String::from_utf8(reply.body.clone()).unwrap();
    assert!(message.starts_with("Limit \"minute\""), "{message}");
}

#[test]
fn each_style_of_headers_can_be_had() {
    let limits = json!([{"name": "minute", "count": 10, "window": "1m"}, {"name": "day", "count": 100, "window": "1d"}]);
    let told = |headers: Value| {
        let mut settings = only(limits.clone());
        settings["headers"] = headers;
        Proxy::new(settings).key("k")
    };
    let none = told(json!({"ietf": false}));
    assert_eq!(none.fake.response.len(), 1);
    let x = told(json!({"ietf": false, "x_ratelimit": "delta"}));
    for (name, value) in [("limit", "10"), ("remaining", "9"), ("reset", "66")] {
        assert_eq!(x.header(&format!("x-ratelimit-{name}")).unwrap(), value);
    }
    let x = told(json!({"ietf": false, "x_ratelimit_window": "epoch"}));
    for (name, value) in [
        ("limit-day", "100"),
        ("remaining-day", "99"),
        ("reset-day", "1795305600"),
        ("limit-minute", "10"),
    ] {
        assert_eq!(x.header(&format!("x-ratelimit-{name}")).unwrap(), value);
    }
    let envoy = told(json!({"ietf": false, "envoy": true}));
    assert_eq!(
        envoy.header("x-ratelimit-limit").unwrap(),
        "10, 10;w=60;name=\"minute\", 100;w=86400;name=\"day\""
    );
    let keyed = told(json!({"partition_key": true}))
        .header("ratelimit")
        .unwrap();
    assert!(keyed.contains(";pk=:"), "{keyed}");
}

#[test]
fn no_header_tells_when_a_request_in_flight_will_end() {
    for (style, on) in [
        ("x_ratelimit", json!("delta")),
        ("x_ratelimit", json!("epoch")),
        ("x_ratelimit_window", json!("delta")),
        ("envoy", json!(true)),
    ] {
        let proxy = Proxy::new(by_key(json!({
            "plans": "none",
            "tier": {"default": "t"},
            "tiers": {"t": {
                "concurrency": {"max": 1},
                "limits": [{"name": "minute", "count": 10, "window": "1m"}],
            }},
            "headers": {"ietf": false, style: on},
        })));
        let told = proxy.key("k");
        let headers = told.fake.response.iter();
        let resets: Vec<&[u8]> = headers
            .filter(|(name, _)| name.starts_with(b"x-ratelimit-reset"))
            .map(|(name, _)| name)
            .collect();
        if style == "x_ratelimit_window" {
            assert_eq!(resets, [b"x-ratelimit-reset-minute"]);
        } else {
            assert!(resets.is_empty(), "{style}: {resets:?}");
            assert_eq!(told.header("x-ratelimit-remaining").unwrap(), "0");
        }
    }
}

#[test]
fn an_upstreams_reset_does_not_stand_beside_a_limit_that_has_none() {
    for (style, on) in [
        ("x_ratelimit", json!("delta")),
        ("x_ratelimit_window", json!("epoch")),
        ("envoy", json!(true)),
    ] {
        let proxy = Proxy::new(by_key(json!({
            "plans": "none",
            "tier": {"default": "t"},
            "tiers": {"t": {"concurrency": {"max": 3}}},
            "headers": {"ietf": false, style: on},
        })));
        let mut fake = Fake::get("/");
        fake.request.add("x-api-key", b"k");
        let upstream = [
            (":status", "200"),
            ("x-ratelimit-reset", "999"),
            ("x-ratelimit-reset-concurrency", "777"),
            ("x-ratelimit-reset-other", "555"),
        ];
        let told = proxy.send_to(fake, &upstream);
        let (own, others) = match style {
            "x_ratelimit_window" => ("x-ratelimit-reset-concurrency", "x-ratelimit-reset"),
            _ => ("x-ratelimit-reset", "x-ratelimit-reset-concurrency"),
        };
        assert_eq!(told.header(own), None, "{style}");
        assert!(told.header(others).is_some(), "not of this style: {style}");
    }
}

#[test]
fn an_upstreams_error_tells_too() {
    let proxy = Proxy::new(by_key(json!({})));
    let mut fake = Fake::get("/");
    fake.request.add("x-api-key", b"k");
    let told = proxy.send_to(fake, &[(":status", "503"), ("content-type", "text/plain")]);
    assert!(told.header("ratelimit").is_some() && told.header("ratelimit-policy").is_some());
}

#[test]
fn an_integer_of_a_structured_field_has_at_most_fifteen_digits() {
    let settings = |count: u32, burst: u32, cost: u32, envoy: bool| {
        let mut settings = only(json!([{"name": "pace", "count": count, "window": "366d",
            "algorithm": "gcra", "burst": burst}]));
        settings["cost"] = json!(cost);
        settings["headers"] = json!({"ietf": !envoy});
        if envoy {
            settings["headers"]["envoy"] = json!(true);
        }
        settings
    };
    const MOST: &str = "999999999999999";
    let burst = 140_000_000;
    let told = Proxy::new(settings(1, burst, 1, false)).key("k");
    assert_eq!(
        told.header("ratelimit-policy").unwrap(),
        format!("\"pace\";q={burst};w={MOST}")
    );
    let told = Proxy::new(settings(1, burst, 1, true)).key("k");
    let limit = told.header("x-ratelimit-limit").unwrap();
    assert_eq!(limit, format!("{burst}, {burst};w={MOST};name=\"pace\""));

    // All of it taken at once, and then a reload that leaves a pace of one a year.
    let before = Proxy::new(settings(burst, burst, burst, false));
    assert!(before.key("k").admitted);
    let after = Proxy::on(before.shared.clone(), settings(1, 1, 1, false));
    let told = after.key("k");
    assert!(!told.admitted);
    assert_eq!(
        told.header("ratelimit").unwrap(),
        format!("\"pace\";r=0;t={MOST}")
    );
}
