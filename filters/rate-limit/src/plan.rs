//! A profile as requests use it: everything that is known at load is computed at load.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_kit::Path;
use portcullis_kit::cidr::Cidr;
use portcullis_kit::metrics::MetricId;
use portcullis_kit::routes::Paths;

use crate::counter::Algorithm;
use crate::decide::Rule;
use crate::identity::{IdentityHash, Source};
use crate::store::Table;

/// One profile.
#[derive(Debug)]
pub struct Profile {
    /// Where an identity comes from; the first that yields a value.
    pub identity: Vec<Source>,
    /// All tiers; others refer to one by its place here.
    pub tiers: Vec<Tier>,
    pub assignment: Assignment,
    pub exempt: Exempt,
    pub styles: Vec<Style>,
    pub upgrade: Upgrade,
    pub on_error: OnError,
    pub table: Table,
    /// Whether decisions have no effect (`mode: shadow`): they are then counted as such.
    pub shadow: bool,
    /// Whether the tier and the decision are published for later filters and access logs.
    pub filter_state: bool,
    /// Requests that leave a limit used to this part or more (percent) are counted as near.
    pub near_percent: u64,
    pub metrics: Metrics,
    /// What requests of this profile use.
    pub resource: String,
    /// All limits of all tiers, those of other resources too.
    pub declared: Vec<Declared>,
}

impl Profile {
    /// The tier to advise a client of this one.
    pub fn next(&self, tier: &Tier) -> Option<&Tier> {
        self.tiers.get(tier.next?)
    }
}

/// A limit as it was declared, to compare it with others.
#[derive(Clone, Debug)]
pub struct Declared {
    pub name: String,
    pub tag: u16,
    /// What its counter takes at most.
    pub bytes: usize,
    pub algorithm: Algorithm,
    pub resource: Option<String>,
    /// Whether a user wrote it; else it comes with a preset.
    pub own: bool,
    /// Where it stands in the profile's settings.
    pub path: Path,
}

/// Which tier a client gets.
#[derive(Debug)]
pub struct Assignment {
    /// By the identity's hash; before all else.
    pub overrides: BTreeMap<IdentityHash, usize>,
    /// The first that yields a name.
    pub sources: Vec<TierSource>,
    pub default: usize,
    /// For clients known by their address only.
    pub anonymous: usize,
    /// Whether a name that is no tier is refused; else the client gets the default.
    pub refuse_unknown: bool,
    /// Names of headers that would tell a tier or an identity if they were trusted. They are not, so no one else shall
    /// believe them: removed from the request.
    pub untrusted: Vec<String>,
}

/// Where a tier's name comes from.
#[derive(Debug)]
pub enum TierSource {
    /// A property path of verified metadata.
    Claim(Vec<String>),
    /// A header that an earlier filter sets.
    Header(String),
    /// The tier of a key, by the SHA-256 of the header's value.
    Keys {
        header: String,
        tiers: BTreeMap<[u8; 32], usize>,
    },
}

/// Requests that are not limited.
#[derive(Debug)]
pub struct Exempt {
    pub cidrs: Vec<Cidr>,
    pub identities: BTreeSet<IdentityHash>,
    pub paths: Paths,
    /// CORS preflights.
    pub preflight: bool,
}

/// One tier, with the limits that count for this profile's resource.
#[derive(Debug)]
pub struct Tier {
    pub name: String,
    pub limits: Vec<Limit>,
    /// The limits' rules where they are the same for every request.
    pub rules: Option<Vec<Rule>>,
    /// The value of `RateLimit-Policy` where it is the same for every request.
    pub policy: Option<Vec<u8>>,
    /// The end of a refusal's document (see [`crate::refusal::rest`]) where it is the same at every time.
    pub refusal: Option<Vec<u8>>,
    /// The tier to advise.
    pub next: Option<usize>,
    pub allowed: MetricId,
}

/// One limit.
#[derive(Debug)]
pub struct Limit {
    pub name: String,
    pub rule: Rule,
    /// The share of identities (percent) for which the limit refuses; for the others it only tells.
    pub enforce_percent: u8,
    /// A property path of verified metadata that tells the count, as a number or as `count/unit`.
    pub dynamic: Option<Dynamic>,
    /// `, "minute";r=`: how the limit's part of `RateLimit` begins, but for the first.
    pub remaining: String,
    /// What a refusal says of it (see [`crate::refusal::used_up`]) where that is the same at every time.
    pub used_up: Option<Vec<u8>>,
    /// What filter state says of a request that it refuses, or would.
    pub denied_state: String,
    pub shadow_denied_state: String,
    pub near: MetricId,
    pub denied: MetricId,
    /// Would have been denied.
    pub shadow_denied: MetricId,
}

/// Where a count is looked up for each request.
#[derive(Debug)]
pub struct Dynamic {
    pub path: Vec<String>,
    /// The unit's name that fits the limit's window, such as `minute`.
    pub unit: Option<&'static str>,
    /// The burst that the settings give beside the count.
    pub burst: Option<u64>,
}

/// What a 429 says about more.
#[derive(Debug, Default)]
pub struct Upgrade {
    pub url: Option<String>,
    pub text: Option<String>,
}

/// Which headers tell a client where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11).
    Ietf {
        /// Whether policies carry the identity's hash as partition key.
        partition_key: bool,
    },
    /// `X-RateLimit-Limit`, `-Remaining`, `-Reset` of the tightest limit; the reset as seconds from now or as a Unix time.
    XRateLimit { epoch: bool },
    /// The same for each limit: `X-RateLimit-Limit-Minute` and so on.
    XRateLimitWindow { epoch: bool },
    /// As Envoy's own rate limit filter writes them (`DRAFT_VERSION_03`).
    Envoy,
}

/// What happens to a request when the store fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    Allow,
    /// 503.
    Deny,
}

/// Counts that belong to no limit.
#[derive(Debug)]
pub struct Metrics {
    pub exempt: MetricId,
    pub unknown_tier: MetricId,
    pub invalid_dynamic: MetricId,
    pub cas_retries: MetricId,
    pub cas_exhausted: MetricId,
    pub store_errors: MetricId,
    pub evicted: MetricId,
    pub table_full: MetricId,
    pub in_flight: MetricId,
}
