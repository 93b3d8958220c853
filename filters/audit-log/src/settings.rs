//! What a user may write.

use portcullis_kit::config::{Secret, Setting};
use portcullis_kit::export::settings::{Ack, Batch, HeaderValue, Http, Queue, Retry, timeout_ms};
use portcullis_kit::identity::settings::Identity;
use portcullis_kit::routes::PathMatch;
use portcullis_kit::table::Table;

/// One record of every request, without what must not be recorded.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What is recorded of which request: the first rule that matches, nothing where none does. Default: `[{level: metadata}]`.
    pub rules: Vec<Rule>,
    /// Who a request comes from: the first source that yields a value. It is recorded as a hash, keyed where there is an
    /// `hmac_key`; without one it is the hash that rate-limit's `overrides` take. Default: none, everybody is anonymous.
    pub identity: Vec<Identity>,
    /// Whose token Envoy's jwt_authn verified. Default: not recorded.
    pub jwt: Option<Jwt>,
    /// How the client's address is recorded: `truncated` (default), `hashed`, `full` or `off`.
    pub client_address: ClientAddress,
    /// How paths are recorded.
    pub path: PathSettings,
    /// The parameters of the query that are recorded; all others never are. Default: none.
    pub query: Vec<Named>,
    /// The headers that rules with `level: headers` record; all others never are.
    pub headers: Headers,
    /// The values in JSON bodies that rules with `level: body` record; all others never are. A filter alone sees bodies, an
    /// access logger does not; of the modules, `portcullis.wasm` (with `root_id: audit-log`, too).
    pub bodies: Option<Bodies>,
    /// What is left out of records, each of which costs time to find out. Default: nothing.
    pub omit: Vec<Part>,
    /// The key of hashed values.
    pub hmac_key: Option<HmacKey>,
    /// Where records go: one or two sinks, each of its own kind. The same in all profiles. Default: `[{log: {}}]`.
    pub sinks: Vec<Sink>,
    /// How records are delivered to sinks that are asked by HTTP. The same in all profiles.
    pub delivery: Option<Delivery>,
    /// Requests wait until a sink has their record, and are refused without. Default: none waits.
    pub fail_closed: Option<FailClosed>,
    /// The form of records. The same in all profiles. Default: `native`.
    pub format: Format,
    /// The hash chain that shows later whether records are missing or were changed. The same in all profiles.
    pub chain: Chain,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rules: vec![Rule {
                level: Level::Metadata,
                methods: Vec::new(),
                paths: Vec::new(),
                routes: Vec::new(),
                statuses: Vec::new(),
                tiers: Vec::new(),
                flags: Vec::new(),
                headers: Vec::new(),
                omit_stages: Vec::new(),
            }],
            identity: Vec::new(),
            jwt: None,
            client_address: ClientAddress::default(),
            path: PathSettings::default(),
            query: Vec::new(),
            headers: Headers::default(),
            bodies: None,
            omit: Vec::new(),
            hmac_key: None,
            sinks: vec![Sink::Log(Log {})],
            delivery: None,
            fail_closed: None,
            format: Format::default(),
            chain: Chain::default(),
        }
    }
}

/// What is recorded of which request. Everything that is given must match; in a list, one of it.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// How much is recorded.
    pub level: Level,
    /// Methods, such as `GET`.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Paths, without the query.
    #[serde(default)]
    pub paths: Vec<PathMatch>,
    /// Names of Envoy's routes.
    #[serde(default)]
    pub routes: Vec<String>,
    /// Statuses: codes such as `"404"`, classes such as `5xx`, or `none` where there was no response.
    #[serde(default)]
    pub statuses: Vec<String>,
    /// Tiers that rate-limit gave the client.
    #[serde(default)]
    pub tiers: Vec<String>,
    /// Envoy's response flags, such as `UF` or `DC`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Request headers that are there.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Stages at which nothing is recorded. Default: none.
    #[serde(default)]
    pub omit_stages: Vec<Stage>,
}

/// When a record is made, as records name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Stage {
    /// Before a request goes on to the filters inside of this one and to the upstream, where it waits for that
    /// (`fail_closed`).
    RequestReceived,
    /// At its end, whatever it is.
    #[default]
    ResponseComplete,
}

impl Stage {
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestReceived => "RequestReceived",
            Self::ResponseComplete => "ResponseComplete",
        }
    }
}

/// How requests wait for their records.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct FailClosed {
    /// After how many milliseconds at most a request is refused whose record nobody acknowledged. Default: 1000.
    pub timeout_ms: u32,
    /// How many requests wait at the same time, on each worker; one more is refused at once. Default: 1000.
    pub max_waiting: u32,
    /// Paths of requests that never wait, without the query. Default: none.
    pub exempt: Vec<PathMatch>,
}

impl Default for FailClosed {
    fn default() -> Self {
        Self {
            timeout_ms: 1000,
            max_waiting: 1000,
            exempt: Vec::new(),
        }
    }
}

/// How much is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing.
    None,
    /// Who did what when, and how it ended.
    Metadata,
    /// That, and the headers that are listed.
    Headers,
    /// That, and the values in JSON bodies that are listed.
    Body,
}

/// Whose token was verified.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// jwt_authn's `payload_in_metadata`.
    pub payload_in_metadata: String,
    /// How the claim `sub` is recorded: `plain` (default) or `hashed`.
    #[serde(default)]
    pub subject: Shown,
}

/// How a value is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// As it is.
    #[default]
    Plain,
    /// As `hmac-sha256:<key id>:<hex>` under the `hmac_key`; equal values of one field have equal hashes.
    Hashed,
}

/// How the client's address is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientAddress {
    /// Its network: 24 bits of an IPv4 address, 48 of an IPv6 address.
    #[default]
    Truncated,
    /// Hashed under the `hmac_key`.
    Hashed,
    /// As it is.
    Full,
    /// Not at all.
    Off,
}

/// How paths are recorded, never with their query.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PathSettings {
    /// Templates, such as `/users/{id}`: a path that matches one is recorded as it. The first counts. Default: none.
    pub templates: Vec<String>,
    /// What becomes of a path that matches no template: `keep` (default) records it, `omit` does not.
    pub unmatched: Unmatched,
}

/// What becomes of a path that matches no template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// It is recorded.
    #[default]
    Keep,
    /// It is not, because paths may hold what nobody should read.
    Omit,
}

/// The headers that are recorded.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Headers {
    /// Of the request. Default: none.
    pub request: Vec<Named>,
    /// Of the response. Default: none.
    pub response: Vec<Named>,
}

/// A header, or a parameter of a query.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// How it is recorded: `plain` (default) or `hashed`.
    #[serde(default)]
    pub value: Shown,
}

/// The values in JSON bodies that are recorded. Only bodies of type `application/json` (or `…+json`) without a
/// `content-encoding` are read, on their way: none waits for it.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Bodies {
    /// Of the request. Default: none.
    pub request: Vec<Field>,
    /// Of the response. Default: none.
    pub response: Vec<Field>,
    /// The most bytes of a body that is read; nothing of a longer one is recorded. Default: 16384.
    pub max_bytes: u32,
    /// The most bytes of values that are recorded of one body. Default: 4096.
    pub max_recorded_bytes: u32,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            request: Vec::new(),
            response: Vec::new(),
            max_bytes: 16_384,
            max_recorded_bytes: 4096,
        }
    }
}

/// A place in a JSON document. Only texts, numbers, `true`, `false` and `null` are recorded, never what holds others.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// A JSON pointer (RFC 6901), such as `/order/id`; `*` is each item of a list, as in `/items/*/sku`.
    pub pointer: String,
    /// How the value is recorded: `plain` (default) or `hashed`.
    #[serde(default)]
    pub value: Shown,
}

/// What can be left out of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The bytes of the request.
    RequestBytes,
    /// The bytes of the response.
    ResponseBytes,
    /// The upstream's address.
    Upstream,
    /// The route's name.
    Route,
    /// The `user-agent`.
    UserAgent,
    /// Whether request-tracing replaced malformed ids. In `portcullis.wasm` the chain knows, at no cost.
    MalformedIds,
}

/// A key and its name.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HmacKey {
    /// Its name, which stands beside what is made with it: take another one with each new key.
    pub id: String,
    /// The key, 32 bytes or more.
    pub secret: Secret,
}

/// Where records go.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sink {
    /// The proxy's log, at `info`: one line of JSON for each record, behind what the proxy itself writes before a line.
    Log(Log),
    /// The proxy's access log: a log's format that names `%FILTER_STATE(wasm.portcullis.audit:PLAIN)%` gets the record of
    /// each request there, and before or after it, each in a line of its own, what the bundle tells of itself. Not where
    /// audit-log is an access logger itself.
    AccessLog(AccessLog),
    /// A collector that speaks OTLP/HTTP with JSON; the path is `/v1/logs` unless another is given. A record is the body of
    /// a log record.
    Otlp(Http),
    /// Any server: a batch of records is posted to it.
    Webhook(Webhook),
}

impl Sink {
    /// Whether it says that it has a record.
    pub const fn acknowledges(&self) -> bool {
        match self {
            // What is written there is there.
            Self::Log(_) | Self::Otlp(_) | Self::Webhook(_) => true,
            // Its line is written when the request is over.
            Self::AccessLog(_) => false,
        }
    }
}

/// The proxy's log.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Log {}

/// The proxy's access log.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AccessLog {}

/// A server that batches are posted to.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The proxy's cluster that the server is in. The proxy resolves, balances and encrypts.
    pub cluster: String,
    /// The requests' `:authority`. Default: the cluster's name.
    #[serde(default)]
    pub authority: Option<String>,
    /// The requests' path. Default: `/`.
    #[serde(default)]
    pub path: Option<String>,
    /// More header lines of each request, such as `authorization: {env: SINK_TOKEN}`.
    #[serde(default)]
    pub headers: Table<String, HeaderValue>,
    /// How many milliseconds an answer may take. Default: 10000.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u32,
    /// What a batch looks like: `ndjson` (default) or `array`.
    #[serde(default)]
    pub body: Body,
    /// The key that signs bodies, 32 bytes or more: `x-portcullis-signature: sha256=<hex>` is HMAC-SHA-256 over the body.
    /// Default: bodies are not signed.
    #[serde(default)]
    pub sign_with: Option<Secret>,
}

impl Webhook {
    /// The server, as other sinks name theirs.
    pub fn server(&self) -> Http {
        Http {
            cluster: self.cluster.clone(),
            authority: self.authority.clone(),
            path: self.path.clone(),
            headers: self.headers.clone(),
            timeout_ms: self.timeout_ms,
        }
    }
}

/// What a batch looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// One record a line (`application/x-ndjson`).
    #[default]
    Ndjson,
    /// One JSON list of records (`application/json`).
    Array,
}

/// How records are delivered to sinks that are asked by HTTP.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// Whose acknowledgement a record needs where there are two such sinks: `any` (default) or `all`.
    pub ack: Ack,
    /// When a batch is sent.
    pub batch: Batch,
    /// What waits for its acknowledgement.
    pub queue: Queue,
    /// When a failed batch is sent again.
    pub retry: Retry,
}

/// The form of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Our own: JSON in the canonical form of RFC 8785.
    #[default]
    Native,
    /// OCSF 1.5 and newer: API Activity (6003) where the actor is known, else HTTP Activity (4002).
    Ocsf,
    /// Elastic Common Schema 8.
    Ecs,
}

/// The hash chain.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Chain {
    /// Whether records are sealed: numbered, and hashed with the hash of the one before. Default: true.
    pub sealed: bool,
    /// The key of the hashes. Without one anybody can make a chain anew. Default: none.
    pub key: Option<HmacKey>,
    /// After how many records one says how many there were (`bundle.checkpoint`). Default: 1000.
    pub checkpoint_records: u32,
    /// After how many seconds one does, idle or not. Default: 60.
    pub checkpoint_seconds: u32,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            sealed: true,
            key: None,
            checkpoint_records: 1000,
            checkpoint_seconds: 60,
        }
    }
}
