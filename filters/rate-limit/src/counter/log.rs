//! Each request by its time: exact, for small limits.

use crate::varint;

#[derive(Debug)]
pub struct Log {
    window_ms: u64,
    now: u64,
    /// Time and cost, oldest first.
    taken: Vec<(u64, u64)>,
}

impl Log {
    #[inline]
    pub fn read(mut stored: &[u8], window_ms: u64, now: u64) -> Self {
        let mut taken = Vec::new();
        let mut at = 0_u64;
        while let (Some(passed), Some(cost)) =
            (varint::take(&mut stored), varint::take(&mut stored))
        {
            at = at.saturating_add(passed);
            taken.push((at, cost));
        }
        if super::is_ahead(at, now) {
            taken.clear();
            at = 0;
        }
        // The time of the last request is the least that the present can be.
        let now = now.max(at);
        taken.retain(|(at, _)| leaves_at(*at, window_ms) > now);
        Self {
            window_ms,
            now,
            taken,
        }
    }

    #[inline]
    pub fn used(&self) -> u64 {
        self.taken
            .iter()
            .fold(0, |sum: u64, (_, cost)| sum.saturating_add(*cost))
    }

    #[inline]
    pub fn fits_at(&self, limit: u64, cost: u64) -> u64 {
        let mut used = self.used();
        if used.saturating_add(cost) <= limit {
            return 0;
        }
        for (at, taken) in &self.taken {
            used = used.saturating_sub(*taken);
            if used.saturating_add(cost) <= limit {
                return leaves_at(*at, self.window_ms);
            }
        }
        super::NEVER
    }

    #[inline]
    pub fn take(&mut self, cost: u64) {
        match self.taken.last_mut() {
            Some((at, taken)) if *at == self.now => *taken = taken.saturating_add(cost),
            _ => self.taken.push((self.now, cost)),
        }
    }

    #[inline]
    pub fn resets_at(&self) -> u64 {
        self.taken
            .first()
            .map_or(0, |(at, _)| leaves_at(*at, self.window_ms))
    }

    #[inline]
    pub fn lapses_at(&self) -> u64 {
        self.taken
            .last()
            .map_or(0, |(at, _)| leaves_at(*at, self.window_ms))
    }

    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut before = 0;
        for (at, cost) in &self.taken {
            varint::put(out, at - before);
            varint::put(out, *cost);
            before = *at;
        }
    }
}

/// A time in whole milliseconds may be almost one too early, so the window ends one later.
#[inline]
fn leaves_at(at: u64, window_ms: u64) -> u64 {
    at.saturating_add(window_ms).saturating_add(1)
}
