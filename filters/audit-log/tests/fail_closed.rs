//! Requests that wait for their records: who waits, what lets them go on, and what refuses them.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use audit_log::filter::Stream;
use common::{Audit, environment, parsed};
use portcullis_kit::Flow;
use portcullis_kit::chain::Bundle as _;
use portcullis_kit::exchange::{CalloutId, Reply, Resume};
use portcullis_kit::testing::{Bench, Fake, FakeWorker, Sent, answer};
use serde_json::{Value, json};

type PluginStream =
    <portcullis_kit::plugin::Plugin<audit_log::AuditLog> as portcullis_kit::chain::Bundle>::Stream;

/// One request on its way.
struct Request {
    fake: Fake,
    stream: PluginStream,
    flow: Flow,
}

/// One worker: its clock, its plugin, and the callouts that its requests made.
struct Site {
    audit: Audit,
    worker: FakeWorker,
    requests: u32,
    /// Callouts made from requests, whose numbers are kept apart from those of the worker's own.
    calls: u32,
}

const OF_REQUESTS: u32 = 1 << 20;

impl Site {
    fn new(settings: &Value) -> Self {
        let audit: Audit =
            Bench::load_with(settings, &environment()).unwrap_or_else(|error| panic!("{error}"));
        let worker = FakeWorker::new(audit.names());
        Self {
            audit,
            worker,
            requests: 0,
            calls: 0,
        }
    }

    /// Sends a request in; what it sent to the sink comes with it.
    fn receive(&mut self, fake: Fake) -> (Request, Vec<Sent>) {
        self.requests += 1;
        let mut fake = fake.with_property("source.address", "203.0.113.7:1");
        fake.id = self.requests;
        fake.now.set(self.worker.now.get());
        fake.seed.set(self.worker.seed.get());
        fake.shared = self.worker.shared.clone();
        fake.counts = std::mem::take(&mut self.worker.counts);
        fake.gauges = std::mem::take(&mut self.worker.gauges);
        fake.calls_from(OF_REQUESTS + self.calls);
        let mut stream = PluginStream::default();
        let flow = self.audit.request(&mut fake, &mut stream);
        let sent = std::mem::take(&mut fake.sent);
        self.calls += u32::try_from(sent.len()).unwrap();
        self.take_back(&mut fake);
        (Request { fake, stream, flow }, sent)
    }

    fn get(&mut self, path: &str) -> (Request, Vec<Sent>) {
        self.receive(Fake::get(path))
    }

    fn take_back(&mut self, fake: &mut Fake) {
        self.worker.counts = std::mem::take(&mut fake.counts);
        self.worker.gauges = std::mem::take(&mut fake.gauges);
        self.worker.seed.set(fake.seed.get());
    }

    fn end(&mut self, mut request: Request) {
        request.fake.now.set(self.worker.now.get());
        request.fake.counts = std::mem::take(&mut self.worker.counts);
        request.fake.gauges = std::mem::take(&mut self.worker.gauges);
        self.audit.finish(&mut request.fake, &mut request.stream);
        self.take_back(&mut request.fake);
    }

    fn tick_after(&mut self, milliseconds: u64) -> Vec<Sent> {
        self.worker.pass_ms(milliseconds);
        self.audit.bundle().tick(&mut self.worker);
        self.worker.sent()
    }

    fn answer(&mut self, id: CalloutId, lines: &[(&str, &str)], body: &[u8]) {
        let answer = answer(lines, body);
        self.audit.bundle().callout(id, &answer, &mut self.worker);
    }

    fn acknowledge(&mut self, sent: &Sent) {
        self.answer(sent.id, &[(":status", "200")], b"");
    }

    /// What became of waiting requests, by their numbers.
    fn resumed(&mut self) -> Vec<(u32, Option<Reply>)> {
        let all = std::mem::take(&mut self.worker.resumed);
        all.into_iter()
            .map(|(id, how)| match how {
                Resume::Continue => (id.0, None),
                Resume::Reply(reply) => (id.0, Some(reply)),
            })
            .collect()
    }

    fn waiting(&self) -> i64 {
        self.worker
            .gauge("portcullis_audit_log_fail_closed_waiting.profile=default")
    }

    fn count(&self, what: &str) -> u64 {
        let name = format!("portcullis_audit_log_{what}.profile=default");
        self.worker.count(&name)
    }

    fn denials(&self, reason: &str) -> u64 {
        self.count(&format!("fail_closed_denials_total.reason={reason}"))
    }
}

fn records(sent: &[Sent]) -> Vec<Value> {
    let lines = sent.iter().flat_map(|sent| {
        let text = std::str::from_utf8(&sent.body).unwrap();
        text.lines().map(parsed).collect::<Vec<_>>()
    });
    lines.collect()
}

fn stages(sent: &[Sent]) -> Vec<String> {
    let name = |record: &Value| {
        let name = record["stage"].as_str().or(record["event"].as_str());
        name.unwrap_or("?").to_owned()
    };
    records(sent).iter().map(name).collect()
}

fn settings(over: &Value) -> Value {
    let mut settings = json!({"sinks": [{"webhook": {"cluster": "sink"}}], "fail_closed": {}});
    for (key, value) in over.as_object().unwrap() {
        settings[key] = value.clone();
    }
    settings
}

fn refused(request: &Request) -> &Reply {
    assert_eq!(request.flow, Flow::Replied);
    assert_eq!(request.fake.replies.len(), 1);
    &request.fake.replies[0]
}

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
fn no_more_wait_than_may() {
    let mut site = Site::new(&settings(&json!({"fail_closed": {"max_waiting": 3}})));
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let (request, _) = site.get("/");
        assert_eq!(request.flow, Flow::Pause);
        waiting.push(request);
    }
    let (fourth, _) = site.get("/");
    assert_eq!(refused(&fourth).details, "audit_log_limit");
    // One leaves: there is a place again, which the late acknowledgement of the other one's record does not touch.
    site.end(waiting.remove(0));
    let (fifth, _) = site.get("/");
    assert_eq!(fifth.flow, Flow::Pause);
    assert_eq!((site.denials("limit"), site.waiting()), (1, 3));
}

#[test]
fn those_in_shadow_take_nobodys_place() {
    let mut site = Site::new(&settings(&json!({
        "fail_closed": {"max_waiting": 1},
        "profiles": {"trial": {"mode": "shadow"}},
        "routes": [{"profile": "trial", "paths": [{"prefix": "/trial"}]}],
    })));
    for _ in 0..2 {
        assert_eq!(site.get("/trial").0.flow, Flow::Continue);
    }
    assert_eq!(site.get("/").0.flow, Flow::Pause);
    assert_eq!(refused(&site.get("/").0).details, "audit_log_limit");
}

#[test]
fn a_client_that_leaves_is_not_resumed_and_its_place_is_the_next_ones() {
    let mut site = Site::new(&settings(&json!({})));
    let (first, sent_first) = site.get("/");
    site.end(first);
    assert_eq!(site.waiting(), 0);
    let (_second, sent_second) = site.get("/");
    site.acknowledge(&sent_first[0]);
    assert!(site.resumed().is_empty(), "the slot is another's by now");
    site.acknowledge(&sent_second[0]);
    assert_eq!(site.resumed(), [(2, None)]);
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
fn shadow_mode_neither_waits_nor_refuses_and_counts_what_it_would_have() {
    let over = json!({"mode": "shadow", "fail_closed": {"timeout_ms": 500, "max_waiting": 2}});
    let mut site = Site::new(&settings(&over));
    let mut all = Vec::new();
    for _ in 0..3 {
        let (request, sent) = site.get("/");
        assert_eq!(
            (request.flow, request.fake.replies.len()),
            (Flow::Continue, 0)
        );
        all.extend(sent);
        site.end(request);
    }
    assert!(stages(&all).contains(&"RequestReceived".to_owned()));
    site.acknowledge(&all[0]);
    site.tick_after(1000);
    assert!(site.resumed().is_empty());
    assert_eq!(site.waiting(), 0);
    let shadow =
        |reason: &str| site.count(&format!("fail_closed_shadow_denials_total.reason={reason}"));
    assert_eq!((shadow("limit"), shadow("timeout")), (1, 1));
    assert_eq!(site.count("fail_closed_shadow_waits_total"), 2);
    assert_eq!(site.denials("limit") + site.denials("timeout"), 0);
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
    let _ = Stream::default();
}
