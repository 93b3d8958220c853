//! Calendar periods: which one a time falls into, and when each begins.

use time::{Date, Month, OffsetDateTime};

use crate::counter::{EPOCH_MS, times};

const DAY_MS: u64 = 86_400_000;

/// A division of time. Numbers and times count from [`EPOCH_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Windows of this length (ms), beginning at multiples of it after local midnight of 2020-01-01.
    Every { window_ms: u64, offset_ms: i64 },
    /// Months of the Gregorian calendar.
    Month { offset_ms: i64 },
}

impl Period {
    /// The number of the period that holds this time.
    #[inline]
    pub fn number(self, now: u64) -> u64 {
        match self {
            Self::Every {
                window_ms,
                offset_ms,
            } => local(now, offset_ms) / window_ms.max(1),
            Self::Month { offset_ms } => month_number(local(now, offset_ms)),
        }
    }

    /// When the period of this number begins.
    #[inline]
    pub fn begins_at(self, number: u64) -> u64 {
        match self {
            Self::Every {
                window_ms,
                offset_ms,
            } => universal(times(number, window_ms), offset_ms),
            Self::Month { offset_ms } => universal(month_begin(number), offset_ms),
        }
    }

    /// How long the period is that holds this time, in milliseconds.
    #[inline]
    pub fn length_ms(self, now: u64) -> u64 {
        match self {
            Self::Every { window_ms, .. } => window_ms,
            Self::Month { .. } => {
                let number = self.number(now);
                let end = self.begins_at(number.saturating_add(1));
                end.saturating_sub(self.begins_at(number))
            }
        }
    }
}

/// Local time. The offset's day of 2020 is left out of account: no clock shows it.
#[inline]
fn local(now: u64, offset_ms: i64) -> u64 {
    now.saturating_add_signed(offset_ms)
}

#[inline]
fn universal(local: u64, offset_ms: i64) -> u64 {
    local.saturating_add_signed(-offset_ms)
}

/// Months since January 2020.
fn month_number(now: u64) -> u64 {
    let seconds = i64::try_from((EPOCH_MS.saturating_add(now)) / 1_000).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(seconds).map_or(Date::MAX, OffsetDateTime::date);
    let years = u64::try_from(date.year() - 2020).unwrap_or_default();
    years * 12 + u64::from(u8::from(date.month())) - 1
}

fn month_begin(number: u64) -> u64 {
    let year = i32::try_from(number / 12).map_or(i32::MAX, |years| years.saturating_add(2020));
    let month = u8::try_from(number % 12 + 1)
        .ok()
        .and_then(|month| Month::try_from(month).ok())
        .unwrap_or(Month::January);
    let first = Date::from_calendar_date(year, month, 1).unwrap_or(Date::MAX);
    let days = i64::from(first.to_julian_day()) - i64::from(EPOCH_DAY);
    u64::try_from(days)
        .unwrap_or_default()
        .saturating_mul(DAY_MS)
}

/// The Julian day of 2020-01-01.
const EPOCH_DAY: i32 = 2_458_850;

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Milliseconds since the epoch of a time in seconds since 1970.
    fn at(unix: u64) -> u64 {
        unix * 1_000 - EPOCH_MS
    }

    #[test]
    fn a_month_begins_at_its_first_midnight_in_the_zone_given() {
        // Times from `date -u -d '2028-02-29 23:30' +%s` and kin.
        let leap_day = at(1_835_479_800);
        let utc = Period::Month { offset_ms: 0 };
        assert_eq!(
            utc.begins_at(utc.number(leap_day)),
            at(1_832_976_000),
            "2028-02-01"
        );
        assert_eq!(
            utc.begins_at(utc.number(leap_day) + 1),
            at(1_835_481_600),
            "2028-03-01"
        );
        assert_eq!(utc.length_ms(leap_day), 29 * DAY_MS);
        // At +01:00 it is March already.
        let berlin = Period::Month {
            offset_ms: 3_600_000,
        };
        assert_eq!(
            berlin.begins_at(berlin.number(leap_day)),
            at(1_835_481_600 - 3_600)
        );
    }

    #[test]
    fn a_day_begins_at_midnight_in_the_zone_given() {
        let noon = at(1_700_049_600);
        let day = |hours: i64| Period::Every {
            window_ms: DAY_MS,
            offset_ms: hours * 3_600_000,
        };
        for (hours, begin) in [(0, 1_700_006_400), (2, 1_699_999_200), (-5, 1_700_024_400)] {
            let period = day(hours);
            assert_eq!(period.begins_at(period.number(noon)), at(begin), "{hours}");
        }
    }

    #[test]
    fn every_period_begins_where_the_one_before_ends() {
        for period in [
            Period::Month {
                offset_ms: -7_200_000,
            },
            Period::Every {
                window_ms: 7_000,
                offset_ms: 0,
            },
        ] {
            for number in 1..400 {
                let begin = period.begins_at(number);
                assert_eq!(period.number(begin), number);
                assert_eq!(period.number(begin - 1), number - 1);
            }
        }
    }
}
