//! What a client can have at once and over time: bursts, counts from metadata, and for whom a limit is enforced.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::{Proxy, SECOND, Told, by_key, only};
use portcullis_kit::testing::Fake;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// One limit at an even pace, whose count metadata may tell.
fn paced(over: Value) -> Value {
    let mut limit = json!({"name": "pace", "count": 100, "window": "1h", "algorithm": "gcra",
        "dynamic": {"metadata": "ext", "path": ["quota"]}});
    for (key, value) in over.as_object().unwrap() {
        limit[key] = value.clone();
    }
    only(json!([limit]))
}

fn with_quota(proxy: &Proxy, client: &str, quota: &str) -> Told {
    let mut fake = Fake::get("/").with_property("metadata.filter_metadata.ext.quota", quota);
    fake.request.add("x-api-key", client.as_bytes());
    proxy.send(fake)
}

fn admitted(proxy: &Proxy, client: &str, quota: &str) -> usize {
    (0..2_000)
        .filter(|_| with_quota(proxy, client, quota).admitted)
        .count()
}

#[test]
fn a_paces_burst_is_the_count_that_metadata_tells() {
    let proxy = Proxy::new(paced(json!({})));
    for quota in [0, 1, 2, 100, 1_000] {
        let client = format!("client-{quota}");
        assert_eq!(admitted(&proxy, &client, &quota.to_string()), quota);
    }
    let proxy = Proxy::new(paced(json!({"burst": 5})));
    for (quota, at_once) in [(2, 2), (5, 5), (1_000, 5)] {
        let client = format!("client-{quota}");
        assert_eq!(admitted(&proxy, &client, &quota.to_string()), at_once);
    }
}

#[test]
fn a_count_of_none_says_that_waiting_does_not_help_and_no_time() {
    for (style, on) in [
        ("ietf", json!(true)),
        ("x_ratelimit", json!("delta")),
        ("x_ratelimit", json!("epoch")),
        ("x_ratelimit_window", json!("delta")),
        ("envoy", json!(true)),
    ] {
        let mut settings = paced(json!({}));
        settings["headers"] = json!({"ietf": false});
        settings["headers"][style] = on;
        let proxy = Proxy::new(settings);
        // Once nothing was counted before, and once something was.
        assert!(with_quota(&proxy, "before", "10").admitted);
        for client in ["new", "before"] {
            let told = with_quota(&proxy, client, "0");
            assert_eq!(told.status(), Some(429));
            assert!(told.header("retry-after").is_none());
            let headers = told.fake.response.iter();
            for (name, value) in headers.filter(|(name, _)| name.starts_with(b"x-ratelimit")) {
                assert!(!name.starts_with(b"x-ratelimit-reset"), "{style}");
                assert!(value.starts_with(b"0"), "{style}");
            }
            if style == "ietf" {
                assert_eq!(told.header("ratelimit").unwrap(), "\"pace\";r=0");
                assert_eq!(
                    told.header("ratelimit-policy").unwrap(),
                    "\"pace\";q=0;w=3600"
                );
            }
        }
    }
}

#[test]
fn what_is_left_of_a_burst_is_never_more_than_what_is_told_of_it() {
    for (count, burst, policy) in [
        (10, 100, "\"pace\";q=100;w=600"),
        (100, 4, "\"pace\";q=4;w=3"),
        (7, 7, "\"pace\";q=7;w=60"),
    ] {
        let mut settings = only(json!([
            {"name": "pace", "count": count, "window": "1m", "algorithm": "gcra", "burst": burst},
            {"name": "day", "count": 1_000, "window": "1d"},
        ]));
        settings["headers"] = json!({"x_ratelimit_window": "delta"});
        let proxy = Proxy::new(settings);
        let told = proxy.key("k");
        let policies = told.header("ratelimit-policy").unwrap();
        assert_eq!(policies, format!("{policy}, \"day\";q=1000;w=86400"));
        let left = format!("\"pace\";r={};", burst - 1);
        assert!(told.header("ratelimit").unwrap().starts_with(&left));
        for (name, value) in [("limit", burst), ("remaining", burst - 1)] {
            let name = format!("x-ratelimit-{name}-pace");
            assert_eq!(told.header(&name).unwrap(), value.to_string());
        }
    }
}

#[test]
fn a_burst_is_near_its_end_when_little_of_it_is_left() {
    let near = "portcullis_rate_limit_near_limit_total.tier=t.limit=pace.profile=default";
    for (count, burst, first_near) in [(100, 4, 4), (10, 100, 80)] {
        let proxy = Proxy::new(only(json!([
            {"name": "pace", "count": count, "window": "1h", "algorithm": "gcra", "burst": burst},
        ])));
        let told: Vec<bool> = (0..burst)
            .map(|_| proxy.key("k").fake.counts.borrow().contains_key(near))
            .collect();
        let first = told.iter().position(|near| *near).unwrap() + 1;
        assert_eq!(first, first_near, "{count} {burst}");
    }
}

#[test]
fn a_refused_request_that_counts_is_waited_for() {
    let mut proxy = Proxy::new(only(json!([
        {"name": "few", "count": 1, "window": "4s", "count_denied": true},
    ])));
    assert!(proxy.key("k").admitted);
    for _ in 0..3 {
        proxy.now += 2 * SECOND;
        let told = proxy.key("k");
        assert_eq!(told.status(), Some(429));
        let wait: u64 = told.header("retry-after").unwrap().parse().unwrap();
        proxy.now += wait * SECOND;
        assert!(proxy.key("k").admitted, "after {wait} seconds");
    }
}

#[test]
fn a_flood_of_refused_requests_locks_out_for_a_burst_and_one_request_more_at_most() {
    // The pace gives one in 8640 seconds.
    for (burst, most) in [(1, 2 * 8_640), (10, 11 * 8_640)] {
        let mut proxy = Proxy::new(only(json!([
            {"name": "pace", "count": 10, "window": "1d", "algorithm": "gcra", "burst": burst, "count_denied": true},
        ])));
        for _ in 0..burst {
            assert!(proxy.key("k").admitted);
        }
        for _ in 0..2_000 {
            assert!(!proxy.key("k").admitted);
        }
        let wait = proxy.key("k").header("retry-after").unwrap();
        assert_eq!(wait, most.to_string(), "burst {burst}");
        proxy.now += most * SECOND;
        assert!(proxy.key("k").admitted, "burst {burst}");
    }
}

#[test]
fn a_refusal_tells_the_burst_that_metadata_left() {
    let proxy = Proxy::new(only(json!([
        {"name": "pace", "count": 10, "window": "1m", "algorithm": "gcra", "burst": 100,
            "dynamic": {"metadata": "ext", "path": ["quota"]}},
    ])));
    for _ in 0..10 {
        assert!(with_quota(&proxy, "k", "10").admitted);
    }
    let told = with_quota(&proxy, "k", "10");
    assert_eq!(
        told.header("ratelimit-policy").unwrap(),
        "\"pace\";q=10;w=60"
    );
    assert_eq!(
        told.problem()["detail"],
        "Limit \"pace\" of plan \"t\" is used up (10 in 60 seconds). Try again in 6 seconds."
    );
}

#[test]
fn all_proxies_enforce_a_limit_for_the_same_share_of_clients() {
    let settings = only(json!([
        {"name": "minute", "count": 1, "window": "1m", "enforce_percent": 30},
    ]));
    // Each has drawn a key of its own.
    let proxies = [Proxy::new(settings.clone()), Proxy::new(settings)];
    let enforced = |proxy: &Proxy, seed: u64| -> Vec<usize> {
        let call = |client: &usize| {
            let mut fake = Fake::get("/");
            fake.seed.set(seed);
            fake.request
                .add("x-api-key", format!("client-{client}").as_bytes());
            proxy.send(fake).admitted
        };
        let all = 0..300;
        all.filter(|client| [call(client), call(client)] == [true, false])
            .collect()
    };
    let chosen = [1, 2].map(|seed| enforced(&proxies[seed as usize - 1], seed));
    assert!((60..120).contains(&chosen[0].len()), "{}", chosen[0].len());
    assert_eq!(chosen[0], chosen[1]);
}

#[test]
fn another_lease_does_not_forget_what_is_in_flight() {
    let settings = |max: u64, lease: &str| {
        by_key(json!({"plans": "none", "tier": {"default": "t"},
            "tiers": {"t": {"concurrency": {"max": max, "lease": lease}}}}))
    };
    let before = Proxy::new(settings(2, "10m"));
    let open = |proxy: &Proxy| {
        let mut fake = Fake::get("/");
        fake.request.add("x-api-key", b"k");
        fake.now.set(proxy.now);
        fake.shared = proxy.shared.clone();
        let mut stream = Default::default();
        proxy.bench.request(&mut fake, &mut stream);
        (fake, stream)
    };
    let mut first = open(&before);
    let second = open(&before);
    assert!(second.0.replies.is_empty());
    for lease in ["3m", "1h"] {
        let mut after = Proxy::on(before.shared.clone(), settings(2, lease));
        after.now += 60 * SECOND;
        assert_eq!(after.key("k").status(), Some(429), "{lease}");
    }
    let mut after = Proxy::on(before.shared.clone(), settings(2, "3m"));
    before.bench.finish(&mut first.0, &mut first.1);
    assert!(after.key("k").admitted, "one ended");
    after.now += 3_600 * SECOND;
    let (mut all, most) = (Vec::new(), 3);
    for _ in 0..most {
        all.push(open(&after));
    }
    let refused = all.iter().filter(|(fake, _)| !fake.replies.is_empty());
    assert_eq!(refused.count(), 1, "what had no end is forgotten");
}
