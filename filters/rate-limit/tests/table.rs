//! The table: who stays, who goes, and how much it weighs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A test may fail by panic.

#[path = "common/bucket.rs"]
mod common;

use common::{Bucket, MINUTE, START, rule};
use rate_limit::bucket::SLOTS;
use rate_limit::counter::Algorithm;
use rate_limit::decide::Rule;
use rate_limit::period::Period;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn minute(limit: u64) -> [Rule; 1] {
    [rule(1, Algorithm::Sliding { window_ms: MINUTE }, limit)]
}

/// The limits of the standard plan.
fn standard() -> [Rule; 4] {
    let day = Algorithm::Fixed(Period::Every {
        window_ms: 86_400_000,
        offset_ms: 0,
    });
    [
        rule(1, Algorithm::Sliding { window_ms: MINUTE }, 500),
        rule(
            2,
            Algorithm::Sliding {
                window_ms: 3_600_000,
            },
            10_000,
        ),
        rule(3, day, 100_000),
        rule(4, day, 5_000),
    ]
}

#[test]
fn who_comes_again_outlives_a_flood_of_those_who_come_once() {
    let mut bucket = Bucket::default();
    let rules = minute(10);
    for regular in 0..4 {
        for _ in 0..3 {
            bucket.request(regular, &rules, START);
        }
    }
    let mut evicted = 0;
    for stranger in 100..10_100 {
        evicted += u32::from(
            bucket
                .request(stranger, &rules, START + 1)
                .displaced
                .evicted,
        );
    }
    assert_eq!(evicted as usize, 10_000 - (SLOTS - 4));
    for regular in 0..4 {
        assert_eq!(bucket.used(regular, &rules, START + 2), 3, "{regular}");
    }
}

#[test]
fn who_is_at_the_limit_stays_while_another_can_go() {
    let mut bucket = Bucket::default();
    let rules = minute(3);
    // At the limit first, then only passed over by others that come again and again.
    for _ in 0..3 {
        assert!(bucket.request(7, &rules, START).decision.admitted);
    }
    for stranger in 100..1_000 {
        for _ in 0..2 {
            let displaced = bucket.request(stranger, &rules, START + 1).displaced;
            assert!(!displaced.full);
        }
    }
    assert!(!bucket.request(7, &rules, START + 2).decision.admitted);
}

#[test]
fn who_has_lapsed_goes_first_and_is_no_loss() {
    let mut bucket = Bucket::default();
    let rules = minute(3);
    let later = START + 2 * MINUTE;
    for old in 0..8 {
        bucket.request(old, &rules, START);
        bucket.request(old, &rules, START);
    }
    for young in 100..108 {
        bucket.request(young, &rules, later);
    }
    for newcomer in 200..208 {
        let displaced = bucket.request(newcomer, &rules, later).displaced;
        assert!(!displaced.evicted, "{newcomer}");
    }
    for young in 100..108 {
        assert_eq!(bucket.used(young, &rules, later), 1, "{young}");
    }
}

#[test]
fn a_bucket_full_of_clients_at_their_limits_says_so() {
    let mut bucket = Bucket::default();
    let rules = minute(1);
    for identity in 0..SLOTS as u64 {
        bucket.request(identity, &rules, START);
    }
    let displaced = bucket.request(99, &rules, START + 1).displaced;
    assert!(displaced.evicted && displaced.full);
    assert!(
        !bucket.request(99, &rules, START + 2).decision.admitted,
        "the newcomer is counted"
    );
}

#[test]
fn counters_of_limits_that_these_settings_do_not_know_stay() {
    let mut bucket = Bucket::default();
    let [old] = minute(5);
    let new = Rule { tag: 2, ..old };
    for _ in 0..4 {
        bucket.request(7, &[old], START);
    }
    // A worker with the new settings, one with the old, and back: as during an update.
    bucket.request(7, &[new], START + 1);
    bucket.request(7, &[old], START + 2);
    bucket.request(7, &[new], START + 3);
    assert_eq!(bucket.used(7, &[old], START + 4), 5);
    assert_eq!(bucket.used(7, &[new], START + 4), 2);
}

#[test]
fn a_changed_limit_applies_to_what_was_counted() {
    let mut bucket = Bucket::default();
    for _ in 0..5 {
        assert!(bucket.request(7, &minute(5), START).decision.admitted);
    }
    assert!(!bucket.request(7, &minute(3), START + 1).decision.admitted);
    assert!(bucket.request(7, &minute(6), START + 2).decision.admitted);
    assert!(!bucket.request(7, &minute(6), START + 3).decision.admitted);
}

#[test]
fn a_client_of_the_standard_plan_weighs_little() {
    let mut bucket = Bucket::default();
    let rules = standard();
    let mut once = Bucket::default();
    for identity in 0..SLOTS as u64 {
        once.request(identity.wrapping_mul(0x9e37_79b9_7f4a_7c15), &rules, START);
        // A busy one, over more than an hour.
        for second in 0..4_000 {
            let identity = identity.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            bucket.request(identity, &rules, START + second * 1_000);
        }
    }
    let [once, busy] = [once, bucket].map(|bucket| bucket.0.len() / SLOTS);
    println!("bytes per client: {once} after one request, {busy} when busy");
    assert!(once <= 56 && busy <= 84, "{once}, {busy}");
}

#[test]
fn a_bucket_that_fills_up_has_few_sizes_so_that_hosts_can_use_the_space_of_the_ones_before() {
    let mut bucket = Bucket::default();
    let mut sizes = std::collections::BTreeSet::new();
    for identity in 0..SLOTS as u64 * 2 {
        bucket.request(identity, &standard(), START);
        sizes.insert(bucket.0.len());
    }
    // One for each slot would be sixteen. A string of the host's takes a byte more.
    assert!(sizes.len() <= 6, "{sizes:?}");
    assert!(
        sizes.iter().all(|size| (size + 1).is_multiple_of(16)),
        "{sizes:?}"
    );
}

/// The value of sixteen clients of a standard plan of which each used every tenth of the hour, and last of the minute.
fn dense(per_minute: u64, per_hour: u64) -> Bucket {
    let mut bucket = Bucket::default();
    let [minute, hour, day, _] = standard();
    let limit = |rule, limit| Rule { limit, ..rule };
    let rules = [limit(minute, per_minute), limit(hour, per_hour), day];
    let (in_tenth, in_last) = (per_hour / 12, per_minute.div_ceil(12));
    let even = (0..10 * in_tenth).map(|request| request * 360_000 / in_tenth);
    let last = (0..10).flat_map(|tenth| vec![3_660_000 + tenth * 6_000; in_last as usize]);
    for after in even.chain(last) {
        for identity in 0..SLOTS as u64 {
            let identity = identity.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let decided = bucket.request(identity, &rules, START + after);
            assert!(decided.decision.admitted, "{after}");
        }
    }
    bucket
}

#[test]
fn values_of_clients_that_used_every_tenth_are_filled_up_to_as_much_as_the_documentation_says() {
    for (minute, hour, size) in [
        (10, 100, 1_023),
        (30, 500, 1_023),
        (100, 2_000, 1_279),
        (500, 10_000, 1_279),
    ] {
        let value = dense(minute, hour).0;
        let zeros = value.iter().rev().take_while(|byte| **byte == 0).count();
        println!(
            "{minute} a minute, {hour} an hour: {} bytes in use",
            value.len() - zeros
        );
        assert_eq!(value.len(), size, "{minute} a minute");
    }
}
