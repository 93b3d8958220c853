//! Ids as hexadecimal digits, without allocation.

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// Writes each byte as two lower-case digits; stops where `out` ends.
#[inline]
pub fn encode(bytes: &[u8], out: &mut [u8]) {
    for (byte, pair) in bytes.iter().zip(out.as_chunks_mut::<2>().0) {
        *pair = [digit(byte >> 4), digit(*byte)];
    }
}

/// One lower-case digit, of the low four bits.
#[inline]
pub fn digit(nibble: u8) -> u8 {
    // The mask keeps the index below 16.
    DIGITS
        .get(usize::from(nibble & 15))
        .copied()
        .unwrap_or(b'0')
}

/// Decodes exactly `N` bytes from `2 * N` lower-case digits (`HEXDIGLC` of W3C Trace Context). `None` for anything
/// else, upper case included.
pub fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    // Ids have 16 or 32 digits: eight at a time.
    let (words, rest) = text.as_chunks::<8>();
    let (quads, left) = out.as_chunks_mut::<4>();
    for (quad, word) in quads.iter_mut().zip(words) {
        *quad = decode_word(*word)?;
    }
    for (byte, [high, low]) in left.iter_mut().zip(rest.as_chunks::<2>().0) {
        let (high, low) = (value(*high), value(*low));
        if (high | low) & NO_DIGIT != 0 {
            return None;
        }
        *byte = high << 4 | low;
    }
    Some(out)
}

/// Eight lower-case digits at once, one in each byte of a word.
#[inline]
fn decode_word(digits: [u8; 8]) -> Option<[u8; 4]> {
    const fn each(byte: u8) -> u64 {
        u64::from_be_bytes([byte; 8])
    }
    let word = u64::from_be_bytes(digits);
    // Of `0` to `9` and `a` to `f`, only letters have this bit.
    let letters = (word & each(0x40)) >> 6;
    let values = (word & each(0x0f)) + letters * 9;
    // Letters stand for 10 to 15 and digits for less, and each byte is the character of its value. No sum carries into
    // the next byte.
    let tens = ((values + each(6)) >> 4) & each(1);
    let written = values + each(b'0') + letters * u64::from(b'a' - b'0' - 10);
    if tens != letters || values & each(0xf0) != 0 || written != word {
        return None;
    }
    let pairs = (values >> 4 | values) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs >> 8 | pairs) & 0x0000_ffff_0000_ffff;
    Some((((quads >> 16) | quads) as u32).to_be_bytes())
}

/// Like [`decode`], and takes upper-case digits too: B3 and X-Ray senders of old write them.
pub fn decode_any_case<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut out = [0; N];
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        let (high, low) = (
            value(high.to_ascii_lowercase()),
            value(low.to_ascii_lowercase()),
        );
        if (high | low) & NO_DIGIT != 0 {
            return None;
        }
        *byte = high << 4 | low;
    }
    Some(out)
}

/// The bit that no digit's value has.
const NO_DIGIT: u8 = 0x80;

/// The value of a lower-case digit; [`NO_DIGIT`] of any other byte. Without branches: digits come in no order.
#[inline]
fn value(byte: u8) -> u8 {
    let decimal = byte.wrapping_sub(b'0');
    let letter = byte.wrapping_sub(b'a');
    let above = if letter < 6 { letter + 10 } else { NO_DIGIT };
    if decimal < 10 { decimal } else { above }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_byte_in_every_place_is_a_digit_or_no_number() {
        for len in [2, 8, 10, 16] {
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    let mut text = *b"0123456789abcdef";
                    text[at] = byte;
                    let text = &text[..len];
                    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                    let expected = std::str::from_utf8(text)
                        .ok()
                        .filter(|_| digit(byte))
                        .and_then(|text| u64::from_str_radix(text, 16).ok());
                    let read = |big: Option<&[u8]>| {
                        big.map(|big| big.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
                    };
                    let decoded = |text: &[u8]| match len {
                        2 => read(decode::<1>(text).as_ref().map(|id| id.as_slice())),
                        8 => read(decode::<4>(text).as_ref().map(|id| id.as_slice())),
                        10 => read(decode::<5>(text).as_ref().map(|id| id.as_slice())),
                        _ => read(decode::<8>(text).as_ref().map(|id| id.as_slice())),
                    };
                    assert_eq!(decoded(text), expected, "{byte} at {at} of {len}");
                }
            }
        }
        assert_eq!(decode::<4>(b"0123456"), None);
        assert_eq!(decode::<4>(b"012345678"), None);
        assert_eq!(decode_any_case(b"0aF9"), Some([0x0a, 0xf9]));
    }
}
