//! Which batch goes to which sink now.

use crate::exchange::{Callout, Worker};

use super::batch::{Batch, Progress};
use super::exporter::Encoders;
use super::plan::{Plan, Target};
use super::state::{Call, State};
use super::{Encode, Record};

const MILLISECOND: u64 = 1_000_000;
/// A host ends a callout at its timeout; what it forgot is given up this much later.
const GRACE: u64 = 10_000 * MILLISECOND;

impl<R: Record> State<R> {
    /// Sends what is due to each sink that may be asked. `flush`: batches that are not full are due, too.
    pub fn send(
        &mut self,
        plan: &Plan,
        encoders: &Encoders<R>,
        flush: bool,
        worker: &mut dyn Worker,
    ) {
        let now = self.clock.at(worker.now());
        let max = plan.terms.batch.max_in_flight;
        let sinks = plan.terms.sinks.iter().zip(encoders.iter()).enumerate();
        for (sink, (target, encoder)) in sinks {
            while self.sinks.get(sink).is_some_and(|s| s.room(max, now) > 0) {
                let Some(at) = self.next(plan, sink, flush, now) else {
                    break;
                };
                if !self.send_to(plan, sink, target, encoder.as_ref(), at, now, worker) {
                    break;
                }
            }
        }
    }

    /// The batch that a sink gets next. One that never failed goes to a sink that is down, as a trial: what made it fail may
    /// be in a batch. One that is well gets batches that failed and such that did not in turn, each kind the oldest
    /// first: neither waits for a time in which there is none of the other.
    fn next(&mut self, plan: &Plan, sink: usize, flush: bool, now: u64) -> Option<usize> {
        let state = self.sinks.get(sink)?;
        let (is_well, failed_first) = (state.is_well(), state.owes_failed());
        let attempts = |batch: &Batch<R>| {
            let leg = batch.legs.get(sink)?;
            let waits = leg.progress == Progress::Pending && leg.not_before <= now;
            waits.then_some((leg.attempts, leg.is_next))
        };
        let waiting = self.batches.iter().map(attempts).enumerate();
        let (mut fresh, mut failed) = (None, None);
        for (at, waits) in waiting {
            let Some((attempts, is_next)) = waits else {
                continue;
            };
            if is_next {
                return Some(at);
            }
            if attempts == 0 {
                fresh = fresh.or(Some(at));
                continue;
            }
            // By their age; while it is down, each in its turn.
            let key = (if is_well { 0 } else { attempts }, at);
            failed = Some(failed.map_or(key, |other: (u32, usize)| other.min(key)));
        }
        let failed = failed.map(|(_, at)| at);
        if failed_first && failed.is_some() {
            return failed;
        }
        if fresh.is_some() || !self.is_due(plan, flush, now) {
            return fresh.or(failed);
        }
        let limits = &plan.terms.batch;
        let records = self
            .queue
            .take(limits.max_records as usize, limits.max_bytes as usize);
        let id = self.next_batch_id();
        self.batches
            .push(Batch::new(id, records, plan.terms.sinks.len()));
        self.batches.len().checked_sub(1)
    }

    /// Whether the queue holds a full batch, one that waited long enough, or one that somebody waits for.
    fn is_due(&self, plan: &Plan, flush: bool, now: u64) -> bool {
        let batch = &plan.terms.batch;
        let Some(oldest) = self.queue.oldest() else {
            return false;
        };
        flush
            || self.queue.is_urgent()
            || self.queue.len() >= batch.max_records as usize
            || self.queue.bytes() >= batch.max_bytes as usize
            || now.saturating_sub(oldest) >= u64::from(batch.interval_ms) * MILLISECOND
    }

    /// Sends one batch; whether the host took the callout.
    #[allow(clippy::too_many_arguments)]
    fn send_to(
        &mut self,
        plan: &Plan,
        sink: usize,
        target: &Target,
        encoder: &dyn Encode<R>,
        at: usize,
        now: u64,
        worker: &mut dyn Worker,
    ) -> bool {
        let (Some(batch), Some(state)) = (self.batches.get_mut(at), self.sinks.get_mut(sink))
        else {
            return false;
        };
        let Some(leg) = batch.legs.get_mut(sink) else {
            return false;
        };
        if let Some(tally) = self.tally.sinks.get_mut(sink) {
            tally.batches = tally.batches.saturating_add(1);
            tally.retries = tally.retries.saturating_add(u64::from(leg.attempts > 0));
        }
        state.sends(leg.attempts > 0);
        let is_fresh = leg.attempts == 0 && leg.strikes == 0;
        leg.is_next = false;
        leg.attempts = leg.attempts.saturating_add(1);
        match call(target, encoder, &batch.records, worker) {
            Some(id) => {
                leg.progress = Progress::InFlight;
                state.in_flight = state.in_flight.saturating_add(1);
                let timeout = u64::from(target.timeout_ms) * MILLISECOND;
                self.calls.push(Call {
                    id,
                    sink,
                    batch: batch.id,
                    records: batch.records.len(),
                    was_well: state.is_well(),
                    is_fresh,
                    deadline: now.saturating_add(timeout).saturating_add(GRACE),
                });
                true
            }
            None => {
                state.failed(plan, None, 0, now, worker);
                false
            }
        }
    }
}

fn call<R>(
    target: &Target,
    encoder: &dyn Encode<R>,
    records: &[R],
    worker: &mut dyn Worker,
) -> Option<crate::exchange::CalloutId> {
    let mut body = Vec::new();
    encoder.encode(records, &mut body);
    let mut signed = Vec::new();
    encoder.sign(&body, &mut signed);
    let mut headers = vec![
        (":method", "POST"),
        (":path", target.path.as_str()),
        (":authority", target.authority.as_str()),
        ("content-type", encoder.content_type()),
    ];
    let own = target.headers.iter();
    headers.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
    headers.extend(signed.iter().map(|(name, value)| (*name, value.as_str())));
    let callout = Callout {
        cluster: &target.cluster,
        headers: &headers,
        body: &body,
        timeout_ms: target.timeout_ms,
    };
    worker.call(callout).ok()
}
