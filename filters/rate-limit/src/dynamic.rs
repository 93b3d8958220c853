//! A limit's count as verified metadata tells it.

use crate::counter::Algorithm;
use crate::counter::gcra::largest_burst;
use crate::decide::Rule;

/// Reads `100`, `100/minute`, or a number as a host gives it (f64, little-endian). A unit must be the limit's own.
/// `None` for anything else: the settings' count then holds.
pub fn count(value: &[u8], unit: Option<&str>) -> Option<u64> {
    if let Ok(text) = std::str::from_utf8(value)
        && text.starts_with(|first: char| first.is_ascii_digit())
    {
        let (count, named) = match text.split_once('/') {
            Some((count, named)) => (count, Some(named)),
            None => (text, None),
        };
        let digits = count.bytes().all(|byte| byte.is_ascii_digit());
        if digits && (named.is_none() || named == unit) {
            return count.parse().ok().filter(|count| *count <= MAX);
        }
    }
    let number = f64::from_le_bytes(value.try_into().ok()?);
    let whole = number >= 0.0 && number <= MAX as f64 && number.fract() == 0.0;
    whole.then_some(number as u64)
}

/// Sets a rule's count to the one told. Its burst is as large, or the settings' own where that is smaller.
pub fn set(rule: &mut Rule, count: u64, written_burst: Option<u64>) {
    rule.limit = count;
    if let Algorithm::Gcra { window_ms, burst } = &mut rule.algorithm {
        let most = written_burst.unwrap_or_else(|| largest_burst(*window_ms));
        *burst = count.min(most);
    }
}

/// The largest count that settings can give, too.
const MAX: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_count_comes_with_the_limits_own_unit_or_none() {
        for (value, expected) in [
            (&b"100"[..], Some(100)),
            (b"100/minute", Some(100)),
            (b"10/month", None),
            (b"100/hour", None),
            (b"1e3", None),
            (b"-1", None),
            (b"", None),
            (b"9999999999", None),
            (&250_f64.to_le_bytes(), Some(250)),
            (&2.5_f64.to_le_bytes(), None),
            (&(-1_f64).to_le_bytes(), None),
            (&f64::NAN.to_le_bytes(), None),
        ] {
            assert_eq!(count(value, Some("minute")), expected, "{value:?}");
        }
    }
}
