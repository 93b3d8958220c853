//! What an exporter holds, and what becomes of it.

use crate::exchange::{CalloutAnswer, CalloutId, Worker};

use super::Record;
use super::batch::{Batch, Progress, Verdict};
use super::clock::Steady;
use super::exporter::{Encoders, Pushed, Settled};
use super::metrics::{Reason, Tally};
use super::plan::Plan;
use super::queue::Queue;
use super::retry::{Outcome, backoff};
use super::settings::{Ack, Overflow};
use super::sink::{Sink, random};

/// So often a batch may fail at a sink that takes most others, before the fault is sought in its records.
const MAX_STRIKES: u32 = 8;
/// So often a record that stands alone may, before it is given up. A sink that fails by chance must not get there: where it
/// fails every second batch, one record in 10^15 does.
const MAX_STRIKES_ALONE: u32 = 32;

/// How much is held.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    pub records: usize,
    pub bytes: usize,
}

/// A batch on its way to a sink.
#[derive(Debug)]
pub struct Call {
    pub id: CalloutId,
    pub sink: usize,
    pub batch: u32,
    pub records: usize,
    /// Whether the sink was well when it was sent.
    pub was_well: bool,
    /// Whether it never had the batch before, nor one that this is a part of.
    pub is_fresh: bool,
    /// When an answer must have come; the host ends callouts of its own accord long before.
    pub deadline: u64,
}

/// What an exporter holds. `bytes` and `records` of [`State::held`] are those of the queue and of all batches.
#[derive(Debug)]
pub struct State<R> {
    pub held: Held,
    pub queue: Queue<R>,
    /// The oldest first.
    pub batches: Vec<Batch<R>>,
    pub sinks: Vec<Sink>,
    pub calls: Vec<Call>,
    pub tally: Tally,
    pub settled: Option<Vec<Settled<R>>>,
    pub clock: Steady,
    batch_ids: u32,
    drops_told_at: Option<u64>,
}

impl<R> Default for State<R> {
    fn default() -> Self {
        Self {
            held: Held::default(),
            queue: Queue::default(),
            batches: Vec::new(),
            sinks: Vec::new(),
            calls: Vec::new(),
            tally: Tally::default(),
            settled: None,
            clock: Steady::default(),
            batch_ids: 0,
            drops_told_at: None,
        }
    }
}

impl<R: Record> State<R> {
    pub fn new(plan: &Plan) -> Self {
        let sinks = plan.terms.sinks.len();
        Self {
            sinks: (0..sinks).map(|_| Sink::default()).collect(),
            tally: Tally::of(sinks),
            ..Self::default()
        }
    }

    pub fn is_done(&self) -> bool {
        self.held.records == 0
            && self.tally.is_settled()
            && self
                .settled
                .as_ref()
                .is_none_or(|settled| settled.is_empty() && self.tally.retried == 0)
    }

    /// The ends of records that nobody asked for yet.
    pub fn take_settled(&mut self) -> Vec<Settled<R>> {
        let settled = self.settled.as_mut();
        settled.map(std::mem::take).unwrap_or_default()
    }

    /// Puts those of an earlier exporter before our own, and counts what it sent again as ours.
    pub fn inherit(&mut self, earlier: &mut Self) {
        self.tally.retried += std::mem::take(&mut earlier.tally.retried);
        let mut earlier = earlier.take_settled();
        if let Some(settled) = &mut self.settled {
            earlier.append(settled);
            *settled = earlier;
        }
    }

    pub fn has_room(&self, plan: &Plan, size: usize) -> bool {
        let limit = &plan.terms.queue;
        self.held.records < limit.max_records as usize
            && self.held.bytes.saturating_add(size) <= limit.max_bytes as usize
    }

    pub fn push(&mut self, plan: &Plan, record: R, wall: u64) -> Pushed {
        let now = self.clock.at(wall);
        let size = record.size();
        if size > plan.terms.queue.max_bytes as usize {
            self.dropped(vec![record], Reason::TooLarge);
            return Pushed::Dropped;
        }
        while !self.has_room(plan, size) {
            let (reason, pushed) = match plan.terms.queue.overflow {
                Overflow::DropOldest if self.could_have_room(plan, size) && self.evict() => {
                    continue;
                }
                Overflow::DropOldest | Overflow::DropNewest => (Reason::Overflow, Pushed::Dropped),
                Overflow::Deny => (Reason::Denied, Pushed::Denied),
            };
            self.dropped(vec![record], reason);
            return pushed;
        }
        self.held.records += 1;
        self.held.bytes += size;
        self.queue.push(record, now);
        Pushed::Queued
    }

    /// Whether a record of that size would fit if all that is not on its way were dropped.
    fn could_have_room(&self, plan: &Plan, size: usize) -> bool {
        let limit = &plan.terms.queue;
        let flying = self.batches.iter().filter(|batch| batch.is_in_flight());
        let flying = flying.flat_map(|batch| &batch.records);
        let (records, bytes) = flying.fold((0, size), |(records, bytes), record| {
            (records + 1, bytes.saturating_add(record.size()))
        });
        records < limit.max_records as usize && bytes <= limit.max_bytes as usize
    }

    /// Drops the oldest record that is not on its way; whether there was one.
    fn evict(&mut self) -> bool {
        let waits = |batch: &Batch<R>| !batch.is_in_flight() && !batch.records.is_empty();
        let oldest = match self.batches.iter().position(waits) {
            Some(at) => self
                .batches
                .get_mut(at)
                .map(|batch| batch.records.remove(0)),
            None => self.queue.pop(),
        };
        self.batches.retain(|batch| !batch.records.is_empty());
        let Some(oldest) = oldest else {
            return false;
        };
        self.release(std::slice::from_ref(&oldest));
        self.dropped(vec![oldest], Reason::Overflow);
        true
    }

    fn release(&mut self, records: &[R]) {
        let bytes = records.iter().map(Record::size).sum();
        self.held.records = self.held.records.saturating_sub(records.len());
        self.held.bytes = self.held.bytes.saturating_sub(bytes);
    }

    fn dropped(&mut self, records: Vec<R>, reason: Reason) {
        self.tally.dropped(reason, records.len());
        if let Some(settled) = &mut self.settled {
            settled.push(Settled::Dropped { records, reason });
        }
    }

    pub fn next_batch_id(&mut self) -> u32 {
        self.batch_ids = self.batch_ids.wrapping_add(1);
        self.batch_ids
    }

    /// Takes an answer to a callout; whether it was one of ours.
    pub fn answered(
        &mut self,
        plan: &Plan,
        encoders: &Encoders<R>,
        id: CalloutId,
        answer: &CalloutAnswer,
        worker: &mut dyn Worker,
    ) -> bool {
        let Some(at) = self.calls.iter().position(|call| call.id == id) else {
            return false;
        };
        let call = self.calls.swap_remove(at);
        let wall = worker.now();
        let outcome = Outcome::of(answer, wall);
        let rejected = match (outcome, encoders.get(call.sink)) {
            (Outcome::Accepted, Some(encoder)) => encoder.rejected(answer),
            _ => 0,
        };
        if let (Outcome::Accepted, Some(tally)) = (outcome, self.tally.sinks.get_mut(call.sink)) {
            tally.acknowledged_at = wall / 1_000_000_000;
        }
        let now = self.clock.at(wall);
        self.conclude(plan, &call, outcome, rejected, now, worker);
        true
    }

    /// Callouts that the host never answered count as failed.
    pub fn expire(&mut self, plan: &Plan, worker: &mut dyn Worker) {
        let now = self.clock.at(worker.now());
        let lost = |call: &Call| call.deadline < now;
        while let Some(at) = self.calls.iter().position(lost) {
            let call = self.calls.swap_remove(at);
            let outcome = Outcome::Retry {
                status: None,
                after: 0,
            };
            self.conclude(plan, &call, outcome, 0, now, worker);
        }
    }

    /// What an answer does to the sink and to the batch.
    fn conclude(
        &mut self,
        plan: &Plan,
        call: &Call,
        outcome: Outcome,
        rejected: u64,
        now: u64,
        worker: &mut dyn Worker,
    ) {
        let Some(sink) = self.sinks.get_mut(call.sink) else {
            return;
        };
        sink.in_flight = sink.in_flight.saturating_sub(1);
        let seen = sink.seen;
        let mut splits = false;
        match outcome {
            Outcome::Accepted => sink.accepted(),
            Outcome::Retry { status, after } => sink.failed(plan, status, after, now, worker),
            Outcome::Refused { status, content } => splits = sink.refused(status, content, now),
        }
        match outcome {
            Outcome::Accepted => sink.seen.taken += u64::from(call.is_fresh),
            Outcome::Retry { .. } => sink.seen.failed += u64::from(call.is_fresh),
            Outcome::Refused { .. } => {}
        }
        let seen_now = sink.seen;
        let Some(at) = self.batches.iter().position(|batch| batch.id == call.batch) else {
            // Another sink's acknowledgement was enough.
            if outcome != Outcome::Accepted {
                self.missed(call.sink, call.records);
            }
            return;
        };
        let Some(batch) = self.batches.get_mut(at) else {
            return;
        };
        let Some(leg) = batch.legs.get_mut(call.sink) else {
            return;
        };
        leg.progress = match outcome {
            Outcome::Accepted => {
                batch.rejected = batch.rejected.max(rejected.min(batch.records.len() as u64));
                Progress::Acknowledged
            }
            Outcome::Refused { .. } => Progress::Refused { content: splits },
            Outcome::Retry { status, after } => {
                if call.was_well {
                    // Its own wait, so that a batch which alone makes the sink fail does so ever more rarely.
                    leg.failures = leg.failures.saturating_add(1);
                    let wait = backoff(&plan.terms.retry, leg.failures, random(worker)).max(after);
                    leg.not_before = now.saturating_add(wait);
                    // 429 is about how much is sent.
                    if status != Some(429) && leg.strike(seen) {
                        leg.not_before = 0;
                    }
                }
                leg.seen = seen_now;
                let most = match batch.records.len() {
                    1 => MAX_STRIKES_ALONE,
                    _ => MAX_STRIKES,
                };
                if leg.strikes > most {
                    sink.absolve();
                    Progress::Refused { content: true }
                } else {
                    Progress::Pending
                }
            }
        };
        self.settle(plan.terms.ack, at);
    }

    /// Acknowledges, splits or drops a batch once it is decided.
    fn settle(&mut self, ack: Ack, at: usize) {
        let id = self.next_batch_id();
        let Some(batch) = self.batches.get_mut(at) else {
            return;
        };
        match batch.judge(ack) {
            Verdict::Wait => {}
            Verdict::Split => {
                let rest = batch.split(id);
                self.batches.insert(at + 1, rest);
            }
            Verdict::Drop => {
                let batch = self.batches.remove(at);
                self.release(&batch.records);
                self.dropped(batch.records, Reason::Refused);
            }
            Verdict::Acknowledged => {
                let batch = self.batches.remove(at);
                self.release(&batch.records);
                self.acknowledged(batch);
            }
        }
    }

    fn acknowledged(&mut self, batch: Batch<R>) {
        for (sink, leg) in batch.legs.iter().enumerate() {
            if matches!(leg.progress, Progress::Pending | Progress::Refused { .. }) {
                self.missed(sink, batch.records.len());
            }
        }
        let records = batch.records.len() as u64;
        // Some of those that a sink did not take may have been dropped since.
        let rejected = batch.rejected.min(records);
        let taken = records - rejected;
        self.tally.acknowledged = self.tally.acknowledged.saturating_add(taken);
        if rejected > 0 {
            let rejected = usize::try_from(rejected).unwrap_or(usize::MAX);
            self.tally.dropped(Reason::Rejected, rejected);
        }
        if let Some(settled) = &mut self.settled {
            settled.push(Settled::Acknowledged {
                records: batch.records,
                rejected,
            });
        }
    }

    fn missed(&mut self, sink: usize, records: usize) {
        if let Some(tally) = self.tally.sinks.get_mut(sink) {
            tally.missed = tally.missed.saturating_add(records as u64);
        }
    }

    /// Makes what is on its way pending again.
    pub fn recall(&mut self) {
        self.calls.clear();
        for sink in &mut self.sinks {
            sink.in_flight = 0;
        }
        for leg in self.batches.iter_mut().flat_map(|batch| &mut batch.legs) {
            if leg.progress == Progress::InFlight {
                leg.progress = Progress::Pending;
            }
        }
    }

    /// Gives away all that is held, the oldest first.
    pub fn empty(&mut self) -> Vec<R> {
        self.recall();
        let batches = self.batches.drain(..).flat_map(|batch| batch.records);
        let mut records: Vec<R> = batches.collect();
        records.extend(std::iter::from_fn(|| self.queue.pop()));
        self.held = Held::default();
        for tally in &mut self.tally.sinks {
            tally.down = false;
        }
        records
    }

    pub fn drop_all(&mut self, reason: Reason) {
        let records = self.empty();
        self.dropped(records, reason);
    }

    /// Puts what an earlier exporter held before our own, as far as there is room.
    pub fn prepend(&mut self, plan: &Plan, earlier: Vec<R>, wall: u64) {
        let mut own = std::mem::take(&mut self.queue);
        self.held.records = self.held.records.saturating_sub(own.len());
        self.held.bytes = self.held.bytes.saturating_sub(own.bytes());
        let own = std::iter::from_fn(move || own.pop());
        for record in earlier.into_iter().chain(own) {
            self.push(plan, record, wall);
        }
    }

    /// Tells the host what happened: counts, gauges, and changes of state in the log.
    pub fn tell(&mut self, plan: &Plan, worker: &mut dyn Worker) {
        let now = self.clock.at(worker.now());
        let targets = plan.terms.sinks.iter();
        let sinks = self.sinks.iter_mut().zip(&mut self.tally.sinks);
        for (target, (sink, tally)) in targets.zip(sinks) {
            sink.tell(plan, target, tally, self.held.records, now, worker);
        }
        self.tell_drops(plan, now, worker);
        self.hand_over(plan, worker);
        self.queue.shrink();
    }

    /// One line for all drops of a minute.
    fn tell_drops(&mut self, plan: &Plan, now: u64, worker: &mut dyn Worker) {
        const INTERVAL: u64 = 60_000_000_000;
        let too_soon = |told: u64| now.saturating_sub(told) < INTERVAL;
        if self.tally.untold == 0 || self.drops_told_at.is_some_and(too_soon) {
            return;
        }
        self.drops_told_at = Some(now);
        let dropped = std::mem::take(&mut self.tally.untold);
        let fields = [
            ("plugin", plan.filter.into()),
            ("what", plan.what.into()),
            ("dropped", dropped.into()),
            ("queued", self.held.records.into()),
        ];
        let line = crate::config::log_line("records_dropped", &fields);
        worker.log(log::Level::Warn, &line);
    }

    pub fn hand_over(&mut self, plan: &Plan, worker: &mut dyn Worker) {
        let held = self.held;
        self.tally
            .hand_over(&plan.metrics, held.records, held.bytes, worker);
    }
}
