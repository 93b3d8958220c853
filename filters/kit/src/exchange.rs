//! What a filter may ask of the host and do to a request, as small role traits.
//!
//! Every effect is a value on failure, never a panic: a refused effect is counted by the implementation and the
//! request goes on.

use std::rc::Rc;

use crate::headers::{Headers, is_safe_value};
use crate::metrics::MetricId;

/// The wall clock. It may step back (NTP).
pub trait Clock {
    /// Nanoseconds since the Unix epoch.
    fn now(&self) -> u64;
}

/// Randomness fit for keys and nonces.
pub trait Randomness {
    fn fill(&self, out: &mut [u8]);
}

/// The host's properties, raw. Read them through [`crate::property`], which knows paths and types.
pub trait Properties {
    /// The value at that path, `None` if it is absent or the host refuses.
    fn property(&self, path: &[&str]) -> Option<Vec<u8>>;
}

/// Names one state of a shared value; the next write takes it back, so that a write between is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u32);

impl Version {
    /// Creates a value only where none is, in Envoy's dialect of shared data: a version that no value has.
    pub const ABSENT: Self = Self(u32::MAX);
    /// Creates a value only where none is, in the dialect of the hosts that compare even an absent value's version.
    pub const STRICTLY_ABSENT: Self = Self(0);
}

/// Why a shared value was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWritten {
    /// Another version stands there now: read again.
    Changed,
    /// The host has no shared data, or no room.
    Refused,
}

/// Bytes that all workers of the host share, found by key. Nothing is ever deleted: keep the number of keys bounded.
pub trait SharedData {
    /// The value and its version; `Ok(None)` where there is none.
    ///
    /// # Errors
    /// The host has no shared data.
    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, Version)>, NotWritten>;

    /// Writes the value if its version still is the one given.
    ///
    /// # Errors
    /// It is not, or the host refuses.
    fn share(&self, key: &[u8], value: &[u8], version: Version) -> Result<(), NotWritten>;
}

/// Metrics that were defined while the settings were compiled.
pub trait Metrics {
    fn increment(&self, metric: MetricId, by: u64);
    /// Moves a gauge up or down.
    fn adjust(&self, gauge: MetricId, by: i64);
    /// The same, by what this VM itself holds of what the gauge shows: if the VM ends without notice, another one takes it out
    /// again. Only for plugins that tick.
    fn hold(&self, gauge: MetricId, by: i64) {
        self.adjust(gauge, by);
    }
    fn record(&self, metric: MetricId, value: u64);
}

/// The proxy's log. Structured lines only; see [`crate::config::log_line`].
pub trait Log {
    fn log(&self, level: log::Level, line: &str);

    /// Whether the host writes lines of that level. It can change at any time.
    fn writes(&self, level: log::Level) -> bool;
}

/// Ids of a trusted peer that break their own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedIds {
    RequestId,
    TraceContext,
    Both,
}

impl MalformedIds {
    pub const ALL: [Self; 3] = [Self::RequestId, Self::TraceContext, Self::Both];

    pub const fn of(request_id: bool, trace_context: bool) -> Option<Self> {
        match (request_id, trace_context) {
            (false, false) => None,
            (true, false) => Some(Self::RequestId),
            (false, true) => Some(Self::TraceContext),
            (true, true) => Some(Self::Both),
        }
    }

    /// How filter state tells it ([`crate::property::MALFORMED_IDS`]).
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestId => "request_id",
            Self::TraceContext => "trace_context",
            Self::Both => "request_id,trace_context",
        }
    }
}

/// What one filter learned of a request and the later ones need not ask again.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The request id that every log, header and problem document names.
    pub request_id: Option<Rc<str>>,
    /// The W3C trace id, 32 lower-case hex digits.
    pub trace_id: Option<Rc<str>>,
    /// Whether ids that the peer sent were malformed and replaced.
    pub malformed: Option<MalformedIds>,
    /// See [`crate::property::route_metadata`].
    pub(crate) route_metadata: Option<Rc<Headers>>,
}

/// A response made by a filter instead of the upstream's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    /// What a gRPC client gets (`grpc-status`) instead of the number that the host makes of `status`; `body` is then its
    /// message, so give it as text.
    pub grpc_status: Option<u8>,
    /// What `%RESPONSE_CODE_DETAILS%` shows: a name from a closed set, without spaces.
    pub details: &'static str,
}

impl Reply {
    /// Its headers as those of a response, status first. Values that no header may have are left out.
    pub fn to_response(&self) -> Headers {
        let mut headers = Headers::from_lines([(":status", self.status.to_string())]);
        for (name, value) in self.headers.iter() {
            if is_safe_value(value) {
                headers.add(name, value);
            }
        }
        headers
    }
}

/// Names one request while it lasts, for [`Worker::resume`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(pub u32);

/// How a request goes on that a filter paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// To the filters inside of the one that paused it, and to the upstream.
    Continue,
    /// It gets this answer.
    Reply(Reply),
}

/// HTTP requests of a filter's own.
pub trait Callouts {
    /// Sends an HTTP request to a cluster, which outlives the exchange it was sent from. The answer comes to
    /// [`crate::Filter::callout`] with the number returned here.
    ///
    /// # Errors
    /// The host does not send it.
    fn call(&mut self, callout: Callout<'_>) -> Result<CalloutId, CalloutError>;
}

/// One request and its response, as a filter sees them. Request headers can be read and changed in the request phase
/// only, response headers in the response phase only; out of phase a read is empty and a change is dropped.
pub trait Exchange:
    Clock + Randomness + Properties + SharedData + Metrics + Log + Callouts
{
    /// Names this request for [`Worker::resume`].
    fn id(&self) -> ExchangeId;
    /// All request headers: one host call for the whole chain of filters, kept up to date with every change made
    /// through this trait. Drop the `Rc` before changing headers, or the change copies the map.
    fn request(&mut self) -> Rc<Headers>;
    /// The value of one request header (its first line), without reading the whole map where that was not done
    /// yet. Absent costs far less than present: use it where the header is mostly absent.
    fn request_header(&mut self, name: &str) -> Option<Vec<u8>>;
    fn set_request_header(&mut self, name: &str, value: &[u8]);
    fn add_request_header(&mut self, name: &str, value: &[u8]);
    fn remove_request_header(&mut self, name: &str);

    /// The response's status. One read of all headers where another filter of the plugin reads them anyway, else of this one.
    fn response_status(&mut self) -> Option<u16> {
        let value = self.response_header(":status")?;
        std::str::from_utf8(&value).ok()?.parse().ok()
    }

    /// All response headers: one host call until something is changed, which makes the next read a host call again.
    fn response(&mut self) -> Rc<Headers>;
    fn response_header(&mut self, name: &str) -> Option<Vec<u8>>;
    fn set_response_header(&mut self, name: &str, value: &[u8]);
    fn add_response_header(&mut self, name: &str, value: &[u8]);
    fn remove_response_header(&mut self, name: &str);

    /// Removes all trailers of the response, in their callback.
    fn remove_response_trailers(&mut self);

    /// The request body of this callback: at most `len` bytes from `start`.
    fn request_body(&mut self, start: usize, len: usize) -> Vec<u8>;

    /// The response body of this callback: `len` bytes from `start`.
    fn response_body(&mut self, start: usize, len: usize) -> Vec<u8>;
    /// Replaces `len` bytes from `start` of this callback's response body; in that of the trailers, of what the body's callbacks
    /// paused for. Where none of them did, there is no body to write to.
    fn replace_response_body(&mut self, start: usize, len: usize, by: &[u8]);

    /// Answers the request instead of the upstream; return [`crate::Flow::Replied`] after it. In the request phase, or from
    /// response headers that have no body: there the reply takes the response's place, outer filters of the same plugin
    /// see it as the response, and no filter of another plugin does. Or from response trailers, where the headers wait and no
    /// piece of a body came: no other filter sees that one.
    fn reply(&mut self, reply: Reply);

    /// Publishes a value under one segment: later wasm filters read it as property `key`, access logs as
    /// `%FILTER_STATE(wasm.key:PLAIN)%`.
    fn set_filter_state(&mut self, key: &str, value: &[u8]);

    /// The same for the proxy's access logs alone, at the request's end: no client and no upstream sees it. Whether the host
    /// took it; it has nowhere to put it where the plugin is an access logger itself.
    fn set_log_state(&mut self, key: &str, value: &[u8]) -> bool;

    /// What the filters of this plugin learned of this request.
    fn facts(&mut self) -> &mut Facts;
}

/// What a filter can do outside of a request, on a worker's tick or when a callout is answered.
pub trait Worker: Clock + Randomness + SharedData + Metrics + Log + Callouts {
    /// Lets a request go on whose headers a filter paused. One that is over meanwhile, or never paused, is left alone.
    fn resume(&mut self, request: ExchangeId, how: Resume);
}

/// Names one callout until its answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CalloutId(pub u32);

/// An HTTP request of the filter's own.
#[derive(Clone, Copy, Debug)]
pub struct Callout<'a> {
    pub cluster: &'a str,
    /// With `:method`, `:path` and `:authority`.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    pub timeout_ms: u32,
}

/// Why a callout did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalloutError {
    /// No such cluster, or headers the host refuses.
    Refused,
    /// The host cannot send now.
    Unavailable,
}

impl std::fmt::Display for CalloutError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Refused => "the proxy refused the call: is the cluster defined?",
            Self::Unavailable => "the proxy cannot send a call now",
        })
    }
}

impl std::error::Error for CalloutError {}

/// The answer to a callout. A connection failure arrives as status 503, a timeout as 504; no status at all is a reset.
#[derive(Clone, Debug)]
pub struct CalloutAnswer {
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl CalloutAnswer {
    pub fn status(&self) -> Option<u16> {
        std::str::from_utf8(self.headers.get(":status")?)
            .ok()?
            .parse()
            .ok()
    }
}
