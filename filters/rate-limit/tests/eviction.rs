//! Who stays in a full bucket, and what a flood of others costs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

#[path = "common/bucket.rs"]
mod common;

use common::{Bucket, DAY, MINUTE, START, daily, minutely, rule};
use rate_limit::bucket::SLOTS;
use rate_limit::counter::Algorithm;
use rate_limit::decide::{Rule, Taken};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn who_holds_all_that_it_may_at_once_stays_while_another_can_go() {
    let mut bucket = Bucket::default();
    // Half of the value came before them.
    for stranger in 100..108 {
        bucket.request(stranger, &[daily(1, 100)], START);
    }
    let held: Vec<Taken> = (0..8)
        .map(|identity| bucket.begin(identity, START).unwrap())
        .collect();
    for stranger in 200..240 {
        let displaced = bucket.request(stranger, &[daily(1, 100)], START + 1);
        assert!(!displaced.displaced.full);
    }
    for identity in 0..8 {
        assert!(bucket.begin(identity, START + 2).is_none(), "{identity}");
    }
    // What ended holds nobody's place.
    for (identity, taken) in held.into_iter().enumerate() {
        bucket.end(identity as u64, taken, START + 3);
    }
    let mut evicted = 0;
    for stranger in 300..300 + SLOTS as u64 {
        let displaced = bucket
            .request(stranger, &[daily(1, 1)], START + 4)
            .displaced;
        assert!(!displaced.full, "{stranger}");
        evicted += u32::from(displaced.evicted);
    }
    assert!(evicted >= 8, "{evicted}");
}

#[test]
fn a_late_end_gives_nothing_back_that_another_one_holds() {
    let mut bucket = Bucket::default();
    for stranger in 100..100 + SLOTS as u64 {
        bucket.begin(stranger, START);
    }
    let first = bucket.begin(1, START).unwrap();
    // All are in flight, so the last one has to go.
    for stranger in 200..200 + SLOTS as u64 {
        bucket.begin(stranger, START);
    }
    let second = bucket.begin(1, START).unwrap();
    bucket.end(1, first, START + 1);
    assert!(
        bucket.begin(1, START + 1).is_none(),
        "the second still runs"
    );
    bucket.end(1, second, START + 2);
    assert!(bucket.begin(1, START + 2).is_some());
}

#[test]
fn a_request_elsewhere_does_not_take_away_the_place_of_who_is_at_a_limit() {
    let mut bucket = Bucket::default();
    let (minute, ai) = (minutely(1, 1_000), daily(2, 1));
    assert!(bucket.admits(7, &[minute, ai], START));
    // A profile whose requests do not count for the limit that is used up.
    assert!(bucket.admits(7, &[minute], START + 1));
    for stranger in 100..200 {
        bucket.request(stranger, &[minute], START + 2);
        bucket.request(stranger, &[minute], START + 2);
    }
    assert!(!bucket.admits(7, &[minute, ai], START + 3));
}

#[test]
fn a_flood_of_those_who_come_as_often_as_you_like_costs_one_visit_more_than_the_regulars_made() {
    let rules = [daily(1, 1_000)];
    for visits in 1..12_u64 {
        let mut bucket = Bucket::default();
        for regular in 0..SLOTS as u64 / 2 {
            for _ in 0..=visits {
                bucket.request(regular, &rules, START);
            }
        }
        for stranger in 100..400 {
            for _ in 0..visits {
                bucket.request(stranger, &rules, START + 1);
            }
        }
        for regular in 0..SLOTS as u64 / 2 {
            let used = bucket.used(regular, &rules, START + 2);
            assert_eq!(used, visits + 1, "{visits} visits, {regular}");
        }
    }
}

#[test]
fn who_comes_no_more_is_in_nobodys_way_once_it_has_lapsed() {
    let mut bucket = Bucket::default();
    let rules = [minutely(1, 1_000)];
    for old in 0..SLOTS as u64 {
        for _ in 0..200 {
            bucket.request(old, &rules, START);
        }
    }
    let later = START + 2 * MINUTE;
    for regular in 100..108 {
        for _ in 0..3 {
            bucket.request(regular, &rules, later);
        }
    }
    for stranger in 1_000..2_000 {
        bucket.request(stranger, &rules, later + 1);
    }
    for regular in 100..108 {
        assert_eq!(bucket.used(regular, &rules, later + 2), 3, "{regular}");
    }
}

#[test]
fn an_end_is_no_visit() {
    let mut bucket = Bucket::default();
    let rules = [daily(1, 1_000)];
    for regular in 0..8 {
        for _ in 0..4 {
            bucket.request(regular, &rules, START);
        }
    }
    // Each comes twice and leaves twice.
    for stranger in 100..200 {
        for _ in 0..2 {
            let taken = bucket.begin(stranger, START).unwrap();
            bucket.end(stranger, taken, START);
        }
    }
    for regular in 0..8 {
        assert_eq!(bucket.used(regular, &rules, START + 1), 4, "{regular}");
    }
}

#[test]
fn a_counter_that_no_limit_knows_any_more_goes_when_it_lapses() {
    let mut bucket = Bucket::default();
    let hour = rule(
        1,
        Algorithm::Sliding {
            window_ms: 60 * MINUTE,
        },
        1_000_000,
    );
    let mut sizes = Vec::new();
    // A limit is renamed every four hours, and its client never stays away.
    for tag in 2..200 {
        for step in 0..24 {
            let now = START + (u64::from(tag) * 24 + step) * 10 * MINUTE;
            bucket.request(7, &[hour, minutely(tag, 10)], now);
        }
        sizes.push(bucket.0.len());
    }
    assert_eq!(sizes.iter().max(), sizes.first());
    let kept =
        rate_limit::bucket::Bucket::read(&bucket.0, 7, (START + 200 * 24 * 10 * MINUTE) / 1_000);
    assert_eq!(kept.stored().iter().count(), 2);
}

#[test]
fn what_does_not_fit_into_a_slot_is_left_out_and_spoils_no_other() {
    let mut bucket = Bucket::default();
    let day = daily(1, 1_000_000);
    for neighbour in 100..105 {
        bucket.request(neighbour, &[day], START);
    }
    // Logs under new names, again and again, before any has lapsed.
    for generation in 0..8_u16 {
        let rules: Vec<Rule> = (0..9)
            .map(|limit| {
                let tag = 100 + generation * 9 + limit;
                rule(
                    tag,
                    Algorithm::Log {
                        window_ms: 30 * DAY,
                    },
                    512,
                )
            })
            .collect();
        for request in 0..512 {
            let now = START + u64::from(generation) * 60 * MINUTE + request * 6_000;
            assert!(bucket.admits(7, &rules, now), "{generation} {request}");
        }
        let now = START + (u64::from(generation) + 1) * 60 * MINUTE;
        assert!(!bucket.admits(7, &rules, now), "{generation}");
        assert!(bucket.0.len() < 68_000, "{}", bucket.0.len());
    }
    for neighbour in 100..105 {
        assert_eq!(bucket.used(neighbour, &[day], START + 1), 1, "{neighbour}");
    }
}

#[test]
fn a_slot_whose_length_cannot_be_written_is_left_out() {
    use rate_limit::bucket::{Bucket, Entry};
    let entry = |fingerprint, counters| Entry {
        fingerprint,
        counters,
        expires: 2_000,
        ..Entry::default()
    };
    let small = [1, 0, 2, 5];
    let (value, _) = Bucket::read(&[], 1, 1).write(&entry(1, &small));
    let large = vec![0; 70_000];
    let (value, _) = Bucket::read(&value, 2, 1).write(&entry(2, &large));
    assert_eq!(Bucket::read(&value, 1, 1).stored().get(1), Some(&[5][..]));
    assert!(Bucket::read(&value, 2, 1).stored().is_empty());
}
