//! Requests in flight, by when they began: one whose end nobody saw is forgotten after the lease.

use crate::varint;

/// Into how many parts a lease is divided: a request is forgotten at most one part after it.
const PARTS: u64 = 8;

/// How many requests began in which part of time.
#[derive(Debug)]
pub struct Concurrency {
    part_ms: u64,
    present: u64,
    /// Part and count, oldest first; none older than the lease.
    begun: Vec<(u64, u64)>,
}

impl Concurrency {
    #[inline]
    pub fn read(mut stored: &[u8], lease_ms: u64, now: u64) -> Self {
        let part_ms = lease_ms.div_ceil(PARTS).max(1);
        let mut begun = Vec::new();
        let mut part = 0_u64;
        while let (Some(passed), Some(count)) =
            (varint::take(&mut stored), varint::take(&mut stored))
        {
            part = part.saturating_add(passed);
            begun.push((part, count));
        }
        let present = (now / part_ms).max(part);
        begun.retain(|(part, count)| *count > 0 && part.saturating_add(PARTS) >= present);
        Self {
            part_ms,
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

    /// The part of time in which a request begins now; [`Concurrency::release`] wants it back.
    #[inline]
    pub fn part(&self) -> u64 {
        self.present
    }

    #[inline]
    pub fn take(&mut self, cost: u64) {
        match self.begun.last_mut() {
            Some((part, count)) if *part == self.present => *count = count.saturating_add(cost),
            _ => self.begun.push((self.present, cost)),
        }
    }

    /// Whether a request of that part was still remembered.
    #[inline]
    pub fn release(&mut self, part: u64, cost: u64) -> bool {
        let found = self.begun.iter_mut().find(|(begun, _)| *begun == part);
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
        self.begun.last().map_or(0, |(part, _)| {
            part.saturating_add(PARTS + 1).saturating_mul(self.part_ms)
        })
    }

    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut before = 0;
        for (part, count) in self.begun.iter().filter(|(_, count)| *count > 0) {
            varint::put(out, part - before);
            varint::put(out, *count);
            before = *part;
        }
    }
}
