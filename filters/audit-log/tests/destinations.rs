//! Records go where their settings send them, whatever settings come after.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::one_worker::{Site, emitter, lines};
use common::{KEY, answered};
use serde_json::{Value, json};

fn of_tenant(tenant: &Value) -> Value {
    let headers = json!({"x-tenant": tenant});
    json!({"sinks": [{"webhook": {"cluster": "sink", "headers": headers}}]})
}

#[test]
fn records_of_one_tenant_reach_no_other_one_and_share_no_chain_with_it() {
    tell_apart([(&json!({"text": "a"}), "a"), (&json!({"text": "b"}), "b")]);
    // A token alone can name a tenant.
    tell_apart([
        (&json!({"env": "AUDIT_KEY"}), KEY),
        (&json!({"env": "SHORT"}), "short"),
    ]);
}

/// Two tenants, each as the settings name it and as its header does.
fn tell_apart([(old_header, a), (new_header, b)]: [(&Value, &str); 2]) {
    let old = Site::new(&of_tenant(old_header));
    old.end(answered("/a", 200));
    let mut new = old.reloaded(&of_tenant(new_header));
    new.end(answered("/b", 200));
    let mut got = Vec::new();
    for _ in 0..5 {
        let mut sent = new.tick_after(1000);
        while let Some(batch) = sent.pop() {
            let tenant = batch.header("x-tenant").unwrap().to_owned();
            got.extend(
                lines(&batch)
                    .into_iter()
                    .map(|record| (tenant.clone(), record)),
            );
            new.answer(&batch, "200", b"");
            sent.extend(new.worker.sent());
        }
    }
    let path = |record: &Value| record["action"]["path"].as_str().map(str::to_owned);
    let requests: Vec<_> = got
        .iter()
        .filter_map(|(tenant, record)| Some((tenant.as_str(), path(record)?)))
        .collect();
    assert_eq!(requests.len(), 2, "{got:?}");
    assert!(requests.contains(&(a, "/a".to_owned())), "{requests:?}");
    assert!(requests.contains(&(b, "/b".to_owned())), "{requests:?}");
    let of = |tenant: &str| {
        let mut all = got.iter().filter(|(whose, _)| whose == tenant);
        emitter(&all.next().unwrap().1).to_owned()
    };
    assert_ne!(of(a), of(b));
}

#[test]
fn a_sink_of_older_settings_that_refuses_is_not_told_of_it_for_ever() {
    let at = |cluster: &str| json!({"sinks": [{"webhook": {"cluster": cluster}}]});
    let old = Site::new(&at("old"));
    for _ in 0..4 {
        old.end(answered("/", 200));
    }
    let mut new = old.reloaded(&at("new"));
    new.end(answered("/", 200));
    let mut to_old = 0;
    for _ in 0..120 {
        let mut sent = new.tick_after(1000);
        while let Some(batch) = sent.pop() {
            let is_old = batch.cluster == "old";
            to_old += u32::from(is_old);
            new.answer(&batch, if is_old { "401" } else { "200" }, b"");
            sent.extend(new.worker.sent());
        }
    }
    assert!(to_old < 20, "{to_old} batches for a sink that refuses them");
}
