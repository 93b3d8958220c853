//! Limits are exact: with any number of workers, many connections on one client's counter, and live updates, each client
//! is admitted as often as its limit says, not once more and not once less.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::{Config, Envoy, Filter, cases, suite};
use portcullis_suites::plans::{self, Tally};

const CONNECTIONS: usize = 64;
/// How often a test tries to catch a faulty store.
const HUNTS: usize = 12;

fn main() -> ExitCode {
    suite::run_in_order(
        || (),
        cases![
            one_worker_admits_exactly_the_limit,
            two_workers_admit_exactly_the_limit,
            four_workers_admit_exactly_the_limit,
            a_bucket_created_blindly_admits_too_many,
            a_decision_that_is_not_made_anew_admits_too_many,
        ],
    )
}

/// Limits, and with how many clients they are tried.
fn limits() -> [(u64, usize); 3] {
    match plans::full() {
        true => [(1, 10_000), (10, 10_000), (1000, 40)],
        false => [(1, 2_000), (10, 2_000), (1000, 8)],
    }
}

fn runs() -> usize {
    if plans::full() { 5 } else { 1 }
}

/// How often each client tries: less than its limit, just that, once more, and much more.
fn tries(limit: u64, clients: usize) -> Vec<u64> {
    let kinds = [limit.div_ceil(2), limit, limit + 1, limit + limit / 2 + 2];
    kinds.into_iter().cycle().take(clients).collect()
}

fn name(limit: u64) -> String {
    format!("limit-{limit}")
}

fn start(workers: u32) -> Envoy {
    let mut config = Config::new(1).concurrency(workers);
    for (limit, _) in limits() {
        let filter = Filter::wasm("rate_limit", plans::hourly(limit, &name(limit)));
        config = config.listener(plans::quick(&name(limit), filter));
    }
    Envoy::start("rate-limit-exact", &config).unwrap_or_else(|error| panic!("{error}"))
}

fn exact(workers: u32) {
    let envoy = start(workers);
    let mut admitted = 0;
    for run in 0..runs() {
        for (limit, clients) in limits() {
            let tries = tries(limit, clients);
            let port = envoy.port(&name(limit));
            let tallies = plans::drive(port, CONNECTIONS, &format!("run-{run}"), &tries);
            let wrong = plans::wrong(&tallies, limit);
            assert!(
                wrong.is_empty(),
                "limit {limit}, {workers} workers, run {run}: {wrong:?}"
            );
            let lost: u64 = tallies.iter().map(|tally| tally.lost).sum();
            assert_eq!(lost, 0, "no connection ends by itself");
            admitted += tallies.iter().map(|tally| tally.admitted).sum::<u64>();
        }
    }
    let counted = |what: &str| -> u64 {
        let name = format!("portcullis_rate_limit_{what}_total");
        envoy.admin().stats(&name).values().sum()
    };
    println!(
        "{workers} workers: {admitted} admitted, {} decisions made anew",
        counted("cas_retries")
    );
    assert_eq!(counted("allowed"), admitted);
    for none in ["cas_exhausted", "store_errors", "evicted", "table_full"] {
        assert_eq!(counted(none), 0, "{none}");
    }
    assert_eq!(envoy.admin().vm_reloads(), 0);
}

fn one_worker_admits_exactly_the_limit(_: &()) {
    exact(1);
}

fn two_workers_admit_exactly_the_limit(_: &()) {
    exact(2);
}

fn four_workers_admit_exactly_the_limit(_: &()) {
    exact(4);
}

/// Drives a faulty store until it admits too many. Panics if it never does.
fn found_out(fault: &str, limit: u64, clients: usize) {
    let filter = Filter::wasm("test/rate_limit_mutants", plans::hourly(limit, "faulty"))
        .root_id("rate-limit")
        .environment("FAULT", fault);
    let config = Config::new(1)
        .concurrency(4)
        .listener(plans::quick("faulty", filter));
    let envoy =
        Envoy::start("rate-limit-faulty", &config).unwrap_or_else(|error| panic!("{error}"));
    let port = envoy.port("faulty");
    let tries = vec![limit * 8; clients];
    for hunt in 0..HUNTS {
        let tallies = plans::drive(port, CONNECTIONS, &format!("hunt-{hunt}"), &tries);
        let over = |tally: &&Tally| tally.admitted > limit;
        let over = tallies.iter().filter(over).count();
        if over > 0 {
            println!("{fault}: {over} of {clients} clients admitted too often, hunt {hunt}");
            return;
        }
    }
    panic!("{fault}: not found out in {HUNTS} hunts: the tests of exactness can see nothing");
}

fn a_bucket_created_blindly_admits_too_many(_: &()) {
    found_out("creates-blindly", 1, 5_000);
}

fn a_decision_that_is_not_made_anew_admits_too_many(_: &()) {
    found_out("decides-once", 10, 500);
}
