//! OpenTelemetry's member of the tracestate, `ot`: sampling threshold and explicit randomness
//! (OpenTelemetry specification, "TraceState: Probability Sampling" and "TraceState Handling").

use crate::hex;

pub const KEY: &str = "ot";
/// The threshold sub-key.
const TH: &[u8] = b"th";
/// The randomness sub-key: exactly 14 digits.
const RV: &[u8] = b"rv";
const RV_BYTES: usize = 7;
/// The longest value of a tracestate member.
const MAX_VALUE: usize = 256;
const DIGITS: usize = 14;

fn fields(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    value.split(|byte| *byte == b';').filter_map(|field| {
        let colon = field.iter().position(|byte| *byte == b':')?;
        let (key, value) = field.split_at_checked(colon)?;
        Some((key, value.get(1..)?))
    })
}

fn field<'a>(value: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    fields(value)
        .find(|(found, _)| *found == key)
        .map(|(_, value)| value)
}

/// The explicit randomness, which overrules the trace id's.
pub fn randomness(value: &[u8]) -> Option<u64> {
    let [a, b, c, d, e, f, g] = hex::decode::<RV_BYTES>(field(value, RV)?)?;
    Some(u64::from_be_bytes([0, a, b, c, d, e, f, g]))
}

/// Whether the value names a threshold.
pub fn has_threshold(value: &[u8]) -> bool {
    field(value, TH).is_some()
}

/// The member's value with another threshold or none; all else stays. Empty if nothing is left.
pub fn with_threshold(value: Option<&[u8]>, threshold: Option<u64>) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.map_or(0, <[u8]>::len) + 3 + DIGITS);
    if let Some(threshold) = threshold {
        out.extend_from_slice(b"th:");
        out.extend_from_slice(digits(threshold).as_slice());
    }
    let own = out.len();
    for (key, value) in fields(value.unwrap_or_default()).filter(|(key, _)| *key != TH) {
        if !out.is_empty() {
            out.push(b';');
        }
        out.extend_from_slice(key);
        out.push(b':');
        out.extend_from_slice(value);
    }
    if out.len() > MAX_VALUE {
        out.truncate(own);
    }
    out
}

/// The digits of a threshold without the zeros at their end; `0` for none rejected.
fn digits(threshold: u64) -> Vec<u8> {
    let mut digits: Vec<u8> = (0..DIGITS)
        .rev()
        .map(|at| hex::digit((threshold >> (4 * at)) as u8 & 0xf))
        .collect();
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_threshold_is_written_without_trailing_zeros_and_before_what_was_there() {
        for (value, threshold, expected) in [
            (None, Some(0), "th:0"),
            (None, Some(0xc0_0000_0000_0000), "th:c"),
            (None, Some(0xe6_6600_0000_0000), "th:e666"),
            (None, Some(1), "th:00000000000001"),
            (Some("th:8"), None, ""),
            (
                Some("rv:6e6d1a75832a2f;th:8;x:1"),
                Some(0xc0_0000_0000_0000),
                "th:c;rv:6e6d1a75832a2f;x:1",
            ),
            (Some("rubbish;;th:8"), None, ""),
            (None, None, ""),
        ] {
            let written = with_threshold(value.map(str::as_bytes), threshold);
            assert_eq!(String::from_utf8(written).unwrap(), expected, "{value:?}");
        }
        let long = format!("x:{}", "a".repeat(254));
        assert_eq!(with_threshold(Some(long.as_bytes()), Some(0)), b"th:0");
        assert_eq!(with_threshold(Some(long.as_bytes()), None), long.as_bytes());
    }

    #[test]
    fn explicit_randomness_has_14_digits() {
        assert_eq!(
            randomness(b"th:8;rv:6e6d1a75832a2f"),
            Some(0x6e_6d1a_7583_2a2f)
        );
        for bad in [
            "rv:6e6d1a75832a2",
            "rv:6e6d1a75832a2f0",
            "rv:6E6D1A75832A2F",
            "th:8",
            "",
        ] {
            assert_eq!(randomness(bad.as_bytes()), None, "{bad}");
        }
        assert!(has_threshold(b"rv:1;th:0") && !has_threshold(b"rv:1;thx:0"));
    }
}
