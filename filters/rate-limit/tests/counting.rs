//! The algorithms against a naive model, for any arrivals and a clock that steps.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A test may fail by panic.

use proptest::prelude::*;
use rate_limit::counter::{Algorithm, NEVER};
use rate_limit::decide::{Decided, Rule, decide};
use rate_limit::period::Period;

const HOUR: u64 = 3_600_000;
/// Well after the counters' epoch, and not at a round time.
const START: u64 = 200_000_123_457;

fn rule(tag: u16, algorithm: Algorithm, limit: u64, cost: u64) -> Rule {
    Rule {
        tag,
        algorithm,
        limit,
        cost,
        enforced: true,
        count_denied: false,
    }
}

/// One identity, all its requests at once.
struct Client {
    value: Vec<u8>,
}

impl Client {
    fn new() -> Self {
        Self { value: Vec::new() }
    }

    fn request(&mut self, rules: &[Rule], now: u64) -> Decided {
        let decided = decide(&self.value, 7, rules, now);
        if let Some(value) = &decided.value {
            self.value.clone_from(value);
        }
        decided
    }
}

/// Steps of a clock in milliseconds: mostly short ones, sometimes an hour in either direction.
fn steps() -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![
        6 => 0_i64..40,
        4 => 0_i64..3_000,
        2 => 0_i64..70_000,
        1 => Just(HOUR as i64),
        1 => Just(-(HOUR as i64)),
        1 => -5_000_i64..0,
    ];
    prop::collection::vec(step, 1..400)
}

/// The most that any window of this length holds.
fn fullest(taken: &[(u64, u64)], window: u64) -> u64 {
    taken
        .iter()
        .map(|(begin, _)| {
            taken
                .iter()
                .filter(|(at, _)| (*begin..begin + window).contains(at))
                .map(|(_, cost)| cost)
                .sum()
        })
        .max()
        .unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_window_ever_holds_more_than_the_limit(
        steps in steps(),
        limit in 1_u64..40,
        cost in 1_u64..4,
        window in prop_oneof![Just(1_000_u64), Just(60_000), Just(7_777), Just(HOUR)],
        logged in any::<bool>(),
    ) {
        let algorithm = if logged {
            Algorithm::Log { window_ms: window }
        } else {
            Algorithm::Sliding { window_ms: window }
        };
        let rules = [rule(1, algorithm, limit, cost)];
        let mut client = Client::new();
        let mut taken: Vec<(u64, u64)> = Vec::new();
        let (mut now, mut latest) = (START, 0);
        for step in steps {
            // A clock that goes back by more than that was wrong before.
            now = now.saturating_add_signed(step).max(latest - latest.min(24 * HOUR));
            // Time as the counter knows it: a window never moves back.
            latest = now.max(latest);
            if client.request(&rules, now).decision.admitted {
                taken.push((latest, cost));
            }
        }
        prop_assert!(fullest(&taken, window) <= limit);
    }

    #[test]
    fn a_log_refuses_only_what_would_be_too_much(
        steps in prop::collection::vec(0_i64..20_000, 1..200),
        limit in 1_u64..30,
    ) {
        let window = 60_000;
        let rules = [rule(1, Algorithm::Log { window_ms: window }, limit, 1)];
        let mut client = Client::new();
        let mut taken: Vec<u64> = Vec::new();
        let mut now = START;
        for step in steps {
            now += step as u64;
            // A time in whole milliseconds may hide almost one.
            let held = taken.iter().filter(|at| now - **at <= window).count() as u64;
            let admitted = client.request(&rules, now).decision.admitted;
            prop_assert_eq!(admitted, held < limit);
            if admitted {
                taken.push(now);
            }
        }
    }

    #[test]
    fn a_sliding_window_refuses_only_what_would_be_too_much_in_one_part_more(
        steps in prop::collection::vec(0_i64..20_000, 1..200),
        limit in 1_u64..30,
    ) {
        let window = 60_000;
        let rules = [rule(1, Algorithm::Sliding { window_ms: window }, limit, 1)];
        let mut client = Client::new();
        let mut taken: Vec<u64> = Vec::new();
        let mut now = START;
        for step in steps {
            now += step as u64;
            let longer = window + window / 10;
            let held = taken.iter().filter(|at| now - **at < longer).count() as u64;
            let admitted = client.request(&rules, now).decision.admitted;
            if !admitted {
                prop_assert!(held >= limit);
            } else {
                taken.push(now);
            }
        }
    }

    #[test]
    fn a_period_admits_exactly_its_limit(
        steps in steps(),
        limit in 1_u64..40,
        window in prop_oneof![Just(60_000_u64), Just(HOUR), Just(86_400_000)],
    ) {
        let period = Period::Every { window_ms: window, offset_ms: 0 };
        let rules = [rule(1, Algorithm::Fixed(period), limit, 1)];
        let mut client = Client::new();
        let (mut now, mut latest) = (START, 0);
        let mut admitted = std::collections::BTreeMap::<u64, u64>::new();
        for step in steps {
            now = now.saturating_add_signed(step).max(latest - latest.min(24 * HOUR));
            latest = now.max(latest);
            // What the clock steps back over was written only if a request was admitted there: the model knows.
            let decided = client.request(&rules, now).decision.admitted;
            let newest = admitted.keys().next_back().copied().unwrap_or_default();
            let number = (now / window).max(newest);
            let count = admitted.entry(number).or_default();
            prop_assert_eq!(decided, *count < limit);
            *count += u64::from(decided);
        }
    }

    #[test]
    fn a_pace_never_admits_more_than_burst_and_rate(
        steps in prop::collection::vec(0_i64..500, 1..400),
        limit in 1_u64..50,
        burst in 1_u64..20,
    ) {
        let window = 10_000;
        let rules = [rule(1, Algorithm::Gcra { window_ms: window, burst }, limit, 1)];
        let mut client = Client::new();
        let mut taken: Vec<u64> = Vec::new();
        let mut now = START;
        for step in steps {
            now += step as u64;
            if client.request(&rules, now).decision.admitted {
                taken.push(now);
            }
        }
        // In any stretch: what the burst allows and what the pace gave back.
        for (first, begin) in taken.iter().enumerate() {
            for (last, end) in taken.iter().enumerate().skip(first) {
                let count = (last - first + 1) as u64;
                prop_assert!(count * window <= burst * window + (end - begin) * limit);
            }
        }
    }

    #[test]
    fn a_refused_client_that_waits_as_told_is_admitted_and_not_a_moment_before(
        steps in prop::collection::vec(0_i64..9_000, 1..80),
        limit in 1_u64..12,
        cost in 1_u64..3,
        kind in 0..4,
    ) {
        prop_assume!(cost <= limit);
        let algorithm = match kind {
            0 => Algorithm::Sliding { window_ms: 60_000 },
            1 => Algorithm::Fixed(Period::Every { window_ms: 60_000, offset_ms: 0 }),
            2 => Algorithm::Log { window_ms: 60_000 },
            _ => Algorithm::Gcra { window_ms: 60_000, burst: limit },
        };
        // Two limits: the longest wait decides.
        let rules = [
            rule(1, algorithm, limit, cost),
            rule(2, Algorithm::Sliding { window_ms: 20_000 }, limit, cost),
        ];
        let mut client = Client::new();
        let mut now = START;
        for step in steps {
            now += step as u64;
            let decided = client.request(&rules, now);
            if decided.decision.admitted {
                continue;
            }
            prop_assert!(decided.value.is_none(), "a refused request is counted nowhere");
            let wait = decided.decision.standings.iter().map(|s| s.wait_ms).max().unwrap();
            prop_assert!(wait > 0 && wait < NEVER);
            let early = decide(&client.value, 7, &rules, now + wait - 1);
            let told = decide(&client.value, 7, &rules, now + wait);
            prop_assert!(!early.decision.admitted && told.decision.admitted);
        }
    }

    #[test]
    fn a_refusal_by_one_limit_counts_on_none(
        steps in prop::collection::vec(0_i64..2_000, 1..200),
    ) {
        let rules = [
            rule(1, Algorithm::Sliding { window_ms: 10_000 }, 5, 1),
            rule(2, Algorithm::Fixed(Period::Every { window_ms: HOUR, offset_ms: 0 }), 1_000, 1),
            Rule { enforced: false, ..rule(3, Algorithm::Sliding { window_ms: 10_000 }, 2, 1) },
            Rule { count_denied: true, ..rule(4, Algorithm::Sliding { window_ms: HOUR }, 100_000, 1) },
        ];
        let mut client = Client::new();
        let mut now = START;
        let (mut admitted, mut tried) = (0, 0);
        for step in steps {
            now += step as u64;
            let decision = client.request(&rules, now).decision;
            tried += 1;
            admitted += u64::from(decision.admitted);
            let used = |at: usize| decision.standings[at].limit - decision.standings[at].remaining;
            prop_assert_eq!(used(1), admitted);
            prop_assert!(used(2) <= 2, "a limit that only tells counts what it would admit");
            prop_assert_eq!(used(3), tried);
        }
    }

    #[test]
    fn any_bytes_are_read_as_something(
        value in prop::collection::vec(any::<u8>(), 0..300),
        version in any::<bool>(),
    ) {
        let mut value = value;
        if version && !value.is_empty() {
            value[0] = rate_limit::bucket::VERSION;
        }
        let rules = [
            rule(1, Algorithm::Sliding { window_ms: 60_000 }, 5, 1),
            rule(2, Algorithm::Log { window_ms: 60_000 }, 5, 1),
            rule(3, Algorithm::Gcra { window_ms: 60_000, burst: 3 }, 5, 1),
            rule(4, Algorithm::Concurrency { lease_ms: 60_000 }, 5, 1),
            rule(5, Algorithm::Fixed(Period::Month { offset_ms: 0 }), 5, 1),
        ];
        let decided = decide(&value, 7, &rules, START);
        prop_assert_eq!(decided.decision.standings.len(), 5);
    }
}
