//! What becomes of records is told to the chain that they are of, and told again until it arrives.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use std::collections::BTreeSet;

use common::answered;
use common::one_worker::{Site, dropped, emitter, events, lines, seize, seqs, webhook};
use portcullis_kit::testing::Sent;
use serde_json::{Value, json};

/// A sink `cluster` at `path`.
fn at(cluster: &str, path: &str) -> Value {
    json!({"sinks": [{"webhook": {"cluster": cluster, "path": path}}]})
}

fn accept(_: &Sent) -> &'static str {
    "200"
}

/// Every number of that emitter is in `records`, or in a range that a record tells of.
fn assert_told(records: &[Value], of: &str) {
    let numbers = records.iter().filter(|record| emitter(record) == of);
    let mut numbers: BTreeSet<u64> = numbers
        .map(|record| record["chain"]["seq"].as_u64().unwrap())
        .collect();
    let last = numbers.iter().copied().max().unwrap();
    for (first, last) in dropped(records, of) {
        numbers.extend(first..=last);
    }
    let expected: BTreeSet<u64> = (1..=last).collect();
    assert_eq!(numbers, expected, "{records:?}");
}

#[test]
fn what_a_sink_refuses_of_older_settings_is_told_in_their_chain_and_their_form() {
    let mut old = Site::new(&at("sink", "/in"));
    old.end(answered("/", 200));
    let first = old.tick_after(2000).remove(0);
    let of = emitter(&lines(&first)[0]).to_owned();
    // Another form, so another chain; the same server gets both.
    let mut settings = at("sink", "/in");
    settings["format"] = json!("ecs");
    let mut new = old.reloaded(&settings);
    new.end(answered("/", 200));
    let is_old = |sent: &Sent| lines(sent).iter().any(|record| record["type"] == "request");
    let got = new.drain(10, |sent| if is_old(sent) { "401" } else { "200" });
    assert!(got.iter().any(|record| emitter(record) != of));
    assert_eq!(dropped(&got, &of), [(1, 2)], "{got:?}");
    assert_told(&got, &of);
}

#[test]
fn what_goes_on_to_the_path_of_older_settings_and_is_refused_there_is_told() {
    let old = Site::new(&at("sink", "/old"));
    old.end(answered("/", 200));
    let mut new = old.reloaded(&at("sink", "/new"));
    new.end(answered("/", 200));
    let is_old = |sent: &Sent| sent.header(":path") == Some("/old");
    let got = new.drain(10, |sent| if is_old(sent) { "401" } else { "200" });
    let of = emitter(&got[0]).to_owned();
    assert_eq!(dropped(&got, &of), [(1, 2)], "{got:?}");
    assert_told(&got, &of);
}

#[test]
fn what_goes_on_to_the_cluster_of_older_settings_and_is_refused_is_told_there() {
    let old = Site::new(&at("old", "/"));
    old.end(answered("/poison", 200));
    old.end(answered("/", 200));
    let mut new = old.reloaded(&at("new", "/"));
    new.end(answered("/", 200));
    let poison = |sent: &Sent| {
        let records = lines(sent);
        records
            .iter()
            .any(|record| record["action"]["path"] == "/poison")
    };
    let mut to_old = Vec::new();
    for _ in 0..10 {
        let mut sent = new.tick_after(1000);
        while let Some(batch) = sent.pop() {
            let is_poison = poison(&batch);
            new.answer(&batch, if is_poison { "400" } else { "200" }, b"");
            if batch.cluster == "old" && !is_poison {
                to_old.extend(lines(&batch));
            }
            sent.extend(new.worker.sent());
        }
    }
    let of = emitter(&to_old[0]).to_owned();
    assert_eq!(dropped(&to_old, &of), [(2, 2)]);
    assert_told(&to_old, &of);
    assert!(to_old.iter().all(|record| emitter(record) == of));
}

#[test]
fn drops_that_nothing_told_of_yet_are_told_under_newer_settings() {
    let delivery = |interval_ms: u32| {
        json!({
            "batch": {"max_records": 4, "interval_ms": interval_ms},
            "queue": {"max_records": 4},
            "retry": {"initial_ms": 20, "max_ms": 20},
        })
    };
    for overflow in ["drop_oldest", "drop_newest"] {
        let mut settings = webhook(&json!({"delivery": delivery(1000)}));
        settings["delivery"]["queue"]["overflow"] = json!(overflow);
        let mut old = Site::new(&settings);
        old.end(answered("/", 200));
        assert!(old.drain(3, |_| "503").is_empty());
        for _ in 0..20 {
            old.end(answered("/", 200));
        }
        assert!(old.drain(3, |_| "503").is_empty());
        settings["delivery"] = delivery(1001);
        let mut new = old.reloaded(&settings);
        let got = new.drain(20, accept);
        assert_told(&got, emitter(&got[0]));
        let told: u64 = got
            .iter()
            .filter_map(|record| record["records"].as_u64())
            .sum();
        let requests = got.iter().filter(|record| record["type"] == "request");
        let others = got
            .iter()
            .filter(|record| record["event"] == "bundle.start");
        let of_bundle = 1 - others.count() as u64;
        // The first record and that of the sink are the bundle's; both may be among those dropped.
        let dropped = 21 - requests.count() as u64;
        assert!(
            (dropped..=dropped + of_bundle + 1).contains(&told),
            "{overflow}: {got:?}"
        );
    }
}

#[test]
fn what_a_flood_of_configurations_pushed_out_is_told_once_its_stream_is_back() {
    let mut site = Site::new(&at("first", "/"));
    site.end(answered("/", 200));
    site.end(answered("/", 200));
    let first = site.tick_after(2000).remove(0);
    let of = emitter(&lines(&first)[0]).to_owned();
    for cluster in ["a", "b", "c", "d"] {
        site = site.reloaded(&at(cluster, "/"));
        site.end(answered("/", 200));
        assert!(site.drain(2, |_| "503").is_empty());
    }
    let mut site = site.reloaded(&at("first", "/"));
    let got = site.drain(20, |sent| {
        if sent.cluster == "first" {
            "200"
        } else {
            "503"
        }
    });
    assert_eq!(dropped(&got, &of), [(1, 3)], "{got:?}");
    assert_told(&got, &of);
}

#[test]
fn a_record_that_tells_of_drops_is_told_of_itself_if_it_is_dropped() {
    let delivery = json!({"batch": {"max_records": 1}});
    let mut site = Site::new(&webhook(&json!({"delivery": delivery})));
    for _ in 0..3 {
        site.end(answered("/", 200));
    }
    let refused = std::cell::Cell::new(0);
    let got = site.drain(40, |sent| {
        let record = &lines(sent)[0];
        let seq = record["chain"]["seq"].as_u64().unwrap();
        // The second request's, and the first two that tell of drops.
        let is_told = record["event"] == "bundle.dropped";
        let refuses = seq == 3 || is_told && refused.get() < 2;
        refused.set(refused.get() + u32::from(is_told));
        if refuses { "400" } else { "200" }
    });
    assert!(refused.get() >= 3);
    assert_told(&got, emitter(&got[0]));
}

#[test]
fn telling_takes_no_room_of_records_and_nothing_that_it_tells_is_lost() {
    let delivery = json!({
        "batch": {"max_records": 1, "max_in_flight": 1},
        "queue": {"max_records": 3},
    });
    let mut site = Site::new(&webhook(&json!({"delivery": delivery})));
    for _ in 0..2 {
        site.end(answered("/", 200));
    }
    let mut got = Vec::new();
    let mut sent = site.tick_after(2000);
    // The first and the third are refused: two ranges, and room for one record when two more requests came.
    for (seq, status) in [(1, "400"), (2, "200"), (3, "400")] {
        let batch = sent.remove(0);
        assert_eq!(seqs(&lines(&batch)), [seq]);
        if seq == 3 {
            site.end(answered("/kept", 200));
            site.end(answered("/kept", 200));
        }
        site.answer(&batch, status, b"");
        if status == "200" {
            got.extend(lines(&batch));
        }
        sent.extend(site.worker.sent());
    }
    // One of them is on its way, the other waits.
    assert!(site.tick_after(100).is_empty() && sent.len() == 1);
    site.answer(&sent[0], "200", b"");
    got.extend(lines(&sent[0]));
    for batch in site.worker.sent() {
        site.answer(&batch, "200", b"");
        got.extend(lines(&batch));
    }
    got.extend(site.drain(20, accept));
    let kept = got
        .iter()
        .filter(|record| record["action"]["path"] == "/kept");
    assert_eq!(kept.count(), 2, "{got:?}");
    assert_told(&got, emitter(&got[0]));
}

#[test]
fn with_a_queue_of_one_record_a_checkpoint_waits_until_the_record_is_gone() {
    let settings = webhook(&json!({
        "delivery": {"batch": {"max_records": 1}, "queue": {"max_records": 1}},
        "chain": {"checkpoint_records": 1},
    }));
    let mut site = Site::new(&settings);
    let mut got = Vec::new();
    for path in ["/1", "/2", "/3"] {
        site.end(answered(path, 200));
        got.extend(site.drain(6, accept));
    }
    let paths = got
        .iter()
        .filter_map(|record| record["action"]["path"].as_str());
    assert_eq!(paths.collect::<Vec<_>>(), ["/1", "/2", "/3"], "{got:?}");
    assert!(events(&got).contains(&"bundle.checkpoint"));
    assert_told(&got, emitter(&got[0]));
}

/// A worker with a chain of its own, beside that of a VM that is gone, which had this many records on their way; and the
/// emitter of the latter.
fn beside_an_orphan(settings: &Value, acknowledged: bool, records: u32) -> (Site, String) {
    beside_an_orphan_of(Site::new(settings), acknowledged, records)
}

/// The same, under these settings.
fn beside_an_orphan_of(mut site: Site, acknowledged: bool, records: u32) -> (Site, String) {
    site.end(answered("/", 200));
    let first = site.tick_after(2000).remove(0);
    let of = emitter(&lines(&first)[0]).to_owned();
    let status = if acknowledged { "200" } else { "503" };
    site.answer(&first, status, b"");
    for _ in 0..records {
        site.end(answered("/", 200));
    }
    site.tick_after(0);
    seize(&site.worker.shared);
    site.worker.pass_ms(6_000);
    site.end(answered("/", 200));
    (site, of)
}

#[test]
fn a_restart_that_a_sink_refuses_is_told_of_and_said_again() {
    let settings = webhook(&json!({"delivery": {"batch": {"max_records": 1}}}));
    let (mut site, of) = beside_an_orphan(&settings, true, 3);
    let is_restart = |sent: &Sent| lines(sent)[0]["event"] == "bundle.restart";
    let refused = std::cell::Cell::new(false);
    let got = site.drain(40, |sent| {
        let refuses = is_restart(sent) && !refused.replace(true);
        if refuses { "400" } else { "200" }
    });
    assert!(refused.get());
    let restarts = got
        .iter()
        .filter(|record| record["event"] == "bundle.restart");
    let restarts: Vec<&Value> = restarts.filter(|record| emitter(record) == of).collect();
    assert_eq!(restarts.len(), 1, "{got:?}");
    let seq = restarts[0]["chain"]["seq"].as_u64().unwrap();
    assert!(dropped(&got, &of).contains(&(seq - 1, seq - 1)), "{got:?}");
}

#[test]
fn a_restart_calls_nothing_acknowledged_that_was_dropped_and_not_told() {
    let settings = webhook(&json!({"delivery": {
        "batch": {"max_records": 4},
        "queue": {"max_records": 4},
        "retry": {"initial_ms": 20, "max_ms": 20},
    }}));
    // The first two are dropped for those that follow.
    let (mut site, of) = beside_an_orphan(&settings, false, 4);
    let got = site.drain(40, accept);
    let restart = got
        .iter()
        .find(|record| record["event"] == "bundle.restart" && emitter(record) == of)
        .unwrap();
    assert_eq!(restart["chain"]["restart"]["acknowledged"], 0, "{restart}");
}

#[test]
fn what_was_lost_with_a_vm_whose_log_wrote_nothing_is_told_of_too() {
    let both = json!([{"log": {}}, {"webhook": {"cluster": "sink"}}]);
    let settings = json!({"sinks": both, "delivery": {"batch": {"max_records": 1}}});
    for writes_again in [false, true] {
        let site = Site::new(&settings);
        site.worker.mutes.set(true);
        let (mut site, of) = beside_an_orphan_of(site, true, 3);
        site.worker.mutes.set(!writes_again);
        let got = site.drain(40, accept);
        let restarts = got
            .iter()
            .filter(|record| record["event"] == "bundle.restart");
        let restarts: Vec<&Value> = restarts.filter(|record| emitter(record) == of).collect();
        assert_eq!(restarts.len(), 1, "{got:?}");
        assert_eq!(restarts[0]["records"], 4, "{}", restarts[0]);
        assert_eq!(restarts[0]["chain"]["seq"], 6, "{}", restarts[0]);
        let logs = site.worker.logs.take();
        let logged = logs
            .iter()
            .filter(|(_, line)| line.contains("bundle.restart"));
        assert_eq!(logged.count(), usize::from(writes_again));
        // Nothing is to be told any more, so that whoever comes next goes on with it.
        let lost = "portcullis_audit_log_records_dropped_total.reason=restart.profile=default";
        assert_eq!(site.worker.count(lost), 4);
    }
}
