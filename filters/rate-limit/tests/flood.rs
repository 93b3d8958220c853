//! What a flood of identities costs that are at their limits at once.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

#[path = "common/bucket.rs"]
mod common;

use common::{Bucket, HOUR, MINUTE, START, daily, in_flight, minutely, rule};
#[cfg(not(target_arch = "wasm32"))]
use proptest::prelude::*;
use rate_limit::bucket::SLOTS;
use rate_limit::counter::Algorithm;
use rate_limit::decide::Rule;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A value full of clients that made so many requests each.
fn regulars(requests: u64) -> Bucket {
    let mut bucket = Bucket::default();
    for regular in 0..SLOTS as u64 {
        for _ in 0..requests {
            assert!(bucket.admits(regular, &[daily(1, 1_000)], START));
        }
    }
    bucket
}

fn kept(bucket: &Bucket, requests: u64) -> usize {
    (0..SLOTS as u64)
        .filter(|regular| bucket.used(*regular, &[daily(1, 1_000)], START + 2) == requests)
        .count()
}

#[test]
fn to_be_at_a_limit_displaces_nobody_that_came_more_often() {
    for limit in [1, 3, 10] {
        let mut bucket = regulars(200);
        let mut full = 0;
        for stranger in 1_000..1_400 {
            for _ in 0..limit {
                let displaced = bucket
                    .request(stranger, &[daily(1, limit)], START + 1)
                    .displaced;
                full += u64::from(displaced.full);
            }
        }
        assert_eq!(kept(&bucket, 200), SLOTS / 2, "{limit}");
        assert_eq!(
            full,
            400 - SLOTS as u64 / 2,
            "the first displaced the regulars that others had passed"
        );
    }
}

#[test]
fn to_be_in_flight_displaces_nobody_that_came_more_often() {
    let mut bucket = regulars(3);
    let mut full = 0;
    for stranger in 1_000..1_400 {
        let displaced = bucket
            .request(stranger, &[in_flight(1)], START + 1)
            .displaced;
        full += usize::from(displaced.full);
    }
    assert_eq!((kept(&bucket, 3), full), (SLOTS / 2, 400 - SLOTS / 2));
}

#[test]
fn who_is_at_a_limit_stays_while_one_that_came_no_more_often_can_go() {
    // Half of the value are clients that came first, and once; the other half are at their limits.
    let mut bucket = Bucket::default();
    let half = SLOTS as u64 / 2;
    for first in 0..half {
        bucket.request(first, &[daily(1, 1_000)], START);
    }
    for full in half..2 * half {
        assert!(bucket.admits(full, &[daily(1, 1)], START));
    }
    for newcomer in 100..100 + half {
        let displaced = bucket
            .request(newcomer, &[daily(1, 1)], START + 1)
            .displaced;
        assert!(displaced.evicted && !displaced.full, "{newcomer}");
    }
    for full in half..2 * half {
        assert!(!bucket.admits(full, &[daily(1, 1)], START + 2), "{full}");
    }
}

#[test]
fn who_often_came_to_its_limit_outlives_those_that_came_to_theirs_at_once() {
    let mut bucket = regulars(20);
    // Eight came more often, so it has no place among those that are out of reach.
    for _ in 0..10 {
        assert!(bucket.admits(77, &[daily(1, 10)], START));
    }
    for stranger in 1_000..1_400 {
        bucket.request(stranger, &[daily(1, 1)], START + 1);
    }
    assert!(!bucket.admits(77, &[daily(1, 10)], START + 2));
}

#[test]
fn who_has_less_left_than_a_request_costs_is_at_its_limit() {
    for algorithm in [
        Algorithm::Sliding { window_ms: MINUTE },
        Algorithm::Log { window_ms: MINUTE },
        Algorithm::Gcra {
            window_ms: HOUR,
            burst: 12,
        },
        daily(1, 12).algorithm,
    ] {
        let dear = Rule {
            cost: 5,
            ..rule(1, algorithm, 12)
        };
        let mut bucket = Bucket::default();
        assert!(bucket.admits(7, &[dear], START) && bucket.admits(7, &[dear], START));
        assert!(!bucket.admits(7, &[dear], START));
        for newcomer in 100..400 {
            for _ in 0..2 {
                bucket.request(newcomer, &[minutely(1, 1_000)], START + 1);
            }
        }
        assert!(!bucket.admits(7, &[dear], START + 2), "{algorithm:?}");
    }
}

#[test]
fn a_refused_request_is_no_visit_where_it_counts_either() {
    let mut bucket = regulars(4);
    let once = Rule {
        count_denied: true,
        ..daily(1, 1)
    };
    for stranger in 1_000..1_100 {
        for _ in 0..20 {
            bucket.request(stranger, &[once], START + 1);
        }
    }
    assert_eq!(kept(&bucket, 4), SLOTS / 2);
}

#[cfg(not(target_arch = "wasm32"))]
proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_flood_displaces_half_a_value_of_clients_that_came_more_often(
        visits in 1_u64..12,
        // Of each request of a flood: whose it is, its limit and its cost, whether it is one in flight, how much later it comes.
        flood in prop::collection::vec(
            (0_u64..60, 1_u64..12, 1_u64..4, any::<bool>(), any::<bool>(), 0_u64..20),
            1..300,
        ),
    ) {
        let rules = [daily(1, 1_000)];
        let mut bucket = Bucket::default();
        for regular in 0..SLOTS as u64 / 2 {
            for _ in 0..=visits {
                bucket.request(regular, &rules, START);
            }
        }
        let mut made = std::collections::BTreeMap::<u64, u64>::new();
        let mut now = START;
        for (stranger, limit, cost, flies, counts, later) in flood {
            now += later;
            let rule = Rule { cost, count_denied: counts, ..daily(1, limit) };
            let rule = if flies { in_flight(1) } else { rule };
            let made = made.entry(stranger).or_default();
            if *made < visits {
                let admitted = bucket.admits(1_000 + stranger, &[rule], now);
                *made += u64::from(admitted);
            }
        }
        for regular in 0..SLOTS as u64 / 2 {
            prop_assert_eq!(bucket.used(regular, &rules, now), visits + 1, "{}", regular);
        }
    }

    #[test]
    fn who_is_at_its_limit_goes_only_if_all_others_are_or_came_more_often(
        requests in prop::collection::vec((0_u64..40, 0_u64..3, 1_u64..4), 1..300),
    ) {
        // Whose identity is a multiple of three has a limit it meets soon.
        let is_short = |identity: u64| identity.is_multiple_of(3);
        let limit = |identity: u64| if is_short(identity) { 2 } else { 1_000 };
        let mut bucket = Bucket::default();
        // Visits and use of those that are here.
        let mut here = std::collections::BTreeMap::<u64, (u64, u64)>::new();
        for (identity, repeat, cost) in requests {
            for _ in 0..=repeat {
                let rule = Rule { cost, ..daily(1, limit(identity)) };
                let decided = bucket.request(identity, &[rule], START);
                if !decided.decision.admitted {
                    continue;
                }
                let (visits, used) = here.get(&identity).copied().unwrap_or_default();
                here.insert(identity, (visits + 1, used + cost));
                if !decided.displaced.evicted {
                    continue;
                }
                let is_here = |other: &u64| {
                    rate_limit::bucket::Bucket::read(&bucket.0, *other, START / 1_000).expires() > 0
                };
                let gone: Vec<u64> = here.keys().filter(|other| !is_here(other)).copied().collect();
                prop_assert_eq!(gone.len(), 1);
                let (visits, used) = here.remove(&gone[0]).unwrap();
                let is_full = used == limit(gone[0]);
                let free = here.iter().filter(|(other, _)| **other != identity && !is_short(**other));
                if is_full {
                    for (other, (more, _)) in free {
                        prop_assert!(*more > visits, "{} instead of {}", gone[0], other);
                    }
                }
                if !is_short(gone[0]) {
                    prop_assert!(!decided.displaced.full);
                }
            }
        }
    }
}
