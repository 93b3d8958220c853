//! The decision: which limits a request meets, all of them at once, and what is counted for it.

use crate::bucket::{Bucket, Displaced, put_counter};
use crate::counter::{Algorithm, Counter};

/// One limit as it stands for one request.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Names the counter in what is stored.
    pub tag: u16,
    pub algorithm: Algorithm,
    pub limit: u64,
    pub cost: u64,
    /// Whether it refuses requests; else it only tells.
    pub enforced: bool,
    /// Whether refused requests count here too.
    pub count_denied: bool,
}

/// How one limit stands after the decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub limit: u64,
    pub remaining: u64,
    /// Milliseconds until more of it comes free; 0 where nobody can tell.
    pub reset_ms: u64,
    /// Whether this request was more than it allows.
    pub violated: bool,
    /// Whether the limit refuses this client's requests, or only tells.
    pub enforced: bool,
    /// If it was: milliseconds until a request of this cost fits, [`crate::counter::NEVER`] if it never does.
    pub wait_ms: u64,
    /// For a concurrency limit that was taken: the part of time to give back.
    pub part: Option<u64>,
}

/// What was decided for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub admitted: bool,
    /// In the order of the rules.
    pub standings: Vec<Standing>,
}

/// A decision and the value to write for it; without one nothing changed.
#[derive(Debug)]
pub struct Decided {
    pub decision: Decision,
    pub value: Option<Vec<u8>>,
    pub displaced: Displaced,
}

/// Decides over one identity's counters in a stored value. All or nothing: a request that an enforced limit refuses is
/// counted nowhere, but where the limit says that refused ones count.
///
/// `now` is in milliseconds since [`crate::counter::EPOCH_MS`].
#[inline]
pub fn decide(value: &[u8], fingerprint: u64, rules: &[Rule], now: u64) -> Decided {
    let bucket = Bucket::read(value, fingerprint);
    // Nearly all are admitted, and a refused one is found out at the first limit that is met.
    [true, false]
        .into_iter()
        .find_map(|admitted| count(&bucket, fingerprint, rules, now, admitted))
        .unwrap_or_else(|| Decided::unchanged(false, Vec::new()))
}

impl Decided {
    #[inline]
    fn unchanged(admitted: bool, standings: Vec<Standing>) -> Self {
        Self {
            decision: Decision {
                admitted,
                standings,
            },
            value: None,
            displaced: Displaced::default(),
        }
    }
}

/// Counts a request as admitted, or as refused. `None` where it was taken for admitted and is not.
#[inline]
fn count(
    bucket: &Bucket<'_>,
    fingerprint: u64,
    rules: &[Rule],
    now: u64,
    admitted: bool,
) -> Option<Decided> {
    let now_s = now / 1_000;
    let stored = bucket.stored(now_s);
    let mut in_order = stored.iter();
    // Whether all that is stored belongs to these rules, as it nearly always does, one after the other.
    let mut all_known = true;
    let changes = admitted || rules.iter().any(|rule| rule.count_denied);
    let mut changed = false;
    let mut standings = Vec::with_capacity(rules.len());
    let mut kept = Vec::with_capacity(stored.len() + 16 * rules.len());
    let mut expires = 0;
    let mut full_until = 0;
    for rule in rules {
        let state = match in_order.next() {
            Some((tag, state)) if tag == rule.tag => Some(state),
            _ => {
                all_known = false;
                stored.get(rule.tag)
            }
        };
        let mut counter = Counter::read(&rule.algorithm, state, rule.limit, now);
        let fits_at = counter.fits_at(rule.limit, rule.cost);
        let violated = fits_at > 0;
        if admitted && violated && rule.enforced {
            return None;
        }
        // A limit that only tells counts what it would have admitted.
        let counts = if admitted {
            !violated
        } else {
            rule.count_denied
        };
        let mut part = None;
        if counts {
            counter.take(rule.cost);
            changed = true;
            if let Counter::Concurrency(flights) = &counter {
                part = Some(flights.part());
            }
        }
        let remaining = counter.remaining(rule.limit);
        let resets_at = counter.resets_at();
        standings.push(Standing {
            limit: rule.limit,
            remaining,
            reset_ms: resets_at.saturating_sub(now),
            violated,
            enforced: rule.enforced,
            wait_ms: match fits_at {
                crate::counter::NEVER => crate::counter::NEVER,
                at => at.saturating_sub(now),
            },
            part,
        });
        let lapses_at = counter.lapses_at();
        if changes && lapses_at > now {
            expires = expires.max(lapses_at);
            put_counter(&mut kept, rule.tag, |out| counter.write(out));
        }
        if remaining == 0 && rule.enforced {
            full_until = full_until.max(resets_at);
        }
    }
    if !changed {
        return Some(Decided::unchanged(admitted, standings));
    }
    let mut expires = expires.div_ceil(1_000);
    if !all_known || in_order.next().is_some() {
        // What other profiles, or settings before these, count for this identity stays.
        for (tag, state) in stored.iter() {
            if rules.iter().all(|rule| rule.tag != tag) {
                put_counter(&mut kept, tag, |out| out.extend_from_slice(state));
                expires = expires.max(bucket.expires());
            }
        }
    }
    let full_until = full_until.div_ceil(1_000);
    let (value, displaced) = bucket.write(fingerprint, &kept, expires, full_until, now_s);
    Some(Decided {
        decision: Decision {
            admitted,
            standings,
        },
        value: Some(value),
        displaced,
    })
}

/// Gives back what a request took of concurrency limits: tags, leases and parts of time. `None` if there is nothing to
/// give back to.
#[inline]
pub fn release(value: &[u8], fingerprint: u64, taken: &[Taken], now: u64) -> Option<Vec<u8>> {
    let now_s = now / 1_000;
    let bucket = Bucket::read(value, fingerprint);
    let stored = bucket.stored(now_s);
    let mut kept = Vec::with_capacity(64);
    let mut released = false;
    for (tag, bytes) in stored.iter() {
        let Some(taken) = taken.iter().find(|taken| taken.tag == tag) else {
            put_counter(&mut kept, tag, |out| out.extend_from_slice(bytes));
            continue;
        };
        let mut flights =
            crate::counter::concurrency::Concurrency::read(bytes, taken.lease_ms, now);
        released |= flights.release(taken.part, 1);
        if flights.used() > 0 {
            put_counter(&mut kept, tag, |out| flights.write(out));
        }
    }
    released.then(|| {
        let (expires, full_until) = (bucket.expires(), bucket.full_until());
        bucket
            .write(fingerprint, &kept, expires, full_until, now_s)
            .0
    })
}

/// What a request holds of a concurrency limit until its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    pub tag: u16,
    pub lease_ms: u64,
    pub part: u64,
}
