//! Any bytes as a stored bucket: read as something, decided over, and what is written back is read again as it was meant.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rate_limit::counter::Algorithm;
use rate_limit::decide::{Rule, decide};
use rate_limit::period::Period;

fuzz_target!(|bytes: &[u8]| {
    let Some((head, value)) = bytes.split_first_chunk::<9>() else {
        return;
    };
    let [kinds, time @ ..] = *head;
    let now = u64::from_le_bytes(time) >> 20;
    let algorithms = [
        Algorithm::Sliding { window_ms: 60_000 },
        Algorithm::Fixed(Period::Month {
            offset_ms: 3_600_000,
        }),
        Algorithm::Log { window_ms: 60_000 },
        Algorithm::Gcra {
            window_ms: 60_000,
            burst: 3,
        },
        Algorithm::Concurrency { lease_ms: 60_000 },
    ];
    let rules: Vec<Rule> = (1..)
        .zip(algorithms)
        .filter(|(tag, _)| kinds >> tag & 1 == 1)
        .map(|(tag, algorithm)| Rule {
            tag,
            algorithm,
            limit: 5,
            cost: 1,
            enforced: tag % 2 == 1 || kinds & 1 == 1,
            count_denied: kinds & 0x80 != 0,
        })
        .collect();
    let first = decide(value, 7, &rules, now);
    let Some(written) = first.value else {
        return;
    };
    // Nothing that was counted is lost on the way, and nothing is made up.
    let second = decide(&written, 7, &rules, now);
    for (before, after) in first
        .decision
        .standings
        .iter()
        .zip(&second.decision.standings)
    {
        let taken = before.remaining.saturating_sub(after.remaining);
        assert!(
            after.remaining <= before.remaining && taken <= 1,
            "{before:?} {after:?}"
        );
    }
});
