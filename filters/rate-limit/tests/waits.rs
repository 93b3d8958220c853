//! What a refused client is told to wait, where refused requests count too.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)] // A test may fail by panic.

use proptest::prelude::*;
use rate_limit::counter::{Algorithm, NEVER};
use rate_limit::decide::{Rule, decide};
use rate_limit::period::Period;

/// Well after the counters' epoch, and not at a round time.
const START: u64 = 200_000_123_457;
const WINDOW: u64 = 60_000;

fn algorithm(kind: usize, burst: u64) -> Algorithm {
    match kind {
        0 => Algorithm::Sliding { window_ms: WINDOW },
        1 => Algorithm::Fixed(Period::Every {
            window_ms: WINDOW,
            offset_ms: 0,
        }),
        2 => Algorithm::Gcra {
            window_ms: WINDOW,
            burst,
        },
        _ => Algorithm::Log { window_ms: WINDOW },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_refused_client_that_waits_as_told_is_admitted_and_not_a_moment_before(
        steps in prop::collection::vec(0_i64..20_000, 1..80),
        rules in prop::collection::vec((0_usize..4, 0_u64..4, 0_u64..4, 1_u64..3, any::<bool>()), 1..4),
    ) {
        let rules: Vec<Rule> = rules
            .into_iter()
            .zip(1..)
            .map(|((kind, limit, burst, cost, count_denied), tag)| Rule {
                tag,
                // Metadata that allows none allows no burst.
                algorithm: algorithm(kind, if limit == 0 { 0 } else { burst }),
                limit,
                cost,
                enforced: true,
                // The settings refuse it of a log.
                count_denied: count_denied && kind < 3,
            })
            .collect();
        let never = rules.iter().any(|rule| match rule.algorithm {
            Algorithm::Gcra { burst, .. } => rule.cost > burst || rule.limit == 0,
            _ => rule.cost > rule.limit,
        });
        let (mut value, mut now) = (Vec::new(), START);
        for step in steps {
            now += step as u64;
            let decided = decide(&value, 7, &rules, now);
            if let Some(written) = decided.value {
                value = written;
            }
            if decided.decision.admitted {
                continue;
            }
            let wait = decided.decision.standings.iter().map(|s| s.wait_ms).max().unwrap();
            prop_assert_eq!(wait == NEVER, never, "what never fits says so, and nothing else does");
            for (rule, standing) in rules.iter().zip(&decided.decision.standings) {
                if let Algorithm::Gcra { window_ms, burst } = rule.algorithm && !never {
                    let most = ((burst + rule.cost) * window_ms).div_ceil(rule.limit);
                    prop_assert!(standing.wait_ms <= most, "however many were refused");
                }
            }
            if never {
                continue;
            }
            prop_assert!(wait > 0);
            let at = |at: u64| decide(&value, 7, &rules, at).decision.admitted;
            prop_assert!(!at(now + wait - 1) && at(now + wait));
        }
    }
}
