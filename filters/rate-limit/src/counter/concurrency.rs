//! Requests in flight, by when each is forgotten: its lease after it began, if nobody sees its end.

use crate::varint;

/// Into how many parts a lease is divided: a request is forgotten at most one part after it.
const PARTS: u64 = 8;

/// What a request takes, and gives back at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// When it is forgotten.
    lapses: u64,
    generation: u32,
}

/// How many requests are forgotten when.
#[derive(Debug)]
pub struct Concurrency {
    part_ms: u64,
    /// Since nothing was in flight. A late end must not give back what a counter holds that came after its own.
    generation: u32,
    /// When the last request began. By it alone a clock that was wrong is known: a long lease lapses far ahead, too.
    latest: u64,
    now: u64,
    /// When requests are forgotten and how many are then, soonest first, none that is past. Whoever wrote them knew their lease;
    /// under the same name there may be others: of another profile, or of settings before these.
    held: Vec<(u64, u64)>,
}

impl Concurrency {
    /// What is stored, in the form that needs no lease: enough to give back.
    #[inline]
    pub fn read(mut stored: &[u8], now: u64) -> Self {
        let generation = varint::take(&mut stored).unwrap_or_default() as u32;
        let latest = varint::take(&mut stored).unwrap_or_default();
        let mut held = Vec::new();
        let mut lapses = latest;
        while let (Some(passed), Some(count)) =
            (varint::take(&mut stored), varint::take(&mut stored))
        {
            lapses = lapses.saturating_add(passed);
            held.push((lapses, count));
        }
        let latest = match super::is_ahead(latest, now) {
            true => {
                held.clear();
                0
            }
            false => latest,
        };
        let now = now.max(latest);
        held.retain(|(lapses, count)| *count > 0 && *lapses > now);
        Self {
            part_ms: 1,
            generation,
            latest,
            now,
            held,
        }
    }

    /// The same where requests may be taken: they are forgotten after this lease.
    #[inline]
    pub fn with_lease(self, lease_ms: u64) -> Self {
        Self {
            part_ms: lease_ms.div_ceil(PARTS).max(1),
            ..self
        }
    }

    #[inline]
    pub fn used(&self) -> u64 {
        self.held
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

    /// When a request that begins now is forgotten: what begins at the end of its part of time has had its lease then.
    #[inline]
    fn lapses(&self) -> u64 {
        let part = self.now / self.part_ms * self.part_ms;
        part.saturating_add(self.part_ms.saturating_mul(PARTS + 1))
    }

    /// A request begins now. If none was in flight, a new generation does.
    #[inline]
    pub fn take(&mut self, cost: u64) {
        if self.held.is_empty() {
            self.generation = 0;
        }
        self.latest = self.now;
        let own = self.lapses();
        // Under one lease it is the last one, or comes after it.
        let before = self.held.iter().rposition(|(lapses, _)| *lapses <= own);
        match before.and_then(|at| self.held.get_mut(at)) {
            Some((lapses, count)) if *lapses == own => *count = count.saturating_add(cost),
            _ => self.held.insert(before.map_or(0, |at| at + 1), (own, cost)),
        }
    }

    /// What was just taken; `generation` is the number of a new one.
    #[inline]
    pub fn flight(&mut self, generation: u32) -> Flight {
        if self.generation == 0 {
            self.generation = generation.max(1);
        }
        Flight {
            lapses: self.lapses(),
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
            .held
            .iter_mut()
            .find(|(lapses, _)| *lapses == flight.lapses);
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
        self.held.last().map_or(0, |(lapses, _)| *lapses)
    }

    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        varint::put(out, self.generation.into());
        varint::put(out, self.latest);
        let mut before = self.latest;
        for (lapses, count) in self.held.iter().filter(|(_, count)| *count > 0) {
            varint::put(out, lapses - before);
            varint::put(out, *count);
            before = *lapses;
        }
    }
}
