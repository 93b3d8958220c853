//! Requests whose records go to the proxy's log, which may write them or not.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::parsed;
use common::site::{Site, refused, settings, stages};
use portcullis_kit::Flow;
use portcullis_kit::chain::Bundle as _;
use portcullis_kit::testing::Fake;
use serde_json::{Value, json};

#[test]
fn the_log_acknowledges_by_being_written() {
    for (over, waits) in [
        (json!({"sinks": [{"log": {}}]}), false),
        (
            json!({"sinks": [{"log": {}}, {"webhook": {"cluster": "sink"}}]}),
            false,
        ),
        (
            json!({"sinks": [{"log": {}}, {"webhook": {"cluster": "sink"}}], "delivery": {"ack": "all"}}),
            true,
        ),
    ] {
        let mut site = Site::new(&settings(&over));
        let (request, sent) = site.get("/");
        assert_eq!(request.flow == Flow::Pause, waits, "{over}");
        let lines = request.fake.logs.borrow();
        let received = lines.iter().map(|(_, line)| parsed(line));
        assert_eq!(
            received
                .filter(|line| line["stage"] == "RequestReceived")
                .count(),
            1
        );
        drop(lines);
        if waits {
            site.acknowledge(&sent[0]);
            assert_eq!(site.resumed(), [(1, None)]);
        }
    }
}

const DOWN: &str = "portcullis_audit_log_records_sink_down.sink=log.profile=default";

fn unwritten(site: &Site) -> u64 {
    site.count("records_dropped_total.reason=unwritten")
}

/// What the proxy's log got since the last call, from the worker and from a request.
fn logged(site: &Site, request: Option<&Fake>) -> Vec<Value> {
    let mut lines = site.worker.logs.take();
    lines.extend(request.map(|fake| fake.logs.take()).unwrap_or_default());
    let records = lines.iter().map(|(_, line)| parsed(line));
    records.collect()
}

fn names(records: &[Value]) -> Vec<&str> {
    let name = |at: usize| {
        let record = &records[at];
        record["stage"]
            .as_str()
            .or(record["event"].as_str())
            .unwrap()
    };
    (0..records.len()).map(name).collect()
}

#[test]
fn a_log_that_writes_no_records_refuses_requests_until_it_does_again() {
    let mut site = Site::new(&settings(&json!({"sinks": [{"log": {}}]})));
    let (first, _) = site.get("/");
    assert_eq!(first.flow, Flow::Continue);
    assert_eq!(
        names(&logged(&site, Some(&first.fake))),
        ["bundle.start", "RequestReceived"]
    );
    // `POST /logging?wasm=error`: the worker hears of it on its next tick.
    site.worker.mutes.set(true);
    site.tick_after(100);
    assert_eq!(site.worker.gauge(DOWN), 1);
    let (second, _) = site.get("/");
    assert_eq!(refused(&second).details, "audit_log_sink_down");
    assert_eq!(site.denials("sink_down"), 1);
    // The ends of both.
    site.end(first);
    site.end(second);
    assert_eq!(unwritten(&site), 2);
    site.tick_after(120_000);
    site.worker.mutes.set(false);
    assert!(logged(&site, None).is_empty());
    site.tick_after(100);
    assert_eq!(site.worker.gauge(DOWN), 0);
    let back = logged(&site, None);
    assert_eq!(names(&back[..2]), ["bundle.sink_up", "bundle.dropped"]);
    assert_eq!(
        (&back[1]["records"], &back[1]["reason"]),
        (&json!(2), &json!("unwritten"))
    );
    // What was not written has no number: the chain has no gap.
    assert_eq!(back[0]["chain"]["seq"], 3);
    let (third, _) = site.get("/");
    assert_eq!(third.flow, Flow::Continue);
}

#[test]
fn a_log_that_wrote_nothing_from_the_start_is_found_out_by_the_first_request() {
    let mut site = Site::new(&settings(&json!({"sinks": [{"log": {}}]})));
    site.worker.mutes.set(true);
    // A worker that had no request tells nothing.
    site.tick_after(100);
    assert_eq!(site.worker.gauge(DOWN), 0);
    let (first, _) = site.get("/");
    assert_eq!(refused(&first).details, "audit_log_sink_down");
    assert_eq!(site.worker.gauge(DOWN), 1);
    site.end(first);
    site.worker.mutes.set(false);
    site.tick_after(100);
    let (second, _) = site.get("/");
    assert_eq!(second.flow, Flow::Continue);
    let mut told = logged(&site, Some(&second.fake));
    assert_eq!(names(&told), ["bundle.start", "RequestReceived"]);
    site.tick_after(100);
    told.extend(logged(&site, None));
    assert_eq!(names(&told[2..]), ["bundle.sink_up", "bundle.dropped"]);
    assert_eq!(told[3]["records"], 1);
}

#[test]
fn without_fail_closed_records_that_the_log_does_not_write_are_dropped_and_told_of() {
    let chain = json!({"sealed": false});
    for over in [
        json!({"fail_closed": null}),
        json!({"fail_closed": null, "chain": chain}),
    ] {
        let mut over = over;
        over["sinks"] = json!([{"log": {}}]);
        let mut site = Site::new(&settings(&over));
        let (first, _) = site.get("/");
        site.end(first);
        site.worker.mutes.set(true);
        site.tick_after(1000);
        for _ in 0..5 {
            let (request, _) = site.get("/");
            assert_eq!(request.flow, Flow::Continue);
            site.end(request);
        }
        assert_eq!(unwritten(&site), 5);
        site.worker.mutes.set(false);
        site.tick_after(1000);
        let told = logged(&site, None);
        assert_eq!(names(&told), ["bundle.sink_up", "bundle.dropped"], "{over}");
        assert_eq!(told[1]["records"], 5);
    }
}

#[test]
fn where_the_log_writes_nothing_another_sink_is_waited_for() {
    let both = json!([{"log": {}}, {"webhook": {"cluster": "sink"}}]);
    let mut site = Site::new(&settings(&json!({"sinks": both})));
    site.worker.mutes.set(true);
    let (first, sent) = site.get("/");
    assert_eq!((first.flow, sent.len()), (Flow::Pause, 1));
    site.acknowledge(&sent[0]);
    assert_eq!(site.resumed(), [(1, None)]);
    assert_eq!((site.worker.gauge(DOWN), unwritten(&site)), (1, 0));
    // What the sink refuses nobody has.
    let (_second, sent) = site.get("/");
    site.answer(sent[0].id, &[(":status", "403")], b"");
    assert_eq!(
        site.resumed()[0].1.as_ref().unwrap().details,
        "audit_log_refused"
    );
    let mut told = Vec::new();
    for _ in 0..4 {
        let sent = site.tick_after(2000);
        for sent in &sent {
            site.acknowledge(sent);
        }
        told.extend(sent);
    }
    let mut stages = stages(&told);
    stages.sort();
    assert_eq!(
        stages,
        ["bundle.dropped", "bundle.sink_down", "bundle.sink_up"]
    );
    // Where both are needed, nobody waits for what cannot come.
    let all = json!({"sinks": both, "delivery": {"ack": "all"}});
    let mut site = Site::new(&settings(&all));
    site.worker.mutes.set(true);
    let (first, sent) = site.get("/");
    assert_eq!(refused(&first).details, "audit_log_sink_down");
    assert!(sent.is_empty());
}

#[test]
fn a_configuration_that_ends_while_the_log_writes_nothing_leaves_nothing_in_the_gauge() {
    let mut site = Site::new(&settings(&json!({"sinks": [{"log": {}}]})));
    let (first, _) = site.get("/");
    site.worker.mutes.set(true);
    site.tick_after(100);
    assert_eq!(site.worker.gauge(DOWN), 1);
    site.end(first);
    site.audit.bundle().stop(&mut site.worker);
    assert_eq!(site.worker.gauge(DOWN), 0);
}
