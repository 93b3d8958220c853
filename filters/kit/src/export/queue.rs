//! What waits to be batched, oldest first.

use std::collections::VecDeque;

use super::Record;

/// Records with the time at which each one came.
#[derive(Debug)]
pub struct Queue<R> {
    records: VecDeque<(R, u64)>,
    bytes: usize,
    urgent: usize,
}

impl<R> Default for Queue<R> {
    fn default() -> Self {
        Self {
            records: VecDeque::new(),
            bytes: 0,
            urgent: 0,
        }
    }
}

impl<R: Record> Queue<R> {
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether somebody waits for one of them.
    pub fn is_urgent(&self) -> bool {
        self.urgent > 0
    }

    pub fn push(&mut self, record: R, now: u64) {
        self.bytes = self.bytes.saturating_add(record.size());
        self.urgent = self.urgent.saturating_add(usize::from(record.is_urgent()));
        self.records.push_back((record, now));
    }

    pub fn pop(&mut self) -> Option<R> {
        let (record, _) = self.records.pop_front()?;
        self.bytes = self.bytes.saturating_sub(record.size());
        self.urgent = self.urgent.saturating_sub(usize::from(record.is_urgent()));
        Some(record)
    }

    /// When the oldest one came.
    pub fn oldest(&self) -> Option<u64> {
        self.records.front().map(|(_, at)| *at)
    }

    /// Takes the oldest ones, as many as both limits allow, and at least one.
    pub fn take(&mut self, max_records: usize, max_bytes: usize) -> Vec<R> {
        let mut taken = Vec::with_capacity(max_records.min(self.len()));
        let mut bytes = 0_usize;
        while let Some((next, _)) = self.records.front() {
            bytes = bytes.saturating_add(next.size());
            if !taken.is_empty() && (taken.len() >= max_records || bytes > max_bytes) {
                break;
            }
            taken.extend(self.pop());
        }
        taken
    }

    /// Memory that a flood took is given back once it is over.
    pub fn shrink(&mut self) {
        if self.records.is_empty() && self.records.capacity() > 1024 {
            self.records = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(sizes: &[usize]) -> Queue<Box<[u8]>> {
        let mut queue = Queue::default();
        for (at, size) in (0..).zip(sizes) {
            queue.push(vec![0; *size].into(), at);
        }
        queue
    }

    #[test]
    fn a_batch_has_the_oldest_records_up_to_either_limit_and_never_none() {
        let taken = |sizes: &[usize], records, bytes| {
            let mut queue = filled(sizes);
            let taken: Vec<usize> = queue
                .take(records, bytes)
                .iter()
                .map(|record| record.len())
                .collect();
            assert_eq!(
                queue.bytes() + taken.iter().sum::<usize>(),
                sizes.iter().sum::<usize>()
            );
            taken
        };
        assert_eq!(taken(&[1, 2, 3], 2, 100), [1, 2]);
        assert_eq!(taken(&[1, 2, 3], 9, 3), [1, 2]);
        assert_eq!(taken(&[50, 1], 9, 3), [50]);
        assert_eq!(taken(&[], 9, 3), [0; 0]);
    }
}
