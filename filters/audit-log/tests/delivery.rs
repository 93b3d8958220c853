//! What sinks get, and what the chain and the bundle's own records tell of it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::one_worker::{Site, events, lines, seqs, webhook};
use common::{answered, parsed};
use portcullis_kit::testing::{Fake, Sent};
use serde_json::{Value, json};

#[test]
fn a_worker_that_gets_no_request_emits_nothing() {
    let mut site = Site::new(&webhook(&json!({})));
    for _ in 0..200 {
        assert!(site.tick_after(1000).is_empty());
    }
    assert_eq!(site.worker.shared.keys(), 0);
}

#[test]
fn records_are_numbered_and_linked_and_posted_as_lines() {
    let mut site = Site::new(&webhook(&json!({})));
    for _ in 0..3 {
        assert!(site.end(answered("/", 200)).is_empty());
    }
    let sent = site.tick_after(2000);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].header("content-type"), Some("application/x-ndjson"));
    let records = lines(&sent[0]);
    assert_eq!(events(&records), ["bundle.start", "-", "-", "-"]);
    assert_eq!(seqs(&records), [1, 2, 3, 4]);
    for pair in records.windows(2) {
        assert_eq!(pair[1]["chain"]["prev"], pair[0]["chain"]["hash"]);
    }
    let emitter = records[0]["chain"]["emitter"].as_str().unwrap();
    assert!(
        emitter.starts_with("proxy/") && emitter.ends_with("/0"),
        "{emitter}"
    );
}

#[test]
fn a_batch_is_sent_again_until_it_is_acknowledged() {
    let mut site = Site::new(&webhook(
        &json!({"delivery": {"retry": {"initial_ms": 100, "max_ms": 100}}}),
    ));
    site.end(answered("/", 200));
    let first = site.tick_after(2000).remove(0);
    site.answer(&first, "503", b"");
    let again = site.tick_after(2000);
    assert_eq!(seqs(&lines(&again[0])), seqs(&lines(&first)));
    site.answer(&again[0], "204", b"");
    let mut told = Vec::new();
    for _ in 0..4 {
        for sent in site.tick_after(2000) {
            told.extend(lines(&sent));
            site.answer(&sent, "204", b"");
        }
    }
    assert_eq!(events(&told), ["bundle.sink_down", "bundle.sink_up"]);
    let later: Vec<Sent> = (0..62).flat_map(|_| site.tick_after(1000)).collect();
    let checkpoint = &lines(&later[0])[0];
    assert_eq!(
        checkpoint["chain"]["checkpoint"],
        json!({"dropped": 0, "emitted": 5, "retried": 1})
    );
    site.answer(&later[0], "200", b"");
    let acknowledged = "portcullis_audit_log_records_acknowledged_total.profile=default";
    assert_eq!(site.worker.count(acknowledged), 5);
}

#[test]
fn a_list_is_signed_and_every_sink_gets_what_it_understands() {
    let settings = json!({"sinks": [
        {"otlp": {"cluster": "collector"}},
        {"webhook": {"cluster": "sink", "path": "/in", "body": "array", "sign_with": {"env": "AUDIT_KEY"}}},
    ]});
    let mut site = Site::new(&settings);
    site.end(answered("/", 403));
    let mut sent = site.tick_after(2000);
    sent.sort_by(|one, other| one.cluster.cmp(&other.cluster));
    let [otlp, webhook] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    assert_eq!(otlp.header(":path"), Some("/v1/logs"));
    let list: Vec<Value> = serde_json::from_slice(&webhook.body).unwrap();
    let body: Value = serde_json::from_slice(&otlp.body).unwrap();
    let logs = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        .as_array()
        .unwrap();
    let bodies: Vec<Value> = logs
        .iter()
        .map(|log| parsed(log["body"]["stringValue"].as_str().unwrap()))
        .collect();
    assert_eq!(bodies, list);
    let severities: Vec<&Value> = logs.iter().map(|log| &log["severityNumber"]).collect();
    assert_eq!(severities, [9, 13]);
    assert_eq!(logs[1]["timeUnixNano"], site_time(&site).as_str());
    let signature = webhook.header("x-portcullis-signature").unwrap();
    assert_eq!(signature, hmac(&webhook.body));
    assert_eq!(otlp.header("x-portcullis-signature"), None);
}

fn site_time(site: &Site) -> String {
    (site.worker.now.get() - 2_000_000_000).to_string()
}

/// By another road than the filter's.
fn hmac(body: &[u8]) -> String {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", common::KEY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(body).unwrap();
    let output = openssl.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    format!("sha256={}", text.trim().rsplit(' ').next().unwrap())
}

#[test]
fn a_checkpoint_comes_after_so_many_records_and_after_so_much_time() {
    let chain = json!({"checkpoint_records": 3, "checkpoint_seconds": 5});
    let mut site = Site::new(&webhook(&json!({"chain": chain})));
    for _ in 0..4 {
        site.end(answered("/", 200));
    }
    let sent = site.tick_after(2000);
    let records = lines(&sent[0]);
    assert_eq!(
        events(&records),
        ["bundle.start", "-", "-", "bundle.checkpoint", "-", "-"]
    );
    assert_eq!(
        records[3]["chain"]["checkpoint"],
        json!({"dropped": 0, "emitted": 4, "retried": 0})
    );
    site.answer(&sent[0], "200", b"");
    let idle: Vec<Sent> = (0..6).flat_map(|_| site.tick_after(1000)).collect();
    assert_eq!(events(&lines(&idle[0])), ["bundle.checkpoint"]);
}

#[test]
fn what_is_dropped_is_told_by_its_numbers_once_the_sink_is_back() {
    let delivery = json!({
        "batch": {"max_records": 1, "max_in_flight": 1},
        "queue": {"max_records": 4},
        "retry": {"initial_ms": 100, "max_ms": 100},
    });
    let mut site = Site::new(&webhook(&json!({"delivery": delivery})));
    site.end(answered("/", 200));
    let mut sent = site.tick_after(2000);
    // The sink has number 1, and answers nothing until the queue is over full.
    for _ in 0..10 {
        site.end(answered("/", 200));
    }
    let mut got = Vec::new();
    for _ in 0..40 {
        for batch in std::mem::take(&mut sent) {
            got.extend(lines(&batch));
            site.answer(&batch, "200", b"");
        }
        sent = site.tick_after(2000);
    }
    let requests: Vec<u64> = got
        .iter()
        .filter(|record| record["type"] == "request")
        .map(|record| record["chain"]["seq"].as_u64().unwrap())
        .collect();
    let dropped: Vec<&Value> = got
        .iter()
        .filter(|record| record["event"] == "bundle.dropped")
        .collect();
    assert_eq!(dropped.len(), 1, "{got:?}");
    let range = &dropped[0]["chain"]["dropped"];
    let (first, last) = (
        range["first"].as_u64().unwrap(),
        range["last"].as_u64().unwrap(),
    );
    assert_eq!(dropped[0]["records"], last - first + 1);
    assert_eq!(dropped[0]["reason"], "overflow");
    let mut all: Vec<u64> = (first..=last).chain(seqs(&got)).collect();
    all.sort_unstable();
    let expected: Vec<u64> = (1..=all.len() as u64).collect();
    assert_eq!(all, expected, "every number was sent or told of");
    assert_eq!(requests.len() as u64 + (last - first + 1), 11);
}

/// The filter state that an access log reads.
fn state(fake: &Fake) -> Vec<Value> {
    let text = fake.filter_state.get("portcullis.audit");
    let text = std::str::from_utf8(text.map_or(b"", Vec::as_slice)).unwrap();
    text.lines().map(parsed).collect()
}

#[test]
fn the_access_log_gets_each_requests_record_and_what_the_bundle_tells_with_the_next_one() {
    let chain = json!({"checkpoint_records": 1000, "checkpoint_seconds": 5});
    let mut site = Site::new(&json!({"sinks": [{"access_log": {}}], "chain": chain}));
    let first = state(&site.ended(answered("/", 200)));
    assert_eq!(events(&first), ["bundle.start", "-"]);
    for _ in 0..10 {
        // A worker's tick has no line in the access log, so nothing is sealed in it.
        assert!(site.tick_after(1000).is_empty());
    }
    let second = state(&site.ended(answered("/", 200)));
    assert_eq!(events(&second), ["-", "bundle.checkpoint"]);
    assert_eq!(seqs(&second), [3, 4]);
    assert_eq!(second[0]["chain"]["prev"], first[1]["chain"]["hash"]);
}

#[test]
fn in_shadow_mode_the_access_log_gets_records_too() {
    let site = Site::new(&json!({"sinks": [{"access_log": {}}], "mode": "shadow"}));
    assert_eq!(state(&site.ended(answered("/", 200))).len(), 2);
}

#[test]
fn what_no_access_log_can_take_waits_and_then_is_dropped_and_counted() {
    let site = Site::new(&json!({"sinks": [{"access_log": {}}]}));
    let refused = || {
        let mut fake = answered("/", 200);
        fake.is_access_logger = true;
        fake
    };
    site.ended(refused());
    let waited = state(&site.ended(answered("/", 200)));
    assert_eq!(seqs(&waited), [1, 2, 3], "they come with the next one");
    let unwritten = "portcullis_audit_log_records_dropped_total.reason=unwritten.profile=default";
    let mut dropped = 0;
    let mut requests = 0;
    while dropped == 0 {
        dropped = site.ended(refused()).count(unwritten);
        requests += 1;
        assert!(requests < 1000);
    }
    assert_eq!(dropped, requests);
    let told = state(&site.ended(answered("/", 200)));
    assert_eq!(events(&told), ["bundle.dropped", "-"]);
    assert_eq!(
        told[0]["chain"]["dropped"],
        json!({"first": 4, "last": 3 + dropped})
    );
    assert_eq!(told[0]["reason"], "unwritten");
}

#[test]
fn a_newest_record_that_is_dropped_has_no_number_and_is_counted_and_told_of() {
    let delivery = json!({
        "batch": {"max_records": 4, "max_in_flight": 1},
        "queue": {"max_records": 4, "overflow": "drop_newest"},
    });
    let mut site = Site::new(&webhook(&json!({"delivery": delivery})));
    for _ in 0..10 {
        site.end(answered("/", 200));
    }
    let mut got = Vec::new();
    for _ in 0..6 {
        for sent in site.tick_after(2000) {
            got.extend(lines(&sent));
            site.answer(&sent, "200", b"");
        }
    }
    assert_eq!(
        events(&got),
        ["bundle.start", "-", "-", "-", "bundle.dropped"]
    );
    assert_eq!(seqs(&got), [1, 2, 3, 4, 5]);
    assert_eq!(
        (&got[4]["records"], &got[4]["reason"]),
        (&json!(7), &json!("overflow"))
    );
    assert_eq!(got[4]["chain"].get("dropped"), None);
    let dropped = "portcullis_audit_log_records_dropped_total.reason=overflow.profile=default";
    assert_eq!(site.worker.count(dropped), 7);
}
