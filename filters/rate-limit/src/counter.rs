//! What is counted for one limit of one identity, in as few bytes as it takes.
//!
//! Each algorithm is a small state that reads itself from bytes, moves to the present, says whether a cost fits, takes
//! it, and writes itself back. Time is in milliseconds since [`EPOCH_MS`]. A counter's time never moves back: where the
//! clock does, the counter stays where it was until the clock has caught up. Only a clock that was wrong by more than
//! [`AHEAD_MS`] is not waited for.

pub mod concurrency;
pub mod fixed;
pub mod gcra;
pub mod log;
pub mod sliding;

use concurrency::Concurrency;
use fixed::Fixed;
use gcra::Gcra;
use log::Log;
use sliding::Sliding;

use crate::period::Period;

/// 2020-01-01T00:00:00Z in milliseconds since the Unix epoch: later starts make shorter numbers.
pub const EPOCH_MS: u64 = 1_577_836_800_000;

/// How a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Never more than the limit in any window of this length (ms), exact to a tenth of it on the safe side.
    Sliding { window_ms: u64 },
    /// A calendar period, or a window of a fixed length that begins at multiples of it.
    Fixed(Period),
    /// Never more than the limit in any window, exact to a millisecond: remembers each request.
    Log { window_ms: u64 },
    /// `count` per window at an even pace, after a burst (generic cell rate algorithm).
    Gcra { window_ms: u64, burst: u64 },
    /// Requests in flight; one that never ends is forgotten after the lease (ms).
    Concurrency { lease_ms: u64 },
}

/// A counter moved to the present.
#[derive(Debug)]
pub enum Counter {
    Sliding(Sliding),
    Fixed(Fixed),
    Log(Log),
    Gcra(Gcra),
    Concurrency(Concurrency),
}

/// A product that does not wrap. Saturating multiplication is dear in wasm, and nearly all numbers are of four bytes.
#[inline]
pub fn times(one: u64, other: u64) -> u64 {
    if (one | other) >> 32 == 0 {
        one * other
    } else {
        one.saturating_mul(other)
    }
}

/// What was counted at a time further ahead than this (ms) was counted by a clock that was wrong then, and has lapsed. More
/// than a day and an hour, so that no change of a zone or of summer time comes near it.
pub const AHEAD_MS: u64 = 25 * 3_600_000;

/// Whether a time that was the present once is too far ahead for that.
#[inline]
fn is_ahead(then: u64, now: u64) -> bool {
    then > now.saturating_add(AHEAD_MS)
}

/// A time so far ahead that it never comes.
pub const NEVER: u64 = u64::MAX;

impl Counter {
    /// Reads what was stored (nothing, if it was never counted or is not readable) and moves it to `now`.
    #[inline]
    pub fn read(algorithm: &Algorithm, stored: Option<&[u8]>, limit: u64, now: u64) -> Self {
        let stored = stored.unwrap_or_default();
        match *algorithm {
            Algorithm::Sliding { window_ms } => {
                Self::Sliding(Sliding::read(stored, window_ms, now))
            }
            Algorithm::Fixed(period) => Self::Fixed(Fixed::read(stored, period, now)),
            Algorithm::Log { window_ms } => Self::Log(Log::read(stored, window_ms, now)),
            Algorithm::Gcra { window_ms, burst } => {
                Self::Gcra(Gcra::read(stored, window_ms, burst, limit, now))
            }
            Algorithm::Concurrency { lease_ms } => {
                Self::Concurrency(Concurrency::read(stored, now).with_lease(lease_ms))
            }
        }
    }

    /// When `cost` fits under `limit`, if nothing else is counted meanwhile: 0 if it does now, [`NEVER`] if it is larger
    /// than the limit.
    #[inline]
    pub fn fits_at(&self, limit: u64, cost: u64) -> u64 {
        if cost > self.capacity(limit) {
            return NEVER;
        }
        match self {
            Self::Sliding(counter) => counter.fits_at(limit, cost),
            Self::Fixed(counter) => counter.fits_at(limit, cost),
            Self::Log(counter) => counter.fits_at(limit, cost),
            Self::Gcra(counter) => counter.fits_at(cost),
            Self::Concurrency(counter) => counter.fits_at(limit, cost),
        }
    }

    /// The most that can be taken at once.
    #[inline]
    pub fn capacity(&self, limit: u64) -> u64 {
        match self {
            Self::Gcra(counter) => counter.burst(),
            _ => limit,
        }
    }

    #[inline]
    pub fn take(&mut self, cost: u64) {
        match self {
            Self::Sliding(counter) => counter.take(cost),
            Self::Fixed(counter) => counter.take(cost),
            Self::Log(counter) => counter.take(cost),
            Self::Gcra(counter) => counter.take(cost),
            Self::Concurrency(counter) => counter.take(cost),
        }
    }

    /// How much is left under `limit`.
    #[inline]
    pub fn remaining(&self, limit: u64) -> u64 {
        match self {
            Self::Sliding(counter) => limit.saturating_sub(counter.used()),
            Self::Fixed(counter) => limit.saturating_sub(counter.used()),
            Self::Log(counter) => limit.saturating_sub(counter.used()),
            Self::Gcra(counter) => counter.remaining(),
            Self::Concurrency(counter) => limit.saturating_sub(counter.used()),
        }
    }

    /// When the next part of the limit comes free; 0 where nothing is taken, or where no time can be told (concurrency).
    #[inline]
    pub fn resets_at(&self) -> u64 {
        match self {
            Self::Sliding(counter) => counter.resets_at(),
            Self::Fixed(counter) => counter.resets_at(),
            Self::Log(counter) => counter.resets_at(),
            Self::Gcra(counter) => counter.resets_at(),
            Self::Concurrency(_) => 0,
        }
    }

    /// When the counter is as if nothing had ever been counted.
    #[inline]
    pub fn lapses_at(&self) -> u64 {
        match self {
            Self::Sliding(counter) => counter.lapses_at(),
            Self::Fixed(counter) => counter.lapses_at(),
            Self::Log(counter) => counter.lapses_at(),
            Self::Gcra(counter) => counter.lapses_at(),
            Self::Concurrency(counter) => counter.lapses_at(),
        }
    }

    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Sliding(counter) => counter.write(out),
            Self::Fixed(counter) => counter.write(out),
            Self::Log(counter) => counter.write(out),
            Self::Gcra(counter) => counter.write(out),
            Self::Concurrency(counter) => counter.write(out),
        }
    }
}
