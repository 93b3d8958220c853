//! Requests in flight, by when they began: one whose end nobody saw is forgotten after the lease.

use crate::varint;

/// Into how many parts a lease is divided: a request is forgotten at most one part after it.
const PARTS: u64 = 8;

/// What a request takes, and gives back at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// The beginning of the part of time in which it began.
    part: u64,
    generation: u32,
}

/// How many requests began in which part of time.
#[derive(Debug)]
pub struct Concurrency {
    part_ms: u64,
    /// Since nothing was in flight. A late end must not give back what a counter holds that came after its own.
    generation: u32,
    /// When the present part began.
    present: u64,
    /// When a part began and its count, oldest first; none older than the lease. These are times and not numbers of parts, so
    /// that they outlive a change of the lease.
    begun: Vec<(u64, u64)>,
}

impl Concurrency {
    #[inline]
    pub fn read(mut stored: &[u8], lease_ms: u64, now: u64) -> Self {
        let part_ms = lease_ms.div_ceil(PARTS).max(1);
        let generation = varint::take(&mut stored).unwrap_or_default() as u32;
        let mut begun = Vec::new();
        let mut part = 0_u64;
        while let (Some(passed), Some(count)) =
            (varint::take(&mut stored), varint::take(&mut stored))
        {
            part = part.saturating_add(passed);
            begun.push((part, count));
        }
        if super::is_ahead(part, now) {
            begun.clear();
            part = 0;
        }
        let present = (now / part_ms * part_ms).max(part);
        begun.retain(|(part, count)| *count > 0 && lapses_at(*part, part_ms) > present);
        Self {
            part_ms,
            generation,
            present,
            begun,
        }
    }

    #[inline]
    pub fn used(&self) -> u64 {
        self.begun
            .iter()
            .fold(0, |sum: u64, (_, count)| sum.saturating_add(*count))
    }

    /// Nobody knows when a request ends: a moment from now, if not now.
    #[inline]
    pub fn fits_at(&self, limit: u64, cost: u64) -> u64 {
        if self.used().saturating_add(cost) <= limit {
            0
        } else {
            1
        }
    }

    /// A request begins now. If none was in flight, a new generation does.
    #[inline]
    pub fn take(&mut self, cost: u64) {
        if self.begun.is_empty() {
            self.generation = 0;
        }
        match self.begun.last_mut() {
            Some((part, count)) if *part == self.present => *count = count.saturating_add(cost),
            _ => self.begun.push((self.present, cost)),
        }
    }

    /// What was just taken; `generation` is the number of a new one.
    #[inline]
    pub fn flight(&mut self, generation: u32) -> Flight {
        if self.generation == 0 {
            self.generation = generation.max(1);
        }
        Flight {
            part: self.present,
            generation: self.generation,
        }
    }

    /// Whether that request was still remembered.
    #[inline]
    pub fn release(&mut self, flight: Flight, cost: u64) -> bool {
        if flight.generation != self.generation {
            return false;
        }
        let found = self
            .begun
            .iter_mut()
            .find(|(begun, _)| *begun == flight.part);
        match found {
            Some((_, count)) => {
                *count = count.saturating_sub(cost);
                true
            }
            None => false,
        }
    }

    #[inline]
    pub fn lapses_at(&self) -> u64 {
        let newest = self.begun.last();
        newest.map_or(0, |(part, _)| lapses_at(*part, self.part_ms))
    }

    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        varint::put(out, self.generation.into());
        let mut before = 0;
        for (part, count) in self.begun.iter().filter(|(_, count)| *count > 0) {
            varint::put(out, part - before);
            varint::put(out, *count);
            before = *part;
        }
    }
}

/// When a part is forgotten: what began at its end has had its lease then.
#[inline]
fn lapses_at(part: u64, part_ms: u64) -> u64 {
    part.saturating_add(part_ms.saturating_mul(PARTS + 1))
}
