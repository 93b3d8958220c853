//! The forms of a record: each canonical, each with the seal where its schema has room.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::{answered, environment, parsed};
use portcullis_kit::testing::{Bench, Fake};
use serde_json::{Value, json};

/// All that is recorded of one request, the bundle's own records first.
fn records(format: &str, identified: bool, mut fake: Fake) -> Vec<Value> {
    let mut settings = json!({
        "format": format,
        "rules": [{"level": "headers"}],
        "headers": {"request": [{"name": "accept"}]},
        "query": [{"name": "page"}],
        "client_address": "full",
    });
    if identified {
        settings["identity"] = json!([{"header": {"name": "x-key", "hash": true}}]);
    }
    let bench: common::Audit = Bench::load_with(&settings, &environment()).unwrap();
    fake.request.add("accept", "a");
    fake.request.add("accept", "b");
    fake.request.add("x-key", "k");
    fake.facts.request_id = Some("r-1".into());
    fake.facts.trace_id = Some("0af7651916cd43dd8448eb211c80319c".into());
    bench.attach(&mut fake);
    bench.finish(&mut fake, &mut Default::default());
    fake.logs
        .take()
        .iter()
        .map(|(_, line)| parsed(line))
        .collect()
}

#[test]
fn ocsf_knows_two_kinds_of_activity_and_a_base_event() {
    let known = records("ocsf", true, answered("/things?page=2", 200));
    let unknown = records("ocsf", false, answered("/things", 403));
    assert_eq!(known[0]["class_uid"], 0);
    assert_eq!(known[0]["unmapped"]["event"], "bundle.start");
    let (api, http) = (&known[1], &unknown[0]);
    assert_eq!(
        (&api["class_uid"], &api["type_uid"], &api["activity_id"]),
        (&json!(6003), &json!(600_302), &json!(2))
    );
    assert_eq!(api["api"]["operation"], "GET /things");
    assert!(
        api["actor"]["user"]["uid"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
    assert_eq!(
        api["http_request"]["http_headers"],
        json!([{"name": "accept", "value": "a"}, {"name": "accept", "value": "b"}])
    );
    assert_eq!(api["unmapped"]["query"], json!({"page": ["2"]}));
    assert_eq!(
        (
            &http["class_uid"],
            &http["type_uid"],
            &http["severity_id"],
            &http["status_id"]
        ),
        (&json!(4002), &json!(400_203), &json!(3), &json!(2))
    );
    for record in [&known[0], api, http] {
        assert_eq!(record["unmapped"]["chain"]["alg"], "sha256", "{record}");
        assert!(record.get("chain").is_none());
    }
    let unheard = {
        let mut fake = answered("/things", 200);
        fake.request.set(":method", "BREW");
        records("ocsf", false, fake)
    };
    assert_eq!(unheard[0]["activity_name"], "BREW");
    assert_eq!(unheard[0]["activity_id"], 99);
    assert!(unheard[0]["http_request"].get("http_method").is_none());
}

#[test]
fn ecs_has_its_own_fields_and_the_rest_under_one() {
    let known = records("ecs", true, answered("/things?page=2", 429));
    assert_eq!(known[0]["event"]["action"], "bundle.start");
    let record = &known[1];
    for (pointer, value) in [
        ("/@timestamp", json!("2023-11-14T22:13:20.000000Z")),
        ("/client/address", json!("203.0.113.77")),
        ("/event/action", json!("rate_limit.denied")),
        ("/event/outcome", json!("failure")),
        ("/event/category", json!(["network", "web"])),
        ("/event/type", json!(["access", "denied"])),
        ("/portcullis/request_headers", json!({"accept": ["a", "b"]})),
        ("/event/duration", json!(12_345_678)),
        ("/http/request/id", json!("r-1")),
        ("/http/response/status_code", json!(429)),
        ("/http/response/body/bytes", json!(17)),
        ("/portcullis/chain/seq", json!(2)),
        ("/portcullis/query", json!({"page": ["2"]})),
        ("/server/address", json!("10.0.0.9:8080")),
        ("/trace/id", json!("0af7651916cd43dd8448eb211c80319c")),
        ("/url/path", json!("/things")),
        ("/user_agent/original", json!("curl/8.5")),
    ] {
        assert_eq!(record.pointer(pointer), Some(&value), "{pointer}");
    }
}

#[test]
fn every_form_is_sealed_alike_and_none_shows_the_seal_of_another() {
    for (format, place) in [
        ("native", "/chain/prev"),
        ("ocsf", "/unmapped/chain/prev"),
        ("ecs", "/portcullis/chain/prev"),
    ] {
        let all = records(format, false, answered("/", 200));
        let hash = place.replace("prev", "hash");
        assert_eq!(all[1].pointer(place), all[0].pointer(&hash), "{format}");
        assert_eq!(all[0].pointer(place).unwrap(), &Value::from("0".repeat(64)));
    }
}
