//! Which trace a request belongs to: whose context goes on, in which format, with which flags.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // A test that fails is to panic.

mod common;

use common::{OK, PARENT, TRACE, Tracing, bench, request, text};
use portcullis_kit::testing::Bench;
use request_tracing::formats::CONTEXT_HEADERS;
use serde_json::json;

#[test]
fn at_the_edge_every_inbound_context_is_removed_and_a_new_trace_starts() {
    let lines = [
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("baggage", "user=7"),
        ("b3", "0"),
        ("x-b3-traceid", TRACE),
        ("x-b3-anything", "1"),
        (
            "x-amzn-trace-id",
            "Root=1-67891233-abcdef012345678912345678",
        ),
        ("x-datadog-trace-id", "7"),
        ("x-datadog-origin", "rum"),
        ("x-other", "stays"),
    ];
    let done = bench(json!({})).exchange(request(&lines), &OK);
    for (name, _) in &lines[1..9] {
        assert!(!done.request.contains(name), "{name} went on");
    }
    assert!(done.request.contains("x-other"));
    assert_eq!(done.request.get_all("traceparent").count(), 1);
    let parent = text(&done.request, "traceparent");
    assert!(
        parent.starts_with("00-") && parent.ends_with("-03") && !parent.contains(TRACE),
        "{parent}"
    );
    assert!(
        !done.response.contains("server-timing"),
        "the public learns no ids"
    );
}

#[test]
fn at_the_edge_nothing_inbound_survives_beside_what_is_written_whatever_its_case() {
    let settings = json!({"propagation": {"inject": ["b3", "xray"]}});
    let root = "Root=1-67891233-abcdef012345678912345678";
    let lines = [
        ("Traceparent", PARENT),
        ("TRACESTATE", "a=1"),
        ("Baggage", "user=7"),
        ("B3", "1"),
        ("X-B3-Sampled", "1"),
        ("X-Amzn-Trace-Id", root),
        ("X-Datadog-Trace-Id", "7"),
    ];
    let done = bench(settings).exchange(request(&lines), &OK);
    let left: Vec<&str> = CONTEXT_HEADERS
        .iter()
        .copied()
        .filter(|name| done.request.contains(name))
        .collect();
    assert_eq!(left, ["b3", "x-amzn-trace-id"]);
    for name in left {
        assert_eq!(done.request.get_all(name).count(), 1);
    }
    assert!(text(&done.request, "b3").len() > 1 && text(&done.request, "x-amzn-trace-id") != root);
}

#[test]
fn inside_a_trace_goes_on_under_a_new_parent_id_and_its_tracestate_is_left_alone() {
    let done = bench(json!({"trust": "internal"})).exchange(
        request(&[("traceparent", PARENT), ("tracestate", "a=1,b= 2")]),
        &OK,
    );
    let parent = text(&done.request, "traceparent");
    assert!(
        parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-01"),
        "{parent}"
    );
    assert!(!parent.contains("b7ad6b7169203331"));
    assert_eq!(text(&done.request, "tracestate"), "a=1,b= 2");
    assert_eq!(
        text(&done.response, "server-timing")
            .split(", ")
            .next()
            .unwrap(),
        format!("trace;desc={parent}")
    );
    assert_eq!(done.facts.trace_id.as_deref(), Some(TRACE));
}

#[test]
fn a_traceparent_that_must_not_be_continued_takes_its_tracestate_along_and_is_counted() {
    let bench = bench(json!({"trust": "internal"}));
    for (value, reason) in [
        (
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "malformed",
        ),
        (
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "version_ff",
        ),
        (
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "zero_trace_id",
        ),
        (
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "zero_parent_id",
        ),
    ] {
        let done = bench.exchange(
            request(&[("traceparent", value), ("tracestate", "a=1")]),
            &OK,
        );
        assert!(
            !text(&done.request, "traceparent").contains("0af7651916cd43dd"),
            "{value}"
        );
        assert!(!done.request.contains("tracestate"), "{value}");
        let counter =
            format!("portcullis_request_tracing_restarts_total.reason={reason}.profile=default");
        assert_eq!(done.count(&counter), 1, "{value}");
    }
    let two = bench.exchange(
        request(&[("traceparent", PARENT), ("traceparent", PARENT)]),
        &OK,
    );
    assert_eq!(two.request.get_all("traceparent").count(), 1);
    assert_eq!(
        two.count("portcullis_request_tracing_restarts_total.reason=duplicate.profile=default"),
        1
    );
}

#[test]
fn tracestate_lines_are_joined_and_an_invalid_one_is_dropped_whole() {
    let bench = bench(json!({"trust": "internal"}));
    let with = |lines: &[&str]| {
        let mut all = vec![("traceparent", PARENT)];
        all.extend(lines.iter().map(|line| ("tracestate", *line)));
        bench.exchange(request(&all), &OK)
    };
    let joined = with(&["a=1,", ",b=2"]);
    assert_eq!(
        joined.request.get_all("tracestate").collect::<Vec<_>>(),
        [b"a=1,b=2"]
    );
    for bad in ["a=1,B=2", "a", "a=1=2", "=1"] {
        let done = with(&["x=1", bad]);
        assert!(!done.request.contains("tracestate"), "{bad}");
        assert!(
            text(&done.request, "traceparent").contains(TRACE),
            "{bad} restarted the trace"
        );
    }
    assert!(
        !with(&[""]).request.contains("tracestate"),
        "an empty line went on"
    );
    let many: Vec<String> = (0..33).map(|n| format!("k{n}=1")).collect();
    assert!(!with(&[&many.join(",")]).request.contains("tracestate"));
}

#[test]
fn only_peers_in_the_ranges_are_trusted() {
    let bench = bench(json!({"trust": {"cidrs": ["10.0.0.0/8"]}}));
    let from = |address: &str| {
        let fake = request(&[("traceparent", PARENT), ("baggage", "a=1")])
            .with_property("source.address", address);
        bench.exchange(fake, &OK)
    };
    let inside = from("10.1.2.3:4000");
    assert!(
        text(&inside.request, "traceparent").contains(TRACE) && inside.request.contains("baggage")
    );
    assert!(inside.response.contains("server-timing"));
    for outside in ["192.0.2.1:1", "not an address", ""] {
        let done = from(outside);
        assert!(
            !text(&done.request, "traceparent").contains(TRACE),
            "{outside}"
        );
        assert!(
            !done.request.contains("baggage") && !done.response.contains("server-timing"),
            "{outside}"
        );
    }
}

#[test]
fn formats_are_translated_and_what_was_read_does_not_go_on_beside() {
    let settings = json!({"trust": "internal", "propagation": {"extract": ["b3", "w3c"], "inject": ["w3c", "xray", "datadog"]}});
    let b3 = format!("{TRACE}-b7ad6b7169203331-1");
    let done = bench(settings).exchange(
        request(&[("b3", &b3), ("x-datadog-tags", "team=7,_dd.p.tid=1")]),
        &OK,
    );
    assert!(!done.request.contains("b3"));
    assert!(text(&done.request, "traceparent").contains(TRACE));
    assert!(
        text(&done.request, "x-amzn-trace-id")
            .starts_with("Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=")
    );
    assert_eq!(
        text(&done.request, "x-datadog-trace-id"),
        u64::from_str_radix(&TRACE[16..], 16).unwrap().to_string()
    );
    let tags = text(&done.request, "x-datadog-tags");
    assert!(
        tags.contains("team=7")
            && tags.contains("_dd.p.tid=0af7651916cd43dd")
            && !tags.contains("tid=1,"),
        "{tags}"
    );
}

#[test]
fn baggage_of_trusted_peers_follows_the_policy() {
    for (policy, expected) in [
        (json!("pass"), Some("a=1,b=2;p=3")),
        (json!("drop"), None),
        (json!({"allow": ["b"]}), Some("b=2;p=3")),
        (json!({"allow": ["c"]}), None),
    ] {
        let done = bench(json!({"trust": "internal", "baggage": policy}))
            .exchange(request(&[("baggage", "a=1,b=2;p=3")]), &OK);
        assert_eq!(
            done.request.get("baggage"),
            expected.map(str::as_bytes),
            "{policy}"
        );
    }
}

#[test]
fn sampling_follows_the_parent_or_the_rule_and_tells_its_threshold() {
    let flags = |settings: serde_json::Value, lines: &[(&str, &str)]| {
        let done = bench(settings).exchange(request(lines), &OK);
        let parent = text(&done.request, "traceparent").to_owned();
        (
            parent[53..].to_owned(),
            done.request.get("tracestate").map(<[u8]>::to_vec),
        )
    };
    assert_eq!(
        flags(json!({"sampling": {"root": "never"}}), &[]),
        ("02".to_owned(), None)
    );
    let unsampled = PARENT.replace("-01", "-00");
    let not = [("traceparent", unsampled.as_str())];
    assert_eq!(flags(json!({"trust": "internal"}), &not).0, "00");
    let ignore = json!({"trust": "internal", "sampling": {"follow_parent": false}});
    assert_eq!(flags(ignore, &not).0, "01");
    let all =
        json!({"trust": "internal", "sampling": {"root": {"ratio": 1.0}, "follow_parent": false}});
    let with_state = [
        ("traceparent", PARENT),
        ("tracestate", "x=1,ot=rv:ffffffffffffff"),
    ];
    assert_eq!(
        flags(all, &with_state),
        (
            "01".to_owned(),
            Some(b"ot=th:0;rv:ffffffffffffff,x=1".to_vec())
        )
    );
    let half = bench(json!({"sampling": {"root": {"ratio": "0.5"}}}));
    let sampled = (0..400)
        .filter(|seed| {
            let fake = request(&[]);
            fake.seed.set(seed * 7919);
            // A new worker each time: the generator is keyed once.
            let done = Bench::<Tracing>::load(&json!({"sampling": {"root": {"ratio": 0.5}}}))
                .unwrap()
                .exchange(fake, &OK);
            let parent = text(&done.request, "traceparent").to_owned();
            let high = u8::from_str_radix(&parent[21..23], 16).unwrap() >= 0x80;
            assert_eq!(parent.ends_with("-03"), high, "{parent}");
            assert_eq!(done.request.contains("tracestate"), high);
            high
        })
        .count();
    assert!((120..280).contains(&sampled), "{sampled} of 400");
    drop(half);
}

#[test]
fn malformed_ids_of_a_trusted_peer_are_told_of_and_others_are_not() {
    use portcullis_kit::exchange::MalformedIds;
    let trace = (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    );
    let cut = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c");
    let (id, broken) = (("x-request-id", "a"), ("x-request-id", "a b"));
    let [request_id, trace_context, both] = MalformedIds::ALL.map(Some);
    for (trust, lines, expected) in [
        ("internal", vec![id, trace], None),
        ("internal", vec![], None),
        ("internal", vec![broken, trace], request_id),
        ("internal", vec![id, cut], trace_context),
        ("internal", vec![id, trace, trace], trace_context),
        ("internal", vec![broken, cut], both),
        ("edge", vec![broken, cut], None),
    ] {
        let settings = json!({"trust": trust, "request_id": {"source": "trusted"}});
        let done = bench(settings).exchange(request(&lines), &OK);
        assert_eq!(done.facts.malformed, expected, "{trust} {lines:?}");
        let told = done.filter_state.get("portcullis.malformed_ids");
        let name = expected.map(|malformed| malformed.name().as_bytes());
        assert_eq!(told.map(Vec::as_slice), name);
    }
}
