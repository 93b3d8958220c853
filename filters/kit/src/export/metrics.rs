//! What is counted, and how it reaches the host.
//!
//! Counts are kept here and handed over on a tick or an answer, so that queueing a record costs no host call.

use crate::exchange::Worker;
use crate::filter::Compiling;
use crate::metrics::MetricId;

/// Why a record was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The queue was full.
    Overflow,
    /// The queue was full, and its policy is `deny`.
    Denied,
    /// It alone has more bytes than the queue may hold.
    TooLarge,
    /// The sink refused it by the answer's status.
    Refused,
    /// The sink took the batch, and said that it did not take that many of it.
    Rejected,
    /// Configurations followed one another faster than the sink took what the earlier ones left.
    Reload,
}

impl Reason {
    pub const ALL: [Self; 6] = [
        Self::Overflow,
        Self::Denied,
        Self::TooLarge,
        Self::Refused,
        Self::Rejected,
        Self::Reload,
    ];

    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Denied => "denied",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Reload => "reload",
        }
    }
}

/// The metrics of one exporter.
#[derive(Clone, Debug)]
pub struct Metrics {
    acknowledged: MetricId,
    dropped: Vec<(Reason, MetricId)>,
    queued: MetricId,
    queued_bytes: MetricId,
    sinks: Vec<SinkMetrics>,
}

#[derive(Clone, Debug)]
struct SinkMetrics {
    batches: MetricId,
    retries: MetricId,
    missed: MetricId,
    down: MetricId,
    last_acknowledged: MetricId,
}

impl Metrics {
    /// Defines them: `what` is what is delivered, `spans`.
    #[inline(never)]
    pub fn define(compiling: &Compiling<'_>, what: &str, sinks: &[&str]) -> Self {
        let name = |metric: &str| [what, "_", metric].concat();
        let dropped = |reason: Reason| {
            let labels = [("reason", reason.name())];
            (reason, compiling.counter(&name("dropped"), &labels))
        };
        let sink = |sink: &&str| {
            let labels = [("sink", *sink)];
            SinkMetrics {
                batches: compiling.counter(&name("batches"), &labels),
                retries: compiling.counter(&name("retries"), &labels),
                missed: match sinks.len() {
                    // A sink alone misses nothing that is not dropped.
                    0 | 1 => MetricId(None),
                    _ => compiling.counter(&name("missed"), &labels),
                },
                down: compiling.gauge(&name("sink_down"), &labels),
                last_acknowledged: compiling.gauge(&name("last_acknowledged_seconds"), &labels),
            }
        };
        Self {
            acknowledged: compiling.counter(&name("acknowledged"), &[]),
            dropped: Reason::ALL.into_iter().map(dropped).collect(),
            queued: compiling.gauge(&name("queued"), &[]),
            queued_bytes: compiling.gauge(&name("queued_bytes"), &[]),
            sinks: sinks.iter().map(sink).collect(),
        }
    }
}

/// What happened and the host does not know yet.
#[derive(Debug, Default)]
pub struct Tally {
    pub acknowledged: u64,
    dropped: [u64; Reason::ALL.len()],
    /// Drops that no log line told.
    pub untold: u64,
    /// Batches sent once more, until someone asks.
    pub retried: u64,
    pub sinks: Vec<SinkTally>,
    /// What the gauges hold of this exporter.
    gauges: (i64, i64),
}

#[derive(Clone, Debug, Default)]
pub struct SinkTally {
    pub batches: u64,
    pub retries: u64,
    pub missed: u64,
    pub down: bool,
    /// Seconds since the epoch.
    pub acknowledged_at: u64,
    /// What the gauge holds of this exporter.
    gauge: bool,
}

impl Tally {
    pub fn of(sinks: usize) -> Self {
        Self {
            sinks: vec![SinkTally::default(); sinks],
            ..Self::default()
        }
    }

    pub fn dropped(&mut self, reason: Reason, records: usize) {
        let records = records as u64;
        self.untold = self.untold.saturating_add(records);
        if let Some(count) = self.dropped.get_mut(reason as usize) {
            *count = count.saturating_add(records);
        }
    }

    /// Tells the host. Gauges move by what changed: each worker adds its own share.
    pub fn hand_over(
        &mut self,
        metrics: &Metrics,
        records: usize,
        bytes: usize,
        worker: &mut dyn Worker,
    ) {
        count(worker, metrics.acknowledged, &mut self.acknowledged);
        for ((_, metric), dropped) in metrics.dropped.iter().zip(&mut self.dropped) {
            count(worker, *metric, dropped);
        }
        let signed = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        let held = (signed(records), signed(bytes));
        adjust(worker, metrics.queued, held.0 - self.gauges.0);
        adjust(worker, metrics.queued_bytes, held.1 - self.gauges.1);
        self.gauges = held;
        for (metrics, sink) in metrics.sinks.iter().zip(&mut self.sinks) {
            count(worker, metrics.batches, &mut sink.batches);
            self.retried = self.retried.saturating_add(sink.retries);
            count(worker, metrics.retries, &mut sink.retries);
            count(worker, metrics.missed, &mut sink.missed);
            adjust(
                worker,
                metrics.down,
                i64::from(sink.down) - i64::from(sink.gauge),
            );
            sink.gauge = sink.down;
            let at = std::mem::take(&mut sink.acknowledged_at);
            if at > 0 {
                worker.record(metrics.last_acknowledged, at);
            }
        }
    }

    /// Whether the host knows it all, and its gauges hold nothing of this exporter.
    pub fn is_settled(&self) -> bool {
        let sink = |sink: &SinkTally| sink.batches == 0 && sink.missed == 0 && !sink.gauge;
        self.acknowledged == 0
            && self.dropped.iter().all(|count| *count == 0)
            && self.gauges == (0, 0)
            && self.sinks.iter().all(sink)
    }
}

fn count(worker: &dyn Worker, metric: MetricId, count: &mut u64) {
    let by = std::mem::take(count);
    if by > 0 {
        worker.increment(metric, by);
    }
}

fn adjust(worker: &dyn Worker, gauge: MetricId, by: i64) {
    if by != 0 {
        worker.hold(gauge, by);
    }
}
