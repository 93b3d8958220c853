//! Which batch a sink gets next, while there are always new ones.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Bench, numbers};
use portcullis_kit::testing::Sent;
use serde_json::{Value, json};

/// A sink that gets more with each answer that it gives.
struct Load {
    bench: Bench,
    pushed: u32,
    on_their_way: Vec<Sent>,
    /// Milliseconds.
    time: u64,
}

impl Load {
    fn new(max_in_flight: u32) -> Self {
        let settings: Value = json!({
            "batch": {"max_records": 2, "max_in_flight": max_in_flight, "interval_ms": 20},
            "retry": {"initial_ms": 100, "max_ms": 5000},
        });
        Self {
            bench: Bench::new(&settings),
            pushed: 0,
            on_their_way: Vec::new(),
            time: 0,
        }
    }

    /// Two more full batches wait, and the sink answers all that it has: whether it takes a batch, `takes` says. What it
    /// got is returned.
    fn round(&mut self, takes: impl Fn(&[u32]) -> bool) -> Vec<Vec<u32>> {
        self.bench.push(self.pushed..self.pushed + 4);
        self.pushed += 4;
        self.time += 20;
        self.on_their_way.extend(self.bench.after(20));
        let mut got = Vec::new();
        for sent in std::mem::take(&mut self.on_their_way) {
            let numbers = numbers(&sent);
            let status = if takes(&numbers) { 200 } else { 503 };
            self.bench.status(&sent, status);
            // An answer makes room for the next batch.
            self.on_their_way.extend(self.bench.worker.sent());
            got.push(numbers);
        }
        got
    }
}

#[test]
fn a_batch_that_failed_once_is_sent_again_soon_although_new_ones_never_end() {
    for max_in_flight in [1, 2, 4] {
        let mut load = Load::new(max_in_flight);
        for _ in 0..10 {
            load.round(|_| true);
        }
        let failed = load.round(|_| false);
        assert!(!failed.is_empty());
        let failed_at = load.time;
        let mut left = failed;
        while !left.is_empty() {
            let got = load.round(|_| true);
            left.retain(|batch| !got.contains(batch));
            assert!(load.bench.exporter.held() > 0, "the load never ends");
            // The sink's own waits, which as many failures at once made longer, and a round for each.
            let most = 100 * (1 << (max_in_flight - 1)) + 100 * u64::from(max_in_flight);
            let waited = load.time - failed_at;
            assert!(waited <= most, "{max_in_flight}: {waited} ms, {left:?}");
        }
    }
}

#[test]
fn batches_that_failed_take_no_more_than_every_second_turn_and_the_oldest_of_them_the_first() {
    let mut load = Load::new(1);
    // A sink that is down leaves many batches: each trial is a new one.
    let mut failed = Vec::new();
    while failed.len() < 6 {
        failed.extend(load.round(|_| false));
    }
    let mut got = Vec::new();
    while got.len() < 16 {
        got.extend(load.round(|_| true));
    }
    let again: Vec<&Vec<u32>> = got.iter().filter(|batch| failed.contains(batch)).collect();
    assert_eq!(again, failed.iter().collect::<Vec<_>>());
    let turns: Vec<bool> = got.iter().map(|batch| failed.contains(batch)).collect();
    let twice = turns.windows(2).any(|two| two == [true, true]);
    assert!(!twice, "{turns:?}");
    assert!(
        turns.iter().take(13).filter(|failed| **failed).count() == 6,
        "{turns:?}"
    );
}

#[test]
fn a_batch_that_alone_makes_a_sink_fail_is_tried_ever_more_rarely_and_holds_up_nobody() {
    let mut load = Load::new(2);
    let poison = |batch: &[u32]| batch.contains(&21);
    let mut tries = Vec::new();
    // Two minutes.
    for _ in 0..6000 {
        let got = load.round(|batch| !poison(batch));
        if got.iter().any(|batch| poison(batch)) {
            tries.push(load.time);
        }
    }
    let waits: Vec<u64> = tries.windows(2).map(|two| two[1] - two[0]).collect();
    for (wait, least) in waits.iter().zip([50, 100, 200, 400, 800, 1600]) {
        assert!(*wait >= least, "{waits:?}");
    }
    // After every eighth one it comes next, and so does the half of it that is as bad.
    let soon = waits.iter().skip(6).filter(|wait| **wait < 2500).count();
    assert!(soon <= 5, "{waits:?}");
    assert!((20..=60).contains(&tries.len()), "{tries:?}");
    let acknowledged = load.bench.acknowledged();
    let held = load.bench.exporter.held() as u64;
    let given_up = load.bench.dropped("refused");
    assert!(given_up <= 1);
    assert_eq!(acknowledged + held + given_up, u64::from(load.pushed));
    // All but what came last, and what the poison's own waits held up.
    assert!(held < 200, "{held}");
}
