//! Durations as text, without floating point.

/// Appends milliseconds with three decimals: `12.345`. By hand, because it runs on every timed response.
#[inline]
pub fn write_milliseconds(nanoseconds: u64, out: &mut Vec<u8>) {
    // 2^64 nanoseconds have 17 digits of microseconds, and there is one point.
    let mut digits = [b'0'; 18];
    let mut left = nanoseconds / 1_000;
    let mut start = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        start = at;
        if at == POINT {
            *digit = b'.';
            continue;
        }
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 && at < POINT {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Where the point stands in 18 characters: before three decimals.
const POINT: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_duration_has_three_decimals() {
        for (nanoseconds, text) in [
            (0, "0.000"),
            (999, "0.000"),
            (1_000, "0.001"),
            (12_345_678, "12.345"),
            (1_000_000_000, "1000.000"),
            (9_999_000, "9.999"),
            (10_000_000, "10.000"),
            (u64::MAX, "18446744073709.551"),
        ] {
            let mut out = b"a".to_vec();
            write_milliseconds(nanoseconds, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("a{text}"));
        }
    }
}
