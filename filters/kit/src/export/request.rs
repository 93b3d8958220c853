//! Sending from within a request: what somebody waits for is not kept until the next tick.

use crate::exchange::{
    Callout, CalloutError, CalloutId, Callouts, Clock, Exchange, ExchangeId, Log, Metrics,
    NotWritten, Randomness, Resume, SharedData, Version, Worker,
};
use crate::metrics::MetricId;

use super::{Exporter, Record};

impl<R: Record> Exporter<R> {
    /// Sends what is due, urgent records first of all.
    pub fn send_from<X: Exchange>(&self, exchange: &mut X) {
        let mut worker = OfRequest(exchange);
        self.send_due(&mut worker);
    }

    #[inline(never)]
    fn send_due(&self, worker: &mut dyn Worker) {
        let mut state = self.state.borrow_mut();
        state.send(&self.plan, &self.encoders, false, worker);
    }
}

/// A request, which has all that sending asks of a worker.
struct OfRequest<'x, X: Exchange>(&'x mut X);

impl<X: Exchange> Clock for OfRequest<'_, X> {
    fn now(&self) -> u64 {
        self.0.now()
    }
}

impl<X: Exchange> Randomness for OfRequest<'_, X> {
    fn fill(&self, out: &mut [u8]) {
        self.0.fill(out);
    }
}

impl<X: Exchange> SharedData for OfRequest<'_, X> {
    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, Version)>, NotWritten> {
        self.0.shared(key)
    }

    fn share(&self, key: &[u8], value: &[u8], version: Version) -> Result<(), NotWritten> {
        self.0.share(key, value, version)
    }
}

impl<X: Exchange> Metrics for OfRequest<'_, X> {
    fn increment(&self, metric: MetricId, by: u64) {
        self.0.increment(metric, by);
    }

    fn adjust(&self, gauge: MetricId, by: i64) {
        self.0.adjust(gauge, by);
    }

    fn hold(&self, gauge: MetricId, by: i64) {
        self.0.hold(gauge, by);
    }

    fn record(&self, metric: MetricId, value: u64) {
        self.0.record(metric, value);
    }
}

impl<X: Exchange> Log for OfRequest<'_, X> {
    fn log(&self, level: log::Level, line: &str) {
        self.0.log(level, line);
    }

    fn writes(&self, level: log::Level) -> bool {
        self.0.writes(level)
    }
}

impl<X: Exchange> Callouts for OfRequest<'_, X> {
    fn call(&mut self, callout: Callout<'_>) -> Result<CalloutId, CalloutError> {
        self.0.call(callout)
    }
}

impl<X: Exchange> Worker for OfRequest<'_, X> {
    /// Sending lets no request go on.
    fn resume(&mut self, _: ExchangeId, _: Resume) {}
}
