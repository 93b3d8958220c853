//! Delivery with a clock that is set by hand and sinks that are played by the test.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Bench, exporter, numbers};
use portcullis_kit::exchange::CalloutError;
use portcullis_kit::export::{Pushed, Reason, Settled};
use serde_json::json;

#[test]
fn a_batch_is_sent_when_it_is_full_or_old_enough() {
    let mut bench = Bench::new(&json!({"batch": {"max_records": 3, "interval_ms": 1000},
        "sinks": [{"cluster": "one", "authority": "sink.example:80", "path": "/v2", "timeout_ms": 700,
            "headers": {"authorization": {"env": "TOKEN"}, "x-tenant": {"text": "a"}}}]}));
    bench.push(0..2);
    assert!(bench.after(999).is_empty());
    bench.push([2, 3]);
    let full = bench.after(0);
    assert_eq!(full.iter().map(numbers).collect::<Vec<_>>(), [[0, 1, 2]]);
    let old = bench.after(1000);
    assert_eq!(old.iter().map(numbers).collect::<Vec<_>>(), [[3]]);
    let sent = &full[0];
    assert_eq!((sent.cluster.as_str(), sent.timeout_ms), ("one", 700));
    for (name, value) in [
        (":method", "POST"),
        (":path", "/v2"),
        (":authority", "sink.example:80"),
        ("content-type", "text/plain"),
        ("authorization", "s3cret"),
        ("x-tenant", "a"),
        ("x-length", "5"),
    ] {
        assert_eq!(sent.header(name), Some(value), "{name}");
    }
}

#[test]
fn no_more_batches_are_in_flight_than_allowed_and_an_answer_sends_the_next() {
    let mut bench = Bench::new(&json!({"batch": {"max_records": 1, "max_in_flight": 2}}));
    bench.push(0..4);
    let sent = bench.after(0);
    assert_eq!(sent.len(), 2);
    assert_eq!(bench.gauge("queued"), 4);
    bench.status(&sent[1], 200);
    assert_eq!(bench.worker.sent().len(), 1);
    assert_eq!((bench.acknowledged(), bench.gauge("queued")), (1, 3));
    assert_eq!(bench.gauge("queued_bytes"), 30);
    assert_eq!(
        bench.gauge("last_acknowledged_seconds.sink=first"),
        1_700_000_000
    );
}

#[test]
fn a_failed_batch_is_kept_and_tried_with_growing_waits_one_at_a_time() {
    let mut bench = Bench::new(&json!({"batch": {"max_records": 2, "max_in_flight": 4},
        "retry": {"initial_ms": 100, "max_ms": 400}}));
    bench.push(0..6);
    let sent = bench.after(0);
    assert_eq!(sent.len(), 3);
    for (sent, lines) in sent
        .iter()
        .zip([&[(":status", "503")][..], &[], &[(":status", "429")]])
    {
        bench.answer(sent, lines, b"");
    }
    assert!(bench.after(199).is_empty(), "three failures: 200 to 400 ms");
    let probe = bench.after(201);
    assert_eq!(
        probe.len(),
        1,
        "a sink that is down gets one batch at a time"
    );
    assert_eq!(bench.gauge("sink_down.sink=first"), 1);
    assert!(bench.exporter.is_down());
    bench.status(&probe[0], 200);
    assert_eq!(
        bench.worker.sent().len(),
        2,
        "and all of them once it is up"
    );
    assert_eq!(bench.gauge("sink_down.sink=first"), 0);
    let retries = "portcullis_probe_records_retries_total.sink=first.profile=default";
    assert_eq!(bench.worker.count(retries), 3);
    assert_eq!(bench.dropped("overflow"), 0);
    bench.after(10_000);
    assert_eq!(bench.events(), ["sink_down", "sink_up"]);
}

#[test]
fn a_sink_is_left_alone_as_long_as_it_asks_for() {
    let mut bench = Bench::new(&json!({"retry": {"initial_ms": 20, "max_ms": 20}}));
    bench.push([1]);
    let sent = bench.after(1000);
    bench.answer(&sent[0], &[(":status", "429"), ("retry-after", "5")], b"");
    assert!(bench.after(4999).is_empty());
    assert_eq!(bench.after(1).len(), 1);
}

#[test]
fn what_a_sink_takes_of_what_it_already_had_does_not_end_the_time_that_it_asked_for() {
    let mut bench = Bench::new(&json!({"batch": {"max_records": 1, "max_in_flight": 2},
        "retry": {"initial_ms": 20, "max_ms": 20}}));
    bench.push(0..4);
    let sent = bench.after(0);
    bench.answer(&sent[0], &[(":status", "503"), ("retry-after", "5")], b"");
    bench.status(&sent[1], 200);
    assert!(bench.worker.sent().is_empty());
    assert!(bench.after(4999).is_empty());
    assert_eq!(bench.after(1).len(), 2);
}

#[test]
fn a_callout_that_the_proxy_refuses_or_never_answers_is_a_failure() {
    let mut bench = Bench::new(&json!({"retry": {"initial_ms": 20, "max_ms": 20}}));
    bench.push([1]);
    bench.worker.refuses = Some(CalloutError::Refused);
    assert!(bench.after(1000).is_empty());
    assert_eq!(bench.gauge("sink_down.sink=first"), 1);
    bench.worker.refuses = None;
    assert_eq!(bench.after(20).len(), 1);
    // Its answer never comes: 10 s of timeout, and 10 s of grace.
    assert!(bench.after(20_000).is_empty());
    assert_eq!(bench.after(1).len(), 0, "the wait after a failure");
    assert_eq!(bench.after(20).len(), 1);
    assert_eq!(bench.exporter.held(), 1);
}

#[test]
fn poison_records_are_found_by_halving_and_nothing_else_is_lost() {
    let mut bench = Bench::new(&json!({"batch": {"max_records": 64}}));
    let poison = [0, 17, 18, 63];
    bench.push(0..64);
    let mut sent = bench.after(0);
    let mut taken = Vec::new();
    let mut requests = 0;
    while let Some(next) = sent.pop() {
        requests += 1;
        let batch = numbers(&next);
        if batch.iter().any(|number| poison.contains(number)) {
            bench.status(&next, if requests % 2 == 0 { 400 } else { 413 });
        } else {
            taken.extend(batch);
            bench.status(&next, 204);
        }
        sent.extend(bench.worker.sent());
    }
    taken.sort_unstable();
    let expected: Vec<u32> = (0..64).filter(|number| !poison.contains(number)).collect();
    assert_eq!(taken, expected);
    assert_eq!((bench.dropped("refused"), bench.acknowledged()), (4, 60));
    assert!(requests <= 4 * 12, "{requests} requests");
    let settled = bench.exporter.settled();
    let lost: Vec<u32> = settled
        .iter()
        .flat_map(|end| match end {
            Settled::Dropped { records, reason } => {
                assert_eq!(*reason, Reason::Refused);
                records.clone()
            }
            Settled::Acknowledged { .. } => Vec::new(),
        })
        .map(|record| record.0)
        .collect();
    assert_eq!(
        lost.iter().collect::<std::collections::BTreeSet<_>>(),
        poison.iter().collect()
    );
    assert_eq!(bench.gauge("sink_down.sink=first"), 0);
}

#[test]
fn a_sink_that_refuses_everything_is_no_reason_for_a_storm_of_requests() {
    let mut bench = Bench::new(&json!({"batch": {"max_records": 512}}));
    let mut requests = 0;
    for round in 0..4 {
        bench.push(round * 512..(round + 1) * 512);
        let mut sent = bench.after(0);
        while let Some(next) = sent.pop() {
            requests += 1;
            bench.status(&next, 400);
            sent.extend(bench.worker.sent());
        }
    }
    assert_eq!(bench.dropped("refused"), 2048);
    assert!(requests < 60, "{requests} requests for four batches");
    assert_eq!(bench.gauge("sink_down.sink=first"), 1);
}

#[test]
fn a_status_that_no_retry_heals_drops_the_batch_and_tells_that_the_sink_is_down() {
    let mut bench = Bench::new(&json!({}));
    bench.push(0..3);
    let sent = bench.after(1000);
    bench.status(&sent[0], 401);
    assert_eq!((bench.dropped("refused"), bench.exporter.held()), (3, 0));
    assert_eq!(bench.events(), ["sink_down", "records_dropped"]);
}

#[test]
fn what_a_sink_took_only_in_part_is_not_sent_again_and_its_rest_counted() {
    let mut bench = Bench::new(&json!({}));
    bench.push(0..5);
    let sent = bench.after(1000);
    bench.answer(&sent[0], &[(":status", "200")], b"rejected 2");
    assert_eq!((bench.acknowledged(), bench.dropped("rejected")), (3, 2));
    assert_eq!(bench.exporter.held(), 0);
    assert!(bench.after(60_000).is_empty());
}

#[test]
fn a_batch_that_breaks_a_healthy_sink_does_not_stand_in_the_way_and_is_split_in_the_end() {
    let mut bench = Bench::new(
        &json!({"batch": {"max_records": 2, "max_in_flight": 1, "interval_ms": 20},
        "retry": {"initial_ms": 20, "max_ms": 40}}),
    );
    bench.push([666, 1]);
    let mut pushed = 2;
    for round in 0..400 {
        bench.push([1000 + round]);
        pushed += 1;
        let mut sent = bench.after(20);
        while let Some(next) = sent.pop() {
            let poison = numbers(&next).contains(&666);
            bench.status(&next, if poison { 500 } else { 200 });
            sent.extend(bench.worker.sent());
        }
    }
    for _ in 0..10 {
        for next in bench.after(1000) {
            bench.status(&next, 200);
        }
    }
    assert_eq!(bench.dropped("refused"), 1, "the one that broke the sink");
    assert_eq!(bench.acknowledged(), pushed - 1);
}

#[test]
fn each_overflow_policy_drops_what_it_names_and_counts_it() {
    for (policy, kept, reason, told) in [
        ("drop_oldest", [2, 3, 4], "overflow", Pushed::Queued),
        ("drop_newest", [0, 1, 2], "overflow", Pushed::Dropped),
        ("deny", [0, 1, 2], "denied", Pushed::Denied),
    ] {
        let mut bench = Bench::new(&json!({"queue": {"max_records": 3, "overflow": policy},
            "batch": {"max_records": 3}}));
        let pushed = bench.push(0..5);
        assert_eq!(pushed[2..], [Pushed::Queued, told, told], "{policy}");
        assert!(!bench.exporter.has_room(10));
        let sent = bench.after(0);
        assert_eq!(numbers(&sent[0]), kept, "{policy}");
        assert_eq!(bench.dropped(reason), 2, "{policy}");
        bench.status(&sent[0], 200);
    }
}

#[test]
fn a_queue_is_full_by_its_bytes_too() {
    let mut bench = Bench::new(
        &json!({"queue": {"max_bytes": 1030, "overflow": "drop_newest"},
        "batch": {"max_bytes": 1024}}),
    );
    bench.push(0..100);
    assert!(bench.exporter.has_room(30) && !bench.exporter.has_room(31));
    assert_eq!(bench.push([1, 2, 3, 4])[3], Pushed::Dropped);
    bench.after(0);
    assert_eq!(
        (bench.dropped("overflow"), bench.gauge("queued_bytes")),
        (1, 1030)
    );
}

#[test]
fn what_is_on_its_way_is_not_dropped_to_make_room() {
    let mut bench = Bench::new(&json!({"queue": {"max_records": 2},
        "batch": {"max_records": 2, "max_in_flight": 1}}));
    bench.push([1, 2]);
    let sent = bench.after(0);
    assert_eq!(bench.push([3]), [Pushed::Dropped]);
    bench.status(&sent[0], 503);
    assert_eq!(bench.push([4]), [Pushed::Queued], "now the oldest can go");
    bench.after(0);
    assert_eq!((bench.dropped("overflow"), bench.exporter.held()), (2, 2));
}

#[test]
fn with_two_sinks_and_any_the_first_acknowledgement_is_enough() {
    let two = json!([{"cluster": "one"}, {"cluster": "two"}]);
    let mut bench = Bench::new(&json!({"sinks": two}));
    bench.push([1, 2]);
    let sent = bench.after(1000);
    let clusters: Vec<&str> = sent.iter().map(|sent| sent.cluster.as_str()).collect();
    assert_eq!(clusters, ["one", "two"]);
    bench.status(&sent[0], 200);
    assert_eq!((bench.acknowledged(), bench.exporter.held()), (2, 0));
    bench.status(&sent[1], 503);
    bench.after(60_000);
    let missed = "portcullis_probe_records_missed_total.sink=second.profile=default";
    assert_eq!(bench.worker.count(missed), 2);
    assert!(bench.worker.sent().is_empty());
}

#[test]
fn with_two_sinks_and_all_each_gets_again_only_what_it_did_not_take() {
    let two = json!([{"cluster": "one"}, {"cluster": "two"}]);
    let mut bench = Bench::new(&json!({"sinks": two, "ack": "all"}));
    bench.push([1, 2]);
    let sent = bench.after(1000);
    bench.status(&sent[0], 200);
    bench.status(&sent[1], 503);
    assert_eq!((bench.acknowledged(), bench.exporter.held()), (0, 2));
    let again = bench.after(1000);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].cluster, "two");
    bench.status(&again[0], 400);
    let halves = bench.worker.sent();
    assert_eq!(halves.len(), 2);
    bench.status(&halves[0], 200);
    bench.status(&halves[1], 400);
    assert_eq!((bench.acknowledged(), bench.dropped("refused")), (1, 1));
    assert_eq!(bench.exporter.held(), 0);
}

#[test]
fn the_next_configuration_takes_over_what_the_last_one_left_with_its_share_of_the_gauges() {
    let settings = json!({"batch": {"max_records": 2}});
    let mut bench = Bench::new(&settings);
    bench.push(0..5);
    assert_eq!(bench.after(0).len(), 2);
    assert_eq!(bench.gauge("queued"), 5);
    // Same sinks, another limit.
    let smaller = json!({"batch": {"max_records": 3}, "queue": {"max_records": 4}});
    bench.exporter = exporter(&bench.names, &smaller, "");
    bench.push([5]);
    let sent = bench.after(0);
    let all: Vec<u32> = sent.iter().flat_map(numbers).collect();
    assert_eq!(
        all,
        [2, 3, 4],
        "on its way is sent again, the oldest made room"
    );
    assert_eq!((bench.gauge("queued"), bench.dropped("overflow")), (4, 2));
    for next in &sent {
        bench.status(next, 200);
    }
    let rest = bench.after(1000);
    assert_eq!(rest.iter().flat_map(numbers).collect::<Vec<_>>(), [5]);
    bench.status(&rest[0], 200);
    assert_eq!((bench.gauge("queued"), bench.gauge("queued_bytes")), (0, 0));
    assert_eq!(bench.acknowledged(), 4);
}

#[test]
fn batches_that_were_sent_again_are_counted_once_whatever_configurations_follow() {
    let at = |cluster: &str| json!({"sinks": [{"cluster": cluster}], "batch": {"max_records": 1}});
    // The next one has the same sink, or another one.
    for (next, last) in [
        ("old", "old"),
        ("new", "new"),
        ("new", "old"),
        ("old", "new"),
    ] {
        let mut bench = Bench::new(&at("old"));
        bench.push([1]);
        let sent = bench.after(0);
        bench.status(&sent[0], 503);
        assert_eq!(bench.after(1000).len(), 1, "sent again");
        // Nobody asks before the settings change, and change again.
        let mut sent = Vec::new();
        for cluster in [next, last] {
            bench.exporter = exporter(&bench.names, &at(cluster), "");
            sent = bench.after(1000);
        }
        for sent in sent {
            bench.status(&sent, 200);
        }
        bench.after(1000);
        assert_eq!(bench.exporter.held(), 0);
        let retries = "portcullis_probe_records_retries_total.sink=first.profile=default";
        assert_eq!(
            bench.exporter.retried(),
            bench.worker.count(retries),
            "{next} {last}"
        );
        assert_eq!(bench.exporter.retried(), 0);
    }
}

#[test]
fn what_was_left_for_other_sinks_still_goes_there_and_a_flood_of_configurations_is_bounded() {
    let at = |cluster: &str| json!({"sinks": [{"cluster": cluster}]});
    let mut bench = Bench::new(&at("old"));
    bench.push([1]);
    bench.exporter = exporter(&bench.names, &at("new"), "");
    bench.push([2]);
    let sent = bench.after(1000);
    let to: Vec<(&str, Vec<u32>)> = sent
        .iter()
        .map(|sent| (sent.cluster.as_str(), numbers(sent)))
        .collect();
    assert_eq!(to, [("new", vec![2]), ("old", vec![1])]);
    for next in &sent {
        bench.status(next, 200);
    }
    assert_eq!(bench.acknowledged(), 2);
    // The same sinks, but other things written around the records.
    for identity in ["a", "b", "c", "d"] {
        bench.push([3]);
        bench.exporter = exporter(&bench.names, &at("new"), identity);
    }
    bench.exporter.tick(&mut bench.worker);
    assert_eq!(bench.worker.sent().len(), 2);
    assert_eq!(bench.dropped("reload"), 2);
}
