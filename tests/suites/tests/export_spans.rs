//! Spans on their way to a sink: what they say, and that none is lost silently, whatever the sink does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use portcullis_harness::config::cluster;
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Envoy, Filter, Listener, Mood, Request, Response, Sink, Update, cases, load, suite,
    wait,
};
use serde_json::{Value, json};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
/// The queue's limit per worker.
const QUEUE: u64 = 500;

fn main() -> ExitCode {
    suite::run_in_order(
        || Upstream::start().unwrap(),
        cases![
            a_spans_id_is_the_parent_that_the_upstream_saw,
            a_ratio_samples_and_slow_or_failed_requests_leave_a_span_all_the_same,
            after_an_outage_every_span_arrives_and_none_twice_but_those_without_an_answer,
            a_sink_of_any_mood_loses_nothing_silently,
            what_one_sink_refuses_is_found_and_the_rest_arrives,
            no_request_waits_for_a_sink_that_hangs,
            beyond_the_queues_limit_the_oldest_are_dropped_and_counted,
            a_new_configuration_takes_over_what_the_last_one_left,
            a_sink_that_is_restarted_gets_what_was_kept,
        ],
    )
}

fn settings(over: &Value) -> Value {
    let mut settings = json!({
        "trust": "internal",
        "slow_ms": 0,
        "spans": {
            "otlp": {"cluster": "sink", "authority": "collector.example", "timeout_ms": 500,
                "headers": {"authorization": {"env": "SINK_TOKEN"}}},
            "service_name": "gate",
            "batch": {"max_records": 50, "interval_ms": 40},
            "queue": {"max_records": QUEUE},
            "retry": {"initial_ms": 20, "max_ms": 100},
        },
    });
    for (key, value) in over.as_object().unwrap() {
        settings[key] = value.clone();
    }
    settings
}

fn tracing(over: &Value) -> Filter {
    Filter::wasm("request_tracing", settings(over)).environment("SINK_TOKEN", "Bearer s3cret")
}

fn config(upstream: &Upstream, sink: &Sink, over: &Value) -> Config {
    Config::new(upstream.port())
        .cluster(cluster("sink", sink.port()))
        .over(&json!({"node": {"id": "gate-7", "cluster": "edge"}}))
        .listener(Listener::new("main").filter(tracing(over)))
}

fn start(config: &Config) -> Envoy {
    Envoy::start("export-spans", config).unwrap_or_else(|error| panic!("{error}"))
}

/// A sampled request in a trace of its own.
fn traced(number: usize) -> Request {
    let trace = format!("00-{number:032x}-{PARENT}-01");
    Request::get("/text").header("traceparent", trace)
}

/// Sends so many requests, each in a trace of its own, from a few connections. All must be answered well.
fn send(envoy: &Envoy, numbers: std::ops::Range<usize>) {
    let mut left = numbers;
    let next = |out: &mut Vec<u8>| {
        let number = left.next()?;
        out.extend(traced(number).to_bytes());
        Some(number)
    };
    let lost = load::run(envoy.port("main"), 4, next, |number, answer| {
        assert_eq!(answer.status, 200, "request {number}");
    });
    assert!(lost.is_empty(), "{lost:?}");
}

/// Counts and gauges by the part of their name after `spans_`.
fn metric(envoy: &Envoy, name: &str) -> u64 {
    let stats = envoy
        .admin()
        .stats(&format!("portcullis_request_tracing_spans_{name}"));
    stats.values().sum()
}

/// Waits until all spans of so many requests came to an end.
fn settle(envoy: &Envoy, requests: u64) {
    wait::until("the end of every span", || {
        let ended = metric(envoy, "acknowledged_total") + metric(envoy, "dropped_total");
        assert!(ended <= requests, "{ended} ends of {requests} spans");
        (ended == requests && metric(envoy, "queued") == 0).then_some(())
    });
    assert_eq!(metric(envoy, "queued_bytes"), 0);
    assert_eq!(envoy.admin().vm_reloads(), 0);
}

/// The trace ids of all spans that the sink took, as the numbers that [`traced`] made them of.
fn numbers(sink: &Sink) -> BTreeSet<usize> {
    let number = |span: &Value| usize::from_str_radix(span["traceId"].as_str().unwrap(), 16);
    sink.spans()
        .iter()
        .map(|span| number(span).unwrap())
        .collect()
}

fn attribute(span: &Value, key: &str) -> Value {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|entry| entry["key"] == key);
    found.map_or(Value::Null, |entry| entry["value"].clone())
}

fn one_span(sink: &Sink) -> Value {
    wait::until("a span", || sink.spans().first().cloned())
}

fn a_spans_id_is_the_parent_that_the_upstream_saw(upstream: &Upstream) {
    let sink = Sink::start();
    let envoy = start(&config(upstream, &sink, &json!({})));
    let answer: Response = Request::get("/echo/secret?token=secret")
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .header("tracestate", "vendor=1")
        .case("export-parent")
        .send(envoy.port("main"));
    assert_eq!(answer.status, 200);
    let seen = upstream
        .recorder()
        .wait("export-parent", wait::DEADLINE)
        .unwrap();
    let seen = String::from_utf8(seen.header("traceparent").unwrap().to_vec()).unwrap();
    let span = one_span(&sink);
    assert_eq!(
        seen,
        format!(
            "00-{}-{}-01",
            span["traceId"].as_str().unwrap(),
            span["spanId"].as_str().unwrap()
        )
    );
    assert_eq!(span["traceId"], TRACE);
    assert_eq!(span["parentSpanId"], PARENT);
    assert_eq!(span["traceState"], "vendor=1");
    assert_eq!(span["kind"], 2);
    assert_eq!(
        attribute(&span, "http.response.status_code"),
        json!({"intValue": "200"})
    );
    let body = &sink.taken()[0];
    let resource = &body["resourceSpans"][0]["resource"];
    let text = |key: &str| attribute(resource, key)["stringValue"].clone();
    assert_eq!(text("service.name"), "gate");
    assert_eq!(text("service.instance.id"), "gate-7");
    assert!(!body.to_string().contains("secret"), "{body:#}");

    let request = &sink.deliveries()[0].request;
    assert_eq!(request.target, b"/v1/traces");
    for (name, value) in [
        ("host", "collector.example"),
        ("content-type", "application/json"),
        ("authorization", "Bearer s3cret"),
    ] {
        assert_eq!(request.header(name), Some(value.as_bytes()), "{name}");
    }
    assert!(!envoy.log().contains("s3cret"));
}

fn a_ratio_samples_and_slow_or_failed_requests_leave_a_span_all_the_same(upstream: &Upstream) {
    let sink = Sink::start();
    // So slow that a busy machine makes no other request slow.
    let over = json!({"slow_ms": 2000, "sampling": {"root": {"ratio": 0.25}}});
    let envoy = start(&config(upstream, &sink, &over));
    let port = envoy.port("main");
    let unsampled = |target: &str| {
        let parent = format!("00-{TRACE}-{PARENT}-00");
        Request::get(target).header("traceparent", parent)
    };
    for (target, status) in [
        ("/text", 200),
        ("/status/404", 404),
        ("/status/503", 503),
        ("/delay/2100", 200),
    ] {
        assert_eq!(unsampled(target).send(port).status, status, "{target}");
    }
    let spans = wait::until("two spans", || {
        let spans = sink.spans();
        (spans.len() >= 2).then_some(spans)
    });
    let codes: BTreeSet<String> = spans
        .iter()
        .map(|span| attribute(span, "http.response.status_code")["intValue"].to_string())
        .collect();
    assert_eq!(codes, ["\"200\"", "\"503\""].map(str::to_owned).into());
    for span in &spans {
        assert_eq!(span["flags"].as_u64().unwrap() & 1, 0, "not sampled");
    }

    let requests = 400;
    for _ in 0..requests {
        let request = Request::get("/text").case("export-ratio");
        assert_eq!(request.send(port).status, 200);
    }
    let seen = upstream.recorder().requests("export-ratio");
    let is_sampled = |request: &&portcullis_harness::upstream::Request| {
        let parent = request.header("traceparent").unwrap();
        // Of the flags' last digit, the lowest bit.
        parent.last().is_some_and(|digit| digit % 2 == 1)
    };
    let sampled = seen.iter().filter(is_sampled).count();
    // Six standard deviations around a hundred.
    assert!((48..=152).contains(&sampled), "{sampled} of {requests}");
    settle(&envoy, sampled as u64 + 2);
    assert_eq!(sink.spans().len(), sampled + 2);
}

fn after_an_outage_every_span_arrives_and_none_twice_but_those_without_an_answer(
    upstream: &Upstream,
) {
    let sink = Sink::start();
    let envoy = start(&config(upstream, &sink, &json!({})));
    sink.set(Mood::Status(503));
    send(&envoy, 1..301);
    wait::until("some attempts", || {
        (sink.deliveries().len() >= 5).then_some(())
    });
    assert_eq!(metric(&envoy, "sink_down"), 1);
    // A request's end comes after its answer.
    wait::until("all spans in the queue", || {
        (metric(&envoy, "queued\\.") == 300).then_some(())
    });
    sink.set(Mood::Up);
    settle(&envoy, 300);
    assert_eq!(numbers(&sink), (1..301).collect());
    assert_eq!(
        sink.spans().len(),
        300,
        "no batch that was refused was taken"
    );
    assert_eq!(metric(&envoy, "sink_down"), 0);
    assert!(metric(&envoy, "retries_total") >= 4);
    assert!(metric(&envoy, "last_acknowledged_seconds") > 1_700_000_000);
    let log = envoy.log();
    assert_eq!(log.matches("\"sink_down\"").count(), 1, "{log}");
    assert!(!log.contains("records_dropped"), "{log}");
}

fn a_sink_of_any_mood_loses_nothing_silently(upstream: &Upstream) {
    for mood in [
        Mood::Down,
        Mood::Flap,
        Mood::Slow(Duration::from_millis(200)),
        Mood::Hang,
        Mood::Status(500),
        Mood::Status(408),
        Mood::TooMany("1".to_owned()),
    ] {
        let sink = Sink::start();
        let envoy = start(&config(upstream, &sink, &json!({})));
        sink.set(mood.clone());
        send(&envoy, 1..201);
        wait::until("two attempts", || {
            (sink.deliveries().len() >= 2).then_some(())
        });
        send(&envoy, 201..401);
        sink.set(Mood::Up);
        settle(&envoy, 400);
        assert_eq!(numbers(&sink), (1..401).collect(), "{mood:?}");
        assert_eq!(metric(&envoy, "acknowledged_total"), 400, "{mood:?}");
    }
}

fn what_one_sink_refuses_is_found_and_the_rest_arrives(upstream: &Upstream) {
    let sink = Sink::start();
    let envoy = start(&config(upstream, &sink, &json!({})));
    sink.set(Mood::Refuses("poison.example".to_owned()));
    send(&envoy, 1..101);
    for number in 101..104 {
        let request = traced(number).header("host", "poison.example");
        assert_eq!(request.send(envoy.port("main")).status, 200);
    }
    send(&envoy, 104..201);
    settle(&envoy, 200);
    let expected = (1..201).filter(|number| !(101..104).contains(number));
    assert_eq!(numbers(&sink), expected.collect());
    assert_eq!(metric(&envoy, "dropped_total.reason=refused"), 3);

    sink.set(Mood::Partial(2));
    for number in 201..206 {
        assert_eq!(traced(number).send(envoy.port("main")).status, 200);
    }
    settle(&envoy, 205);
    let rejected = metric(&envoy, "dropped_total.reason=rejected");
    assert!((2..=5).contains(&rejected), "{rejected}");
    assert_eq!(metric(&envoy, "acknowledged_total"), 197 + 5 - rejected);
}

fn no_request_waits_for_a_sink_that_hangs(upstream: &Upstream) {
    let sink = Sink::start();
    sink.set(Mood::Hang);
    let envoy = start(&config(upstream, &sink, &json!({})));
    send(&envoy, 1..101);
    wait::until("a request at the sink", || {
        (!sink.deliveries().is_empty()).then_some(())
    });
    // The sink holds its answers for an hour; whoever waited for them would not be answered now.
    send(&envoy, 101..1001);
    assert!(sink.taken().is_empty());
    sink.set(Mood::Up);
    settle(&envoy, 1000);
    let arrived = numbers(&sink).len() as u64;
    let dropped = metric(&envoy, "dropped_total.reason=overflow");
    assert_eq!(arrived + dropped, 1000);
    assert!(arrived >= QUEUE, "{arrived}");
}

fn beyond_the_queues_limit_the_oldest_are_dropped_and_counted(upstream: &Upstream) {
    let sink = Sink::start();
    sink.set(Mood::Down);
    let envoy = start(&config(upstream, &sink, &json!({})));
    send(&envoy, 1..2001);
    wait::until("the drops to be counted", || {
        (metric(&envoy, "dropped_total") == 2000 - QUEUE).then_some(())
    });
    assert_eq!(metric(&envoy, "queued\\."), QUEUE);
    sink.set(Mood::Up);
    settle(&envoy, 2000);
    let arrived = numbers(&sink);
    assert_eq!(arrived.len() as u64, QUEUE);
    // What was on its way while newer ones came could not make room.
    let newest = (1..2001).rev().take(QUEUE as usize - 50);
    for number in newest {
        assert!(arrived.contains(&number), "{number}");
    }
    assert!(envoy.log().contains("\"records_dropped\""));
}

/// A listener whose filter comes by ECDS out of this folder.
fn discovered(folder: &Path) -> Listener {
    let router = Filter::native(
        "envoy.filters.http.router",
        "envoy.extensions.filters.http.router.v3.Router",
        json!({}),
    );
    Listener::new("main").hcm(&json!({"http_filters": [
        {"name": "request-tracing", "config_discovery": {
            "config_source": {"resource_api_version": "V3", "path_config_source": {
                "path": folder.join("filter.json"), "watched_directory": {"path": folder},
            }},
            "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
        }},
        router.to_value(),
    ]}))
}

fn discover(folder: &Path, version: u32, filter: &Filter) {
    let response = json!({"version_info": version.to_string(), "resources": [{
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": "request-tracing",
        "typed_config": filter.typed_config(),
    }]});
    let next = folder.with_extension("next");
    fs::write(&next, response.to_string()).unwrap();
    // A watcher must never see half a file.
    fs::rename(&next, folder.join("filter.json")).unwrap();
}

fn a_new_configuration_takes_over_what_the_last_one_left(upstream: &Upstream) {
    let changed = json!({"response_time": true});
    // By LDS: the old configuration ends when its listener is drained.
    let sink = Sink::start();
    let mut envoy = start(&config(upstream, &sink, &json!({})).live());
    sink.set(Mood::Down);
    send(&envoy, 1..101);
    let next = config(upstream, &sink, &changed).live();
    assert_eq!(envoy.update(&next), Update::Accepted);
    send(&envoy, 101..201);
    wait::until("the end of the old listener", || {
        let draining = envoy
            .admin()
            .stat("listener_manager.total_listeners_draining");
        (draining == 0).then_some(())
    });
    sink.set(Mood::Up);
    settle(&envoy, 200);
    assert_eq!(numbers(&sink), (1..201).collect());
    drop(envoy);

    // By ECDS: the old one ends at once.
    let sink = Sink::start();
    let folder = portcullis_harness::artifacts::Artifacts::create("export-ecds").unwrap();
    let folder = folder.path().join("ecds");
    fs::create_dir_all(&folder).unwrap();
    discover(&folder, 1, &tracing(&json!({})));
    let envoy = start(
        &Config::new(upstream.port())
            .cluster(cluster("sink", sink.port()))
            .over(&json!({"node": {"id": "gate-7", "cluster": "edge"}}))
            .listener(discovered(&folder)),
    );
    sink.set(Mood::Down);
    for version in 2..5 {
        let first = (version - 2) * 100 + 1;
        send(&envoy, first..first + 100);
        let over = if version % 2 == 0 {
            &changed
        } else {
            &json!({})
        };
        discover(&folder, version as u32, &tracing(over));
        wait::until("the update", || {
            let reloads = envoy
                .admin()
                .stats("extension_config_discovery.*config_reload$");
            (reloads.values().sum::<u64>() >= version as u64).then_some(())
        });
    }
    send(&envoy, 301..401);
    sink.set(Mood::Up);
    settle(&envoy, 400);
    assert_eq!(numbers(&sink), (1..401).collect());
}

fn a_sink_that_is_restarted_gets_what_was_kept(upstream: &Upstream) {
    let sink = Sink::start();
    let envoy = start(&config(upstream, &sink, &json!({})));
    send(&envoy, 1..51);
    settle(&envoy, 50);
    let mut arrived = numbers(&sink);
    let port = sink.port();
    // Connections that are open end with the next request on them; then nothing listens.
    sink.set(Mood::Down);
    drop(sink);
    send(&envoy, 51..151);
    wait::until("a sink that is down", || {
        (metric(&envoy, "sink_down") == 1).then_some(())
    });
    let sink = Sink::on(port);
    settle(&envoy, 150);
    arrived.extend(numbers(&sink));
    assert_eq!(arrived, (1..151).collect());
}
