//! What refuses a request whose record nobody has, and what its client gets.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::site::{Site, records, refused, settings};
use portcullis_kit::Flow;
use portcullis_kit::testing::Fake;
use serde_json::{Value, json};

#[test]
fn a_sink_that_hangs_refuses_within_the_time_and_a_late_answer_changes_nothing() {
    let mut site = Site::new(&settings(&json!({"fail_closed": {"timeout_ms": 500}})));
    let (request, sent) = site.get("/");
    let mut waited = 0;
    let resumed = loop {
        site.tick_after(50);
        waited += 50;
        let resumed = site.resumed();
        if !resumed.is_empty() {
            break resumed;
        }
        assert!(waited < 500, "nobody may wait for longer");
    };
    assert!(waited >= 400, "{waited}");
    let (id, reply) = &resumed[0];
    let reply = reply.as_ref().unwrap();
    assert_eq!(
        (*id, reply.status, reply.details),
        (1, 503, "audit_log_timeout")
    );
    assert_eq!(reply.headers.get("retry-after"), Some(&b"1"[..]));
    assert_eq!(
        reply.headers.get("content-type"),
        Some(&b"application/problem+json"[..])
    );
    let document: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        document["type"],
        "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
    );
    assert_eq!((site.denials("timeout"), site.waiting()), (1, 0));
    site.acknowledge(&sent[0]);
    assert!(site.resumed().is_empty());
    site.end(request);
    assert_eq!(site.waiting(), 0);
}

#[test]
fn while_no_sink_is_asked_requests_are_refused_at_once_and_again_admitted_later() {
    let retry = json!({"retry": {"initial_ms": 4000, "max_ms": 4000}});
    let mut site = Site::new(&settings(&json!({"delivery": retry})));
    let (first, sent) = site.get("/");
    site.answer(sent[0].id, &[(":status", "503")], b"");
    assert_eq!(first.flow, Flow::Pause);
    let (second, sent) = site.get("/");
    assert!(sent.is_empty());
    let reply = refused(&second);
    assert_eq!(reply.details, "audit_log_sink_down");
    let seconds: u64 = String::from_utf8_lossy(reply.headers.get("retry-after").unwrap())
        .parse()
        .unwrap();
    assert!((2..=4).contains(&seconds), "{seconds}");
    assert_eq!(site.denials("sink_down"), 1);
    // The sink is asked again, by what waits since then.
    let again = site.tick_after(5000);
    assert_eq!(again.len(), 1);
    site.acknowledge(&again[0]);
    site.resumed();
    let (third, sent) = site.get("/");
    assert_eq!((third.flow, sent.len()), (Flow::Pause, 1));
}

#[test]
fn a_record_that_the_sink_refuses_refuses_its_request() {
    let mut site = Site::new(&settings(&json!({"chain": {"sealed": false}})));
    let (_first, sent) = site.get("/");
    site.answer(sent[0].id, &[(":status", "400")], b"");
    // The batch is split until the records stand alone.
    let mut left = site.worker.sent();
    while let Some(sent) = left.pop() {
        site.answer(sent.id, &[(":status", "400")], b"");
        left.extend(site.worker.sent());
    }
    let resumed = site.resumed();
    assert_eq!(resumed.len(), 1);
    assert_eq!(resumed[0].1.as_ref().unwrap().details, "audit_log_refused");
}

#[test]
fn of_a_batch_that_a_sink_took_in_part_nobody_goes_on() {
    let mut site = Site::new(&json!({"sinks": [{"otlp": {"cluster": "sink"}}], "fail_closed": {}}));
    let (_first, sent) = site.get("/");
    let partial = json!({"partialSuccess": {"rejectedLogRecords": "1"}}).to_string();
    site.answer(sent[0].id, &[(":status", "200")], partial.as_bytes());
    let resumed = site.resumed();
    assert_eq!(resumed[0].1.as_ref().unwrap().details, "audit_log_refused");
}

#[test]
fn a_full_queue_that_denies_refuses_requests_and_drops_nothing_it_did_not_count() {
    let queue = json!({
        "batch": {"max_records": 2, "max_bytes": 1024, "interval_ms": 60000, "max_in_flight": 1},
        "queue": {"max_records": 1000, "max_bytes": 8192, "overflow": "deny"},
    });
    let only_room = json!({
        "sinks": [{"webhook": {"cluster": "sink"}}], "delivery": queue,
        "rules": [{"level": "none", "paths": [{"exact": "/free"}]}, {"level": "metadata"}],
    });
    let mut site = Site::new(&only_room);
    let mut passed = 0;
    let denied = loop {
        let (request, _) = site.get("/");
        if request.flow == Flow::Replied {
            break request;
        }
        assert_eq!(request.flow, Flow::Continue);
        site.end(request);
        passed += 1;
        assert!(passed < 100);
    };
    assert!(passed > 2, "{passed}");
    assert_eq!(refused(&denied).details, "audit_log_overflow");
    assert_eq!(site.denials("overflow"), 1);
    let (free, _) = site.get("/free");
    assert_eq!(free.flow, Flow::Continue);
}

#[test]
fn a_grpc_client_gets_a_status_and_a_message() {
    let mut site = Site::new(&settings(&json!({"fail_closed": {"max_waiting": 1}})));
    let grpc = || {
        let mut fake = Fake::get("/pkg.Service/Call");
        fake.request.add("content-type", "application/grpc+proto");
        fake
    };
    let (_first, _) = site.receive(grpc());
    let (second, _) = site.receive(grpc());
    let reply = refused(&second);
    assert_eq!(reply.grpc_status, Some(14));
    assert!(reply.body.starts_with(b"Requests cannot be recorded"));
    site.tick_after(5000);
    let resumed = site.resumed();
    assert_eq!(resumed[0].1.as_ref().unwrap().grpc_status, Some(14));
}

#[test]
fn a_refused_request_is_recorded_as_refused_by_the_audit() {
    let mut site = Site::new(&settings(&json!({"fail_closed": {"max_waiting": 1}})));
    let (_first, sent) = site.get("/");
    let (mut second, _) = site.get("/");
    second.fake.response.add(":status", "503");
    let details = refused(&second).details.as_bytes().to_vec();
    second
        .fake
        .properties
        .insert("response.code_details".to_owned(), details);
    site.end(second);
    site.acknowledge(&sent[0]);
    let sent = site.tick_after(2000);
    let record = &records(&sent)[0];
    assert_eq!(
        [&record["outcome"], &record["category"], &record["event"]],
        ["denied", "audit", "audit.refused"]
    );
}

#[test]
fn a_wall_clock_that_steps_back_makes_nobody_wait_for_longer() {
    let mut site = Site::new(&settings(&json!({"fail_closed": {"timeout_ms": 500}})));
    let (_request, _) = site.get("/");
    site.tick_after(200);
    site.worker
        .now
        .set(site.worker.now.get() - 3_600_000_000_000);
    let mut waited = 200;
    while site.resumed().is_empty() {
        site.tick_after(50);
        waited += 50;
        assert!(waited <= 600);
    }
}
