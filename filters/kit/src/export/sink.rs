//! One sink as an exporter sees it: up or down, and when it may be asked again.

use std::cmp::Ordering;

use crate::config::log_line;
use crate::exchange::Worker;

use super::metrics::SinkTally;
use super::plan::{Plan, Target};
use super::retry::backoff;

/// A state that changes faster is told less often.
const LOG_INTERVAL: u64 = 10_000_000_000;
/// After so many refusals in a row it is not single records that a sink refuses, and nothing is split any more: more than
/// it takes to find one record in the largest batch.
const MAX_REFUSALS: u32 = 32;

/// How many batches a sink took and failed to take so far, of those that it never had before: what failed is sent again and
/// again, and would make a sink look worse than it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub taken: u64,
    pub failed: u64,
}

impl Seen {
    /// Whether it took more than it failed to take since it stood at `before`: `Greater`.
    pub fn since(self, before: Self) -> Ordering {
        let (taken, failed) = (self.taken - before.taken, self.failed - before.failed);
        taken.cmp(&failed)
    }
}

/// One sink's state.
#[derive(Debug, Default)]
pub struct Sink {
    pub in_flight: u32,
    /// In a row.
    failures: u32,
    /// In a row.
    refusals: u32,
    pub seen: Seen,
    /// Nothing is sent before this time.
    pub not_before: u64,
    /// Nor before this one, which it asked for itself: what it takes of what it already had does not end that.
    asked_until: u64,
    down_since: Option<u64>,
    /// What the last log line said, and when.
    told_down: bool,
    told_at: Option<u64>,
    /// Whether the last batch that it got was one that never failed.
    got_fresh: bool,
    /// The status that it went down with; `None`: no answer at all.
    status: Option<u16>,
}

impl Sink {
    /// How many more batches it may get now.
    pub fn room(&self, max_in_flight: u32, now: u64) -> u32 {
        if now < self.not_before {
            return 0;
        }
        // One that failed is tried with one batch at a time.
        let most = if self.failures > 0 { 1 } else { max_in_flight };
        most.saturating_sub(self.in_flight)
    }

    /// Whether its last answer was none that asks for another try.
    pub fn is_well(&self) -> bool {
        self.failures == 0
    }

    /// Whether it is the turn of a batch that failed before.
    pub fn owes_failed(&self) -> bool {
        self.is_well() && self.got_fresh
    }

    /// It gets a batch, which failed before or not.
    pub fn sends(&mut self, failed_before: bool) {
        self.got_fresh = !failed_before;
    }

    pub fn is_down(&self) -> bool {
        self.down_since.is_some()
    }

    pub fn accepted(&mut self) {
        self.absolve();
        self.refusals = 0;
        self.not_before = self.asked_until;
    }

    /// What it failed at turns out to be the batch's fault.
    pub fn absolve(&mut self) {
        self.failures = 0;
        self.down_since = None;
    }

    /// The batch is kept; the sink gets nothing until the wait is over.
    pub fn failed(
        &mut self,
        plan: &Plan,
        status: Option<u16>,
        after: u64,
        now: u64,
        worker: &mut dyn Worker,
    ) {
        self.failures = self.failures.saturating_add(1);
        let wait = backoff(&plan.terms.retry, self.failures, random(worker)).max(after);
        if after > 0 {
            self.asked_until = self.asked_until.max(now.saturating_add(after));
        }
        self.not_before = self.not_before.max(now.saturating_add(wait));
        self.go_down(status, now);
    }

    /// Whether what it refused may be split: `content`, it says that the records are wrong.
    pub fn refused(&mut self, status: u16, content: bool, now: u64) -> bool {
        // It does answer.
        self.failures = 0;
        self.refusals = self.refusals.saturating_add(1);
        let splits = content && self.refusals <= MAX_REFUSALS;
        if !splits {
            self.go_down(Some(status), now);
        }
        splits
    }

    fn go_down(&mut self, status: Option<u16>, now: u64) {
        self.down_since.get_or_insert(now);
        self.status = status;
    }

    /// Logs a change of state, not too often.
    pub fn tell(
        &mut self,
        plan: &Plan,
        target: &Target,
        tally: &mut SinkTally,
        queued: usize,
        now: u64,
        worker: &mut dyn Worker,
    ) {
        tally.down = self.is_down();
        let too_soon = |told: u64| now.saturating_sub(told) < LOG_INTERVAL;
        if self.is_down() == self.told_down || self.told_at.is_some_and(too_soon) {
            return;
        }
        self.told_down = self.is_down();
        self.told_at = Some(now);
        let (event, level) = match self.told_down {
            true => ("sink_down", log::Level::Warn),
            false => ("sink_up", log::Level::Info),
        };
        let mut fields = vec![
            ("plugin", plan.filter.into()),
            ("sink", target.name.into()),
            ("cluster", target.cluster.as_str().into()),
            ("queued", queued.into()),
        ];
        if self.told_down {
            fields.push(("status", self.status.into()));
        }
        worker.log(level, &log_line(event, &fields));
    }
}

/// Drawn of the host: failures are rare.
pub fn random(worker: &dyn Worker) -> u64 {
    let mut bytes = [0; 8];
    worker.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
