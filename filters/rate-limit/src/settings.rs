//! What a user may write.

use portcullis_kit::config::Setting;
pub use portcullis_kit::identity::settings::{
    Claim, ClientAddress, Identity, IdentityHeader, JWT_AUTHN,
};
use portcullis_kit::routes::PathMatch;
use portcullis_kit::table::Table;

/// Plans with exact quotas.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Who a request counts for: the first source that yields a value. Default: the client's address.
    pub identity: Vec<Identity>,
    /// Which tier a client gets.
    pub tier: TierChoice,
    /// The plans that are there without being written: `standard` (default) has the tiers `free`, `starter`, `professional`
    /// and `enterprise`; `none`.
    pub plans: Plans,
    /// Tiers of one's own, by name. One with a standard plan's name takes its place.
    pub tiers: Table<String, Tier>,
    /// Tiers of single identities, by identity hash (64 hex digits, as `portcullis explain` prints it). They come before
    /// `tier.from`.
    pub overrides: Table<String, Override>,
    /// What is not limited.
    pub exempt: Exempt,
    /// How much a request counts. Default: 1.
    pub cost: u32,
    /// Which limits count a request, beside those that name no resource. Default: `api`.
    pub resource: String,
    /// Which headers tell clients where they stand.
    pub headers: Headers,
    /// From which part of a limit on, in percent, an admitted request is counted as near it. Default: 80.
    pub near_limit_percent: u8,
    /// What refusals say about more.
    pub upgrade: Upgrade,
    /// What happens to a request that cannot be counted: `allow` (default: a limiter in trouble must not be an outage) or
    /// `deny` (503).
    pub on_error: OnError,
    /// The offset of calendar days and months from UTC. Default: `+00:00`.
    pub utc_offset: String,
    /// About how many identities are remembered; with more, those not seen for longest are forgotten. The same in all
    /// profiles. Default: 1000000.
    pub max_identities: u32,
    /// Plugins of one namespace (and one `vm_id`) count together. The same in all profiles. Default: `default`.
    pub namespace: String,
    /// Whether the tier and the decision are published as filter state `portcullis.tier` and `portcullis.ratelimit`, for
    /// access logs and later filters. Default: true.
    pub filter_state: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            identity: vec![Identity::ClientAddress(ClientAddress::default())],
            tier: TierChoice::default(),
            plans: Plans::default(),
            tiers: Table::new(),
            overrides: Table::new(),
            exempt: Exempt::default(),
            cost: 1,
            resource: "api".to_owned(),
            headers: Headers::default(),
            near_limit_percent: 80,
            upgrade: Upgrade::default(),
            on_error: OnError::default(),
            utc_offset: "+00:00".to_owned(),
            max_identities: 1_000_000,
            namespace: "default".to_owned(),
            filter_state: true,
        }
    }
}

/// Which tier a client gets.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TierChoice {
    /// Where the tier's name comes from: the first source that yields one. Names compare without case.
    pub from: Vec<TierSource>,
    /// The tier of clients of whom no source says one. Default: `free`.
    pub default: String,
    /// The tier of clients known by nothing but their address. Default: the same as `default`.
    pub anonymous: Option<String>,
    /// What becomes of a client whose source names a tier that does not exist: `default` (default) gives it the default
    /// tier, `deny` refuses it (403).
    pub unknown: Unknown,
}

impl Default for TierChoice {
    fn default() -> Self {
        Self {
            from: Vec::new(),
            default: "free".to_owned(),
            anonymous: None,
            unknown: Unknown::default(),
        }
    }
}

/// A source of tier names.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TierSource {
    /// A claim of a token that an earlier filter verified.
    JwtClaim(Claim),
    /// A request header.
    Header(TierHeader),
    /// The tier of an API key.
    ApiKeys(ApiKeys),
}

/// A request header that names a tier.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TierHeader {
    /// The header's name.
    pub name: String,
    /// Whether an earlier filter sets the header and removes the client's own. Default: false: the header is not believed,
    /// and removed so that nobody behind believes it.
    #[serde(default)]
    pub trusted: bool,
}

/// API keys and their tiers.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApiKeys {
    /// The header that carries the key.
    pub header: String,
    /// Tiers by the SHA-256 of the key (64 hex digits, as `printf %s KEY | sha256sum` prints it).
    pub keys: Table<String, String>,
}

/// What becomes of a client of an unknown tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It gets the default tier.
    #[default]
    Default,
    /// It is refused.
    Deny,
}

/// The plans that are there without being written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Plans {
    /// `free`, `starter`, `professional`, `enterprise`.
    #[default]
    Standard,
    /// Only those under `tiers`.
    None,
}

/// A tier.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Tier {
    /// What its clients may use; all limits are decided together, and a request that one refuses counts on none.
    pub limits: Vec<Limit>,
    /// How many requests at the same time.
    pub concurrency: Option<Concurrency>,
    /// How many requests in quick succession.
    pub burst: Option<Burst>,
    /// Whether there are no limits. Default: false.
    pub unlimited: bool,
    /// The tier that refusals advise. Default: none.
    pub upgrade_to: Option<String>,
}

/// A limit: so many in a window.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The limit's name, in headers and metrics. Limits of one name in several tiers are one counter: a client that changes
    /// its tier keeps what it used.
    pub name: String,
    /// How much the window holds.
    pub count: u32,
    /// The window: a number and `s`, `m`, `h` or `d`, such as `90s`, or `second`, `minute`, `hour`, `day`, `month`.
    pub window: String,
    /// How it is counted. Default: `sliding` up to an hour, `fixed` above.
    #[serde(default)]
    pub algorithm: Option<Algorithm>,
    /// With `gcra`: how many at once. Default: `count`.
    #[serde(default)]
    pub burst: Option<u32>,
    /// The resource whose requests count. Default: every request counts.
    #[serde(default)]
    pub resource: Option<String>,
    /// Whether it refuses (`enforce`, default) or only tells (`shadow`).
    #[serde(default)]
    pub mode: LimitMode,
    /// The share of clients, in percent, that it refuses; for the others it only tells. Default: 100.
    #[serde(default = "all")]
    pub enforce_percent: u8,
    /// Whether refused requests count here, too. Default: false.
    #[serde(default)]
    pub count_denied: bool,
    /// Verified metadata that tells the count for this client, as a number or as `count/unit` (`100/minute`). Where it
    /// is missing, `count` holds.
    #[serde(default)]
    pub dynamic: Option<Claim>,
}

fn all() -> u8 {
    100
}

/// How a limit is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Never more than the limit in any window of this length. A request counts for the window and up to a tenth more.
    Sliding,
    /// Windows that begin at multiples of their length; days and months those of the calendar.
    Fixed,
    /// As `sliding`, exact to a millisecond; for counts up to 512.
    Log,
    /// An even pace after a burst (generic cell rate algorithm).
    Gcra,
}

/// What a limit does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LimitMode {
    /// Refuses.
    #[default]
    Enforce,
    /// Only tells.
    Shadow,
}

/// How many requests at the same time.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// The most in flight.
    pub max: u32,
    /// When a request whose end nobody saw is forgotten: longer than requests take. Default: `5m`.
    #[serde(default = "lease")]
    pub lease: String,
}

fn lease() -> String {
    "5m".to_owned()
}

/// How many requests in quick succession: `count` at once, and as many again per window at an even pace.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// How many at once.
    pub count: u32,
    /// The time in which the burst is there again, as a limit's `window`.
    pub window: String,
}

/// The tier of one identity.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The tier's name.
    pub tier: String,
}

/// What is not limited.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Exempt {
    /// Ranges of client addresses.
    pub cidrs: Vec<String>,
    /// Identity hashes, as in `overrides`.
    pub identities: Vec<String>,
    /// Paths.
    pub paths: Vec<PathMatch>,
    /// CORS preflights. Default: true.
    pub preflight: bool,
}

impl Default for Exempt {
    fn default() -> Self {
        Self {
            cidrs: Vec::new(),
            identities: Vec::new(),
            paths: Vec::new(),
            preflight: true,
        }
    }
}

/// Which headers tell clients where they stand, on every limited response.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Headers {
    /// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers). Default: true.
    pub ietf: bool,
    /// Whether these carry a partition key, a keyed hash of the identity. Default: false.
    pub partition_key: bool,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset` of the tightest limit; the reset in seconds from now (`delta`) or as a
    /// Unix time (`epoch`). Default: `off`.
    pub x_ratelimit: Reset,
    /// The same of each limit, with its name at the end: `X-RateLimit-Limit-minute`. Default: `off`.
    pub x_ratelimit_window: Reset,
    /// `X-RateLimit-*` as Envoy's own rate limit filter writes them (`DRAFT_VERSION_03`). Default: false.
    pub envoy: bool,
}

impl Default for Headers {
    fn default() -> Self {
        Self {
            ietf: true,
            partition_key: false,
            x_ratelimit: Reset::Off,
            x_ratelimit_window: Reset::Off,
            envoy: false,
        }
    }
}

/// How a reset is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reset {
    /// Not at all.
    #[default]
    Off,
    /// In seconds from now.
    Delta,
    /// As seconds since 1970.
    Epoch,
}

/// What refusals say about more.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Upgrade {
    /// Where a client gets a larger plan: an absolute URL.
    pub url: Option<String>,
    /// A sentence for people.
    pub text: Option<String>,
}

/// What happens to a request that cannot be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It passes uncounted.
    #[default]
    Allow,
    /// It is refused (503).
    Deny,
}
