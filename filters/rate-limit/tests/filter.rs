//! The filter in memory: what is counted and refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::{Proxy, SECOND, by_key, only};
use portcullis_kit::Flow;
use portcullis_kit::testing::{Dialect, Fake, Shared};
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn calls_of_a_resource_count_for_its_limit_and_for_those_of_all() {
    let proxy = Proxy::new(by_key(json!({
        "plans": "none",
        "tier": {"default": "t"},
        "tiers": {"t": {"limits": [
            {"name": "minute", "count": 5, "window": "1m"},
            {"name": "ai", "count": 2, "window": "1d", "resource": "ai"},
        ]}},
        "profiles": {"chat": {"resource": "ai"}},
        "routes": [{"profile": "chat", "paths": [{"prefix": "/v1/chat"}]}],
    })));
    let chat = || {
        let mut fake = Fake::get("/v1/chat/completions");
        fake.request.add("x-api-key", b"k");
        proxy.send(fake)
    };
    assert!(chat().admitted);
    let told = chat();
    assert_eq!(
        told.header("ratelimit-policy").unwrap(),
        "\"minute\";q=5;w=60, \"ai\";q=2;w=86400"
    );
    let refused = chat();
    assert_eq!(refused.problem()["violated-policies"], json!(["ai"]));
    // The refused call took nothing of the others.
    for _ in 0..3 {
        assert!(proxy.key("k").admitted);
    }
    assert_eq!(
        proxy.key("k").problem()["violated-policies"],
        json!(["minute"])
    );
}

#[test]
fn a_request_may_cost_more() {
    let mut settings = only(json!([{"name": "minute", "count": 10, "window": "1m"}]));
    settings["profiles"] = json!({"export": {"cost": 4}});
    settings["routes"] = json!([{"profile": "export", "paths": [{"exact": "/export"}]}]);
    let proxy = Proxy::new(settings);
    let export = || {
        let mut fake = Fake::get("/export");
        fake.request.add("x-api-key", b"k");
        proxy.send(fake)
    };
    assert_eq!(export().header("ratelimit").unwrap(), "\"minute\";r=6;t=66");
    assert!(export().admitted);
    assert!(!export().admitted);
    assert!(proxy.key("k").admitted && proxy.key("k").admitted && !proxy.key("k").admitted);
}

#[test]
fn the_filter_in_shadow_counts_as_if_and_changes_nothing() {
    let mut settings = only(json!([{"name": "minute", "count": 1, "window": "1m"}]));
    settings["mode"] = json!("shadow");
    let proxy = Proxy::new(settings);
    for expected in [0, 1, 1] {
        let told = proxy.key("k");
        assert!(told.admitted && told.header("ratelimit").is_none());
        assert!(told.fake.filter_state.is_empty());
        let name = "portcullis_rate_limit_shadow_denied_total.tier=t.limit=minute.profile=default";
        assert_eq!(told.fake.count(name), expected);
        let denied = "portcullis_rate_limit_denied_total.tier=t.limit=minute.profile=default";
        assert_eq!(told.fake.count(denied), 0);
    }
}

#[test]
fn a_share_of_clients_is_refused_always_the_same() {
    let proxy = Proxy::new(only(json!([
        {"name": "minute", "count": 1, "window": "1m", "enforce_percent": 30},
    ])));
    let mut refused = 0;
    for client in 0..1_000 {
        let key = format!("client-{client}");
        assert!(proxy.key(&key).admitted);
        let second = proxy.key(&key).admitted;
        assert_eq!(second, proxy.key(&key).admitted);
        refused += u32::from(!second);
    }
    assert!((230..370).contains(&refused), "{refused}");
}

#[test]
fn metadata_may_tell_the_count() {
    let proxy = Proxy::new(only(json!([
        {"name": "minute", "count": 1, "window": "1m", "dynamic": {"metadata": "ext", "path": ["quota"]}},
    ])));
    let request = |key: &str, quota: &[u8]| {
        let mut fake = Fake::get("/").with_property("metadata.filter_metadata.ext.quota", quota);
        fake.request.add("x-api-key", key.as_bytes());
        proxy.send(fake)
    };
    for (key, quota, expected) in [
        ("a", &b"3/minute"[..], 3),
        ("b", b"2", 2),
        ("c", &4_f64.to_le_bytes(), 4),
        ("d", b"9/hour", 1),
    ] {
        let admitted = (0..6).filter(|_| request(key, quota).admitted).count();
        assert_eq!(admitted, expected, "{key}");
    }
    let told = request("e", b"7/minute");
    assert_eq!(
        told.header("ratelimit-policy").unwrap(),
        "\"minute\";q=7;w=60"
    );
    let told = request("f", b"0");
    assert_eq!(told.status(), Some(429));
    assert!(
        told.header("retry-after").is_none(),
        "waiting does not help"
    );
}

#[test]
fn what_is_in_flight_is_given_back_at_the_end_or_by_its_lease() {
    let mut proxy = Proxy::new(by_key(json!({
        "plans": "none",
        "tier": {"default": "t"},
        "tiers": {"t": {"concurrency": {"max": 2, "lease": "1m"}}},
    })));
    let open = |proxy: &Proxy| {
        let mut fake = Fake::get("/");
        fake.request.add("x-api-key", b"k");
        fake.now.set(proxy.now);
        fake.shared = proxy.shared.clone();
        let mut stream = Default::default();
        let flow = proxy.bench.request(&mut fake, &mut stream);
        (flow, fake, stream)
    };
    let (first, mut fake, mut stream) = open(&proxy);
    let (second, ..) = open(&proxy);
    assert_eq!((first, second), (Flow::Continue, Flow::Continue));
    let refused = proxy.key("k");
    assert_eq!(refused.status(), Some(429));
    assert_eq!(
        refused.header("ratelimit-policy").unwrap(),
        "\"concurrency\";q=2;qu=\"concurrent-requests\""
    );
    assert_eq!(refused.header("retry-after").unwrap(), "1");
    proxy.bench.finish(&mut fake, &mut stream);
    for _ in 0..5 {
        assert!(proxy.key("k").admitted, "each gives back what it took");
    }
    // The second one never ends: its worker trapped, say.
    let (third, ..) = open(&proxy);
    assert_eq!(third, Flow::Continue);
    assert!(!proxy.key("k").admitted);
    proxy.now += 70 * SECOND;
    assert!(proxy.key("k").admitted);
}

#[test]
fn a_store_in_trouble_lets_pass_or_refuses_as_the_settings_say() {
    for (on_error, status) in [("allow", None), ("deny", Some(503))] {
        let mut settings = only(json!([{"name": "minute", "count": 1, "window": "1m"}]));
        settings["on_error"] = json!(on_error);
        let proxy = Proxy::new(settings);
        proxy.shared.set_broken(true);
        let told = proxy.key("k");
        assert_eq!(told.status(), status, "{on_error}");
        assert_eq!(told.state("portcullis.ratelimit").unwrap(), "error");
        assert_eq!(
            told.fake
                .count("portcullis_rate_limit_store_errors_total.profile=default"),
            1
        );
        assert_eq!(told.fake.logs.borrow().len(), 1);
        if status.is_some() {
            assert_eq!(
                told.problem()["type"],
                "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
            );
            assert_eq!(told.header("retry-after").unwrap(), "1");
        }
        assert_eq!(
            proxy.key("k").fake.logs.borrow().len(),
            0,
            "not a line for each"
        );
        proxy.shared.set_broken(false);
        assert!(proxy.key("k").admitted && !proxy.key("k").admitted);
    }
}

#[test]
fn a_host_with_strict_shared_data_counts_as_exactly() {
    let settings = only(json!([{"name": "minute", "count": 3, "window": "1m"}]));
    let proxy = Proxy::on(Shared::of(Dialect::Strict), settings);
    for client in ["a", "b"] {
        assert_eq!(
            (0..9).filter(|_| proxy.key(client).admitted).count(),
            3,
            "{client}"
        );
    }
}

#[test]
fn counts_outlive_the_plugin_and_its_settings() {
    let proxy = Proxy::new(only(
        json!([{"name": "minute", "count": 3, "window": "1m"}]),
    ));
    assert!(proxy.key("k").admitted && proxy.key("k").admitted);
    let shared = proxy.shared.clone();
    let more = only(
        json!([{"name": "minute", "count": 4, "window": "1m"}, {"name": "day", "count": 100, "window": "1d"}]),
    );
    let again = Proxy::on(shared.clone(), more);
    assert!(again.key("k").admitted && again.key("k").admitted && !again.key("k").admitted);
    let less = only(json!([{"name": "minute", "count": 3, "window": "1m"}]));
    assert!(!Proxy::on(shared, less).key("k").admitted);
}

#[test]
fn another_tier_keeps_what_was_used() {
    let proxy = Proxy::new(by_key(
        json!({"tier": {"from": [{"header": {"name": "x-plan", "trusted": true}}]}}),
    ));
    let as_plan = |plan: &str| {
        let mut fake = Fake::get("/");
        fake.request.add("x-api-key", b"k");
        fake.request.add("x-plan", plan.as_bytes());
        proxy.send(fake)
    };
    for _ in 0..10 {
        assert!(as_plan("free").admitted);
    }
    assert!(!as_plan("free").admitted);
    assert!(
        as_plan("starter")
            .header("ratelimit")
            .unwrap()
            .starts_with("\"minute\";r=19;")
    );
}

#[test]
fn two_reads_that_return_bytes_are_enough() {
    let proxy = Proxy::new(by_key(json!({})));
    proxy.key("k");
    assert_eq!(proxy.key("k").fake.byte_reads.get(), 2);
}

#[test]
fn a_proxy_without_a_clock_counts_from_1970() {
    let mut proxy = Proxy::new(only(
        json!([{"name": "minute", "count": 3, "window": "1m"}, {"name": "month", "count": 50, "window": "month"}]),
    ));
    proxy.now = 100 * SECOND;
    for _ in 0..3 {
        for _ in 0..3 {
            assert!(proxy.key("k").admitted);
        }
        let told = proxy.key("k");
        assert_eq!(told.status(), Some(429));
        let wait: u64 = told.header("retry-after").unwrap().parse().unwrap();
        proxy.now += (wait - 1) * SECOND;
        assert!(!proxy.key("k").admitted, "a second early");
        proxy.now += SECOND;
    }
    // Now it is told the date.
    proxy.now = common::NOW;
    assert!(proxy.key("k").admitted);
    // And restarts without one.
    proxy.now = 100 * SECOND;
    assert!((0..9).filter(|_| proxy.key("k").admitted).count() == 3);
}
