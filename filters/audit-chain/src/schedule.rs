//! When a checkpoint is due.

/// Every so many records or so much time, whichever comes first. Time alone is enough: an idle emitter gives checkpoints too.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    every_records: u64,
    every_ms: u64,
    last_seq: u64,
    last_ms: u64,
}

impl Schedule {
    /// `seq` is where the chain stands now. A clock that counts from when it likes, in milliseconds.
    pub fn start(every_records: u64, every_ms: u64, seq: u64, now_ms: u64) -> Self {
        Self {
            every_records: every_records.max(1),
            every_ms: every_ms.max(1),
            last_seq: seq,
            last_ms: now_ms,
        }
    }

    /// Other terms; what was since the last checkpoint counts under them.
    pub fn set(&mut self, every_records: u64, every_ms: u64) {
        self.every_records = every_records.max(1);
        self.every_ms = every_ms.max(1);
    }

    /// Whether the next record should be a checkpoint. A clock that was set back starts the time anew.
    #[inline]
    pub fn is_due(&mut self, seq: u64, now_ms: u64) -> bool {
        if now_ms < self.last_ms {
            self.last_ms = now_ms;
        }
        seq.saturating_sub(self.last_seq) >= self.every_records
            || now_ms - self.last_ms >= self.every_ms
    }

    /// The record with this number was a checkpoint.
    pub fn done(&mut self, seq: u64, now_ms: u64) {
        self.last_seq = seq;
        self.last_ms = now_ms;
    }

    /// Milliseconds since the last checkpoint.
    pub fn age_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.last_ms)
    }
}
