//! From what a user wrote about delivery to what an exporter uses.

use std::fmt;

use crate::config::{ConfigError, Mistake as ConfigMistake, Path};
use crate::filter::Compiling;
use crate::headers::{is_safe_value, is_token};

use super::metrics::Metrics;
use super::settings::{Ack, Batch, HeaderValue, Http, Overflow, Queue, Retry};

/// How, and to where, records are delivered.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) filter: &'static str,
    pub(super) what: &'static str,
    pub(super) terms: Terms,
    pub(super) metrics: Metrics,
}

/// What two plans must share so that one exporter serves both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub sinks: Vec<Target>,
    pub ack: Ack,
    pub batch: Batch,
    pub queue: Queue,
    pub retry: Retry,
}

/// One sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub name: &'static str,
    pub cluster: String,
    pub authority: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    /// The same as they stand in the settings, a secret by its variable: they can name a tenant.
    pub written: Vec<(String, String)>,
    pub timeout_ms: u32,
}

impl Target {
    /// Where its requests arrive, and whose they are. What a variable holds cannot change in a VM.
    fn place(&self) -> (&str, &str, &str, &[(String, String)]) {
        (&self.cluster, &self.authority, &self.path, &self.written)
    }
}

/// One sink as a user wrote it.
pub struct SinkSettings<'a> {
    /// The value of the label `sink`, of a closed set.
    pub name: &'static str,
    pub http: &'a Http,
    /// The path that the protocol names.
    pub path: &'static str,
    /// Where it stands in the settings.
    pub at: Path,
}

/// What can be wrong with a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    Cluster,
    Authority,
    Path,
    HeaderName,
    HeaderIsOurs,
    HeaderValue,
    QueueBelowBatch,
    RetryMax,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "empty; name the proxy's cluster that the sink is in",
            Self::Authority => "not an authority; write a host, or a host and a port, such as `collector.example:4318`",
            Self::Path => "not a path; it starts with `/` and has no spaces and no characters beyond ASCII",
            Self::HeaderName => "not a header's name (RFC 9110 section 5.6.2, a token) in lower case",
            Self::HeaderIsOurs => "this header is made with each request; take it out",
            Self::HeaderValue => "no header may have this value: it has control characters, or spaces at an end",
            Self::QueueBelowBatch => "less than one batch (`batch`); raise it, or make batches smaller",
            Self::RetryMax => "less than `initial_ms`, the wait that it is to limit",
        })
    }
}

/// Names that the exporter or the proxy sets.
const OURS: [&str; 7] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

type Result<T> = std::result::Result<T, ConfigError>;

impl Plan {
    /// Compiles what stands at `at` in the settings, and defines the metrics `<what>_…`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    #[inline(never)]
    pub fn compile(
        compiling: &Compiling<'_>,
        what: &'static str,
        sinks: &[SinkSettings<'_>],
        ack: Ack,
        (batch, queue, retry): (&Batch, &Queue, &Retry),
        at: &Path,
    ) -> Result<Self> {
        limits(batch, queue, retry, at)?;
        let targets: Result<Vec<Target>> =
            sinks.iter().map(|sink| target(sink, compiling)).collect();
        let names: Vec<&str> = sinks.iter().map(|sink| sink.name).collect();
        Ok(Self {
            filter: compiling.filter(),
            what,
            terms: Terms {
                sinks: targets?,
                ack,
                batch: batch.clone(),
                queue: queue.clone(),
                retry: retry.clone(),
            },
            metrics: Metrics::define(compiling, what, &names),
        })
    }

    /// Whether both deliver to the same sinks in the same way.
    #[inline(never)]
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.terms == other.terms
    }

    /// Whether both deliver to the same places.
    #[inline(never)]
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.terms.sinks, &other.terms.sinks);
        let is_same = |(one, other): (&Target, &Target)| one.place() == other.place();
        (self.filter, self.what, ours.len()) == (other.filter, other.what, theirs.len())
            && ours.iter().zip(theirs).all(is_same)
    }

    /// Whose the sinks are: the clusters that they are in, and the headers that can name a tenant.
    pub fn owners(&self) -> impl Iterator<Item = String> {
        self.terms.sinks.iter().map(|sink| {
            let mut owner = sink.cluster.clone();
            for (name, value) in &sink.written {
                owner.extend([" ", name, "=", value]);
            }
            owner
        })
    }

    /// The clusters that the sinks are in.
    pub fn clusters(&self) -> impl Iterator<Item = &str> {
        self.terms.sinks.iter().map(|sink| sink.cluster.as_str())
    }

    /// What happens to a record for which there is no room.
    pub fn overflow(&self) -> Overflow {
        self.terms.queue.overflow
    }

    /// Whose acknowledgement a record needs.
    pub fn ack(&self) -> Ack {
        self.terms.ack
    }

    /// How often an exporter's tick is due, in milliseconds.
    pub fn tick_period_ms(&self) -> u32 {
        (self.terms.batch.interval_ms / 4).clamp(20, 250)
    }
}

fn limits(batch: &Batch, queue: &Queue, retry: &Retry, at: &Path) -> Result<()> {
    let here = |group: &'static str, key: &'static str| at.clone().key(group).key(key);
    for (group, key, value, allowed) in [
        ("batch", "max_records", batch.max_records, (1, 10_000)),
        ("batch", "max_bytes", batch.max_bytes, (1 << 10, 16 << 20)),
        ("batch", "interval_ms", batch.interval_ms, (20, 60_000)),
        ("batch", "max_in_flight", batch.max_in_flight, (1, 16)),
        ("queue", "max_records", queue.max_records, (1, 1_000_000)),
        ("queue", "max_bytes", queue.max_bytes, (1 << 10, 256 << 20)),
        ("retry", "initial_ms", retry.initial_ms, (20, 60_000)),
        ("retry", "max_ms", retry.max_ms, (20, 3_600_000)),
    ] {
        in_range(value, allowed, || here(group, key))?;
    }
    for (key, queue, batch) in [
        ("max_records", queue.max_records, batch.max_records),
        ("max_bytes", queue.max_bytes, batch.max_bytes),
    ] {
        if queue < batch {
            return Err(ConfigError::rule(
                here("queue", key),
                Mistake::QueueBelowBatch,
            ));
        }
    }
    if retry.max_ms < retry.initial_ms {
        return Err(ConfigError::rule(
            here("retry", "max_ms"),
            Mistake::RetryMax,
        ));
    }
    Ok(())
}

fn in_range(value: u32, (least, most): (u32, u32), path: impl Fn() -> Path) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let mistake = ConfigMistake::OutOfRange {
        found: value.to_string(),
        allowed: format!("{least} to {most}"),
    };
    Err(ConfigError::new(path(), mistake))
}

fn target(sink: &SinkSettings<'_>, compiling: &Compiling<'_>) -> Result<Target> {
    let here = |key: &'static str| sink.at.clone().key(key);
    let refuse = |path, mistake: Mistake| Err(ConfigError::rule(path, mistake));
    let http = sink.http;
    if http.cluster.is_empty() {
        return refuse(here("cluster"), Mistake::Cluster);
    }
    let authority = http.authority.as_ref().unwrap_or(&http.cluster);
    let is_visible = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if !is_visible(authority) || authority.contains(['/', '@']) {
        // A cluster's name need not be an authority.
        let key = match http.authority {
            Some(_) => "authority",
            None => "cluster",
        };
        return refuse(here(key), Mistake::Authority);
    }
    let path = http.path.as_deref().unwrap_or(sink.path);
    if !is_visible(path) || !path.starts_with('/') {
        return refuse(here("path"), Mistake::Path);
    }
    in_range(http.timeout_ms, (10, 300_000), || here("timeout_ms"))?;
    let mut headers = Vec::with_capacity(http.headers.len());
    let mut written = Vec::with_capacity(http.headers.len());
    for (name, value) in &http.headers {
        let here = || here("headers").key(name.as_str());
        if !is_token(name.as_bytes()) || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return refuse(here(), Mistake::HeaderName);
        }
        if OURS.contains(&name.as_str()) {
            return refuse(here(), Mistake::HeaderIsOurs);
        }
        let (value, own) = match value {
            HeaderValue::Text(text) => (text.clone(), text.clone()),
            // No text has that character.
            HeaderValue::Env(variable) => (
                compiling.secret(variable, &here())?,
                ["\0", variable].concat(),
            ),
        };
        if !is_safe_value(value.as_bytes()) || value.trim() != value {
            return refuse(here(), Mistake::HeaderValue);
        }
        written.push((name.clone(), own));
        headers.push((name.clone(), value));
    }
    Ok(Target {
        name: sink.name,
        cluster: http.cluster.clone(),
        authority: authority.clone(),
        path: path.to_owned(),
        headers,
        written,
        timeout_ms: http.timeout_ms,
    })
}
