//! Numbers of records that were dropped, and that no record tells of yet, as ranges.
//!
//! What is on its way to a sink is not dropped, and what comes back is older than what was dropped meanwhile: so ranges
//! arrive in any order, and grow together.

/// More ranges are counted only. Between two ranges are records that arrived, or are still to.
const MAX: usize = 1024;

/// Ranges from first to last, and why, in the order of their numbers.
#[derive(Default)]
pub struct Untold(Vec<(u64, u64, &'static str)>);

impl Untold {
    /// Adds records that are in no range yet.
    pub fn add(&mut self, (first, last): (u64, u64), reason: &'static str) {
        let at = self.0.partition_point(|(before, _, _)| *before < first);
        let mut last = last;
        if let Some((start, end, why)) = self.0.get_mut(at)
            && (*start, *why) == (last + 1, reason)
        {
            // It takes the next one in, and may itself be taken in by the one before.
            *start = first;
            last = *end;
        } else if self.0.len() < MAX {
            self.0.insert(at, (first, last, reason));
        } else {
            return;
        }
        if let Some(before) = at.checked_sub(1)
            && let Some((_, end, why)) = self.0.get_mut(before)
            && (*end + 1, *why) == (first, reason)
        {
            *end = last;
            self.0.remove(at);
        }
    }

    /// All ranges, of which something tells from now on.
    pub fn take(&mut self) -> Vec<(u64, u64, &'static str)> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn ranges_grow_together_whatever_the_order_and_not_across_reasons() {
        let mut untold = Untold::default();
        for range in [(5, 6), (1, 2), (9, 9), (7, 8), (3, 4), (20, 20)] {
            untold.add(range, "overflow");
        }
        untold.add((10, 10), "refused");
        untold.add((19, 19), "overflow");
        untold.add((11, 11), "refused");
        let expected = vec![
            (1, 9, "overflow"),
            (10, 11, "refused"),
            (19, 20, "overflow"),
        ];
        assert_eq!(untold.take(), expected);
        assert!(untold.take().is_empty());
    }

    #[test]
    fn every_order_of_single_numbers_is_one_range() {
        // A number that is prime to 101 visits all of them in an order of its own.
        for step in 1..101 {
            let mut untold = Untold::default();
            for number in 0..101 {
                let seq = 1 + number * step % 101;
                untold.add((seq, seq), "overflow");
            }
            assert_eq!(untold.take(), [(1, 101, "overflow")], "{step}");
        }
    }

    #[test]
    fn only_so_many_are_kept() {
        let mut untold = Untold::default();
        for seq in 1..=2 * MAX as u64 {
            untold.add((2 * seq, 2 * seq), "refused");
        }
        assert_eq!(untold.take().len(), MAX);
    }
}
