//! What lets a request go on that waits for its record, and which requests never wait.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::site::{Site, records, settings, stages};
use portcullis_kit::Flow;
use serde_json::json;

#[test]
fn a_request_goes_on_once_its_record_is_acknowledged_and_the_record_is_sent_at_once() {
    let mut site = Site::new(&settings(&json!({})));
    let (request, sent) = site.get("/things?secret=1");
    assert_eq!(request.flow, Flow::Pause);
    assert_eq!(stages(&sent), ["bundle.start", "RequestReceived"]);
    let record = &records(&sent)[1];
    assert_eq!(record["outcome"], "unknown");
    assert_eq!(record["action"]["path"], "/things");
    assert!(record.get("response").is_none() && record.get("duration_us").is_none());
    assert_eq!((site.waiting(), site.resumed()), (1, vec![]));
    site.acknowledge(&sent[0]);
    assert_eq!(site.resumed(), [(1, None)]);
    assert_eq!(site.waiting(), 0);
    site.end(request);
    let sent = site.tick_after(2000);
    assert_eq!(stages(&sent), ["ResponseComplete"]);
    assert_eq!(records(&sent)[0]["chain"]["seq"], 3);
    assert_eq!(site.count("fail_closed_waits_total"), 1);
}

#[test]
fn what_waits_together_is_sent_together() {
    let mut site = Site::new(&settings(&json!({})));
    let mut sent = Vec::new();
    for _ in 0..50 {
        let (request, own) = site.get("/");
        assert_eq!(request.flow, Flow::Pause);
        sent.extend(own);
    }
    // As many batches as may be on their way.
    assert_eq!(sent.len(), 2);
    site.acknowledge(&sent[0]);
    let rest = site.worker.sent();
    assert_eq!(stages(&rest).len(), 48);
    site.acknowledge(&sent[1]);
    site.acknowledge(&rest[0]);
    let mut resumed: Vec<u32> = site.resumed().iter().map(|(id, _)| *id).collect();
    resumed.sort_unstable();
    assert_eq!(resumed, (1..=50).collect::<Vec<_>>());
}

#[test]
fn of_two_sinks_one_is_enough_or_both_are_needed() {
    let sinks = json!([{"otlp": {"cluster": "a"}}, {"webhook": {"cluster": "b"}}]);
    for (ack, after_one) in [("any", 1), ("all", 0)] {
        let mut site = Site::new(&settings(
            &json!({"sinks": sinks, "delivery": {"ack": ack}}),
        ));
        let (_request, sent) = site.get("/");
        assert_eq!(sent.len(), 2);
        site.acknowledge(&sent[1]);
        assert_eq!(site.resumed().len(), after_one, "{ack}");
        site.acknowledge(&sent[0]);
        assert_eq!(site.resumed().len(), 1 - after_one, "{ack}");
    }
}

#[test]
fn exempt_paths_and_what_is_not_recorded_never_wait() {
    let mut site = Site::new(&settings(&json!({
        "rules": [
            {"level": "none", "paths": [{"exact": "/healthz"}]},
            {"level": "headers", "statuses": ["5xx"]},
            {"level": "metadata", "paths": [{"prefix": "/later"}], "omit_stages": ["RequestReceived"]},
            {"level": "metadata", "omit_stages": ["ResponseComplete"], "paths": [{"prefix": "/first"}]},
            {"level": "metadata"},
        ],
        "headers": {"request": [{"name": "x-a"}]},
        "fail_closed": {"exempt": [{"prefix": "/open"}]},
    })));
    for path in ["/healthz", "/open/door", "/later/on"] {
        let (request, sent) = site.get(path);
        assert_eq!((request.flow, sent.len()), (Flow::Continue, 0), "{path}");
    }
    let (first, sent) = site.get("/first");
    assert_eq!(first.flow, Flow::Pause);
    site.acknowledge(&sent[0]);
    site.end(first);
    assert!(site.tick_after(2000).is_empty(), "its end is not recorded");
    let (other, _) = site.get("/other");
    assert_eq!(other.flow, Flow::Pause);
}
