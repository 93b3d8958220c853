//! What a user may write.

use std::num::NonZeroU32;

use portcullis_kit::config::Setting;
use portcullis_kit::export::settings::{Batch, Http, Queue, Retry};

use crate::formats::Format;

/// Request ids, trace context, response times and slow requests.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whose trace context is continued: `edge` (default) nobody's, `internal` everybody's, `{cidrs: […]}` that of these
    /// peers. What is not continued is removed.
    pub trust: Trust,
    /// The request id.
    pub request_id: RequestId,
    /// In which formats trace context is read and written.
    pub propagation: Propagation,
    /// Which `baggage` of trusted peers goes on to the upstream: `pass` (default), `drop`, or `{allow: [key, …]}`. That of
    /// others is always dropped.
    pub baggage: Option<Baggage>,
    /// Which requests are sampled.
    pub sampling: Sampling,
    /// The response header `Server-Timing`.
    pub server_timing: ServerTiming,
    /// Whether responses carry `X-Response-Time`, the milliseconds until the response's headers, as `12.345ms`.
    /// Default: false.
    pub response_time: bool,
    /// From how many milliseconds on a request counts as slow. Default: 1000. 0: none does.
    pub slow_ms: u32,
    /// Where the requests' spans are sent. Default: nowhere.
    pub spans: Option<Spans>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trust: Trust::default(),
            request_id: RequestId::default(),
            propagation: Propagation::default(),
            baggage: None,
            sampling: Sampling::default(),
            server_timing: ServerTiming::default(),
            response_time: false,
            slow_ms: 1000,
            spans: None,
        }
    }
}

/// Whose trace context is continued.
#[derive(Clone, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Nobody's: for listeners that the public reaches. Every request starts a new trace.
    #[default]
    Edge,
    /// Everybody's: for listeners that only our own services reach.
    Internal,
    /// That of peers with an address in one of these ranges, such as `10.0.0.0/8` or `2001:db8::/32`. The address is the
    /// one Envoy believes (`use_remote_address`, `xff_num_trusted_hops`).
    Cidrs(Vec<String>),
}

/// The request id.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RequestId {
    /// Whose `x-request-id` is kept, if it is valid (1 to 128 letters, digits, `.`, `_`, `-`, in one line): `trusted` (default)
    /// that of peers whom `trust` names, `proxy` the one the proxy hands us, `generate` nobody's. Else a new id is made.
    pub source: IdSource,
    /// What a new id looks like: `uuid4` (default) or `uuid7`, which sorts by time.
    pub format: IdFormat,
    /// Whether the response tells the client the id, in `x-request-id`. Default: true.
    pub response: bool,
}

impl Default for RequestId {
    fn default() -> Self {
        Self {
            source: IdSource::default(),
            format: IdFormat::default(),
            response: true,
        }
    }
}

/// Whose `x-request-id` is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IdSource {
    /// That of peers whom `trust` names; with `trust: edge`, nobody's.
    #[default]
    Trusted,
    /// The one that the proxy hands us, whoever made it. Envoy makes its own in place of the client's only where the
    /// listener has `use_remote_address: true`, `generate_request_id` and no `preserve_external_request_id`.
    Proxy,
    /// Nobody's: each request gets a new one.
    Generate,
}

/// What a new request id looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IdFormat {
    /// UUID version 4: random (RFC 9562 section 5.4).
    #[default]
    Uuid4,
    /// UUID version 7: the time, then random (RFC 9562 section 5.7).
    Uuid7,
}

/// In which formats trace context is read and written.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Propagation {
    /// The formats read, the first that yields a context counts. Default: `[w3c]`. An empty list reads none.
    pub extract: Vec<Format>,
    /// The formats written for the upstream. Default: `[w3c]`.
    pub inject: Vec<Format>,
}

impl Default for Propagation {
    fn default() -> Self {
        Self {
            extract: vec![Format::W3c],
            inject: vec![Format::W3c],
        }
    }
}

/// Which baggage of trusted peers goes on.
#[derive(Clone, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Baggage {
    /// None.
    Drop,
    /// Members with one of these keys.
    Allow(Vec<String>),
    /// All, within the limits of W3C Baggage: 64 members, 8192 bytes.
    Pass,
}

/// Which requests are sampled.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// The rule for traces that start here: `always` (default), `never`, or `{ratio: 0.1}`, a share above 0 and up to 1, the
    /// same traces at every hop that uses that ratio.
    pub root: SamplingRule,
    /// Whether the decision of a continued trace is followed. Default: true.
    pub follow_parent: bool,
    /// The most traces per second and worker that the rule samples. Default: no cap. Followed decisions do not count.
    pub max_per_second: Option<NonZeroU32>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            root: SamplingRule::default(),
            follow_parent: true,
            max_per_second: None,
        }
    }
}

/// The rule for traces that start here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SamplingRule {
    /// All.
    #[default]
    Always,
    /// None.
    Never,
    /// This share of them.
    Ratio(f64),
}

/// The response header `Server-Timing` (W3C Server Timing).
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ServerTiming {
    /// Who gets the trace, as `trace;desc=00-…`: `trusted` (default) peers whom `trust` names, `all`, or `off`.
    pub trace: Audience,
    /// The name of the metric that carries the trace. Default: `trace`.
    pub trace_name: String,
    /// Who gets the milliseconds until the response's headers, as `app;dur=12.345`, and `slow` beside it when that is
    /// slow: `trusted` (default), `all`, or `off`.
    pub app: Audience,
}

impl Default for ServerTiming {
    fn default() -> Self {
        Self {
            trace: Audience::default(),
            trace_name: "trace".to_owned(),
            app: Audience::default(),
        }
    }
}

/// Who is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Peers whom `trust` names; with `trust: edge`, nobody.
    #[default]
    Trusted,
    /// Every client.
    All,
    /// Nobody.
    Off,
}

/// Sending spans: one for each sampled request, and for those that `slow` and `server_errors` add. All profiles that send
/// spans send them to the same place, in the same way; `slow`, `server_errors` and `max_attribute_bytes` may differ.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Spans {
    /// An OpenTelemetry collector or backend that takes OTLP/HTTP with JSON. Its `path` defaults to `/v1/traces`.
    pub otlp: Http,
    /// The resource's `service.name`. Default: the proxy's node id (`node.id`), which else is `service.instance.id`.
    #[serde(default)]
    pub service_name: Option<String>,
    /// Whether a slow request (`slow_ms`) leaves a span though it is not sampled. Default: true.
    #[serde(default = "yes")]
    pub slow: bool,
    /// Whether a request that ends with status 5xx, or with none, leaves a span though it is not sampled. Default: true.
    #[serde(default = "yes")]
    pub server_errors: bool,
    /// To how many bytes a span's name and the texts in its attributes are cut: 32 to 4096. Default: 256.
    #[serde(default = "max_attribute_bytes")]
    pub max_attribute_bytes: u32,
    /// When a batch is sent.
    #[serde(default)]
    pub batch: Batch,
    /// What each worker holds until it is acknowledged. `deny` is not for spans.
    #[serde(default)]
    pub queue: Queue,
    /// How soon a failed batch is sent again.
    #[serde(default)]
    pub retry: Retry,
}

fn yes() -> bool {
    true
}

fn max_attribute_bytes() -> u32 {
    256
}
