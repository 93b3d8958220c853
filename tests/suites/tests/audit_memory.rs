//! Memory is bounded while no sink takes anything, and what is given up is counted exactly.
//!
//! `AUDIT_DELIVERY_FULL=1` sends a million requests to each form.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;
use std::time::Duration;

use portcullis_harness::config::cluster;
use portcullis_harness::{
    Config, Envoy, Filter, Listener, Mood, Request, Route, Sink, cases, load, suite, wait,
};
use portcullis_suites::evidence::{Evidence, audit, metric};
use serde_json::json;

/// The queue's limit per worker.
const QUEUE: u64 = 2_000;
const MEGABYTE: u64 = 1_000_000;
/// What the allocators of a VM and of the proxy may still take once the queues are full.
const GROWTH: u64 = 8 * MEGABYTE;

fn main() -> ExitCode {
    suite::run_in_order(
        || (),
        cases![
            as_a_filter_memory_is_bounded_and_every_drop_is_counted,
            as_an_access_logger_memory_is_bounded_and_every_drop_is_counted,
        ],
    )
}

fn requests() -> u64 {
    match std::env::var_os("AUDIT_DELIVERY_FULL") {
        Some(_) => 1_000_000,
        None => 30_000,
    }
}

fn send(envoy: &Envoy, requests: u64) {
    let mut left = requests;
    let request = Request::get("/orders").to_bytes();
    let next = |out: &mut Vec<u8>| {
        left = left.checked_sub(1)?;
        out.extend(&request);
        Some(())
    };
    let lost = load::run(envoy.port("main"), 16, next, |(), answer| {
        assert_eq!(answer.status, 200);
    });
    assert!(lost.is_empty(), "{} requests", lost.len());
}

fn check(listener: impl FnOnce(Listener, Filter) -> Listener) {
    let sink = Sink::start();
    sink.set(Mood::Down);
    let settings = json!({"delivery": {"queue": {"max_records": QUEUE}}});
    let quick = Listener::new("main")
        .route(Route::prefix("/").direct(200, "ok"))
        .hcm(&json!({"generate_request_id": false}))
        .without_access_log();
    let config = Config::new(1)
        .concurrency(2)
        .cluster(cluster("sink", sink.port()))
        .listener(listener(quick, audit(&settings)));
    let envoy = Envoy::start("audit-memory", &config).unwrap_or_else(|error| panic!("{error}"));
    // The queues are full, buffers and connections are there.
    send(&envoy, 10 * QUEUE);
    let before = envoy.resident_bytes();
    send(&envoy, requests());
    let grown = envoy.resident_bytes().saturating_sub(before);
    let all = 10 * QUEUE + requests();
    println!("{} requests: {} kB more", requests(), grown / 1_000);
    assert!(grown <= GROWTH, "{grown} bytes more");
    let dropped = wait::until("the drops to be counted", || {
        let (dropped, queued) = (metric(&envoy, "dropped_total"), metric(&envoy, "queued\\."));
        // What the bundle tells of itself is sealed, too.
        (dropped + queued >= all).then_some(dropped)
    });
    assert!(dropped >= all - 2 * QUEUE, "{dropped}");
    assert_eq!(metric(&envoy, "acknowledged_total"), 0);
    sink.set(Mood::Up);
    wait::until("the end of the queue", || {
        (metric(&envoy, "queued\\.") == 0).then_some(())
    });
    let evidence = wait::poll(Duration::from_secs(60), || {
        let evidence = Evidence::of(&sink.records());
        let is_told = evidence.told_dropped() == metric(&envoy, "dropped_total");
        (is_told && metric(&envoy, "queued\\.") == 0).then_some(evidence)
    });
    let evidence = evidence.expect("all drops are told of");
    evidence.assert_intact();
    let (acknowledged, dropped) = (
        metric(&envoy, "acknowledged_total"),
        metric(&envoy, "dropped_total"),
    );
    println!(
        "{} sealed, {acknowledged} acknowledged, {dropped} dropped",
        evidence.sealed()
    );
    assert_eq!(evidence.sealed(), acknowledged + dropped);
    assert_eq!(evidence.records.len() as u64, acknowledged);
    assert!(evidence.requests() <= 2 * QUEUE);
    assert_eq!(envoy.admin().vm_reloads(), 0);
}

fn as_a_filter_memory_is_bounded_and_every_drop_is_counted(_: &()) {
    check(Listener::filter);
}

fn as_an_access_logger_memory_is_bounded_and_every_drop_is_counted(_: &()) {
    check(Listener::access_logger);
}
