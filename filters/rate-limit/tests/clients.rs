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

#[test]
fn two_lines_of_an_identity_header_are_none() {
    let proxy = Proxy::new(by_key(json!({})));
    let mut fake = Fake::get("/").with_property("source.address", "203.0.113.7:1");
    fake.request.add("x-api-key", b"a");
    fake.request.add("x-api-key", b"b");
    assert!(proxy.send(fake).admitted);
    assert_eq!(
        proxy
            .key("a")
            .header("ratelimit")
            .unwrap()
            .split(';')
            .nth(1),
        Some("r=9")
    );
}

#[test]
fn two_lines_of_a_key_do_not_carry_its_tier_to_every_address() {
    let proxy = Proxy::new(by_key(json!({"tier": {"from": [
        {"api_keys": {"header": "x-api-key", "keys": {hash("gold-key"): "enterprise"}}},
        {"header": {"name": "x-plan", "trusted": true}},
    ]}})));
    let mut fake = Fake::get("/").with_property("source.address", "203.0.113.7:1");
    for (name, value) in [
        ("x-api-key", "gold-key"),
        ("x-api-key", "b"),
        ("x-plan", "starter"),
        ("x-plan", "x"),
    ] {
        fake.request.add(name, value.as_bytes());
    }
    assert_eq!(proxy.send(fake).state("portcullis.tier").unwrap(), "free");
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
