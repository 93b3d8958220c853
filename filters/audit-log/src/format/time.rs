//! Times as text.

use time::OffsetDateTime;

/// Appends `2026-11-21T13:47:29.123456Z` (RFC 3339). Microseconds, because that is what clocks of hosts tell.
#[inline]
pub fn write(out: &mut Vec<u8>, nanoseconds: u64) {
    let seconds = nanoseconds / 1_000_000_000;
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // The year 9999 is the last that the type knows.
    digits(out, u32::try_from(time.year()).unwrap_or(0), 4);
    for (sign, number) in [
        (b'-', u8::from(time.month())),
        (b'-', time.day()),
        (b'T', time.hour()),
        (b':', time.minute()),
        (b':', time.second()),
    ] {
        out.push(sign);
        digits(out, u32::from(number), 2);
    }
    out.push(b'.');
    digits(out, (nanoseconds % 1_000_000_000 / 1_000) as u32, 6);
    out.push(b'Z');
}

/// The same as a JSON string.
#[inline]
pub fn write_text(out: &mut Vec<u8>, nanoseconds: u64) {
    out.push(b'"');
    write(out, nanoseconds);
    out.push(b'"');
}

#[inline]
fn digits(out: &mut Vec<u8>, number: u32, width: u32) {
    for place in (0..width).rev() {
        let digit = number / 10_u32.pow(place) % 10;
        out.push(b'0' + digit as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_time_is_written_to_the_microsecond() {
        for (nanoseconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_795_248_000_000_000_999, "2026-11-21T08:00:00.000000Z"),
            (1_709_210_096_123_456_789, "2024-02-29T12:34:56.123456Z"),
        ] {
            let mut out = Vec::new();
            write(&mut out, nanoseconds);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
