//! Spans, from the request to the sink's request body.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // A test that fails is to panic.

use portcullis_kit::chain::Bundle;
use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::{Bench, Fake, FakeWorker, answer};
use request_tracing::RequestTracing;
use serde_json::{Value, json};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// A filter with spans, and its worker.
struct Spans {
    bench: Bench<Plugin<RequestTracing>>,
    worker: FakeWorker,
}

impl Spans {
    /// `spans` is added to what every test has.
    fn new(settings: Value, spans: Value) -> Self {
        let mut all = json!({"trust": "internal", "spans": {"otlp": {"cluster": "collector"}}});
        for (place, over) in [("", settings), ("/spans", spans)] {
            let place = all.pointer_mut(place).unwrap();
            for (key, value) in over.as_object().unwrap() {
                place[key] = value.clone();
            }
        }
        let bench = Bench::load(&all).unwrap();
        let worker = FakeWorker::new(bench.names());
        Self { bench, worker }
    }

    /// One exchange that lasts so many milliseconds.
    fn run(&self, parent: &str, status: Option<&str>, milliseconds: u64) -> Fake {
        let mut fake = Fake::get("/orders?secret=1")
            .with_property("xds.route_name", "orders")
            .with_property("node.id", "gate-7");
        fake.request.add("traceparent", parent);
        fake.request.add("tracestate", "a=1");
        self.finish(fake, status, milliseconds)
    }

    fn finish(&self, mut fake: Fake, status: Option<&str>, milliseconds: u64) -> Fake {
        let mut stream = <Plugin<RequestTracing> as Bundle>::Stream::default();
        self.bench.request(&mut fake, &mut stream);
        fake.now.set(fake.now.get() + milliseconds * 1_000_000);
        if let Some(status) = status {
            fake.respond([(":status", status)]);
            self.bench.respond(&mut fake, &mut stream);
        }
        self.bench.finish(&mut fake, &mut stream);
        fake
    }

    /// What the sink gets after a while, each body parsed.
    fn sent(&mut self) -> Vec<Value> {
        self.worker.pass_ms(100_000);
        self.bench.bundle().tick(&mut self.worker);
        let sent = self.worker.sent();
        for sent in &sent {
            let taken = answer(&[(":status", "200")], b"{}");
            self.bench
                .bundle()
                .callout(sent.id, &taken, &mut self.worker);
        }
        let body = |sent: &portcullis_kit::testing::Sent| serde_json::from_slice(&sent.body);
        sent.iter().map(|sent| body(sent).unwrap()).collect()
    }

    /// All spans of one body.
    fn spans(&mut self) -> Vec<Value> {
        let bodies = self.sent();
        assert!(bodies.len() < 2);
        bodies.first().map_or(Vec::new(), |body| {
            let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
            spans.as_array().unwrap().clone()
        })
    }
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|entry| entry["key"] == key);
    found.map_or(&Value::Null, |entry| &entry["value"])
}

#[test]
fn a_span_says_what_the_upstream_saw_and_no_path() {
    let mut spans = Spans::new(json!({}), json!({"service_name": "shop"}));
    let done = spans.run(PARENT, Some("200"), 12);
    let parent = done.request.get("traceparent").unwrap();
    let parent: Vec<&str> = std::str::from_utf8(parent).unwrap().split('-').collect();
    let bodies = spans.sent();
    let text = bodies[0].to_string();
    assert!(!text.contains("secret") && !text.contains("/orders"));
    let resource = &bodies[0]["resourceSpans"][0]["resource"];
    assert_eq!(attribute(resource, "service.name")["stringValue"], "shop");
    assert_eq!(
        attribute(resource, "service.instance.id")["stringValue"],
        "gate-7"
    );
    let scope = &bodies[0]["resourceSpans"][0]["scopeSpans"][0]["scope"];
    assert_eq!(scope["name"], "portcullis/request-tracing");
    let span = &bodies[0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    for (key, expected) in [
        ("traceId", json!(parent[1])),
        ("spanId", json!(parent[2])),
        ("parentSpanId", json!("b7ad6b7169203331")),
        ("traceState", json!("a=1")),
        ("name", json!("GET orders")),
        ("kind", json!(2)),
        ("status", Value::Null),
        ("flags", json!(0x301)),
    ] {
        assert_eq!(span[key], expected, "{key}");
    }
    let time = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(
        time("endTimeUnixNano") - time("startTimeUnixNano"),
        12_000_000
    );
    for (key, expected) in [
        ("http.response.status_code", json!({"intValue": "200"})),
        ("http.route", json!({"stringValue": "orders"})),
        ("server.address", json!({"stringValue": "api.example.com"})),
        ("error.type", Value::Null),
    ] {
        assert_eq!(*attribute(span, key), expected, "{key}");
    }
}

#[test]
fn the_proxys_node_is_the_service_where_none_is_named() {
    let mut spans = Spans::new(json!({}), json!({}));
    spans.run(PARENT, Some("200"), 1);
    let body = spans.sent();
    let resource = &body[0]["resourceSpans"][0]["resource"];
    assert_eq!(attribute(resource, "service.name")["stringValue"], "gate-7");
}

#[test]
fn a_sampled_request_leaves_a_span_and_so_do_slow_and_failed_ones_unless_that_is_off() {
    let off = json!({"slow": false, "server_errors": false});
    for (settings, parent, status, milliseconds, expected) in [
        (json!({}), PARENT, Some("200"), 1, 1),
        (json!({}), UNSAMPLED, Some("200"), 1, 0),
        (json!({}), UNSAMPLED, Some("404"), 1, 0),
        (json!({}), UNSAMPLED, Some("503"), 1, 1),
        (json!({}), UNSAMPLED, None, 1, 1),
        (json!({}), UNSAMPLED, Some("200"), 1000, 1),
        (off.clone(), PARENT, Some("503"), 1000, 1),
        (off.clone(), UNSAMPLED, Some("503"), 1000, 0),
        (off, UNSAMPLED, None, 1000, 0),
    ] {
        let mut spans = Spans::new(json!({}), settings.clone());
        spans.run(parent, status, milliseconds);
        let found = spans.spans();
        assert_eq!(
            found.len(),
            expected,
            "{settings} {parent} {status:?} {milliseconds}"
        );
        if let (Some(span), None | Some("503")) = (found.first(), status) {
            assert_eq!(span["status"]["code"], 2);
        }
    }
}

#[test]
fn a_spans_flags_are_w3cs_and_an_unknown_method_keeps_its_text_up_to_the_limit() {
    let mut spans = Spans::new(
        json!({"propagation": {"extract": ["b3"], "inject": ["b3"]}}),
        json!({"max_attribute_bytes": 32}),
    );
    let mut fake = Fake::get("/");
    fake.request
        .add("b3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-d");
    fake.request.set(":method", "B".repeat(40));
    let done = spans.finish(fake, Some("200"), 1);
    let b3 = String::from_utf8(done.request.get("b3").unwrap().to_vec()).unwrap();
    assert!(b3.contains("-d-"), "debug goes on: {b3}");
    let span = &spans.spans()[0];
    assert_eq!(span["flags"], 0x301);
    assert_eq!(span["name"], "HTTP");
    for (name, value) in [
        ("http.request.method", "_OTHER".to_owned()),
        ("http.request.method_original", "B".repeat(32)),
    ] {
        assert_eq!(attribute(span, name)["stringValue"], value, "{name}");
    }
}

#[test]
fn no_more_spans_are_held_than_the_queue_may_and_each_dropped_one_is_counted() {
    let limits = json!({"queue": {"max_records": 5}, "batch": {"max_records": 5}});
    let mut spans = Spans::new(json!({}), limits);
    for _ in 0..12 {
        spans.run(PARENT, Some("200"), 1);
    }
    assert_eq!(spans.spans().len(), 5);
    let count = |name: &str| {
        let name = format!("portcullis_request_tracing_spans_{name}.profile=default");
        spans.worker.count(&name)
    };
    assert_eq!(count("dropped_total.reason=overflow"), 7);
    assert_eq!(count("acknowledged_total"), 5);
}

#[test]
fn without_spans_nothing_ticks_and_in_shadow_nothing_is_sent() {
    let bare = Bench::<Plugin<RequestTracing>>::load(&json!({})).unwrap();
    assert_eq!(bare.bundle().tick_period_ms(), None);
    let names = format!("{:?}", bare.names());
    assert!(!names.contains("spans"), "{names}");
    let shadow = Spans::new(json!({"mode": "shadow"}), json!({}));
    assert_eq!(shadow.bench.bundle().tick_period_ms(), None);
    let sending = Spans::new(json!({}), json!({}));
    assert_eq!(sending.bench.bundle().tick_period_ms(), Some(250));
}

#[test]
fn a_profile_may_say_which_requests_leave_spans_but_not_where_they_go() {
    let profiles = |over: Value| {
        json!({"trust": "internal", "spans": {"otlp": {"cluster": "collector"}},
            "profiles": {"quiet": {"spans": over}}})
    };
    for fine in [
        Value::Null,
        json!({"slow": false, "max_attribute_bytes": 64}),
    ] {
        Bench::<Plugin<RequestTracing>>::load(&profiles(fine)).unwrap();
    }
    for other in [
        json!({"otlp": {"cluster": "other"}}),
        json!({"service_name": "other"}),
        json!({"batch": {"max_records": 7}}),
    ] {
        let error = Bench::<Plugin<RequestTracing>>::load(&profiles(other));
        let error = error.err().unwrap().to_string();
        assert!(
            error.starts_with("profiles.quiet.spans: a plugin sends all of its spans to one place"),
            "{error}"
        );
    }
}

#[test]
fn every_mistake_is_refused_with_its_path_and_advice() {
    for (spans, text) in [
        (json!({}), "spans: `otlp` is missing"),
        (json!({"otlp": {}}), "spans.otlp: `cluster` is missing"),
        (
            json!({"otlp": {"cluster": ""}}),
            "spans.otlp.cluster: empty; name the proxy's cluster",
        ),
        (
            json!({"otlp": {"cluster": "a b"}}),
            "spans.otlp.cluster: not an authority",
        ),
        (
            json!({"otlp": {"cluster": "a", "authority": "http://a"}}),
            "spans.otlp.authority: not an authority",
        ),
        (
            json!({"otlp": {"cluster": "a", "path": "v1/traces"}}),
            "spans.otlp.path: not a path",
        ),
        (
            json!({"otlp": {"cluster": "a", "timeout_ms": 0}}),
            "spans.otlp.timeout_ms: 0 is out of range; allowed: 10 to 300000",
        ),
        (
            json!({"otlp": {"cluster": "a", "headers": {"Authorization": {"text": "x"}}}}),
            "spans.otlp.headers.Authorization: not a header's name",
        ),
        (
            json!({"otlp": {"cluster": "a", "headers": {"content-type": {"text": "x"}}}}),
            "spans.otlp.headers.content-type: this header is made with each request",
        ),
        (
            json!({"otlp": {"cluster": "a", "headers": {"x-a": {"text": "a\r\nb: c"}}}}),
            "spans.otlp.headers.x-a: no header may have this value",
        ),
        (
            json!({"otlp": {"cluster": "a", "headers": {"x-a": {"env": "ABSENT"}}}}),
            "spans.otlp.headers.x-a.env: the environment variable `ABSENT` is not set",
        ),
        (
            json!({"otlp": {"cluster": "a"}, "batch": {"max_records": 0}}),
            "spans.batch.max_records: 0 is out of range; allowed: 1 to 10000",
        ),
        (
            json!({"otlp": {"cluster": "a"}, "queue": {"max_records": 100}}),
            "spans.queue.max_records: less than one batch",
        ),
        (
            json!({"otlp": {"cluster": "a"}, "queue": {"overflow": "deny"}}),
            "spans.queue.overflow: no request is refused for a span",
        ),
        (
            json!({"otlp": {"cluster": "a"}, "retry": {"max_ms": 100}}),
            "spans.retry.max_ms: less than `initial_ms`",
        ),
        (
            json!({"otlp": {"cluster": "a"}, "service_name": ""}),
            "spans.service_name: empty; name the service",
        ),
        (
            json!({"otlp": {"cluster": "a"}, "max_attribute_bytes": 8}),
            "spans.max_attribute_bytes: out of range",
        ),
    ] {
        let settings = json!({ "spans": spans });
        let error = Bench::<Plugin<RequestTracing>>::load(&settings);
        let error = error.err().unwrap().to_string();
        assert!(error.starts_with(text), "{error}");
    }
}
