//! Durations as text, without floating point.

/// Milliseconds with three decimals: `12.345`.
pub fn milliseconds(nanoseconds: u64) -> String {
    let micros = nanoseconds / 1_000;
    let (whole, rest) = (micros / 1_000, micros % 1_000);
    let mut text = whole.to_string();
    text.push('.');
    for unit in [100, 10, 1] {
        text.push(char::from(
            b'0' + u8::try_from(rest / unit % 10).unwrap_or(0),
        ));
    }
    text
}

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
        ] {
            assert_eq!(milliseconds(nanoseconds), text);
        }
    }
}
