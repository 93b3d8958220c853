//! The decision: which limits a request meets, all of them at once, and what is counted for it.

use crate::bucket::{Bucket, Displaced, Entry, Kept, MAX_COUNTERS, put_counter};
use crate::counter::concurrency::{Concurrency, Flight};
use crate::counter::{Algorithm, Counter, NEVER};

/// How long a counter is kept that would never lapse (ms), a pace of nothing, which metadata can tell: as long as windows are at
/// most.
const KEPT_MS: u64 = 366 * 86_400_000;

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

impl Rule {
    /// The most that can be taken at once: the limit, or a burst.
    #[inline]
    pub fn capacity(&self) -> u64 {
        match self.algorithm {
            Algorithm::Gcra { burst, .. } => burst,
            _ => self.limit,
        }
    }
}

/// How one limit stands after the decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub limit: u64,
    /// The most that can be taken at once: the limit, or a burst.
    pub capacity: u64,
    pub remaining: u64,
    /// Milliseconds until more of it comes free; 0 where nobody can tell, [`NEVER`] if that never happens.
    pub reset_ms: u64,
    /// Whether this request was more than it allows.
    pub violated: bool,
    /// Whether the limit refuses this client's requests, or only tells.
    pub enforced: bool,
    /// Milliseconds until a request of this cost fits, what was counted for this one included; [`NEVER`] if it never does.
    pub wait_ms: u64,
    /// For a concurrency limit that was taken: what to give back.
    pub flight: Option<Flight>,
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
    let bucket = Bucket::read(value, fingerprint, now / 1_000);
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
    let stored = bucket.stored();
    let mut in_order = stored.iter();
    // Whether all that is stored belongs to these rules, as it nearly always does, one after the other.
    let mut all_known = true;
    let changes = admitted || rules.iter().any(|rule| rule.count_denied);
    let mut changed = false;
    let mut standings = Vec::with_capacity(rules.len());
    let mut kept = Vec::with_capacity(stored.len() + 16 * rules.len());
    let mut expires = 0;
    let (mut full_until, mut held_until) = (0, 0);
    for rule in rules {
        let state = match in_order.next() {
            Some(kept) if kept.tag == rule.tag => Some(kept.state),
            _ => {
                all_known = false;
                stored.get(rule.tag)
            }
        };
        let mut counter = Counter::read(&rule.algorithm, state, rule.limit, now);
        let mut fits_at = counter.fits_at(rule.limit, rule.cost);
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
        let mut flight = None;
        if counts {
            counter.take(rule.cost);
            changed = true;
            if let Counter::Concurrency(flights) = &mut counter {
                flight = Some(flights.flight(bucket.serial()));
            }
            if !admitted {
                // The next one waits for this one, too.
                fits_at = fits_after(&counter, rule);
            }
        }
        let capacity = counter.capacity(rule.limit);
        let remaining = counter.remaining(rule.limit);
        let resets_at = match capacity {
            0 => NEVER,
            _ => counter.resets_at(),
        };
        standings.push(Standing {
            limit: rule.limit,
            capacity,
            remaining,
            reset_ms: from(now, resets_at),
            violated,
            enforced: rule.enforced,
            wait_ms: from(now, fits_at),
            flight,
        });
        let lapses_at = counter.lapses_at();
        if changes && lapses_at > now {
            expires = expires.max(match lapses_at {
                NEVER => now.saturating_add(KEPT_MS),
                at => at,
            });
            put_counter(&mut kept, rule.tag, |out| counter.write(out));
        }
        // At its limit is who cannot send such a request once more.
        if remaining < rule.cost && rule.enforced && changes {
            match &counter {
                Counter::Concurrency(_) => held_until = lapses_at.max(held_until),
                counter => {
                    let until = match fits_after(counter, rule) {
                        NEVER => resets_at,
                        at => at,
                    };
                    if until != NEVER {
                        full_until = until.max(full_until);
                    }
                }
            }
        }
    }
    if !changed {
        return Some(Decided::unchanged(admitted, standings));
    }
    let mut expires = expires.div_ceil(1_000);
    let mut full_until = full_until.div_ceil(1_000);
    let mut held_until = held_until.div_ceil(1_000);
    if !all_known || in_order.next().is_some() {
        // What other profiles, or settings before these, count for this identity stays.
        if let Some(until) = keep_others(bucket, rules, now, &mut kept) {
            expires = expires.max(until);
            full_until = full_until.max(bucket.full_until());
            held_until = held_until.max(bucket.held_until());
        }
    }
    let entry = Entry {
        fingerprint,
        counters: &kept,
        expires,
        full_until,
        held_until,
        visit: admitted,
    };
    let (value, displaced) = bucket.write(&entry);
    Some(Decided {
        decision: Decision {
            admitted,
            standings,
        },
        value: Some(value),
        displaced,
    })
}

#[inline]
fn from(now: u64, at: u64) -> u64 {
    match at {
        NEVER => NEVER,
        at => at.saturating_sub(now),
    }
}

/// When one more fits.
#[inline(never)]
fn fits_after(counter: &Counter, rule: &Rule) -> u64 {
    counter.fits_at(rule.limit, rule.cost)
}

/// Appends the counters that belong to none of these rules, each until it lapses, and tells when the last one does. What was
/// used last comes first: where the room ends, the oldest are left out.
#[inline(never)]
fn keep_others(bucket: &Bucket<'_>, rules: &[Rule], now: u64, kept: &mut Vec<u8>) -> Option<u64> {
    let mut last = None;
    for other in bucket.stored().iter() {
        if rules.iter().any(|rule| rule.tag == other.tag) {
            continue;
        }
        // Whoever knew the limit wrote the time of the slot: no counter lapses later.
        let lapses = other.lapses.unwrap_or(u64::MAX).min(bucket.expires());
        if lapses <= now / 1_000 {
            continue;
        }
        let before = kept.len();
        let lapses = Some(lapses);
        Kept { lapses, ..other }.put(kept);
        if kept.len() > MAX_COUNTERS {
            kept.truncate(before);
        } else {
            last = last.max(lapses);
        }
    }
    last
}

/// Gives back what a request took of concurrency limits. `None` if there is nothing to give back to.
#[inline]
pub fn release(value: &[u8], fingerprint: u64, taken: &[Taken], now: u64) -> Option<Vec<u8>> {
    let bucket = Bucket::read(value, fingerprint, now / 1_000);
    let stored = bucket.stored();
    let mut kept = Vec::with_capacity(64);
    let mut released = false;
    for counter in stored.iter() {
        let Some(taken) = taken.iter().find(|taken| taken.tag == counter.tag) else {
            counter.put(&mut kept);
            continue;
        };
        let mut flights = Concurrency::read(counter.state, now);
        released |= flights.release(taken.flight, 1);
        if flights.used() > 0 {
            put_counter(&mut kept, counter.tag, |out| flights.write(out));
        }
    }
    released.then(|| {
        let entry = Entry {
            fingerprint,
            counters: &kept,
            expires: bucket.expires(),
            full_until: bucket.full_until(),
            // One more fits.
            held_until: 0,
            visit: false,
        };
        bucket.write(&entry).0
    })
}

/// What a request holds of a concurrency limit until its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    pub tag: u16,
    pub flight: Flight,
}
