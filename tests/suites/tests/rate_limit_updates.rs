//! Counts outlive what they were counted under: settings and the module change while clients call, and each client still
//! is admitted exactly as often as its limit says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use portcullis_harness::artifacts::{self, Artifacts};
use portcullis_harness::{Config, Envoy, Filter, Update, cases, load, suite, wait};
use portcullis_suites::plans::{self, Tally};
use serde_json::{Value, json};

const CONNECTIONS: usize = 64;
const CLIENTS: usize = 40;
const LIMIT: u64 = 1_500;
/// The limit after the last update.
const RAISED: u64 = LIMIT + 100;

fn main() -> ExitCode {
    suite::run_in_order(
        || (),
        cases![updates_and_an_upgrade_lose_no_count_and_make_none_up],
    )
}

/// The same module in other bytes: an empty custom section more.
fn upgraded(folder: &Path) -> PathBuf {
    let mut module = fs::read(artifacts::module("rate_limit")).unwrap();
    module.extend_from_slice(b"\0\x03\x02v2");
    let path = folder.join("rate_limit_v2.wasm");
    fs::write(&path, module).unwrap();
    path
}

fn config(settings: Value, module: Option<&Path>) -> Config {
    let mut filter = Filter::wasm("rate_limit", settings);
    if let Some(module) = module {
        filter = filter.over(&json!({"vm_config": {"code": {"local": {"filename": module}}}}));
    }
    Config::new(1)
        .concurrency(2)
        .live()
        .listener(plans::quick("main", filter))
}

fn hourly(limit: u64, change: &Value) -> Value {
    let mut settings = plans::hourly(limit, "updates");
    for (key, value) in change.as_object().unwrap() {
        settings[key] = value.clone();
    }
    settings
}

/// Settings under which the hour's count is the same.
fn changes() -> Vec<Value> {
    let limits = json!([
        {"name": "day", "count": 1_000_000, "window": "1d"},
        {"name": "hour", "count": LIMIT, "window": "1h"},
    ]);
    vec![
        json!({"headers": {"x_ratelimit": "delta"}}),
        json!({"near_limit_percent": 50}),
        json!({"tiers": {"t": {"limits": limits}}}),
        json!({"profiles": {"other": {"cost": 2}}}),
        json!({"tier": {"default": "T"}, "on_error": "deny"}),
    ]
}

fn updates_and_an_upgrade_lose_no_count_and_make_none_up(_: &()) {
    let folder = Artifacts::create("rate-limit-upgrade").unwrap();
    let module = upgraded(folder.path());
    let first = config(hourly(LIMIT, &json!({})), None);
    let mut envoy =
        Envoy::start("rate-limit-updates", &first).unwrap_or_else(|error| panic!("{error}"));

    let mut steps: Vec<Config> = changes()
        .iter()
        .map(|change| config(hourly(LIMIT, change), None))
        .collect();
    steps.push(config(hourly(LIMIT, &json!({})), Some(&module)));
    steps.push(config(hourly(RAISED, &json!({})), Some(&module)));

    let progress = Arc::new(Progress::default());
    let clients = {
        let (port, progress) = (envoy.port("main"), Arc::clone(&progress));
        let parts = steps.len() as u64 + 1;
        thread::spawn(move || converse(port, parts, &progress))
    };
    for (at, step) in steps.iter().enumerate() {
        // The load goes on meanwhile; each part of it begins after an update and ends in the next.
        let before = progress.admitted.load(Ordering::Relaxed);
        wait::until("admitted requests before the update", || {
            (progress.admitted.load(Ordering::Relaxed) > before).then_some(())
        });
        assert_eq!(envoy.update(step), Update::Accepted, "update {at}");
        progress.updates.fetch_add(1, Ordering::Relaxed);
    }

    let tallies = clients.join().unwrap();
    let wrong = plans::wrong(&tallies, RAISED);
    assert!(wrong.is_empty(), "{wrong:?}");
    // Envoy ends the last connections of a drained listener without a word, so some answers are missing. What was counted
    // for them was counted, so the proxy's own number must be right to the last request.
    let lost: u64 = tallies.iter().map(|tally| tally.lost).sum();
    println!("{} updates, {lost} requests without an answer", steps.len());
    let allowed = envoy.admin().stats("portcullis_rate_limit_allowed_total");
    // The client that called on is one more.
    let all = RAISED * (CLIENTS as u64 + 1);
    assert_eq!(allowed.values().sum::<u64>(), all, "{allowed:?}");
    assert_eq!(envoy.admin().vm_reloads(), 0);
}

/// What the clients and the updates know of each other.
#[derive(Default)]
struct Progress {
    admitted: AtomicU64,
    updates: AtomicU64,
}

/// All clients call by turns, until each is at its last limit and was refused often enough to show it. While the clients
/// wait for an update to use the next part of their limits, one that has none left calls on.
fn converse(port: u16, parts: u64, progress: &Progress) -> Vec<Tally> {
    let tallies = std::cell::RefCell::new(vec![Tally::default(); CLIENTS]);
    let (mut turn, mut spare) = (0, 0);
    let lost = load::run(
        port,
        CONNECTIONS,
        |out| {
            let mut tallies = tallies.borrow_mut();
            let updates = progress.updates.load(Ordering::Relaxed);
            let part = RAISED * CLIENTS as u64 / parts * (updates + 1);
            let last = updates + 1 == parts;
            if last && tallies.iter().all(|tally| tally.tries >= RAISED + 200) {
                // The one that called on uses up what the last update gave it.
                spare += 1;
                return (spare <= 2 * RAISED).then(|| {
                    plans::get("spent", out);
                    None
                });
            }
            if !last && progress.admitted.load(Ordering::Relaxed) >= part {
                plans::get("spent", out);
                return Some(None);
            }
            turn += 1;
            let client = turn % CLIENTS;
            plans::get(&format!("client-{client}"), out);
            tallies[client].tries += 1;
            Some(Some(client))
        },
        |client, answer| match (answer.status, client) {
            (200, Some(client)) => {
                tallies.borrow_mut()[client].admitted += 1;
                progress.admitted.fetch_add(1, Ordering::Relaxed);
            }
            (200 | 429, _) => {}
            (status, _) => panic!("{status}: {}", String::from_utf8_lossy(answer.head)),
        },
    );
    for client in lost.into_iter().flatten() {
        tallies.borrow_mut()[client].lost += 1;
    }
    tallies.into_inner()
}
