//! Settings that cannot be meant, and what the user is told; settings that are right.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

#[path = "common/settings.rs"]
mod common;

use common::{hash, limit, load, refused};
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
            json!({"identity": [{"client_address": {}}, {"jwt_claim": {"path": ["payload", "a"]}}]}),
            "identity[1]: every client has an address",
        ),
        (
            json!({"identity": [{"jwt_claim": {"path": ["payload", "a"]}}, {"jwt_claim": {"path": ["payload", "a:b"]}}]}),
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

/// A tier of one's own that everybody gets, with a limit of these settings, beside the standard plans.
fn beside_the_plans(over: Value) -> Value {
    let mut settings = limit(over);
    settings["plans"] = "standard".into();
    settings
}

#[test]
fn a_cost_is_refused_where_a_limit_that_somebody_meets_never_admits_it() {
    let costly = |mut settings: Value, more: Value| {
        settings["profiles"] = json!({"report": {"cost": 12}});
        for (key, value) in more.as_object().unwrap() {
            settings[key] = value.clone();
        }
        settings
    };
    let mine = || beside_the_plans(json!({"count": 20}));
    let free = "limit `minute` of tier `free` holds 10, so a request of this cost would never be admitted; lower the cost, or write `plans: none` and tiers of your own";
    let keys = json!([{"api_keys": {"header": "x-api-key", "keys": {hash('a'): "Free"}}}]);
    for gets_it in [
        json!({"tier": {"default": "FREE"}}),
        json!({"tier": {"default": "t", "anonymous": "free"}}),
        json!({"overrides": {hash('a'): {"tier": "free"}}}),
        json!({"tier": {"default": "t", "from": keys}}),
        json!({"tier": {"default": "t", "from": [{"jwt_claim": {"path": ["payload", "plan"]}}]}}),
        json!({"tier": {"default": "t", "from": [{"header": {"name": "x-plan", "trusted": true}}]}}),
    ] {
        let settings = costly(mine(), gets_it);
        refused(&settings, &format!("profiles.report.cost: {free}"));
    }
    let own = "limit `a` of tier `t` holds 10, so a request of this cost would never be admitted; lower the cost, or raise the limit";
    refused(
        &costly(limit(json!({})), json!({})),
        &format!("profiles.report.cost: {own}"),
    );
    // Nobody has the tier, or the limit admits it.
    let from = json!([{"header": {"name": "x-plan"}}]);
    for settings in [
        costly(mine(), json!({})),
        costly(mine(), json!({"tier": {"default": "t", "from": from}})),
        costly(limit(json!({"mode": "shadow"})), json!({})),
        costly(limit(json!({"enforce_percent": 0})), json!({})),
        costly(
            limit(json!({"dynamic": {"path": ["payload", "n"]}})),
            json!({}),
        ),
    ] {
        if let Err(error) = load(&settings) {
            panic!("{settings}: {error}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_burst_is_told_in_its_own_terms() {
    let tiers = |tiers: Value| json!({"plans": "none", "tier": {"default": "a"}, "tiers": tiers});
    let of = |burst: Value| tiers(json!({"a": {"burst": burst}}));
    for (settings, text) in [
        (
            of(json!({"count": 5, "window": "month"})),
            "tiers.a.burst.window: not a length of time; write",
        ),
        (
            of(json!({"count": 5, "window": "soon"})),
            "tiers.a.burst.window: not a length of time; write",
        ),
        (
            of(json!({"count": 1_000_000_000, "window": "366d"})),
            "tiers.a.burst.window: a pace this slow of a burst this large cannot be counted exactly; take a shorter window",
        ),
        (
            tiers(json!({
                "a": {"burst": {"count": 5, "window": "1s"}},
                "b": {"burst": {"count": 5, "window": "2s"}},
            })),
            "tiers.b.burst: `burst` is counted in another way in `tiers.a.burst`, and the bursts of all tiers are one counter; give both the same window, or write one under `limits` with `algorithm: gcra` and a name of its own",
        ),
        (
            tiers(json!({
                "a": {"limits": [{"name": "concurrency", "count": 5, "window": "1s"}]},
                "b": {"concurrency": {"max": 5}},
            })),
            "tiers.b.concurrency: `concurrency` is counted in another way in `tiers.a.limits[0]`; give that limit another name",
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
