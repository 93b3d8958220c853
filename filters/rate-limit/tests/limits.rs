//! Limits that cannot be meant, and what the user is told.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

#[path = "common/settings.rs"]
mod common;

use common::{limit, limits, load, refused};
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn a_limit_that_cannot_be_meant_is_refused() {
    let here = "tiers.t.limits[0]";
    for (settings, key, text) in [
        (
            limit(json!({"name": "Per Minute"})),
            "name",
            "a limit's name has",
        ),
        (
            limit(json!({"count": 0})),
            "count",
            "a limit of 0 admits nobody",
        ),
        (
            limit(json!({"count": 1_000_000_001})),
            "count",
            "at most 1000000000",
        ),
        (
            limit(json!({"window": "1 minute"})),
            "window",
            "not a window",
        ),
        (
            limit(json!({"window": "month", "algorithm": "sliding"})),
            "algorithm",
            "a month is one of the calendar",
        ),
        (
            limit(json!({"count": 513, "algorithm": "log"})),
            "count",
            "a log remembers each request",
        ),
        (
            limit(json!({"burst": 5})),
            "burst",
            "only `algorithm: gcra` has a burst",
        ),
        (
            limit(json!({"algorithm": "gcra", "burst": 0})),
            "burst",
            "a burst of 0 admits nobody",
        ),
        (
            limit(json!({"algorithm": "gcra", "burst": 4_000_000_000_u64})),
            "burst",
            "at most 1000000000",
        ),
        (
            limit(json!({"algorithm": "gcra", "count": 1_000_000_000, "window": "366d"})),
            "window",
            "a pace this slow of a burst this large",
        ),
        (
            limit(json!({"enforce_percent": 101})),
            "enforce_percent",
            "a percentage is 0 to 100",
        ),
        (
            limit(json!({"algorithm": "log", "dynamic": {"path": ["payload", "a"]}})),
            "dynamic",
            "a log is for counts",
        ),
        (
            limit(json!({"algorithm": "log", "count_denied": true})),
            "count_denied",
            "a log of refused requests",
        ),
        (
            limit(json!({"dynamic": {"path": []}})),
            "dynamic.path",
            "the path is empty",
        ),
        (
            limit(json!({"resource": "AI"})),
            "resource",
            "a resource's name has",
        ),
        (
            limit(json!({"resource": "ai"})),
            "resource",
            "no profile has `resource: ai`",
        ),
    ] {
        refused(&settings, &format!("{here}.{key}: {text}"));
    }
    let minute = || json!({"name": "minute", "count": 10, "window": "1m"});
    let tier = |tier: Value| json!({"tiers": {"gold": tier}});
    for (settings, text) in [
        (
            limits(json!([minute(), minute()])),
            "tiers.t.limits[1].name: the tier has a limit `minute` already",
        ),
        (
            limits(json!([minute(), {"name": "hour", "count": 9, "window": "1h"}])),
            "tiers.t.limits[1].count: `hour` allows fewer than `minute`",
        ),
        (
            tier(
                json!({"limits": [{"name": "burst", "count": 5, "window": "1s"}], "burst": {"count": 5, "window": "1s"}}),
            ),
            "tiers.gold.burst: the tier has a limit `burst` already",
        ),
        (
            tier(json!({"burst": {"count": 0, "window": "1s"}})),
            "tiers.gold.burst.count: a limit of 0",
        ),
        (
            tier(json!({"burst": {"count": 5, "window": "1"}})),
            "tiers.gold.burst.window: not a length of time",
        ),
        (
            tier(json!({"concurrency": {"max": 0}})),
            "tiers.gold.concurrency.max: a limit of 0",
        ),
        (
            tier(json!({"concurrency": {"max": 1, "lease": "month"}})),
            "tiers.gold.concurrency.lease: not a length of time; write `30s`, `5m`, `2h`, `1d` (up to 366d), or `second`, `minute`, `hour`, `day`",
        ),
        (
            limit(json!({"count": 5, "algorithm": "gcra", "burst": 2}))
                .as_object()
                .map(|map| {
                    let mut map = map.clone();
                    map.insert("cost".to_owned(), json!(3));
                    Value::Object(map)
                })
                .unwrap(),
            "cost: limit `a` of tier `t` holds 2",
        ),
        (
            json!({"cost": 11}),
            "cost: limit `minute` of tier `free` holds 10",
        ),
        (json!({"cost": 0}), "cost: a request that costs nothing"),
        (
            json!({"profiles": {"chat": {"cost": 50}}}),
            "profiles.chat.cost: limit",
        ),
    ] {
        refused(&settings, text);
    }
}

#[test]
fn limits_of_one_name_are_one_counter() {
    let day = |window: &str| json!([{"name": "day", "count": 100_000, "window": window}]);
    let two = |other: Value| {
        json!({"plans": "none", "tier": {"default": "a"},
            "tiers": {"a": {"limits": day("1d")}, "b": {"limits": other}}})
    };
    load(&two(
        json!([{"name": "day", "count": 5, "window": "day", "mode": "shadow"}]),
    ))
    .unwrap();
    refused(
        &two(day("2d")),
        "tiers.b.limits[0]: `day` is counted in another way in `tiers.a.limits[0]`, and limits of one name are one counter; give both",
    );
    // A tier that sorts before the plans' is still the one to be changed.
    refused(
        &json!({"tiers": {"basic": {"limits": [{"name": "day", "count": 5, "window": "day", "algorithm": "sliding"}]}}}),
        "tiers.basic.limits[0]: `day` is counted in another way in the standard plan `enterprise`",
    );
    refused(
        &json!({"profiles": {"x": {"utc_offset": "+02:00"}}}),
        "profiles.x.utc_offset: `day` is counted in another way in the standard plan `enterprise` of the settings at the top",
    );
    let mut settings = two(day("1d"));
    settings["profiles"] = json!({
        "x": {"tiers": {"a": {"limits": [{"name": "other", "count": 5, "window": "1d"}]}}},
        "y": {"tiers": {"a": null, "b": {"limits": [{"name": "other", "count": 5, "window": "2d"}]}}, "tier": {"default": "b"}},
    });
    refused(
        &settings,
        "profiles.y.tiers.b.limits[0]: `other` is counted in another way in `tiers.a.limits[0]` of the profile `x`",
    );
}

#[test]
fn two_names_of_one_mark_are_told_to_change() {
    let settings = |count: usize| {
        let all: Vec<Value> = (0..count)
            .map(|n| json!({"name": format!("l{n}"), "count": 5, "window": "1m"}))
            .collect();
        limits(Value::Array(all))
    };
    load(&settings(10)).unwrap();
    // 700 names for 65536 marks: that none coincide has a chance of 1 to 40.
    let error = load(&settings(700)).err().unwrap().to_string();
    assert!(error.contains("get the same short mark"), "{error}");
}

#[test]
fn what_one_identity_takes_has_an_end() {
    let logs = |count: usize| {
        let all: Vec<Value> = (0..count)
            .map(|n| json!({"name": format!("l{n}"), "count": 512, "window": "1m", "algorithm": "log"}))
            .collect();
        limits(Value::Array(all))
    };
    load(&logs(9)).unwrap();
    refused(
        &logs(10),
        "tiers.t.limits[9]: together with the limits before it",
    );
}

#[test]
fn requests_in_flight_under_each_lease_take_their_own() {
    let leases = |count: usize, leases: usize| {
        let profiles: serde_json::Map<String, Value> = (0..count)
            .map(|n| {
                let lease = format!("{}s", n % leases + 1);
                let tiers = json!({"t": {"concurrency": {"max": 1, "lease": lease}}});
                (format!("p{n:03}"), json!({ "tiers": tiers }))
            })
            .collect();
        let mut settings = limits(json!([{"name": "a", "count": 10, "window": "1m"}]));
        settings["profiles"] = Value::Object(profiles);
        settings
    };
    load(&leases(110, 50)).unwrap();
    let error = load(&leases(110, 110)).err().unwrap().to_string();
    assert!(
        error.contains("together with the limits before it"),
        "{error}"
    );
}
