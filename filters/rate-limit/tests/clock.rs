//! A clock that was wrong, or steps.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

#[path = "common/bucket.rs"]
mod common;

use common::{Bucket, DAY, HOUR, MINUTE, START, daily, in_flight, minutely, rule};
#[cfg(not(target_arch = "wasm32"))]
use proptest::prelude::*;
use rate_limit::bucket::SLOTS;
use rate_limit::counter::Algorithm;
use rate_limit::decide::Rule;
use rate_limit::period::Period;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn hourly(limit: u64) -> Rule {
    rule(2, Algorithm::Sliding { window_ms: HOUR }, limit)
}

fn monthly(limit: u64) -> Rule {
    rule(3, Algorithm::Fixed(Period::Month { offset_ms: 0 }), limit)
}

#[test]
fn what_a_clock_wrote_that_was_far_ahead_is_in_nobodys_way() {
    let gcra = Algorithm::Gcra {
        window_ms: 366 * DAY,
        burst: 1,
    };
    for wrong in [27 * HOUR, 2 * DAY, 60 * DAY, 400 * DAY, 3_650 * DAY] {
        for rules in [
            vec![minutely(1, 1)],
            vec![minutely(1, 10), daily(4, 10)],
            vec![minutely(1, 10), monthly(100)],
            vec![in_flight(1)],
            vec![rule(5, gcra, 1)],
        ] {
            let mut bucket = Bucket::default();
            for dead in 100..100 + SLOTS as u64 {
                for _ in 0..11 {
                    bucket.request(dead, &rules, START + wrong);
                }
            }
            let (mut admitted, mut evicted) = (0, 0);
            for tenth in 0..360 {
                for client in 0..3 {
                    let decided = bucket.request(client, &[hourly(3)], START + tenth * 10_000);
                    admitted += u64::from(decided.decision.admitted);
                    evicted += u64::from(decided.displaced.evicted);
                    assert!(!decided.displaced.full);
                }
            }
            assert_eq!((admitted, evicted), (9, 0), "{wrong} {rules:?}");
        }
    }
}

#[test]
fn what_was_written_less_than_25_hours_ahead_still_counts_as_present() {
    for ahead in [HOUR, 24 * HOUR, 25 * HOUR - 1_000] {
        let mut bucket = Bucket::default();
        for identity in 0..SLOTS as u64 {
            bucket.request(identity, &[minutely(1, 1)], START + ahead);
        }
        let displaced = bucket.request(99, &[minutely(1, 1)], START).displaced;
        assert!(displaced.evicted && displaced.full, "{ahead}");
    }
}

#[test]
fn a_counter_that_no_limit_knows_and_a_wrong_clock_wrote_lapses_in_its_own_time() {
    let mut bucket = Bucket::default();
    assert!(bucket.admits(7, &[hourly(3)], START + 60 * DAY));
    // Put right; only another limit is known from now on.
    for minute in 0..190 {
        bucket.request(7, &[minutely(1, 1_000)], START + minute * MINUTE);
    }
    let kept = rate_limit::bucket::Bucket::read(&bucket.0, 7, (START + 190 * MINUTE) / 1_000);
    assert_eq!(kept.stored().iter().count(), 1);
}

#[test]
fn what_has_no_end_lapses_in_a_year_and_a_bit() {
    let pace = |limit, enforced| Rule {
        enforced,
        ..rule(
            1,
            Algorithm::Gcra {
                window_ms: HOUR,
                burst: limit,
            },
            limit,
        )
    };
    let mut bucket = Bucket::default();
    for client in 0..SLOTS as u64 {
        assert!(bucket.admits(client, &[pace(5, true)], START));
        // Metadata now tells 0, and another limit has the value written.
        assert!(bucket.admits(client, &[pace(0, false), minutely(2, 5)], START + 1));
    }
    let later = START + 420 * DAY;
    let displaced = bucket.request(99, &[pace(5, true)], later).displaced;
    assert!(!displaced.evicted);
}

#[test]
fn a_clock_that_was_far_ahead_locks_nobody_out() {
    let all = [
        rule(1, Algorithm::Sliding { window_ms: MINUTE }, 1),
        rule(2, Algorithm::Log { window_ms: MINUTE }, 1),
        daily(3, 1),
        rule(4, Algorithm::Fixed(Period::Month { offset_ms: 0 }), 1),
        rule(
            5,
            Algorithm::Gcra {
                window_ms: MINUTE,
                burst: 1,
            },
            1,
        ),
        in_flight(1),
    ];
    for wrong in [50 * 60 * MINUTE, 40 * DAY, 3_650 * DAY] {
        for rule in all {
            // A month may be as long as the error.
            if matches!(rule.algorithm, Algorithm::Fixed(Period::Month { .. })) && wrong < 60 * DAY
            {
                continue;
            }
            let mut bucket = Bucket::default();
            assert!(bucket.admits(7, &[rule], START + wrong));
            assert!(!bucket.admits(7, &[rule], START + wrong + 1));
            assert!(bucket.admits(7, &[rule], START), "{rule:?} {wrong}");
            assert!(!bucket.admits(7, &[rule], START + 1), "{rule:?} {wrong}");
        }
    }
}

#[test]
fn a_clock_that_steps_by_a_day_still_gives_nobody_a_fresh_window() {
    for back in [60 * MINUTE, 24 * 60 * MINUTE] {
        for rule in [minutely(1, 1), daily(3, 1), in_flight(1)] {
            let mut bucket = Bucket::default();
            assert!(bucket.admits(7, &[rule], START));
            assert!(!bucket.admits(7, &[rule], START - back), "{rule:?} {back}");
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn after_a_wrong_clock_a_value_counts_as_many_clients_as_it_holds_exactly(
        ahead in 26 * HOUR + 1_000..800 * DAY,
        dead in prop::collection::vec((1_u64..366 * 86_400, 1_u64..4, 0_usize..4), 1..=SLOTS),
        requests in prop::collection::vec((0..SLOTS as u64, 0_u64..4_000), 1..200),
        limit in 1_u64..6,
    ) {
        let mut bucket = Bucket::default();
        for (identity, (window_s, limit, kind)) in (1_000..).zip(dead) {
            let window_ms = window_s * 1_000;
            let algorithm = [
                Algorithm::Sliding { window_ms },
                Algorithm::Fixed(Period::Every { window_ms, offset_ms: 0 }),
                Algorithm::Gcra { window_ms, burst: 2 },
                Algorithm::Concurrency { lease_ms: window_ms },
            ][kind];
            for second in 0..4 {
                let now = START + ahead + second * 1_000;
                bucket.request(identity, &[rule(7, algorithm, limit)], now);
            }
        }
        let window = MINUTE;
        let rules = [rule(1, Algorithm::Log { window_ms: window }, limit)];
        let mut taken = std::collections::BTreeMap::<u64, Vec<u64>>::new();
        let mut now = START;
        for (client, step) in requests {
            now += step;
            let taken = taken.entry(client).or_default();
            let held = taken.iter().filter(|at| now - **at <= window).count() as u64;
            let decided = bucket.request(client, &rules, now);
            prop_assert_eq!(decided.decision.admitted, held < limit);
            prop_assert!(!decided.displaced.evicted);
            if held < limit {
                taken.push(now);
            }
        }
    }
}
