//! Settings that cannot be meant, and what the user is told; settings that are right.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::Bench;
use rate_limit::RateLimit;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn load(settings: &Value) -> Result<Bench<Plugin<RateLimit>>, portcullis_kit::ConfigError> {
    Bench::load(settings)
}

fn hash(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// One own tier with these limits.
fn limits(limits: Value) -> Value {
    json!({"plans": "none", "tier": {"default": "t"}, "tiers": {"t": {"limits": limits}}})
}

/// A limit with these settings beside the least that one needs.
fn limit(over: Value) -> Value {
    let mut limit = json!({"name": "a", "count": 10, "window": "1m"});
    for (key, value) in over.as_object().unwrap() {
        limit[key] = value.clone();
    }
    limits(json!([limit]))
}

fn refused(settings: &Value, expected: &str) {
    match load(settings) {
        Ok(_) => panic!("{settings} is taken, and should tell: {expected}"),
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.starts_with(expected),
                "{settings}\n tells:     {text}\n and not: {expected}"
            );
        }
    }
}

#[test]
fn identities_need_a_source_that_clients_cannot_choose() {
    let header = |over: Value| {
        let mut header = json!({"name": "x-api-key"});
        for (key, value) in over.as_object().unwrap() {
            header[key] = value.clone();
        }
        json!({"identity": [{"header": header}]})
    };
    let claim = |path: Value| json!({"identity": [{"jwt_claim": {"path": path}}]});
    for (settings, text) in [
        (json!({"identity": []}), "identity: the list is empty"),
        (
            header(json!({})),
            "identity[0].header: any client can send this header",
        ),
        (
            header(json!({"hash": true, "trusted": true})),
            "identity[0].header: a header is either",
        ),
        (
            header(json!({"name": "x key", "hash": true})),
            "identity[0].header.name: not a header name",
        ),
        (
            header(json!({"hash": true, "listed_only": true})),
            "identity[0].header.listed_only: no `tier.from[].api_keys` lists keys",
        ),
        (
            claim(json!([])),
            "identity[0].jwt_claim.path: the path is empty",
        ),
        (
            claim(json!(["payload", ""])),
            "identity[0].jwt_claim.path: the path is empty",
        ),
        (
            json!({"identity": [{"client_address": {"ipv4_prefix": 0}}]}),
            "identity[0].client_address.ipv4_prefix: an IPv4 prefix has",
        ),
        (
            json!({"identity": [{"client_address": {"ipv6_prefix": 129}}]}),
            "identity[0].client_address.ipv6_prefix: an IPv6 prefix has",
        ),
        (
            json!({"identity": [{"client_address": {}}, {"jwt_claim": {"path": ["a"]}}]}),
            "identity[1]: every client has an address",
        ),
        (
            json!({"identity": [{"jwt_claim": {"path": ["a"]}}, {"jwt_claim": {"path": ["a:b"]}}]}),
            "identity[1]: identities of this source could be those",
        ),
        (
            json!({"identity": [
                {"header": {"name": "X-Key", "hash": true}}, {"header": {"name": "x-key", "trusted": true}},
            ]}),
            "identity[1]: identities of this source could be those",
        ),
    ] {
        refused(&settings, text);
    }
}

#[test]
fn a_tier_that_is_named_is_there() {
    let advice = "there is no tier `enterprize`; did you mean `enterprise`?; defined: enterprise, free, professional, starter";
    let keys = |keys: Value| json!({"tier": {"from": [{"api_keys": {"header": "x-api-key", "keys": keys}}]}});
    for (settings, path) in [
        (json!({"tier": {"default": "enterprize"}}), "tier.default"),
        (
            json!({"tier": {"anonymous": "enterprize"}}),
            "tier.anonymous",
        ),
        (
            json!({"overrides": {hash('a'): {"tier": "enterprize"}}}),
            &format!("overrides.{}.tier", hash('a')),
        ),
        (
            keys(json!({hash('b'): "enterprize"})),
            &format!("tier.from[0].api_keys.keys.{}", hash('b')),
        ),
        (
            json!({"tiers": {"gold": {"unlimited": true, "upgrade_to": "enterprize"}}}),
            "tiers.gold.upgrade_to",
        ),
    ] {
        if path == "tiers.gold.upgrade_to" {
            refused(
                &settings,
                &format!("{path}: there is no tier `enterprize`; did you mean `enterprise`?"),
            );
        } else {
            refused(&settings, &format!("{path}: {advice}"));
        }
    }
    for (settings, text) in [
        (json!({"plans": "none"}), "plans: with `plans: none`"),
        (
            json!({"plans": "none", "tiers": {"gold": {"unlimited": true}}}),
            "tier.default: there is no tier `free`; defined: gold",
        ),
        (
            json!({"tiers": {"gold plan": {"unlimited": true}}}),
            "tiers.gold plan: a tier's name has",
        ),
        (
            json!({"tiers": {"gold": {"unlimited": true}, "Gold": {"unlimited": true}}}),
            "tiers.Gold: names of tiers compare without case",
        ),
        (
            json!({"tiers": {"gold": {}}}),
            "tiers.gold: the tier has no limits",
        ),
        (
            json!({"tiers": {"gold": {"unlimited": true, "concurrency": {"max": 1}}}}),
            "tiers.gold.unlimited: a tier is either unlimited or",
        ),
        (
            json!({"tiers": {"enterprise": {"unlimited": true, "upgrade_to": "Free"}}}),
            "tiers.enterprise.upgrade_to: the tiers advise each other in a circle",
        ),
        (
            json!({"overrides": {"203.0.113.7": {"tier": "free"}}}),
            "overrides[\"203.0.113.7\"]: not a SHA-256",
        ),
        (
            json!({"overrides": {hash('a'): {"tier": "free"}, hash('A'): {"tier": "starter"}}}),
            &format!("overrides.{}: upper and lower case", hash('a')),
        ),
        (
            keys(json!({hash('b'): "free", hash('B'): "starter"})),
            &format!(
                "tier.from[0].api_keys.keys.{}: upper and lower case",
                hash('b')
            ),
        ),
        (
            keys(json!({"my-key": "free"})),
            "tier.from[0].api_keys.keys.my-key: not a SHA-256",
        ),
        (
            json!({"tier": {"from": [{"header": {"name": "x plan"}}]}}),
            "tier.from[0].header.name: not a header name",
        ),
        (
            json!({"tier": {"from": [{"header": {"name": "x-plan"}}, {"header": {"name": "X-Plan", "trusted": true}}]}}),
            "tier.from[0].header.name: this header is believed in another place",
        ),
        (
            json!({"identity": [{"header": {"name": "x-key", "hash": true}}], "tier": {"from": [{"header": {"name": "x-key"}}]}}),
            "tier.from[0].header.name: this header is believed in another place",
        ),
    ] {
        refused(&settings, text);
    }
}

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
            limit(json!({"algorithm": "log", "dynamic": {"path": ["a"]}})),
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
            "tiers.gold.burst.window: not a window",
        ),
        (
            tier(json!({"concurrency": {"max": 0}})),
            "tiers.gold.concurrency.max: a limit of 0",
        ),
        (
            tier(json!({"concurrency": {"max": 1, "lease": "month"}})),
            "tiers.gold.concurrency.lease: not a window",
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
fn the_rest_of_the_settings_is_checked_as_well() {
    for (settings, text) in [
        (
            json!({"exempt": {"cidrs": ["10.0.0.1/8"]}}),
            "exempt.cidrs[0]: not a range of addresses",
        ),
        (
            json!({"exempt": {"identities": ["bob"]}}),
            "exempt.identities[0]: not a SHA-256",
        ),
        (
            json!({"exempt": {"paths": [{"prefix": "healthz"}]}}),
            "exempt.paths[0].prefix: a path starts with `/`",
        ),
        (
            json!({"exempt": {"paths": ["/healthz"]}}),
            "exempt.paths[0]: `/healthz` is not one of the allowed values",
        ),
        (
            json!({"headers": {"x_ratelimit": "delta", "envoy": true}}),
            "headers.envoy: `x_ratelimit` and `envoy` write the same headers",
        ),
        (
            json!({"headers": {"ietf": false, "partition_key": true}}),
            "headers.partition_key: only the headers of `ietf`",
        ),
        (
            json!({"near_limit_percent": 0}),
            "near_limit_percent: a percentage is 1 to 100",
        ),
        (json!({"utc_offset": "2h"}), "utc_offset: not an offset"),
        (
            json!({"max_identities": 15}),
            "max_identities: a table holds 16",
        ),
        (json!({"namespace": ""}), "namespace: a namespace has"),
        (
            json!({"resource": "a b"}),
            "resource: a resource's name has",
        ),
        (
            json!({"upgrade": {"url": "/plans"}}),
            "upgrade.url: not an absolute URL",
        ),
        (
            json!({"upgrade": {"url": "https://"}}),
            "upgrade.url: not an absolute URL",
        ),
        (
            json!({"upgrade": {"url": "https://example.com/a b"}}),
            "upgrade.url: not an absolute URL",
        ),
        (
            json!({"on_error": "fail"}),
            "on_error: `fail` is not one of the allowed values",
        ),
        (
            json!({"tier": {"unkown": "deny"}}),
            "tier: unknown key `unkown`; did you mean `unknown`?",
        ),
        (
            json!({"profiles": {"x": {"max_identities": 5000}}}),
            "profiles.x.max_identities: `max_identities` belongs to the plugin as a whole",
        ),
        (
            json!({"profiles": {"x": {"namespace": "other"}}}),
            "profiles.x.namespace: `namespace` belongs to the plugin as a whole",
        ),
    ] {
        refused(&settings, text);
    }
}

#[test]
fn what_is_right_is_taken() {
    for settings in [
        json!({}),
        json!({"mode": "shadow"}),
        json!({"profiles": {"chat": {"resource": "ai", "cost": 5}}}),
        json!({
            "identity": [
                {"jwt_claim": {"path": ["payload", "sub"]}},
                {"jwt_claim": {"metadata": "other", "path": ["payload", "sub"]}},
                {"header": {"name": "x-api-key", "hash": true, "listed_only": true}},
                {"client_address": {"ipv4_prefix": 24}},
            ],
            "tier": {
                "from": [
                    {"jwt_claim": {"path": ["payload", "plan"]}},
                    {"header": {"name": "x-plan", "trusted": true}},
                    {"api_keys": {"header": "X-Api-Key", "keys": {hash('0'): "GOLD"}}},
                ],
                "anonymous": "gold", "unknown": "deny",
            },
            "tiers": {
                "gold": {
                    "limits": [
                        {"name": "second", "count": 20, "window": "second", "algorithm": "log"},
                        {"name": "month", "count": 1_000_000, "window": "month", "dynamic": {"path": ["payload", "quota"]}},
                        {"name": "pace", "count": 60, "window": "1m", "algorithm": "gcra", "burst": 10, "mode": "shadow"},
                        {"name": "chat", "count": 5, "window": "1d", "resource": "ai", "enforce_percent": 10, "count_denied": true},
                    ],
                    "concurrency": {"max": 10, "lease": "2m"},
                    "burst": {"count": 20, "window": "1s"},
                    "upgrade_to": "Enterprise",
                },
                "partner": {"unlimited": true},
            },
            "exempt": {
                "cidrs": ["10.0.0.0/8", "2001:db8::/32"], "identities": [hash('f')],
                "paths": [{"exact": "/healthz"}, {"template": "/v1/{id}/ping"}], "preflight": false,
            },
            "headers": {"ietf": true, "partition_key": true, "x_ratelimit": "epoch", "x_ratelimit_window": "delta"},
            "upgrade": {"url": "https://[2001:db8::1]:8443/plans?from=limit", "text": "More."},
            "utc_offset": "-03:30", "max_identities": 16, "on_error": "deny", "filter_state": false,
            "profiles": {"chat": {"resource": "ai", "exempt": null, "headers": {"ietf": false, "partition_key": null}}},
        }),
    ] {
        if let Err(error) = load(&settings) {
            panic!("{settings}: {error}");
        }
    }
}

#[test]
fn a_number_may_come_as_text_and_off_as_a_boolean() {
    // Envoy's YAML reader hands numbers beyond 32 bits over as text, and a bare `off` as false.
    load(&json!({"max_identities": "5000", "headers": {"x_ratelimit": false}})).unwrap();
}
