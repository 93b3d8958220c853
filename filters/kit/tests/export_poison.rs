//! Records that make a sink fail which is well otherwise, and sinks that fail without any record's fault.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;

use common::{Bench, numbers};
use portcullis_kit::export::{Reason, Settled};
use portcullis_kit::testing::Sent;
use serde_json::{Value, json};

const MINUTE: u64 = 60_000;
/// A tick.
const STEP: u64 = 250;

fn settings(sinks: &[&str], max_in_flight: u32) -> Value {
    let sinks: Vec<Value> = sinks.iter().map(|name| json!({"cluster": name})).collect();
    json!({
        "sinks": sinks, "ack": "all",
        "batch": {"max_records": 64, "max_in_flight": max_in_flight, "interval_ms": 1000},
    })
}

/// What became of what was pushed.
struct Outcome {
    pushed: u64,
    acknowledged: u64,
    held: u64,
    dropped: BTreeSet<u32>,
    /// Whether the sink counted as down after what was dropped last.
    was_down: bool,
}

/// Pushes numbers from 0 on, two a second, to sinks that answer as `status` says: to a cluster's batch at that time, `None`
/// for a reset.
fn deliver(
    settings: &Value,
    milliseconds: u64,
    status: impl FnMut(&str, &[u32], u64) -> Option<u16> + Send,
) -> Outcome {
    // What an exporter holds at its end is for the next one of its thread.
    std::thread::scope(|scope| {
        let delivered = scope.spawn(|| deliver_here(settings, milliseconds, status));
        delivered.join().unwrap()
    })
}

fn deliver_here(
    settings: &Value,
    milliseconds: u64,
    mut status: impl FnMut(&str, &[u32], u64) -> Option<u16>,
) -> Outcome {
    let mut bench = Bench::new(settings);
    let (mut pushed, mut dropped, mut was_down) = (0, BTreeSet::new(), false);
    let mut on_their_way: Vec<Sent> = Vec::new();
    for time in (0..milliseconds).step_by(usize::try_from(STEP).unwrap()) {
        if time.is_multiple_of(2 * STEP) {
            bench.push([pushed]);
            pushed += 1;
        }
        on_their_way.extend(bench.after(STEP));
        // Each takes a tick or no time at all.
        for _ in 0..2 {
            for sent in std::mem::take(&mut on_their_way) {
                match status(&sent.cluster, &numbers(&sent), time) {
                    Some(status) => bench.status(&sent, status),
                    None => bench.answer(&sent, &[], b""),
                }
                on_their_way.extend(bench.worker.sent());
            }
        }
        for end in bench.exporter.settled() {
            if let Settled::Dropped { records, reason } = end {
                assert_eq!(reason, Reason::Refused);
                dropped.extend(records.iter().map(|record| record.0));
                was_down = bench.exporter.is_down();
            }
        }
    }
    Outcome {
        pushed: u64::from(pushed),
        acknowledged: bench.acknowledged(),
        held: bench.exporter.held() as u64,
        dropped,
        was_down,
    }
}

#[test]
fn a_record_that_alone_makes_a_sink_fail_is_found_given_up_and_nothing_else() {
    for poison in [Some(500), Some(502), Some(503), Some(504), None] {
        for (sinks, max_in_flight) in [(&["one"][..], 1), (&["one"], 4), (&["one", "two"], 2)] {
            let mut tries = 0;
            let settings = settings(sinks, max_in_flight);
            let outcome = deliver(&settings, 60 * MINUTE, |cluster, batch, _| {
                let is_ill = cluster == "one" && batch.contains(&100);
                tries += u32::from(is_ill);
                if is_ill { poison } else { Some(200) }
            });
            let case = format!("{poison:?} {sinks:?} {max_in_flight}");
            assert_eq!(outcome.dropped, BTreeSet::from([100]), "{case}");
            assert!(outcome.held < 4, "{case}: {}", outcome.held);
            assert!(!outcome.was_down, "{case}");
            let all = outcome.acknowledged + outcome.held + 1;
            assert_eq!(all, outcome.pushed, "{case}");
            assert!((32..80).contains(&tries), "{case}: {tries} tries");
        }
    }
}

#[test]
fn many_of_them_at_once_are_found_too() {
    let ill = |number: &u32| *number < 400 && number.is_multiple_of(20);
    let outcome = deliver(&settings(&["one"], 2), 240 * MINUTE, |_, batch, _| {
        let status = if batch.iter().any(ill) { 503 } else { 200 };
        Some(status)
    });
    assert_eq!(outcome.dropped, (0..400).filter(ill).collect());
    assert!(outcome.held < 4);
}

#[test]
fn a_sink_that_fails_whatever_it_gets_makes_no_record_a_poison() {
    // Down for hours, in turns, for the most part, at each start of a minute, busy for a while after each batch.
    let mut last = 0;
    let mut busy = move |time: u64, pause: u64| {
        let is_busy = time < last + pause;
        if !is_busy {
            last = time;
        }
        is_busy
    };
    let mut dice = 1_u32;
    let mut chance = move |percent: u32| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (dice >> 8) % 100 < percent
    };
    let mut turn = 0_u32;
    for case in 0..9 {
        let mut fails = |time: u64| match case {
            0 => time < 200 * MINUTE,
            1 => (time / MINUTE).is_multiple_of(2),
            2 => (time / 1000).is_multiple_of(2),
            3 => time % MINUTE > 5000,
            4 => chance(50),
            5 => chance(90),
            6 => busy(time, 300),
            7 => busy(time, 3000),
            _ => {
                turn += 1;
                turn.is_multiple_of(2)
            }
        };
        let mut settings = settings(&["one"], 2);
        settings["queue"] = json!({"max_records": 1_000_000});
        let outcome = deliver(&settings, 240 * MINUTE, |_, _, time| {
            Some(if fails(time) { 503 } else { 200 })
        });
        assert_eq!(outcome.dropped, BTreeSet::new(), "{case}");
    }
}

#[test]
fn a_record_that_one_sink_refuses_holds_up_nobody_while_the_other_is_down_or_refuses_all() {
    for ill in [400, 503] {
        for other in [None, Some(503), Some(401)] {
            let mut settings = settings(&["one", "two"], 2);
            settings["ack"] = json!("any");
            settings["batch"]["interval_ms"] = json!(20_000);
            let outcome = deliver(&settings, 60 * MINUTE, |cluster, batch, _| {
                let is_ill = batch.contains(&100);
                match cluster {
                    "one" => Some(if is_ill { ill } else { 200 }),
                    _ => other,
                }
            });
            let case = format!("{ill} {other:?}");
            // What waits is the record for the sink that is down, and those that came last.
            let given_up = outcome.dropped.len() as u64;
            assert!(
                outcome.dropped.iter().all(|number| *number == 100),
                "{case}"
            );
            assert_eq!(given_up, u64::from(other == Some(401)), "{case}");
            assert!(outcome.held <= 41, "{case}: {}", outcome.held);
            let all = outcome.acknowledged + outcome.held + given_up;
            assert_eq!(all, outcome.pushed, "{case}");
        }
    }
}
