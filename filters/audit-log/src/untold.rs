//! Numbers of records that were dropped, and that no record tells of yet, as ranges.
//!
//! What is on its way to a sink is not dropped, and what comes back is older than what was dropped meanwhile: so ranges
//! arrive in any order, and grow together.

/// With more ranges, neighbours become one, with what is between them. That arrived, or is still to: to say that it may be
/// missing is no harm, not to say so of one that is missing would be taken for a deletion.
const MAX: usize = 1024;

/// Records that were dropped for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub first: u64,
    pub last: u64,
    /// How many of them were dropped.
    pub records: u64,
    pub reason: &'static str,
}

impl Range {
    /// All from the first to the last.
    pub fn whole(first: u64, last: u64, reason: &'static str) -> Self {
        Self {
            first,
            last,
            records: last - first + 1,
            reason,
        }
    }

    fn take_in(&mut self, behind: Self) {
        self.last = behind.last;
        self.records += behind.records;
    }
}

/// Ranges in the order of their numbers.
#[derive(Default)]
pub struct Untold(Vec<Range>);

impl Untold {
    /// Adds records that are in no range yet.
    pub fn add(&mut self, range: Range) {
        let at = self.0.partition_point(|before| before.first < range.first);
        self.0.insert(at, range);
        // With the one behind it, then with the one before it.
        self.join(at);
        if let Some(before) = at.checked_sub(1) {
            self.join(before);
        }
        if self.0.len() > MAX {
            let gap = |at: &usize| match (self.0.get(*at), self.0.get(*at + 1)) {
                (Some(one), Some(next)) => next.first.saturating_sub(one.last),
                _ => u64::MAX,
            };
            let nearest = (0..self.0.len() - 1).min_by_key(gap).unwrap_or(0);
            self.merge(nearest);
        }
    }

    /// Makes that range and the next one of them, if nothing is between them and their reason is the same.
    fn join(&mut self, at: usize) {
        if let (Some(one), Some(next)) = (self.0.get(at), self.0.get(at + 1))
            && (one.last + 1, one.reason) == (next.first, next.reason)
        {
            self.merge(at);
        }
    }

    fn merge(&mut self, at: usize) {
        if at + 1 < self.0.len() {
            let next = self.0.remove(at + 1);
            if let Some(one) = self.0.get_mut(at) {
                one.take_in(next);
            }
        }
    }

    /// The range with the lowest numbers.
    pub fn first(&self) -> Option<Range> {
        self.0.first().copied()
    }

    /// Something tells of that range from now on.
    pub fn remove(&mut self, range: Range) {
        self.0.retain(|known| *known != range);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn all(mut untold: Untold) -> Vec<(u64, u64, u64, &'static str)> {
        let mut all = Vec::new();
        while let Some(range) = untold.first() {
            untold.remove(range);
            all.push((range.first, range.last, range.records, range.reason));
        }
        all
    }

    #[test]
    fn ranges_grow_together_whatever_the_order_and_not_across_reasons() {
        let mut untold = Untold::default();
        for (first, last) in [(5, 6), (1, 2), (9, 9), (7, 8), (3, 4), (20, 20)] {
            untold.add(Range::whole(first, last, "overflow"));
        }
        untold.add(Range::whole(10, 10, "refused"));
        untold.add(Range::whole(19, 19, "overflow"));
        untold.add(Range::whole(11, 11, "refused"));
        let expected = vec![
            (1, 9, 9, "overflow"),
            (10, 11, 2, "refused"),
            (19, 20, 2, "overflow"),
        ];
        assert_eq!(all(untold), expected);
    }

    #[test]
    fn every_order_of_single_numbers_is_one_range() {
        // A number that is prime to 101 visits all of them in an order of its own.
        for step in 1..101 {
            let mut untold = Untold::default();
            for number in 0..101 {
                let seq = 1 + number * step % 101;
                untold.add(Range::whole(seq, seq, "overflow"));
            }
            assert_eq!(all(untold), [(1, 101, 101, "overflow")], "{step}");
        }
    }

    #[test]
    fn only_so_many_are_kept_apart_and_none_is_forgotten() {
        let mut untold = Untold::default();
        let dropped: Vec<u64> = (1..=2 * MAX as u64).map(|at| at * at).collect();
        for seq in &dropped {
            untold.add(Range::whole(*seq, *seq, "refused"));
        }
        let ranges = all(untold);
        assert_eq!(ranges.len(), MAX);
        let covered = |seq: &&u64| {
            ranges
                .iter()
                .any(|(first, last, ..)| (first..=last).contains(seq))
        };
        assert_eq!(dropped.iter().filter(covered).count(), dropped.len());
        let records: u64 = ranges.iter().map(|(.., records, _)| records).sum();
        assert_eq!(records, dropped.len() as u64);
    }
}
