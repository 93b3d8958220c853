//! Shadow mode: a filter decides, counts and logs as ever, and its effects end here.

use std::rc::Rc;

use crate::exchange::{
    Callout, CalloutError, CalloutId, Callouts, Clock, Exchange, ExchangeId, Facts, Log, Metrics,
    NotWritten, Properties, Randomness, Reply, SharedData, Version,
};
use crate::filter::Flow;
use crate::headers::Headers;
use crate::metrics::MetricId;

/// An exchange that passes reads on, and effects only when it is open.
pub struct Gate<'a, X: Exchange> {
    inner: &'a mut X,
    open: bool,
    /// What a muted filter believes it found out must not reach filters that act.
    own_facts: Facts,
}

impl<'a, X: Exchange> Gate<'a, X> {
    pub fn new(inner: &'a mut X, open: bool) -> Self {
        Self {
            inner,
            open,
            own_facts: Facts::default(),
        }
    }

    /// A muted filter neither stops a request nor answers it.
    pub fn allow(&self, flow: Flow) -> Flow {
        if self.open { flow } else { Flow::Continue }
    }
}

impl<X: Exchange> Clock for Gate<'_, X> {
    fn now(&self) -> u64 {
        self.inner.now()
    }
}

impl<X: Exchange> Randomness for Gate<'_, X> {
    fn fill(&self, out: &mut [u8]) {
        self.inner.fill(out);
    }
}

impl<X: Exchange> Properties for Gate<'_, X> {
    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        self.inner.property(path)
    }
}

/// What filters remember is theirs: the client and the upstream cannot see it.
impl<X: Exchange> SharedData for Gate<'_, X> {
    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, Version)>, NotWritten> {
        self.inner.shared(key)
    }

    fn share(&self, key: &[u8], value: &[u8], version: Version) -> Result<(), NotWritten> {
        self.inner.share(key, value, version)
    }
}

impl<X: Exchange> Metrics for Gate<'_, X> {
    fn increment(&self, metric: MetricId, by: u64) {
        self.inner.increment(metric, by);
    }

    fn adjust(&self, gauge: MetricId, by: i64) {
        self.inner.adjust(gauge, by);
    }

    fn hold(&self, gauge: MetricId, by: i64) {
        self.inner.hold(gauge, by);
    }

    fn record(&self, metric: MetricId, value: u64) {
        self.inner.record(metric, value);
    }
}

impl<X: Exchange> Log for Gate<'_, X> {
    fn log(&self, level: log::Level, line: &str) {
        self.inner.log(level, line);
    }

    fn writes(&self, level: log::Level) -> bool {
        self.inner.writes(level)
    }
}

/// What a filter tells a sink is seen by neither the client nor the upstream.
impl<X: Exchange> Callouts for Gate<'_, X> {
    fn call(&mut self, callout: Callout<'_>) -> Result<CalloutId, CalloutError> {
        self.inner.call(callout)
    }
}

macro_rules! effects {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {$(
        fn $name(&mut self, $($argument: $kind),*) {
            if self.open {
                self.inner.$name($($argument),*);
            }
        }
    )*};
}

impl<X: Exchange> Exchange for Gate<'_, X> {
    fn id(&self) -> ExchangeId {
        self.inner.id()
    }

    fn request(&mut self) -> Rc<Headers> {
        self.inner.request()
    }

    fn request_header(&mut self, name: &str) -> Option<Vec<u8>> {
        self.inner.request_header(name)
    }

    fn response_status(&mut self) -> Option<u16> {
        self.inner.response_status()
    }

    fn response(&mut self) -> Rc<Headers> {
        self.inner.response()
    }

    fn response_header(&mut self, name: &str) -> Option<Vec<u8>> {
        self.inner.response_header(name)
    }

    fn request_body(&mut self, start: usize, len: usize) -> Vec<u8> {
        self.inner.request_body(start, len)
    }

    fn response_body(&mut self, start: usize, len: usize) -> Vec<u8> {
        self.inner.response_body(start, len)
    }

    effects! {
        set_request_header(name: &str, value: &[u8]);
        add_request_header(name: &str, value: &[u8]);
        remove_request_header(name: &str);
        set_response_header(name: &str, value: &[u8]);
        add_response_header(name: &str, value: &[u8]);
        remove_response_header(name: &str);
        remove_response_trailers();
        replace_response_body(start: usize, len: usize, by: &[u8]);
        reply(reply: Reply);
        set_filter_state(key: &str, value: &[u8]);
    }

    fn set_log_state(&mut self, key: &str, value: &[u8]) -> bool {
        self.inner.set_log_state(key, value)
    }

    fn facts(&mut self) -> &mut Facts {
        if self.open {
            return self.inner.facts();
        }
        // The route's metadata is a fact of the host's, shared whoever asked first.
        if self.own_facts.route_metadata.is_none() {
            self.own_facts
                .route_metadata
                .clone_from(&self.inner.facts().route_metadata);
        }
        &mut self.own_facts
    }
}
