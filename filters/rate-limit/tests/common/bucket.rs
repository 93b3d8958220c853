//! A bucket whose identities are numbers.
#![allow(dead_code, reason = "each test that includes this uses its share")]

use rate_limit::counter::Algorithm;
use rate_limit::decide::{Decided, Rule, Taken, decide, release};
use rate_limit::period::Period;

pub const START: u64 = 200_000_000_000;
pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;
pub const LEASE: u64 = 10 * MINUTE;

pub fn rule(tag: u16, algorithm: Algorithm, limit: u64) -> Rule {
    Rule {
        tag,
        algorithm,
        limit,
        cost: 1,
        enforced: true,
        count_denied: false,
    }
}

pub fn daily(tag: u16, limit: u64) -> Rule {
    let period = Period::Every {
        window_ms: DAY,
        offset_ms: 0,
    };
    rule(tag, Algorithm::Fixed(period), limit)
}

pub fn minutely(tag: u16, limit: u64) -> Rule {
    rule(tag, Algorithm::Sliding { window_ms: MINUTE }, limit)
}

pub fn in_flight(max: u64) -> Rule {
    rule(9, Algorithm::Concurrency { lease_ms: LEASE }, max)
}

#[derive(Default)]
pub struct Bucket(pub Vec<u8>);

impl Bucket {
    pub fn request(&mut self, identity: u64, rules: &[Rule], now: u64) -> Decided {
        let decided = decide(&self.0, identity, rules, now);
        if let Some(value) = &decided.value {
            self.0.clone_from(value);
        }
        decided
    }

    pub fn admits(&mut self, identity: u64, rules: &[Rule], now: u64) -> bool {
        self.request(identity, rules, now).decision.admitted
    }

    /// Begins a request that is in flight until it is ended.
    pub fn begin(&mut self, identity: u64, now: u64) -> Option<Taken> {
        let decision = self.request(identity, &[in_flight(1)], now).decision;
        let flight = decision.standings[0].flight;
        decision.admitted.then(|| Taken {
            tag: 9,
            flight: flight.unwrap(),
        })
    }

    pub fn end(&mut self, identity: u64, taken: Taken, now: u64) {
        if let Some(value) = release(&self.0, identity, &[taken], now) {
            self.0 = value;
        }
    }

    /// How much the identity has used, without counting anything.
    pub fn used(&self, identity: u64, rules: &[Rule], now: u64) -> u64 {
        let standing = decide(&self.0, identity, rules, now).decision.standings[0];
        let counted = if standing.violated { 0 } else { rules[0].cost };
        standing.limit - standing.remaining - counted
    }
}
