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
    decode_with(text, lower_case)
}

/// Like [`decode`], and takes upper-case digits too: B3 and X-Ray senders of old write them.
pub fn decode_any_case<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    decode_with(text, |byte| lower_case(byte.to_ascii_lowercase()))
}

fn decode_with<const N: usize>(text: &[u8], value: impl Fn(u8) -> Option<u8>) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut out = [0; N];
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(out)
}

fn lower_case(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}
