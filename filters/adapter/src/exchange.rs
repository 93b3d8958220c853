//! One request on host calls.

use std::rc::Rc;

use portcullis_kit::Headers;
use portcullis_kit::exchange::{
    Callout, CalloutError, CalloutId, Callouts, Clock, Exchange, ExchangeId, Facts, Log, Metrics,
    NotWritten, Properties, Randomness, Reply, SharedData, Version,
};
use portcullis_kit::headers::{is_safe_value, serialize};
use portcullis_kit::metrics::MetricId;
use portcullis_kit::property::REQUEST_ID;

use crate::callout::Caller;
use crate::host::{self, Buffer, Map, Refused};
use crate::{callout, gauges, randomness, shared};

/// Which header maps the host lets us touch. Out of phase its calls fail, so they are not made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Request,
    /// Envoy takes the request's headers away once their callback is over.
    RequestBody,
    Response,
    /// The response's headers may have left already.
    ResponseBody,
    /// As in the body's callbacks, but that headers that wait can still be replied to.
    ResponseTrailers,
    /// After the end: both maps can be read, none changed.
    Finished,
}

/// What is remembered of a request between callbacks.
#[derive(Default)]
pub struct State {
    phase: Phase,
    request: Option<Rc<Headers>>,
    response: Option<Rc<Headers>>,
    /// A reply that takes the response's place when the callback ends; its headers are then `response`.
    replacement: Option<Reply>,
    facts: Facts,
    /// Filter state that filters of this plugin set.
    published: Headers,
}

impl State {
    /// Goes to a phase. The maps read before are dropped: they may have changed since, and a long response should not
    /// hold the request's headers.
    pub fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.request = None;
        self.response = None;
    }
}

/// Which contexts a request belongs to, and who gets the answers to its callouts.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub id: u32,
    pub root_id: u32,
    pub caller: &'a dyn Fn() -> Rc<dyn Caller>,
}

/// A request on the host.
pub struct HostExchange<'a> {
    pub state: &'a mut State,
    pub place: Place<'a>,
    /// See [`portcullis_kit::chain::Bundle::SHARES_RESPONSE`].
    pub shares_response: bool,
    /// Counts effects that the host refused.
    pub refused: MetricId,
}

impl HostExchange<'_> {
    fn note(&self, result: Result<(), Refused>) -> bool {
        if result.is_err() {
            self.increment(self.refused, 1);
        }
        result.is_ok()
    }

    fn cache(&mut self, map: Map) -> &mut Option<Rc<Headers>> {
        match map {
            Map::Request => &mut self.state.request,
            _ => &mut self.state.response,
        }
    }

    fn readable(&self, map: Map) -> bool {
        match map {
            Map::Request => matches!(self.state.phase, Phase::Request | Phase::Finished),
            _ => !matches!(self.state.phase, Phase::Request | Phase::RequestBody),
        }
    }

    fn changeable(&self, map: Map) -> bool {
        self.readable(map) && self.state.phase != Phase::Finished
    }

    fn all(&mut self, map: Map) -> Rc<Headers> {
        if !self.readable(map) {
            return Rc::default();
        }
        if let Some(headers) = self.cache(map) {
            return Rc::clone(headers);
        }
        let headers = host::header_map(map)
            .ok()
            .and_then(Headers::from_serialized)
            .unwrap_or_default();
        let headers = Rc::new(headers);
        *self.cache(map) = Some(Rc::clone(&headers));
        headers
    }

    fn one(&mut self, map: Map, name: &str) -> Option<Vec<u8>> {
        if !self.readable(map) {
            return None;
        }
        match self.cache(map) {
            Some(headers) => headers.get(name).map(<[u8]>::to_vec),
            None => host::header(map, name).ok(),
        }
    }

    /// Does one change on the host, and sees to it that later reads know.
    fn change(
        &mut self,
        map: Map,
        value: &[u8],
        on_host: impl FnOnce() -> Result<(), Refused>,
        in_cache: impl FnOnce(&mut Headers),
    ) {
        if !self.changeable(map) || !is_safe_value(value) {
            self.increment(self.refused, 1);
            return;
        }
        if self.state.replacement.is_some() {
            // The response on the host goes nowhere.
            if let Some(headers) = &mut self.state.response {
                in_cache(Rc::make_mut(headers));
            }
            return;
        }
        let done = on_host();
        if !self.note(done) {
            return;
        }
        match map {
            // Later filters of a chain read what earlier ones wrote, so the one map that was read is kept up to date.
            Map::Request => {
                if let Some(headers) = &mut self.state.request {
                    in_cache(Rc::make_mut(headers));
                }
            }
            // Filters write many response headers and hardly ever read after that: then it is read again.
            _ => self.state.response = None,
        }
    }

    fn set(&mut self, map: Map, name: &str, value: &[u8]) {
        self.change(
            map,
            value,
            || host::set_header(map, name, value),
            |headers| headers.set(name, value),
        );
    }

    fn add(&mut self, map: Map, name: &str, value: &[u8]) {
        self.change(
            map,
            value,
            || host::add_header(map, name, value),
            |headers| headers.add(name, value),
        );
    }

    /// Sends the reply that takes the response's place, with what the filters made of its headers.
    #[inline(never)]
    pub fn send_replacement(&mut self) {
        let Some(reply) = self.state.replacement.take() else {
            return;
        };
        let headers = self.state.response.take().unwrap_or_default();
        // The status is an argument of its own.
        let lines = headers.iter().filter(|(name, _)| *name != b":status");
        self.send(&reply, &serialize(lines));
    }

    #[inline(never)]
    fn send(&self, reply: &Reply, headers: &[u8]) {
        let done = host::reply(
            reply.status,
            reply.details,
            headers,
            &reply.body,
            reply.grpc_status.map_or(-1, i32::from),
        );
        self.note(done);
    }

    fn remove(&mut self, map: Map, name: &str) {
        self.change(
            map,
            b"",
            || host::remove_header(map, name),
            |headers| headers.remove(name),
        );
    }
}

impl Clock for HostExchange<'_> {
    fn now(&self) -> u64 {
        host::now()
    }
}

impl Randomness for HostExchange<'_> {
    fn fill(&self, out: &mut [u8]) {
        randomness::fill(out);
    }
}

impl Properties for HostExchange<'_> {
    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        if let [key] = path
            && let Some(value) = self.state.published.get(key)
        {
            return Some(value.to_vec());
        }
        host::property(path).ok()
    }
}

impl SharedData for HostExchange<'_> {
    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, Version)>, NotWritten> {
        shared::get(key)
    }

    fn share(&self, key: &[u8], value: &[u8], version: Version) -> Result<(), NotWritten> {
        shared::set(key, value, version)
    }
}

impl Metrics for HostExchange<'_> {
    fn increment(&self, metric: MetricId, by: u64) {
        if let Some(id) = metric.0 {
            let _ = host::increment_metric(id, i64::try_from(by).unwrap_or(i64::MAX));
        }
    }

    fn adjust(&self, gauge: MetricId, by: i64) {
        if let Some(id) = gauge.0 {
            let _ = host::increment_metric(id, by);
        }
    }

    fn hold(&self, gauge: MetricId, by: i64) {
        gauges::hold(gauge, by);
    }

    fn record(&self, metric: MetricId, value: u64) {
        if let Some(id) = metric.0 {
            let _ = host::record_metric(id, value);
        }
    }
}

impl Log for HostExchange<'_> {
    fn log(&self, level: log::Level, line: &str) {
        host::log(level, line);
    }

    fn writes(&self, level: log::Level) -> bool {
        host::writes(level)
    }
}

impl Callouts for HostExchange<'_> {
    fn call(&mut self, callout: Callout<'_>) -> Result<CalloutId, CalloutError> {
        // The ABI leaves open whether what an HTTP context called outlives it.
        let Place {
            id,
            root_id,
            caller,
        } = self.place;
        host::set_effective_context(root_id).map_err(|_| CalloutError::Unavailable)?;
        let called = callout::send(callout, root_id, caller());
        let _ = host::set_effective_context(id);
        called
    }
}

impl Exchange for HostExchange<'_> {
    fn id(&self) -> ExchangeId {
        ExchangeId(self.place.id)
    }

    fn request(&mut self) -> Rc<Headers> {
        self.all(Map::Request)
    }

    fn request_header(&mut self, name: &str) -> Option<Vec<u8>> {
        self.one(Map::Request, name)
    }

    fn set_request_header(&mut self, name: &str, value: &[u8]) {
        self.set(Map::Request, name, value);
    }

    fn add_request_header(&mut self, name: &str, value: &[u8]) {
        self.add(Map::Request, name, value);
    }

    fn remove_request_header(&mut self, name: &str) {
        self.remove(Map::Request, name);
    }

    fn response_status(&mut self) -> Option<u16> {
        // At the end hardly anyone reads the others.
        let value = if self.shares_response && self.state.phase != Phase::Finished {
            self.response().get(":status")?.to_vec()
        } else {
            self.response_header(":status")?
        };
        std::str::from_utf8(&value).ok()?.parse().ok()
    }

    fn response(&mut self) -> Rc<Headers> {
        self.all(Map::Response)
    }

    fn response_header(&mut self, name: &str) -> Option<Vec<u8>> {
        self.one(Map::Response, name)
    }

    fn set_response_header(&mut self, name: &str, value: &[u8]) {
        self.set(Map::Response, name, value);
    }

    fn add_response_header(&mut self, name: &str, value: &[u8]) {
        self.add(Map::Response, name, value);
    }

    fn remove_response_header(&mut self, name: &str) {
        self.remove(Map::Response, name);
    }

    fn remove_response_trailers(&mut self) {
        let done = match self.state.phase {
            Phase::ResponseTrailers => host::clear(Map::ResponseTrailers),
            _ => Err(Refused::OUT_OF_PHASE),
        };
        self.note(done);
    }

    fn request_body(&mut self, start: usize, len: usize) -> Vec<u8> {
        host::buffer(Buffer::RequestBody, start, len).unwrap_or_default()
    }

    fn response_body(&mut self, start: usize, len: usize) -> Vec<u8> {
        host::buffer(Buffer::ResponseBody, start, len).unwrap_or_default()
    }

    fn replace_response_body(&mut self, start: usize, len: usize, by: &[u8]) {
        let done = host::set_buffer(Buffer::ResponseBody, start, len, by);
        self.note(done);
    }

    fn reply(&mut self, mut reply: Reply) {
        match self.state.phase {
            Phase::Request | Phase::ResponseTrailers => {
                reply.headers.retain_safe();
                self.send(&reply, &reply.headers.to_serialized());
            }
            Phase::Response => {
                self.state.response = Some(Rc::new(reply.to_response()));
                self.state.replacement = Some(reply);
            }
            Phase::RequestBody | Phase::ResponseBody | Phase::Finished => {
                self.increment(self.refused, 1)
            }
        }
    }

    fn set_filter_state(&mut self, key: &str, value: &[u8]) {
        let done = host::set_property(key, value);
        // The filters of a chain read what the others published. The request id stands in the facts.
        if self.note(done) && self.shares_response && key != REQUEST_ID {
            self.state.published.set(key, value);
        }
    }

    fn set_log_state(&mut self, key: &str, value: &[u8]) -> bool {
        let done = host::set_property(key, value);
        self.note(done)
    }

    fn facts(&mut self) -> &mut Facts {
        &mut self.state.facts
    }
}
