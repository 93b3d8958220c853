//! Random bytes without a host call each: a ChaCha12 generator per worker, keyed once by the host.

use std::cell::RefCell;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::exchange::Randomness;

/// A cryptographic generator that asks the host for its key at the first use. Its output is fit for nonces and ids.
#[derive(Default)]
pub struct Random(RefCell<Option<ChaCha12Rng>>);

impl Random {
    pub fn fill(&self, host: &impl Randomness, out: &mut [u8]) {
        self.0
            .borrow_mut()
            .get_or_insert_with(|| {
                let mut key = [0; 32];
                host.fill(&mut key);
                ChaCha12Rng::from_seed(key)
            })
            .fill_bytes(out);
    }

    pub fn bytes<const N: usize>(&self, host: &impl Randomness) -> [u8; N] {
        let mut out = [0; N];
        self.fill(host, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    struct Counting(Cell<u8>);

    impl Randomness for Counting {
        fn fill(&self, out: &mut [u8]) {
            self.0.set(self.0.get() + 1);
            out.fill(self.0.get());
        }
    }

    #[test]
    fn the_host_is_asked_once_and_no_two_draws_are_alike() {
        let host = Counting(Cell::new(0));
        let random = Random::default();
        let draws: std::collections::BTreeSet<[u8; 16]> =
            (0..10_000).map(|_| random.bytes(&host)).collect();
        assert_eq!((draws.len(), host.0.get()), (10_000, 1));
        let other = Random::default();
        assert!(
            !draws.contains(&other.bytes::<16>(&host)),
            "another key, another stream"
        );
    }
}
