//! Ids as hexadecimal digits, without allocation.

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// Writes each byte as two lower-case digits; stops where `out` ends.
pub fn encode(bytes: &[u8], out: &mut [u8]) {
    for (byte, pair) in bytes.iter().zip(out.as_chunks_mut::<2>().0) {
        *pair = [digit(byte >> 4), digit(*byte)];
    }
}

/// One lower-case digit, of the low four bits.
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
    decode_with(text, value)
}

/// Like [`decode`], and takes upper-case digits too: B3 and X-Ray senders of old write them.
pub fn decode_any_case<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    decode_with(text, |byte| value(byte.to_ascii_lowercase()))
}

fn decode_with<const N: usize>(text: &[u8], value: impl Fn(u8) -> u8) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut out = [0; N];
    let mut seen = 0;
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        let (high, low) = (value(*high), value(*low));
        seen |= high | low;
        *byte = high << 4 | low & 0xf;
    }
    (seen & NO_DIGIT == 0).then_some(out)
}

/// The bit that no digit's value has.
const NO_DIGIT: u8 = 0x80;

/// The value of a lower-case digit; [`NO_DIGIT`] of any other byte. Without branches: digits come in no order.
fn value(byte: u8) -> u8 {
    let decimal = byte.wrapping_sub(b'0');
    let letter = byte.wrapping_sub(b'a');
    let above = if letter < 6 { letter + 10 } else { NO_DIGIT };
    if decimal < 10 { decimal } else { above }
}
