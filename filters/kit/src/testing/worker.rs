//! A worker in memory: what a filter does on a tick and with an answer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::{Names, Shared};
use crate::exchange::{
    Callout, CalloutAnswer, CalloutError, CalloutId, Callouts, Clock, ExchangeId, Log, Metrics,
    NotWritten, Randomness, Resume, SharedData, Version, Worker,
};
use crate::headers::Headers;
use crate::metrics::MetricId;

/// A callout that waits for its answer.
#[derive(Clone, Debug)]
pub struct Sent {
    pub id: CalloutId,
    pub cluster: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub timeout_ms: u32,
}

impl Sent {
    /// A header's value as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.headers.get(name)?).ok()
    }
}

/// One worker outside of any request.
#[derive(Debug, Default)]
pub struct FakeWorker {
    /// Nanoseconds since the epoch; set it to let time pass.
    pub now: Cell<u64>,
    pub seed: Cell<u64>,
    pub counts: RefCell<BTreeMap<String, u64>>,
    pub gauges: RefCell<BTreeMap<String, i64>>,
    pub shared: Shared,
    pub logs: RefCell<Vec<(log::Level, String)>>,
    /// Whether lines below warnings are not written.
    pub mutes: Cell<bool>,
    /// The callouts that were not taken with [`FakeWorker::sent`] yet.
    pub callouts: Vec<Sent>,
    /// The requests that were let go on.
    pub resumed: Vec<(ExchangeId, Resume)>,
    /// Callouts are refused so.
    pub refuses: Option<CalloutError>,
    names: Names,
    ids: u32,
}

impl FakeWorker {
    /// One that knows the metrics defined there; see [`super::Bench::names`].
    pub fn new(names: &Names) -> Self {
        Self {
            now: Cell::new(1_700_000_000_000_000_000),
            names: names.clone(),
            ..Self::default()
        }
    }

    pub fn pass_ms(&self, milliseconds: u64) {
        self.now.set(self.now.get() + milliseconds * 1_000_000);
    }

    /// Takes the callouts that were made.
    pub fn sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.callouts)
    }

    /// The count of a metric by its full name, labels included.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.borrow().get(name).copied().unwrap_or_default()
    }

    pub fn gauge(&self, name: &str) -> i64 {
        self.gauges.borrow().get(name).copied().unwrap_or_default()
    }

    fn name(&self, metric: MetricId) -> Option<String> {
        let id = usize::try_from(metric.0?).ok()?;
        self.names.0.borrow().get(id).cloned()
    }
}

/// An answer with these header lines, `:status` among them, and this body.
pub fn answer(lines: &[(&str, &str)], body: &[u8]) -> CalloutAnswer {
    CalloutAnswer {
        headers: Headers::from_lines(lines.iter().copied()),
        body: body.to_vec(),
    }
}

impl Clock for FakeWorker {
    fn now(&self) -> u64 {
        self.now.get()
    }
}

impl Randomness for FakeWorker {
    fn fill(&self, out: &mut [u8]) {
        super::fake::draw(&self.seed, out);
    }
}

impl SharedData for FakeWorker {
    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, Version)>, NotWritten> {
        self.shared.shared(key)
    }

    fn share(&self, key: &[u8], value: &[u8], version: Version) -> Result<(), NotWritten> {
        self.shared.share(key, value, version)
    }
}

impl Metrics for FakeWorker {
    fn increment(&self, metric: MetricId, by: u64) {
        if let Some(name) = self.name(metric) {
            *self.counts.borrow_mut().entry(name).or_default() += by;
        }
    }

    fn adjust(&self, gauge: MetricId, by: i64) {
        if let Some(name) = self.name(gauge) {
            *self.gauges.borrow_mut().entry(name).or_default() += by;
        }
    }

    fn record(&self, metric: MetricId, value: u64) {
        if let Some(name) = self.name(metric) {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            self.gauges.borrow_mut().insert(name, value);
        }
    }
}

impl Log for FakeWorker {
    fn log(&self, level: log::Level, line: &str) {
        if self.writes(level) {
            self.logs.borrow_mut().push((level, line.to_owned()));
        }
    }

    fn writes(&self, level: log::Level) -> bool {
        level <= log::Level::Warn || !self.mutes.get()
    }
}

impl Callouts for FakeWorker {
    fn call(&mut self, callout: Callout<'_>) -> Result<CalloutId, CalloutError> {
        if let Some(why) = self.refuses {
            return Err(why);
        }
        self.ids += 1;
        let id = CalloutId(self.ids);
        self.callouts.push(Sent {
            id,
            cluster: callout.cluster.to_owned(),
            headers: Headers::from_lines(callout.headers.iter().copied()),
            body: callout.body.to_vec(),
            timeout_ms: callout.timeout_ms,
        });
        Ok(id)
    }
}

impl Worker for FakeWorker {
    fn resume(&mut self, request: ExchangeId, how: Resume) {
        self.resumed.push((request, how));
    }
}
