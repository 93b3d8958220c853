//! Nonces for script and style elements (CSP3 §2.3.1): fresh for every response, known to the upstream.

use std::fmt;

/// The request header that gives the upstream its nonce. One that a client sent never reaches the upstream.
pub const HEADER: &str = "x-csp-nonce";
/// What stands for the nonce in a policy.
pub const PLACEHOLDER: &str = "{nonce}";
/// 144 random bits: over CSP3's 128, and a multiple of three, so that base64 needs no padding.
pub const RANDOM_BYTES: usize = 18;
const LEN: usize = RANDOM_BYTES / 3 * 4;

/// One nonce, in base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; LEN]);

impl Nonce {
    #[inline]
    pub fn new(random: [u8; RANDOM_BYTES]) -> Self {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = [b'A'; LEN];
        let groups = random.as_chunks::<3>().0.iter();
        for ([a, b, c], out) in groups.zip(text.as_chunks_mut::<4>().0) {
            let bits = u32::from_be_bytes([0, *a, *b, *c]);
            for (digit, shift) in out.iter_mut().zip([18, 12, 6, 0]) {
                let sextet = (bits >> shift) as usize & 63;
                *digit = ALPHABET.get(sextet).copied().unwrap_or(b'A');
            }
        }
        Self(text)
    }

    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A nonce is worth nothing once it stands in a log.
impl fmt::Debug for Nonce {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_nonce_is_the_base64_of_its_bytes() {
        let nonce = Nonce::new(*b"any carnal pleasur");
        assert_eq!(nonce.as_bytes(), b"YW55IGNhcm5hbCBwbGVhc3Vy");
        assert_eq!(
            Nonce::new([0xff; 18]).as_bytes(),
            b"////////////////////////"
        );
    }

    #[test]
    fn every_bit_of_randomness_shows() {
        let zero = Nonce::new([0; RANDOM_BYTES]);
        for bit in 0..RANDOM_BYTES * 8 {
            let mut random = [0; RANDOM_BYTES];
            random[bit / 8] = 1 << (bit % 8);
            assert_ne!(Nonce::new(random), zero, "bit {bit}");
        }
    }
}
