//! An even pace after a burst: the generic cell rate algorithm in its form as a leaky bucket (ITU-T I.371).

use crate::varint;

#[derive(Debug)]
pub struct Gcra {
    /// What one unit of cost weighs: the window in milliseconds. A millisecond then takes away the limit, so that all
    /// is whole numbers, and a limit that changes applies at once.
    unit: u64,
    burst: u64,
    limit: u64,
    now: u64,
    level: u64,
}

/// The largest burst whose level is counted exactly.
pub fn largest_burst(window_ms: u64) -> u64 {
    u64::MAX / 4 / window_ms.max(1)
}

impl Gcra {
    #[inline]
    pub fn read(mut stored: &[u8], window_ms: u64, burst: u64, limit: u64, now: u64) -> Self {
        let then = varint::take(&mut stored).unwrap_or_default();
        let level = varint::take(&mut stored).unwrap_or_default();
        let (then, level) = match super::is_ahead(then, now) {
            true => (0, 0),
            false => (then, level),
        };
        let now = now.max(then);
        Self {
            unit: window_ms.max(1),
            burst,
            limit,
            now,
            level: level.saturating_sub((now - then).saturating_mul(limit)),
        }
    }

    #[inline]
    pub fn burst(&self) -> u64 {
        self.burst
    }

    /// When the level has sunk so far that this much is free; 0 if it is now.
    #[inline]
    fn free_at(&self, cost: u64) -> u64 {
        let room = self.burst.saturating_sub(cost).saturating_mul(self.unit);
        match self.level.saturating_sub(room) {
            0 => 0,
            _ if self.limit == 0 => super::NEVER,
            above => self.now.saturating_add(above.div_ceil(self.limit)),
        }
    }

    #[inline]
    pub fn fits_at(&self, cost: u64) -> u64 {
        self.free_at(cost)
    }

    /// Refused requests that count take it above the burst, to two bursts at most: else a flood of them would be paid back for years.
    #[inline]
    pub fn take(&mut self, cost: u64) {
        let most = self.burst.saturating_mul(self.unit).saturating_mul(2);
        let raised = self.level.saturating_add(cost.saturating_mul(self.unit));
        self.level = raised.min(most.max(self.level));
    }

    #[inline]
    pub fn remaining(&self) -> u64 {
        let capacity = self.burst.saturating_mul(self.unit);
        capacity.saturating_sub(self.level) / self.unit
    }

    #[inline]
    pub fn resets_at(&self) -> u64 {
        match self.level {
            0 => 0,
            _ => self.free_at(self.remaining() + 1),
        }
    }

    #[inline]
    pub fn lapses_at(&self) -> u64 {
        self.free_at(self.burst)
    }

    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        varint::put(out, self.now);
        varint::put(out, self.level);
    }
}
