//! What all profiles share: where records go, in which form, and how they are sealed.

use std::rc::Rc;

use portcullis_kit::export::Plan;
use portcullis_kit::metrics::MetricId;

use crate::redact::Signer;
use crate::settings::{Body, Format};

/// How a sink that is asked by HTTP gets a batch.
#[derive(Clone, PartialEq)]
pub enum Encoding {
    Otlp,
    Webhook(Body, Option<Signer>),
}

/// The filter state that an access log reads: `%FILTER_STATE(wasm.portcullis.audit:PLAIN)%`.
pub const LOG_STATE: &str = "portcullis.audit";
/// Why records are dropped that were queued in a VM that ended without notice.
pub const RESTART: &str = "restart";
/// Why records are dropped that the proxy's access log never got, or that its log does not write.
pub const UNWRITTEN: &str = "unwritten";

/// How records leave.
#[derive(Clone)]
pub struct Emission {
    /// Into the proxy's log.
    pub logs: bool,
    /// The gauge of workers whose records that log does not write, and what counts records that nobody has therefore.
    pub unlogged: [MetricId; 2],
    /// Into the proxy's access log, and what counts records that it never got.
    pub access_log: Option<MetricId>,
    /// To sinks that are asked by HTTP.
    pub plan: Option<Rc<Plan>>,
    /// How each of them gets a batch.
    pub encodings: Vec<Encoding>,
    /// Counts records that were lost with VMs that ended without notice.
    pub lost: MetricId,
    pub format: Format,
    pub sealed: bool,
    pub key: Option<audit_chain::Key>,
    pub checkpoint_records: u64,
    pub checkpoint_ms: u64,
    pub last_checkpoint: MetricId,
    /// SHA-256 of the plugin's configuration, where it is known.
    pub fingerprint: Option<Rc<str>>,
}

impl Emission {
    /// The key of the settings in which two profiles differ and must not.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        if self.logs != other.logs
            || self.access_log.is_some() != other.access_log.is_some()
            || self.encodings != other.encodings
        {
            return Some("sinks");
        }
        match (&self.plan, &other.plan) {
            (None, None) => {}
            (Some(one), Some(two)) if one.agrees_with(two) => {}
            // Sinks and delivery are one plan; what differs is most likely how, not where.
            (Some(one), Some(two)) if one.clusters().eq(two.clusters()) => return Some("delivery"),
            _ => return Some("sinks"),
        }
        let key = |emission: &Self| emission.key.as_ref().map(|key| key.id().to_owned());
        if self.format != other.format {
            Some("format")
        } else if self.sealed != other.sealed
            || key(self) != key(other)
            || self.checkpoint_records != other.checkpoint_records
            || self.checkpoint_ms != other.checkpoint_ms
        {
            Some("chain")
        } else {
            None
        }
    }

    /// Whether the proxy may write records itself: what it takes is not kept until a sink acknowledges it.
    #[inline]
    pub fn is_local(&self) -> bool {
        self.logs || self.access_log.is_some()
    }

    /// Names the stream of records: configurations of one VM that send to the same places in the same form go on with
    /// one chain.
    pub fn stream(&self) -> String {
        let mut name = String::from(match self.format {
            Format::Native => "native",
            Format::Ocsf => "ocsf",
            Format::Ecs => "ecs",
        });
        if self.logs {
            name.push_str(" log");
        }
        if self.access_log.is_some() {
            name.push_str(" access_log");
        }
        for owner in self.plan.iter().flat_map(|plan| plan.owners()) {
            // No cluster's name is taken for a sink's.
            name.push_str(" http:");
            name.push_str(&owner);
        }
        name
    }
}
