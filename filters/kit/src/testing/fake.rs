//! One request and its response in memory, with all roles of a host.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::names::Names;
use super::shared::Shared;
use super::worker::Sent;
use crate::exchange::{
    Callout, CalloutError, CalloutId, Callouts, Clock, Exchange, ExchangeId, Facts, Log, Metrics,
    NotWritten, Properties, Randomness, Reply, SharedData, Version,
};
use crate::headers::{Headers, is_safe_value};
use crate::metrics::MetricId;

/// Which headers can be reached: as on a host, only those of the phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Request,
    Response,
    Finished,
}

/// One request in memory.
#[derive(Debug, Default)]
pub struct Fake {
    /// What [`Exchange::id`] gives.
    pub id: u32,
    /// Every callout is taken.
    pub sent: Vec<Sent>,
    pub phase: Phase,
    pub request: Headers,
    pub response: Headers,
    pub response_trailers: Headers,
    /// The piece of the request's body that a callback is about.
    pub request_body: Vec<u8>,
    pub body: Vec<u8>,
    /// By path joined with dots: `connection.tls_version`.
    pub properties: BTreeMap<String, Vec<u8>>,
    /// Nanoseconds since the epoch; set it to let time pass.
    pub now: Cell<u64>,
    /// Random bytes are a deterministic stream from this number.
    pub seed: Cell<u64>,
    pub counts: RefCell<BTreeMap<String, u64>>,
    pub gauges: RefCell<BTreeMap<String, i64>>,
    /// Clone it into another request to let both see the same data.
    pub shared: Shared,
    pub logs: RefCell<Vec<(log::Level, String)>>,
    /// Whether lines below warnings are not written.
    pub mutes: Cell<bool>,
    pub replies: Vec<Reply>,
    pub filter_state: BTreeMap<String, Vec<u8>>,
    /// As where a plugin is an access logger: there is no filter state.
    pub is_access_logger: bool,
    pub facts: Facts,
    /// How many reads returned bytes, as the host would count them.
    pub byte_reads: Cell<u32>,
    /// Effects that a host would refuse.
    pub refused: Cell<u32>,
    /// Whether a piece of the response's body waits: beside trailers, only then is there a buffer to write to.
    pub(super) body_waits: bool,
    pub(super) headers_wait: bool,
    pub(super) in_trailers: bool,
    pub(super) names: Names,
    first_call: u32,
    request_read: bool,
    response_read: bool,
}

impl Fake {
    /// A request with these lines; pseudo headers as the host gives them.
    pub fn request<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        lines: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self {
            request: Headers::from_lines(lines),
            now: Cell::new(1_700_000_000_000_000_000),
            ..Self::default()
        }
    }

    pub fn get(path: &str) -> Self {
        Self::request([
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "api.example.com"),
            (":path", path),
        ])
    }

    /// Numbers its callouts from this on, where those of several requests are told apart.
    pub fn calls_from(&mut self, first: u32) {
        self.first_call = first;
    }

    #[must_use]
    pub fn with_property(mut self, path: &str, value: impl AsRef<[u8]>) -> Self {
        self.properties
            .insert(path.to_owned(), value.as_ref().to_vec());
        self
    }

    /// Puts the upstream's response in place and goes to the response phase.
    pub fn respond<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        lines: impl IntoIterator<Item = (N, V)>,
    ) {
        self.response = Headers::from_lines(lines);
        self.phase = Phase::Response;
    }

    /// The count of a metric by its full name, labels included.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.borrow().get(name).copied().unwrap_or_default()
    }

    fn read(&self, value: Option<Vec<u8>>) -> Option<Vec<u8>> {
        // Nothing is handed over for an empty value.
        if value.as_ref().is_some_and(|value| !value.is_empty()) {
            self.byte_reads.set(self.byte_reads.get() + 1);
        }
        value
    }

    fn refuse(&self) {
        self.refused.set(self.refused.get() + 1);
    }

    fn can_change(&self, phase: Phase, value: &[u8]) -> bool {
        self.phase == phase && is_safe_value(value)
    }
}

/// splitmix64, a byte at a time: all that a test needs is that draws differ.
pub(super) fn draw(seed: &Cell<u64>, out: &mut [u8]) {
    for byte in out {
        let next = seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        seed.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        *byte = (mixed ^ (mixed >> 27)).to_le_bytes()[3];
    }
}

impl Clock for Fake {
    fn now(&self) -> u64 {
        self.now.get()
    }
}

impl Randomness for Fake {
    fn fill(&self, out: &mut [u8]) {
        draw(&self.seed, out);
    }
}

impl Properties for Fake {
    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        self.read(self.properties.get(&path.join(".")).cloned())
    }
}

impl SharedData for Fake {
    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, Version)>, NotWritten> {
        let found = self.shared.shared(key)?;
        if found.is_some() {
            self.byte_reads.set(self.byte_reads.get() + 1);
        }
        Ok(found)
    }

    fn share(&self, key: &[u8], value: &[u8], version: Version) -> Result<(), NotWritten> {
        self.shared.share(key, value, version)
    }
}

impl Metrics for Fake {
    fn increment(&self, metric: MetricId, by: u64) {
        let names = self.names.0.borrow();
        if let Some(name) = metric.0.and_then(|id| names.get(id as usize)) {
            *self.counts.borrow_mut().entry(name.clone()).or_default() += by;
        }
    }

    fn adjust(&self, gauge: MetricId, by: i64) {
        let names = self.names.0.borrow();
        if let Some(name) = gauge.0.and_then(|id| names.get(id as usize)) {
            *self.gauges.borrow_mut().entry(name.clone()).or_default() += by;
        }
    }

    fn record(&self, metric: MetricId, _: u64) {
        self.increment(metric, 1);
    }
}

impl Log for Fake {
    fn log(&self, level: log::Level, line: &str) {
        if self.writes(level) {
            self.logs.borrow_mut().push((level, line.to_owned()));
        }
    }

    fn writes(&self, level: log::Level) -> bool {
        level <= log::Level::Warn || !self.mutes.get()
    }
}

impl Callouts for Fake {
    fn call(&mut self, callout: Callout<'_>) -> Result<CalloutId, CalloutError> {
        let sent = u32::try_from(self.sent.len()).map_err(|_| CalloutError::Unavailable)?;
        let id = CalloutId(self.first_call.saturating_add(sent));
        self.sent.push(Sent {
            id,
            cluster: callout.cluster.to_owned(),
            headers: Headers::from_lines(callout.headers.iter().copied()),
            body: callout.body.to_vec(),
            timeout_ms: callout.timeout_ms,
        });
        Ok(id)
    }
}

impl Exchange for Fake {
    fn id(&self) -> ExchangeId {
        ExchangeId(self.id)
    }

    fn request(&mut self) -> Rc<Headers> {
        if self.phase == Phase::Response {
            return Rc::default();
        }
        if !self.request_read {
            self.request_read = true;
            self.byte_reads.set(self.byte_reads.get() + 1);
        }
        Rc::new(self.request.clone())
    }

    fn request_header(&mut self, name: &str) -> Option<Vec<u8>> {
        if self.phase == Phase::Response {
            return None;
        }
        let value = self.request.get(name).map(<[u8]>::to_vec);
        if self.request_read {
            value
        } else {
            self.read(value)
        }
    }

    fn set_request_header(&mut self, name: &str, value: &[u8]) {
        if self.can_change(Phase::Request, value) {
            self.request.set(name, value);
        }
    }

    fn add_request_header(&mut self, name: &str, value: &[u8]) {
        if self.can_change(Phase::Request, value) {
            self.request.add(name, value);
        }
    }

    fn remove_request_header(&mut self, name: &str) {
        if self.can_change(Phase::Request, b"") {
            self.request.remove(name);
        }
    }

    fn response(&mut self) -> Rc<Headers> {
        if self.phase == Phase::Request {
            return Rc::default();
        }
        if !self.response_read {
            self.response_read = true;
            self.byte_reads.set(self.byte_reads.get() + 1);
        }
        Rc::new(self.response.clone())
    }

    fn response_header(&mut self, name: &str) -> Option<Vec<u8>> {
        if self.phase == Phase::Request {
            return None;
        }
        let value = self.response.get(name).map(<[u8]>::to_vec);
        if self.response_read {
            value
        } else {
            self.read(value)
        }
    }

    fn set_response_header(&mut self, name: &str, value: &[u8]) {
        if self.can_change(Phase::Response, value) {
            self.response.set(name, value);
        }
    }

    fn add_response_header(&mut self, name: &str, value: &[u8]) {
        if self.can_change(Phase::Response, value) {
            self.response.add(name, value);
        }
    }

    fn remove_response_header(&mut self, name: &str) {
        if self.can_change(Phase::Response, b"") {
            self.response.remove(name);
        }
    }

    fn remove_response_trailers(&mut self) {
        if self.in_trailers {
            self.response_trailers = Headers::default();
        } else {
            self.refuse();
        }
    }

    fn request_body(&mut self, start: usize, len: usize) -> Vec<u8> {
        let end = start.saturating_add(len).min(self.request_body.len());
        let piece = self.request_body.get(start..end).map(<[u8]>::to_vec);
        self.read(piece).unwrap_or_default()
    }

    fn response_body(&mut self, start: usize, len: usize) -> Vec<u8> {
        let end = start.saturating_add(len).min(self.body.len());
        self.body.get(start..end).unwrap_or_default().to_vec()
    }

    fn replace_response_body(&mut self, start: usize, len: usize, by: &[u8]) {
        if self.in_trailers && !self.body_waits {
            return self.refuse();
        }
        let start = start.min(self.body.len());
        let end = start.saturating_add(len).min(self.body.len());
        self.body.splice(start..end, by.iter().copied());
    }

    fn reply(&mut self, reply: Reply) {
        if self.in_trailers && !self.headers_wait {
            return self.refuse();
        }
        if self.phase == Phase::Response {
            self.response = reply.to_response();
            self.body.clone_from(&reply.body);
        }
        self.replies.push(reply);
    }

    fn set_filter_state(&mut self, key: &str, value: &[u8]) {
        self.filter_state.insert(key.to_owned(), value.to_vec());
    }

    fn set_log_state(&mut self, key: &str, value: &[u8]) -> bool {
        if !self.is_access_logger {
            self.filter_state.insert(key.to_owned(), value.to_vec());
        }
        !self.is_access_logger
    }

    fn facts(&mut self) -> &mut Facts {
        &mut self.facts
    }
}
