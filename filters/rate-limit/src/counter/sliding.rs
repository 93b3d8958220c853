//! The window in parts; those that reach into it count whole, so a window never holds more than the limit.

use crate::varint;

/// Into how many parts a window is divided. A request counts for the window's length and up to one part more.
pub const PARTS: usize = 10;
/// The parts that a window can touch: the present one, which has only begun, and those before it.
const TOUCHED: usize = PARTS + 1;

/// Counts by part, newest first.
#[derive(Debug)]
pub struct Sliding {
    part_ms: u64,
    /// The number of the newest part since the epoch.
    newest: u64,
    counts: [u64; TOUCHED],
    /// Their sum.
    used: u64,
    /// How many there are up to the oldest that is not 0.
    len: usize,
}

impl Sliding {
    #[inline]
    pub fn read(mut stored: &[u8], window_ms: u64, now: u64) -> Self {
        // Rounded up: the parts must cover the window.
        let part_ms = window_ms.div_ceil(PARTS as u64).max(1);
        let mut this = Self {
            part_ms,
            newest: varint::take(&mut stored).unwrap_or_default(),
            counts: [0; TOUCHED],
            used: 0,
            len: 0,
        };
        for (at, place) in this.counts.iter_mut().enumerate() {
            let Some(count) = varint::take(&mut stored) else {
                break;
            };
            *place = count;
            this.used = this.used.saturating_add(count);
            if count > 0 {
                this.len = at + 1;
            }
        }
        let present = now / part_ms;
        if present > this.newest {
            this.advance(present);
        } else if super::is_ahead(super::times(this.newest, part_ms), now) {
            this.newest = present;
            (this.counts, this.used, this.len) = ([0; TOUCHED], 0, 0);
        }
        this
    }

    #[inline]
    fn advance(&mut self, part: u64) {
        let passed = part.saturating_sub(self.newest);
        let passed = usize::try_from(passed).unwrap_or(TOUCHED).min(TOUCHED);
        self.counts.copy_within(..TOUCHED - passed, passed);
        self.counts
            .iter_mut()
            .take(passed)
            .for_each(|count| *count = 0);
        self.newest = part;
        self.used = self
            .counts
            .iter()
            .fold(0, |sum: u64, count| sum.saturating_add(*count));
        let oldest = self.counts.iter().rposition(|count| *count > 0);
        self.len = oldest.map_or(0, |back| back + 1);
    }

    #[inline]
    pub fn used(&self) -> u64 {
        self.used
    }

    /// When the part that is `back` parts old leaves every window.
    #[inline]
    fn leaves_at(&self, back: usize) -> u64 {
        let part = self
            .newest
            .saturating_add((TOUCHED - back.min(TOUCHED)) as u64);
        super::times(part, self.part_ms)
    }

    #[inline]
    pub fn fits_at(&self, limit: u64, cost: u64) -> u64 {
        let mut used = self.used;
        if used.saturating_add(cost) <= limit {
            return 0;
        }
        for (back, count) in self.counts.iter().enumerate().rev() {
            used = used.saturating_sub(*count);
            if used.saturating_add(cost) <= limit {
                return self.leaves_at(back);
            }
        }
        super::NEVER
    }

    #[inline]
    pub fn take(&mut self, cost: u64) {
        let [newest, ..] = &mut self.counts;
        *newest = newest.saturating_add(cost);
        self.used = self.used.saturating_add(cost);
        if *newest > 0 {
            self.len = self.len.max(1);
        }
    }

    #[inline]
    pub fn resets_at(&self) -> u64 {
        self.len
            .checked_sub(1)
            .map_or(0, |back| self.leaves_at(back))
    }

    #[inline]
    pub fn lapses_at(&self) -> u64 {
        let newest = self.counts.iter().position(|count| *count > 0);
        newest.map_or(0, |back| self.leaves_at(back))
    }

    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        varint::put(out, self.newest);
        for count in self.counts.iter().take(self.len) {
            varint::put(out, *count);
        }
    }
}
