//! Who a client is, which tier it gets, and who is not limited.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::{Proxy, by_key, hash, only};
use portcullis_kit::testing::Fake;
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn tiers_come_from_overrides_claims_trusted_headers_and_keys() {
    let proxy = Proxy::new(by_key(json!({
        "tier": {
            "from": [
                {"jwt_claim": {"path": ["payload", "plan"]}},
                {"header": {"name": "X-Plan", "trusted": true}},
                {"header": {"name": "X-Tier"}},
                {"api_keys": {"header": "x-api-key", "keys": {hash("gold-key"): "enterprise"}}},
            ],
            "anonymous": "starter",
        },
        "overrides": {hash("header:x-api-key:boss"): {"tier": "enterprise"}},
    })));
    let claim = "metadata.filter_metadata.envoy.filters.http.jwt_authn.payload.plan";
    let keyed = |key: &str, more: &[(&str, &str)]| {
        let mut fake = Fake::get("/");
        fake.request.add("x-api-key", key.as_bytes());
        for (name, value) in more {
            fake.request.add(name, value.as_bytes());
        }
        fake
    };
    let tier = |fake: Fake| proxy.send(fake).state("portcullis.tier").unwrap();
    assert_eq!(
        tier(keyed("a", &[]).with_property(claim, "PROFESSIONAL")),
        "professional"
    );
    assert_eq!(tier(keyed("a", &[("x-plan", "Starter")])), "starter");
    assert_eq!(tier(keyed("boss", &[("x-plan", "starter")])), "enterprise");
    assert_eq!(tier(keyed("gold-key", &[])), "enterprise");
    assert_eq!(tier(keyed("a", &[])), "free");
    let address = Fake::get("/").with_property("source.address", "203.0.113.7:1234");
    assert_eq!(tier(address), "starter");

    let forged = proxy.send(keyed("a", &[("x-tier", "enterprise")]));
    assert_eq!(forged.state("portcullis.tier").unwrap(), "free");
    assert!(
        !forged.fake.request.contains("x-tier"),
        "nobody behind believes it either"
    );
}

#[test]
fn an_unknown_tier_gets_the_default_or_is_refused() {
    let plan = |fake: Fake| fake.with_property("metadata.filter_metadata.ns.plan", "platinum");
    let from = json!([{"jwt_claim": {"metadata": "ns", "path": ["plan"]}}]);
    let lenient = Proxy::new(json!({"tier": {"from": from}}));
    let told = lenient.send(plan(Fake::get("/")));
    assert!(told.admitted);
    assert_eq!(told.state("portcullis.tier").unwrap(), "free");
    assert_eq!(
        told.fake
            .count("portcullis_rate_limit_unknown_tier_total.profile=default"),
        1
    );
    let strict = Proxy::new(json!({"tier": {"from": from, "unknown": "deny"}}));
    let told = strict.send(plan(Fake::get("/")));
    assert_eq!(told.status(), Some(403));
    assert!(!told.problem().to_string().contains("platinum"));
}

#[test]
fn addresses_count_by_network_and_unknown_clients_share_one_identity() {
    let proxy = Proxy::new(
        json!({"plans": "none", "tier": {"default": "t"}, "tiers": {"t": {"limits": [
        {"name": "minute", "count": 1, "window": "1m"}]}}}),
    );
    let from = |address: &str| {
        let fake = Fake::get("/").with_property("source.address", address);
        proxy.send(fake).admitted
    };
    assert!(from("[2001:db8:1:2::1]:5"));
    assert!(!from("[2001:db8:1:2:ffff::9]:6"), "one /64");
    assert!(from("[2001:db8:1:3::1]:5"));
    assert!(from("203.0.113.7:1"));
    assert!(!from("203.0.113.7:2"));
    assert!(from("203.0.113.8:1"));
    assert!(proxy.send(Fake::get("/")).admitted);
    assert!(!proxy.send(Fake::get("/")).admitted);
}

#[test]
fn only_listed_keys_are_identities_where_the_settings_say_so() {
    let proxy = Proxy::new(json!({
        "identity": [{"header": {"name": "X-Api-Key", "hash": true, "listed_only": true}}, {"client_address": {}}],
        "tier": {
            "from": [{"api_keys": {"header": "x-api-key", "keys": {hash("known"): "enterprise"}}}],
            "anonymous": "free",
        },
    }));
    assert_eq!(
        proxy.key("known").state("portcullis.tier").unwrap(),
        "enterprise"
    );
    // Made-up keys do not get around the address's limit.
    let admitted = (0..20)
        .filter(|n| proxy.key(&format!("made-up-{n}")).admitted)
        .count();
    assert_eq!(admitted, 10);
}

/// A request with these lines, from an address.
fn lines(lines: &[(&str, &str)]) -> Fake {
    let mut fake = Fake::get("/").with_property("source.address", "203.0.113.7:1");
    for (name, value) in lines {
        fake.request.add(name, value.as_bytes());
    }
    fake
}

#[test]
fn a_request_whose_identity_header_stands_in_several_lines_is_refused_and_counts_nowhere() {
    let mut settings = only(json!([{"name": "minute", "count": 1, "window": "1m"}]));
    settings["exempt"] = json!({
        "identities": [hash("header:x-api-key:a"), hash("header:x-api-key:monitor")],
        "paths": [{"exact": "/healthz"}],
    });
    let proxy = Proxy::new(settings);
    for values in [
        ["a", "a"],
        ["monitor", "b"],
        ["b", "monitor"],
        ["b", ""],
        ["", "b"],
        ["", ""],
    ] {
        let told = proxy.send(lines(&values.map(|value| ("x-api-key", value))));
        assert_eq!(told.status(), Some(400), "{values:?}");
        let detail = "The header `x-api-key` stands in several lines. Send one.";
        assert_eq!(told.problem()["detail"], detail);
        assert_eq!(told.header("ratelimit"), None);
        assert_eq!(
            told.state("portcullis.ratelimit").unwrap(),
            "denied:ambiguous_client"
        );
    }
    assert!(proxy.key("b").admitted);
    assert!(!proxy.key("b").admitted);
    assert!(proxy.send(lines(&[])).admitted);
    assert!(!proxy.send(lines(&[("x-api-key", "")])).admitted, "no key");
    let mut healthz = lines(&[("x-api-key", "a"); 2]);
    healthz.request.set(":path", b"/healthz");
    assert!(proxy.send(healthz).admitted);
}

#[test]
fn what_comes_before_a_header_in_several_lines_is_not_in_doubt() {
    let proxy = Proxy::new(json!({"identity": [
        {"jwt_claim": {"path": ["payload", "sub"]}},
        {"header": {"name": "x-api-key", "hash": true}},
    ]}));
    let claim = "metadata.filter_metadata.envoy.filters.http.jwt_authn.payload.sub";
    let twice = || lines(&[("x-api-key", "a"), ("x-api-key", "b")]);
    assert!(proxy.send(twice().with_property(claim, "alice")).admitted);
    assert_eq!(proxy.send(twice()).status(), Some(400));
}

#[test]
fn a_request_whose_tier_header_stands_in_several_lines_is_refused() {
    let proxy = Proxy::new(json!({
        "identity": [{"header": {"name": "x-user", "trusted": true}}],
        "tier": {"from": [
            {"api_keys": {"header": "x-api-key", "keys": {hash("gold-key"): "enterprise"}}},
            {"header": {"name": "x-plan", "trusted": true}},
        ]},
        "overrides": {hash("header:x-user:boss"): {"tier": "enterprise"}},
    }));
    let send = |user: &str, more: &[(&str, &str)]| {
        proxy.send(lines(&[&[("x-user", user)], more].concat()))
    };
    for twice in [
        [("x-api-key", "gold-key"); 2],
        [("x-api-key", "gold-key"), ("x-api-key", "b")],
        [("x-plan", "starter"), ("x-plan", "x")],
    ] {
        assert_eq!(send("a", &twice).status(), Some(400), "{twice:?}");
        let told = send("boss", &twice);
        assert_eq!(told.state("portcullis.tier").unwrap(), "enterprise");
    }
    let users = lines(&[("x-user", "a"), ("x-user", "b")]);
    assert_eq!(proxy.send(users).status(), Some(400));
}

#[test]
fn in_shadow_a_header_in_several_lines_refuses_nobody() {
    let proxy = Proxy::new(by_key(json!({"mode": "shadow"})));
    for _ in 0..20 {
        assert!(proxy.send(lines(&[("x-api-key", "a"); 2])).admitted);
    }
}

#[test]
fn a_key_is_the_same_client_with_and_without_bearer() {
    let proxy = Proxy::new(json!({
        "identity": [{"header": {"name": "authorization", "hash": true, "listed_only": true}}],
        "plans": "none",
        "tier": {"default": "t", "from": [
            {"api_keys": {"header": "authorization", "keys": {hash("key"): "three"}}},
        ]},
        "tiers": {
            "t": {"limits": [{"name": "minute", "count": 1, "window": "1m"}]},
            "three": {"limits": [{"name": "minute", "count": 3, "window": "1m"}]},
        },
    }));
    let send = |value: &str| proxy.send(lines(&[("authorization", value)]));
    for value in ["Bearer key", "key", "bearer   key"] {
        let told = send(value);
        assert!(told.admitted, "{value}");
        assert_eq!(told.state("portcullis.tier").unwrap(), "three");
    }
    for value in ["Bearer key", "key", "BEARER key"] {
        assert!(!send(value).admitted, "{value}");
    }
    // What only looks like it is another one.
    for value in ["Bearerkey", "Bearer", "Digest key", "Bearer Bearer key"] {
        let tier = send(value).state("portcullis.tier").unwrap();
        assert_eq!(tier, "t", "{value}");
    }
}

#[test]
fn a_header_that_an_earlier_filter_sets_is_taken_as_it_is() {
    let settings = json!({
        "identity": [{"header": {"name": "x-user", "trusted": true}}],
        "plans": "none",
        "tier": {"default": "t"},
        "tiers": {"t": {"limits": [{"name": "minute", "count": 1, "window": "1m"}]}},
    });
    let proxy = Proxy::new(settings);
    for user in ["bearer alice", "alice", "Bearer alice"] {
        assert!(proxy.send(lines(&[("x-user", user)])).admitted, "{user}");
    }
}

#[test]
fn exempt_is_what_the_settings_say_and_preflights() {
    let mut settings = only(json!([{"name": "minute", "count": 1, "window": "1m"}]));
    settings["exempt"] = json!({
        "cidrs": ["10.0.0.0/8"],
        "paths": [{"exact": "/healthz"}],
        "identities": [hash("header:x-api-key:monitor")],
    });
    let proxy = Proxy::new(settings);
    for _ in 0..3 {
        assert!(proxy.key("monitor").admitted);
        assert!(proxy.send(Fake::get("/healthz?x=1")).admitted);
        let inside = Fake::get("/").with_property("source.address", "10.1.2.3:4");
        let told = proxy.send(inside);
        assert!(told.admitted && told.header("ratelimit").is_none());
        assert_eq!(told.state("portcullis.ratelimit").unwrap(), "exempt");
        let preflight = Fake::request([
            (":method", "OPTIONS"),
            (":path", "/v1"),
            ("origin", "https://a.example"),
            ("access-control-request-method", "PUT"),
        ]);
        assert!(proxy.send(preflight).admitted);
    }
    let options = || Fake::request([(":method", "OPTIONS"), (":path", "/v1")]);
    assert!(proxy.send(options()).admitted);
    assert!(!proxy.send(options()).admitted, "not a preflight");
}
