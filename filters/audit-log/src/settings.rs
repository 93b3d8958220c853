//! What a user may write.

use portcullis_kit::config::Secret;
use portcullis_kit::config::Setting as Deserialize;
use portcullis_kit::export::settings::{Ack, Batch, Http, Queue, Retry};
use portcullis_kit::identity::settings::Identity;
use portcullis_kit::routes::PathMatch;

/// One record of every request, without what must not be recorded.
#[derive(Clone, Debug, Deserialize)]
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
    /// What is left out of records, each of which costs time to find out. Default: nothing.
    pub omit: Vec<Part>,
    /// The key of hashed values.
    pub hmac_key: Option<HmacKey>,
    /// Where records go: one or two sinks, each of its own kind. The same in all profiles. Default: `[{log: {}}]`.
    pub sinks: Vec<Sink>,
    /// How records are delivered to sinks that are asked by HTTP. The same in all profiles.
    pub delivery: Option<Delivery>,
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
            }],
            identity: Vec::new(),
            jwt: None,
            client_address: ClientAddress::default(),
            path: PathSettings::default(),
            query: Vec::new(),
            headers: Headers::default(),
            omit: Vec::new(),
            hmac_key: None,
            sinks: vec![Sink::Log(Log {})],
            delivery: None,
            format: Format::default(),
            chain: Chain::default(),
        }
    }
}

/// What is recorded of which request. Everything that is given must match; in a list, one of it.
#[derive(Clone, Debug, Deserialize)]
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
}

/// How much is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing.
    None,
    /// Who did what when, and how it ended.
    Metadata,
    /// That, and the headers that are listed.
    Headers,
}

/// Whose token was verified.
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PathSettings {
    /// Templates, such as `/users/{id}`: a path that matches one is recorded as it. The first counts. Default: none.
    pub templates: Vec<String>,
    /// What becomes of a path that matches no template: `keep` (default) records it, `omit` does not.
    pub unmatched: Unmatched,
}

/// What becomes of a path that matches no template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Headers {
    /// Of the request. Default: none.
    pub request: Vec<Named>,
    /// Of the response. Default: none.
    pub response: Vec<Named>,
}

/// A header, or a parameter of a query.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// How it is recorded: `plain` (default) or `hashed`.
    #[serde(default)]
    pub value: Shown,
}

/// What can be left out of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
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
}

/// A key and its name.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HmacKey {
    /// Its name, which stands beside what is made with it: take another one with each new key.
    pub id: String,
    /// The key, 32 bytes or more.
    pub secret: Secret,
}

/// Where records go.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sink {
    /// The proxy's log, at `info`: one line of JSON for each record, behind what the proxy itself writes before a line.
    Log(Log),
    /// A collector that speaks OTLP/HTTP with JSON; the path is `/v1/logs` unless another is given. A record is the body of
    /// a log record.
    Otlp(Http),
    /// Any server: a batch of records is posted to it.
    Webhook(Webhook),
}

/// The proxy's log.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Log {}

/// A server that batches are posted to.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The server. The path is `/` unless another is given.
    pub server: Http,
    /// What a batch looks like: `ndjson` (default) or `array`.
    #[serde(default)]
    pub body: Body,
    /// The key that signs bodies, 32 bytes or more: `x-portcullis-signature: sha256=<hex>` is HMAC-SHA-256 over the body.
    /// Default: bodies are not signed.
    #[serde(default)]
    pub sign_with: Option<Secret>,
}

/// What a batch looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Debug, Default, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
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
