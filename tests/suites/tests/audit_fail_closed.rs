//! Requests that wait for their records, on a real Envoy: the upstream sees no request whose record no sink acknowledged,
//! whatever the sink does, and what it acknowledged goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use portcullis_harness::sink::Mood;
use portcullis_harness::{Listener, Request, cases, load, suite, wait};
use portcullis_suites::fail_closed::{Shared, all, listener, start, verdict};
use serde_json::{Value, json};

const CONNECTIONS: usize = 32;
/// For each mood of the sink.
const REQUESTS: usize = 600;
const PATIENCE: Duration = Duration::from_secs(2);
const A_WHILE: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    // In order: the sink has one mood at a time.
    suite::run_in_order(
        || start("audit-fail-closed", [all(), steady()]),
        cases![
            the_upstream_sees_no_request_whose_record_was_not_acknowledged,
            a_batch_that_a_sink_fails_once_does_not_wait_for_the_load_to_end,
            every_chain_is_whole_once_the_sink_is_well_and_nothing_died,
        ],
    )
}

/// Requests here wait for less than the load lasts, and for many times as long as a retry. Batches are so small that there is
/// always a full one.
fn steady() -> Listener {
    listener(
        "steady",
        &json!({
            "delivery": {
                "batch": {"interval_ms": 100, "max_records": 4},
                "retry": {"initial_ms": 50, "max_ms": 200},
            },
            "fail_closed": {"timeout_ms": PATIENCE.as_millis() as u64},
        }),
    )
}

fn request(out: &mut Vec<u8>, case: &str) {
    out.extend_from_slice(&Request::get("/text").case(case).to_bytes());
}

/// Sends that many from many connections: how many passed, and how many were refused as they should be.
fn burst(shared: &Shared, name: &str) -> (usize, usize) {
    let (mut sent, mut passed, mut refused) = (0, 0, 0);
    let lost = load::run(
        shared.envoy.port("all"),
        CONNECTIONS,
        |out| {
            sent += 1;
            let case = format!("{name}-{sent}");
            (sent <= REQUESTS).then(|| request(out, &case))
        },
        |(), answer| match answer.status {
            200 => passed += 1,
            503 => {
                refused += 1;
                assert_eq!(
                    answer.header("content-type"),
                    Some("application/problem+json")
                );
                let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
                assert!((1..=60).contains(&after));
                let problem: Value = serde_json::from_slice(answer.body).unwrap();
                assert_eq!(problem["status"], 503, "{problem}");
            }
            other => panic!("{name}: {other}"),
        },
    );
    assert!(lost.is_empty(), "{name}: {}", lost.len());
    (passed, refused)
}

fn the_upstream_sees_no_request_whose_record_was_not_acknowledged(shared: &Shared) {
    let moods = [
        ("up", Mood::Up),
        ("slow", Mood::Slow(Duration::from_millis(100))),
        ("flap", Mood::Flap),
        ("down", Mood::Down),
        ("hang", Mood::Hang),
        ("too-many", Mood::TooMany("1".to_owned())),
        ("error", Mood::Status(500)),
        ("refuses", Mood::Status(403)),
    ];
    for (name, mood) in moods {
        shared.well("all");
        shared.sink.set(mood);
        let (passed, refused) = burst(shared, name);
        println!("{name}: {passed} passed, {refused} refused");
        assert_eq!(passed + refused, REQUESTS, "{name}");
        match name {
            "up" => assert_eq!(refused, 0),
            "slow" | "flap" => assert!(passed > 0, "{name}"),
            // The sink took nothing.
            _ => assert_eq!(passed, 0, "{name}"),
        }
        let seen = shared.seen.lock().unwrap();
        let prefix = format!("{name}-");
        let seen: BTreeMap<&str, Instant> = seen
            .iter()
            .filter(|(case, _)| case.starts_with(&prefix))
            .map(|(case, at)| (case.as_str(), *at))
            .collect();
        // As many as the clients were told, and each after the sink's answer.
        assert_eq!(seen.len(), passed, "{name}");
        let acknowledged = shared.acknowledged();
        for (case, at) in seen {
            let answered = acknowledged.get(case);
            assert!(
                answered.is_some_and(|answered| *answered <= at),
                "{case} was not acknowledged when the upstream got it"
            );
        }
    }
    shared.well("all");
}

fn a_batch_that_a_sink_fails_once_does_not_wait_for_the_load_to_end(shared: &Shared) {
    shared.well("steady");
    let before = shared.sink.deliveries().len();
    // While it answers one batch, the next one gathers; and too few fail to leave no load.
    shared.sink.set(Mood::Once(200, Duration::from_millis(10)));
    let began = Instant::now();
    let (mut sent, mut passed) = (0, 0);
    let mut others = BTreeMap::new();
    let failed = || {
        let deliveries = shared.sink.deliveries();
        let since = deliveries[before..].iter();
        since.filter(|delivery| !delivery.taken).count()
    };
    let mut until = began + 3 * PATIENCE;
    let lost = load::run(
        shared.envoy.port("steady"),
        2 * CONNECTIONS,
        |out| {
            sent += 1;
            if Instant::now() >= until && began.elapsed() < 20 * PATIENCE && failed() < 5 {
                // A slow machine sends fewer batches.
                until = Instant::now() + 2 * PATIENCE;
            }
            // Whatever failed at first had more than its time before the load ends.
            (Instant::now() < until).then(|| request(out, &format!("steady-{sent}")))
        },
        |(), answer| match answer.status {
            200 => passed += 1,
            other => *others.entry(other).or_insert(0) += 1,
        },
    );
    assert!(lost.is_empty(), "{}", lost.len());
    let failed = failed();
    println!("{passed} passed, {failed} batches failed once");
    assert!(failed >= 5, "{failed}");
    assert!(others.is_empty(), "{others:?} instead of {passed} more");
    shared.well("all");
}

fn every_chain_is_whole_once_the_sink_is_well_and_nothing_died(shared: &Shared) {
    shared.sink.set(Mood::Up);
    shared.well("all");
    // What was recorded last is told to the sink, and by the gauge of what is queued, a little later.
    let mut told = String::new();
    let whole = wait::poll(A_WHILE, || {
        let (intact, text) = verdict(shared);
        told = text;
        intact.then_some(())
    });
    assert!(whole.is_some(), "{told}");
    assert_eq!(shared.envoy.admin().vm_reloads(), 0);
}
