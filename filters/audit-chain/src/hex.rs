//! Hashes as text.

use crate::Hash;

/// A hash as 64 lower-case hex digits.
#[inline]
pub fn encode(hash: &Hash) -> [u8; 64] {
    let mut text = [0; 64];
    for (pair, byte) in text.as_chunks_mut().0.iter_mut().zip(hash) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    text
}

#[inline]
fn digit(nibble: u8) -> u8 {
    nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
}

/// The hash that [`encode`] writes so. `None` for every other text, capital digits included.
#[cfg(feature = "verify")]
pub fn decode(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, [high, low]) in hash.iter_mut().zip(text.as_bytes().as_chunks().0) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(hash)
}

#[cfg(feature = "verify")]
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
