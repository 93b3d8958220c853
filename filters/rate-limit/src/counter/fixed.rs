//! One count per period of the calendar.

use crate::period::Period;
use crate::varint;

#[derive(Debug)]
pub struct Fixed {
    period: Period,
    /// The number of the period that is counted.
    number: u64,
    count: u64,
}

impl Fixed {
    #[inline]
    pub fn read(mut stored: &[u8], period: Period, now: u64) -> Self {
        let number = varint::take(&mut stored).unwrap_or_default();
        let count = varint::take(&mut stored).unwrap_or_default();
        let present = period.number(now);
        let is_wrong = || number > present && super::is_ahead(period.begins_at(number), now);
        let (number, count) = if present > number || is_wrong() {
            (present, 0)
        } else {
            (number, count)
        };
        Self {
            period,
            number,
            count,
        }
    }

    #[inline]
    pub fn used(&self) -> u64 {
        self.count
    }

    #[inline]
    pub fn fits_at(&self, limit: u64, cost: u64) -> u64 {
        if self.count.saturating_add(cost) <= limit {
            0
        } else {
            self.resets_at()
        }
    }

    #[inline]
    pub fn take(&mut self, cost: u64) {
        self.count = self.count.saturating_add(cost);
    }

    #[inline]
    pub fn resets_at(&self) -> u64 {
        self.period.begins_at(self.number.saturating_add(1))
    }

    #[inline]
    pub fn lapses_at(&self) -> u64 {
        if self.count == 0 { 0 } else { self.resets_at() }
    }

    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        varint::put(out, self.number);
        varint::put(out, self.count);
    }
}
