//! What a user may write about delivery.

use crate::config::Setting;
use crate::table::Table;

/// An HTTP sink.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The proxy's cluster that the sink is in. The proxy resolves, balances and encrypts.
    pub cluster: String,
    /// The requests' `:authority`. Default: the cluster's name.
    #[serde(default)]
    pub authority: Option<String>,
    /// The requests' path. Default: the one that the sink's protocol names.
    #[serde(default)]
    pub path: Option<String>,
    /// More header lines of each request, such as `authorization: {env: SINK_TOKEN}`.
    #[serde(default)]
    pub headers: Table<String, HeaderValue>,
    /// How many milliseconds an answer may take. Default: 10000.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u32,
}

/// How many milliseconds an answer of a sink may take where nothing is said.
pub fn timeout_ms() -> u32 {
    10_000
}

/// A header's value.
#[derive(Clone, Debug, Setting, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HeaderValue {
    /// That of an environment variable of the plugin's VM (`vm_config.environment_variables`): for secrets.
    Env(String),
    /// This text.
    Text(String),
}

/// When a batch is sent. Whichever limit is reached first counts.
#[derive(Clone, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// The most records of one batch. Default: 512.
    pub max_records: u32,
    /// The most bytes of one batch; a single record may have more. Default: 524288.
    pub max_bytes: u32,
    /// After how many milliseconds a batch is sent that is not full. Default: 1000.
    pub interval_ms: u32,
    /// The most batches on their way to one sink. Default: 2.
    pub max_in_flight: u32,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            max_records: 512,
            max_bytes: 512 << 10,
            interval_ms: 1000,
            max_in_flight: 2,
        }
    }
}

/// What each worker holds until it is acknowledged, batches on their way included.
#[derive(Clone, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// The most records. Default: 8192.
    pub max_records: u32,
    /// The most bytes. Default: 8388608.
    pub max_bytes: u32,
    /// What happens to a record for which there is no room: `drop_oldest` (default), `drop_newest` or `deny`.
    pub overflow: Overflow,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            max_records: 8192,
            max_bytes: 8 << 20,
            overflow: Overflow::default(),
        }
    }
}

/// What happens to a record for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// The oldest records that are not on their way make room.
    #[default]
    DropOldest,
    /// It is dropped itself.
    DropNewest,
    /// It is dropped itself, and the request that it is about is refused where the filter can.
    Deny,
}

/// How soon a failed batch is sent again. Each failure in a row doubles the time, of which a random half is taken off.
#[derive(Clone, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Milliseconds after the first failure. Default: 500.
    pub initial_ms: u32,
    /// The most milliseconds. Default: 30000. A sink's `Retry-After` can ask for more, up to an hour.
    pub max_ms: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            initial_ms: 500,
            max_ms: 30_000,
        }
    }
}

/// Whose acknowledgement a record needs where there are two sinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// One sink's. Each gets every record once; only what none took is sent again.
    #[default]
    Any,
    /// Every sink's. What one has not taken is sent again to that one.
    All,
}
