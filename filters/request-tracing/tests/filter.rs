//! The filter over a request and its response: ids, times, slow requests, and what they cost.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // A test that fails is to panic.

mod common;

use common::{OK, PARENT, TRACE, bench, request, text};
use portcullis_kit::testing::Fake;
use serde_json::json;

#[test]
fn one_request_id_is_everywhere() {
    let done = bench(json!({"request_id": {"source": "proxy"}}))
        .exchange(request(&[("x-request-id", "made-by.the_proxy")]), &OK);
    for found in [
        text(&done.request, "x-request-id"),
        text(&done.response, "x-request-id"),
    ] {
        assert_eq!(found, "made-by.the_proxy");
    }
    assert_eq!(
        done.filter_state["portcullis.request_id"],
        b"made-by.the_proxy"
    );
    assert_eq!(done.facts.request_id.as_deref(), Some("made-by.the_proxy"));
}

#[test]
fn an_id_that_is_invalid_or_not_believed_is_made_anew() {
    let invalid = "portcullis_request_tracing_invalid_request_ids_total.profile=default";
    for (settings, lines, count) in [
        (
            json!({"request_id": {"source": "proxy"}}),
            vec![("x-request-id", "a b")],
            1,
        ),
        (
            json!({"request_id": {"source": "proxy"}}),
            vec![("x-request-id", "a"), ("x-request-id", "a")],
            1,
        ),
        (json!({}), vec![], 0),
        (
            json!({"request_id": {"source": "trusted"}}),
            vec![("x-request-id", "a")],
            0,
        ),
        (
            json!({"request_id": {"source": "generate"}}),
            vec![("x-request-id", "a")],
            0,
        ),
    ] {
        let done = bench(settings).exchange(
            request(&lines),
            &[(":status", "200"), ("x-request-id", "the upstream's")],
        );
        let id = text(&done.request, "x-request-id");
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'), "{lines:?}");
        assert_eq!(done.request.get_all("x-request-id").count(), 1);
        assert_eq!(
            done.response.get_all("x-request-id").collect::<Vec<_>>(),
            [id.as_bytes()]
        );
        assert_eq!(done.count(invalid), count, "{lines:?}");
    }
    let seven = bench(json!({"request_id": {"format": "uuid7", "response": false}}))
        .exchange(request(&[]), &OK);
    assert!(
        text(&seven.request, "x-request-id").starts_with("018bcfe5-6800-7"),
        "{}",
        text(&seven.request, "x-request-id")
    );
    assert!(!seven.response.contains("x-request-id"));
}

#[test]
fn times_are_told_to_those_who_may_know() {
    let run = |settings: serde_json::Value| {
        let bench = bench(settings);
        let mut fake = request(&[]);
        let mut stream = Default::default();
        bench.request(&mut fake, &mut stream);
        fake.now.set(fake.now.get() + 1_234_567_890);
        fake.response = portcullis_kit::Headers::from_lines([
            (":status", "200"),
            ("server-timing", "db;dur=5"),
        ]);
        bench.respond(&mut fake, &mut stream);
        bench.finish(&mut fake, &mut stream);
        fake
    };
    let told = run(json!({"server_timing": {"trace": "off", "app": "all"}, "response_time": true}));
    assert_eq!(
        told.response.get_all("server-timing").collect::<Vec<_>>(),
        [b"db;dur=5".as_slice(), b"app;dur=1234.567, slow"]
    );
    assert_eq!(text(&told.response, "x-response-time"), "1234.567ms");
    let named =
        run(json!({"server_timing": {"trace": "all", "trace_name": "traceparent", "app": "off"}}));
    let line = named.response.get_all("server-timing").last().unwrap();
    assert!(line.starts_with(b"traceparent;desc=00-"));
    let silent = run(json!({}));
    assert_eq!(silent.response.get_all("server-timing").count(), 1);
    assert!(!silent.response.contains("x-response-time"));
}

#[test]
fn a_slow_request_is_counted_and_logged_without_its_path() {
    let bench = bench(json!({"slow_ms": 500}));
    for (milliseconds, slow) in [(499, 0), (500, 1)] {
        let mut fake = request(&[]).with_property("xds.route_name", "orders");
        let mut stream = Default::default();
        bench.request(&mut fake, &mut stream);
        fake.respond(OK);
        bench.respond(&mut fake, &mut stream);
        fake.now.set(fake.now.get() + milliseconds * 1_000_000);
        bench.finish(&mut fake, &mut stream);
        assert_eq!(
            fake.count("portcullis_request_tracing_slow_requests_total.profile=default"),
            slow
        );
        assert_eq!(fake.logs.borrow().len() as u64, slow);
        if let Some((level, line)) = fake.logs.borrow().first() {
            assert_eq!(*level, log::Level::Warn);
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["event"], "slow_request");
            assert_eq!(
                (&line["route"], &line["method"], &line["status"]),
                (&json!("orders"), &json!("GET"), &json!(200))
            );
            assert_eq!(line["duration_ms"], 500);
            assert!(!line.to_string().contains("secret") && !line.to_string().contains("/orders"));
        }
    }
}

#[test]
fn a_response_without_a_request_is_left_alone() {
    let bench = bench(json!({"response_time": true}));
    let mut fake = Fake::default();
    fake.respond([(":status", "400")]);
    let mut stream = Default::default();
    bench.respond(&mut fake, &mut stream);
    bench.finish(&mut fake, &mut stream);
    assert_eq!(fake.response.len(), 1);
    assert!(fake.logs.borrow().is_empty());
}

#[test]
fn an_ordinary_request_costs_one_read_that_returns_bytes() {
    for settings in [json!({"trust": "internal"}), json!({})] {
        let done = bench(settings).exchange(
            request(&[("traceparent", PARENT), ("x-request-id", "a")]),
            &OK,
        );
        assert_eq!(done.byte_reads.get(), 1);
    }
}

#[test]
fn without_anything_timed_ids_and_context_are_as_ever() {
    let settings = json!({"trust": "internal", "slow_ms": 0, "server_timing": {"app": "off"}});
    let done = bench(settings).exchange(request(&[("traceparent", PARENT)]), &OK);
    let parent = text(&done.request, "traceparent");
    assert!(parent.contains(TRACE));
    assert_eq!(
        text(&done.response, "server-timing"),
        format!("trace;desc={parent}")
    );
    assert!(done.logs.borrow().is_empty());
}
