//! Which chain a record is sealed into, through new settings, lost slots and ends.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::answered;
use common::one_worker::{Site, events, lines, seize, seqs, webhook};
use portcullis_kit::testing::Shared;
use serde_json::json;

#[test]
fn another_configuration_of_the_vm_goes_on_with_the_chain() {
    let shared = Shared::default();
    let key = json!({"key": {"id": "k2", "secret": {"env": "AUDIT_KEY"}}});
    let old = Site::on(shared.clone(), &json!({"chain": {}}));
    let before = old.end(answered("/", 200));
    let new = Site::on(shared.clone(), &json!({"chain": key}));
    let after = new.end(answered("/", 200));
    assert_eq!((seqs(&before), seqs(&after)), (vec![1, 2], vec![3]));
    assert_eq!(after[0]["chain"]["prev"], before[1]["chain"]["hash"]);
    assert_eq!(after[0]["chain"]["key_id"], "k2");
    assert_eq!(shared.keys(), 1);
}

/// When the owner of the one slot gave its last sign of life.
fn last_sign(shared: &Shared) -> u64 {
    let mut time = 0;
    shared.change_the_one(|value| time = u64::from_le_bytes(value[8..16].try_into().unwrap()));
    time
}

#[test]
fn a_chain_is_kept_after_new_settings_also_while_no_request_comes() {
    let shared = Shared::default();
    let old = Site::on(shared.clone(), &webhook(&json!({})));
    old.end(answered("/", 200));
    let mut new = Site::on(shared.clone(), &webhook(&json!({"omit": ["route"]})));
    new.worker.now.set(old.worker.now.get());
    drop(old);
    for _ in 0..4 {
        new.tick_after(6_000);
        // Nobody may take the chain for one whose VM is gone.
        assert!(new.worker.now.get() - last_sign(&shared) < 6_000_000_000);
    }
}

#[test]
fn who_lost_its_chain_to_another_vm_begins_a_new_one_even_if_a_request_comes_first() {
    let shared = Shared::default();
    let site = Site::on(shared.clone(), &json!({}));
    let before = site.end(answered("/", 200));
    let now = site.worker.now.get() + 11_000_000_000;
    site.worker.now.set(now);
    // The other one's mark, and its sign of life.
    shared.change_the_one(|value| {
        value[0] ^= 1;
        value[8..16].copy_from_slice(&now.to_le_bytes());
    });
    let after = site.end(answered("/", 200));
    assert_eq!(seqs(&before), [1, 2]);
    assert_ne!(after[0]["chain"]["emitter"], before[0]["chain"]["emitter"]);
    assert_eq!(seqs(&after), [1, 2]);
}

#[test]
fn a_worker_that_stops_says_so_in_the_log_and_the_next_one_goes_on_at_once() {
    let shared = Shared::default();
    let mut old = Site::on(shared.clone(), &json!({"chain": {}}));
    assert!(old.stop().is_empty(), "it never emitted anything");
    let before = old.end(answered("/", 200));
    // Another configuration of the same stream goes on with the chain, so there is no end.
    let other = Site::on(shared.clone(), &json!({"chain": {}, "omit": ["route"]}));
    assert!(old.stop().is_empty());
    drop(other);
    let stop = old.stop();
    assert_eq!(events(&stop), ["bundle.stop"]);
    assert_eq!(
        stop[0]["chain"]["checkpoint"],
        json!({"dropped": 0, "emitted": 3, "retried": 0})
    );
    assert_eq!(stop[0]["chain"]["prev"], before[1]["chain"]["hash"]);
    let new = Site::on(shared.clone(), &json!({"chain": {}}));
    let after = new.end(answered("/", 200));
    assert_eq!(events(&after), ["bundle.start", "-"]);
    assert_eq!(seqs(&after), [4, 5]);
    assert_eq!(after[0]["chain"]["prev"], stop[0]["chain"]["hash"]);
}

#[test]
fn who_lost_its_chain_learns_of_it_also_if_the_clock_was_set_back_meanwhile() {
    let shared = Shared::default();
    let site = Site::on(shared.clone(), &json!({}));
    let before = site.end(answered("/", 200));
    seize(&shared);
    site.worker.now.set(site.worker.now.get() - 20_000_000_000);
    let after = site.end(answered("/", 200));
    assert_ne!(after[0]["chain"]["emitter"], before[0]["chain"]["emitter"]);
    assert_eq!(seqs(&after), [1, 2]);
}

#[test]
fn two_configurations_that_lost_one_chain_go_on_with_one_new_chain() {
    let shared = Shared::default();
    let first = Site::on(shared.clone(), &json!({}));
    let second = Site::on(shared.clone(), &json!({"omit": ["route"]}));
    first.end(answered("/", 200));
    second.end(answered("/", 200));
    seize(&shared);
    for site in [&first, &second] {
        site.worker.now.set(site.worker.now.get() + 6_000_000_000);
    }
    let one = first.end(answered("/", 200));
    let other = second.end(answered("/", 200));
    assert_eq!(one[0]["chain"]["emitter"], other[0]["chain"]["emitter"]);
    // Under further settings, too.
    let third = first.reloaded(&json!({"omit": ["route", "upstream"]}));
    let next = third.end(answered("/", 200));
    assert_eq!(next[0]["chain"]["emitter"], one[0]["chain"]["emitter"]);
    assert_eq!(
        (seqs(&one), seqs(&other), seqs(&next)),
        (vec![1, 2], vec![3], vec![4])
    );
}

#[test]
fn each_of_two_configurations_with_one_chain_seals_under_its_own_key() {
    let key = |id: &str| json!({"chain": {"key": {"id": id, "secret": {"env": "AUDIT_KEY"}}}});
    let shared = Shared::default();
    let one = Site::on(shared.clone(), &key("k1"));
    let other = Site::on(shared.clone(), &key("k2"));
    let none = Site::on(shared, &json!({}));
    let mut all = Vec::new();
    for _ in 0..2 {
        for site in [&one, &other, &none] {
            all.extend(site.end(answered("/", 200)));
        }
    }
    let ids: Vec<&str> = all
        .iter()
        .map(|record| record["chain"]["key_id"].as_str().unwrap_or("-"))
        .collect();
    assert_eq!(ids, ["k1", "k1", "k2", "-", "k1", "k2", "-"]);
    assert_eq!(seqs(&all), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn new_settings_do_not_put_a_checkpoint_off() {
    let settings = |omit: &[&str]| json!({"chain": {"checkpoint_seconds": 5}, "omit": omit});
    let mut site = Site::new(&settings(&[]));
    let mut got = Vec::new();
    for round in 0..6 {
        got.extend(site.end(answered("/", 200)));
        site.worker.pass_ms(3_000);
        site = site.reloaded(&settings(if round % 2 == 0 { &["route"] } else { &[] }));
    }
    let checkpoints = events(&got)
        .into_iter()
        .filter(|event| *event == "bundle.checkpoint");
    assert!(checkpoints.count() >= 2, "{got:?}");
}

#[test]
fn a_chain_goes_on_with_checkpoints_under_new_settings_also_while_no_request_comes() {
    let chain = json!({"checkpoint_seconds": 5});
    let old = Site::new(&webhook(&json!({"chain": chain})));
    old.end(answered("/", 200));
    let mut new = old.reloaded(&webhook(&json!({"chain": chain, "omit": ["route"]})));
    let mut sent = Vec::new();
    for _ in 0..10 {
        for batch in new.tick_after(1000) {
            new.answer(&batch, "200", b"");
            sent.extend(lines(&batch));
        }
    }
    assert!(events(&sent).contains(&"bundle.checkpoint"), "{sent:?}");
}

#[test]
fn a_chain_whose_settings_end_with_records_on_their_way_is_ended_once_these_have_arrived() {
    let both = json!({"sinks": [{"log": {}}, {"webhook": {"cluster": "sink"}}]});
    let mut old = Site::new(&both);
    // All that is recorded waits for the webhook.
    old.worker.mutes.set(true);
    old.end(answered("/", 200));
    old.stop();
    let mut new = old.reloaded(&json!({"sinks": [{"webhook": {"cluster": "other"}}]}));
    new.end(answered("/", 200));
    let got = new.drain(5, |_| "200");
    assert_eq!(got.len(), 5, "{got:?}");
    let back = new.reloaded(&both);
    let after = back.end(answered("/", 200));
    assert_eq!(events(&after), ["bundle.start", "-"]);
    assert_eq!(seqs(&after), [4, 5], "{after:?}");
}
