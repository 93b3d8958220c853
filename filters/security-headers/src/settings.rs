//! What a user may write.

use portcullis_kit::config::Setting;
use portcullis_kit::table::Table;

use crate::hsts;
pub use crate::presets::Preset;

/// Response headers that protect the client, cookie hardening, CSRF protection.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The headers to start from: `api` (default), `web`, `web-nonce` or `off`.
    #[serde(default)]
    pub preset: Preset,
    /// What is done with single response headers, by name; overrides the preset's rule for that header. Headers with
    /// settings of their own (`csp`, `hsts`, …) are refused here.
    #[serde(default)]
    pub headers: Table<String, HeaderRule>,
    /// What is done with `Content-Security-Policy`. Default: the preset's policy, where the upstream sends none.
    #[serde(default)]
    pub csp: Option<CspRule>,
    /// `Strict-Transport-Security`. Default: two years with subdomains on TLS, where the upstream sends none; with
    /// preset `off`, nothing.
    #[serde(default)]
    pub hsts: Option<Hsts>,
    /// How the filter knows that the client used TLS. Default: `connection`.
    #[serde(default)]
    pub tls: Tls,
    /// Sends policies as `-Report-Only`: browsers report what they would have blocked, and block nothing. Default:
    /// policies are enforced.
    #[serde(default)]
    pub report_only: Option<ReportOnly>,
    /// Headers that tell what the servers are made of, and are removed.
    #[serde(default)]
    pub leaks: Leaks,
    /// Attributes that cookies get where they lack them. Default: all three; with preset `off`, none.
    #[serde(default)]
    pub cookies: Option<Cookies>,
    /// What the client is told to forget (`Clear-Site-Data`) on responses with status 2xx and 3xx; for the profile of
    /// a logout route. Default: nothing.
    #[serde(default)]
    pub clear_site_data: Vec<SiteData>,
    /// Refusal of requests that pages of other origins make. Default: `enforce` with the presets `web` and
    /// `web-nonce`, else off.
    #[serde(default)]
    pub csrf: Option<Csrf>,
    /// Repairs of CORS responses. Default: on; with preset `off`, off.
    #[serde(default)]
    pub cors: Option<Cors>,
}

/// What is done with a response header.
#[derive(Clone, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HeaderRule {
    /// The header has this value, whatever the upstream says.
    Set(String),
    /// The header has this value where the upstream sends none, or an empty one.
    Default(String),
    /// This value is added to the header's list, unless it is there. For `vary`, a list of header names.
    Append(String),
    /// The header is removed.
    Remove,
    /// The preset's rule does not apply; the upstream's header stays.
    Off,
}

/// What is done with `Content-Security-Policy`. A policy never gets mixed with another one's text.
#[derive(Clone, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CspRule {
    /// This policy, and not the upstream's: the one rule that can weaken what the upstream asks for.
    Set(String),
    /// This policy where the upstream sends none.
    Default(String),
    /// This policy as a header line of its own beside the upstream's: browsers enforce both.
    Merge(String),
    /// No policy, not even the upstream's.
    Remove,
    /// No policy of this filter's; the upstream's stays.
    Off,
}

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Hsts {
    /// How long browsers keep to TLS, in seconds. Default: 63072000 (two years). 0 makes them forget.
    #[serde(default = "two_years")]
    pub max_age: u32,
    /// Whether subdomains are included. Default: true.
    #[serde(default = "yes")]
    pub include_subdomains: bool,
    /// Consents to the browsers' preload lists. It is hard to take back. Default: false. Needs `max_age` of at least
    /// 31536000 (a year) and `include_subdomains`.
    #[serde(default)]
    pub preload: bool,
    /// On which responses it is sent: `tls` (default), `always` (where TLS ends before this proxy and nothing says
    /// so), `off`.
    #[serde(default)]
    pub when: HstsWhen,
    /// What is done where the upstream sends the header too: `keep` (default) or `replace` it.
    #[serde(default)]
    pub upstream: Upstream,
}

fn two_years() -> u32 {
    hsts::DEFAULT_MAX_AGE
}

fn yes() -> bool {
    true
}

impl Default for Hsts {
    fn default() -> Self {
        Self {
            max_age: hsts::DEFAULT_MAX_AGE,
            include_subdomains: true,
            preload: false,
            when: HstsWhen::Tls,
            upstream: Upstream::Keep,
        }
    }
}

/// On which responses HSTS is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HstsWhen {
    /// Where the client used TLS; see `tls`.
    #[default]
    Tls,
    /// On all.
    Always,
    /// On none.
    Off,
}

/// What is done with the upstream's own header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Upstream {
    /// It stays, and this filter sends none.
    #[default]
    Keep,
    /// This filter's header replaces it.
    Replace,
}

/// How the filter knows that the client used TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// By the connection to this proxy (`connection.tls_version`).
    #[default]
    Connection,
    /// By `x-forwarded-proto`. Only where clients cannot set it: a trusted proxy in front always writes it.
    ForwardedProto,
}

/// A rollout that reports and does not block.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReportOnly {
    /// Where browsers send reports: an `https://` URL, or a path of the same origin.
    pub endpoint: String,
    /// The endpoint's name in `Reporting-Endpoints`: lower-case letters, digits, `_`, `-`, `.` and `*`. Default:
    /// `security-headers`.
    #[serde(default = "endpoint_name")]
    pub name: String,
    /// The policies that only report; the others are enforced. Default: all four.
    #[serde(default)]
    pub policies: Option<Vec<Reportable>>,
}

fn endpoint_name() -> String {
    "security-headers".to_owned()
}

/// A policy that has a `-Report-Only` form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reportable {
    /// `Content-Security-Policy`
    Csp,
    /// `Cross-Origin-Opener-Policy`
    Coop,
    /// `Cross-Origin-Embedder-Policy`
    Coep,
    /// `Permissions-Policy`
    PermissionsPolicy,
}

impl Reportable {
    pub const ALL: [Self; 4] = [Self::Csp, Self::Coop, Self::Coep, Self::PermissionsPolicy];
}

/// Headers that tell what the servers are made of.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Leaks {
    /// Whether the names on OWASP's list are removed: `owasp` (default) or `off`; with preset `off`, off by default.
    #[serde(default)]
    pub list: Option<LeakList>,
    /// Further headers to remove.
    #[serde(default)]
    pub remove: Vec<String>,
    /// Names on OWASP's list that stay.
    #[serde(default)]
    pub keep: Vec<String>,
}

/// A list of leaking headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LeakList {
    /// That of the OWASP Secure Headers Project.
    Owasp,
    /// None.
    Off,
}

/// Attributes that cookies get where they lack them.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cookies {
    /// Which cookies get `Secure`, on TLS. Default: `on`.
    #[serde(default)]
    pub secure: CookieRule,
    /// Which cookies get `HttpOnly`. Default: `on`. Cookies that scripts read need an exception, such as
    /// `{except: [XSRF-TOKEN]}`.
    #[serde(default)]
    pub http_only: CookieRule,
    /// Which cookies get `SameSite=Lax`. Default: `on`.
    #[serde(default)]
    pub same_site: CookieRule,
}

/// Which cookies a rule covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CookieRule {
    /// All.
    #[default]
    On,
    /// None.
    Off,
    /// Those with one of these names.
    Only(Vec<String>),
    /// All but those with one of these names.
    Except(Vec<String>),
}

/// What a client can be told to forget (W3C Clear Site Data).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SiteData {
    /// `"cache"`: what this origin's responses left in the browser's cache.
    Cache,
    /// `"cookies"`: cookies of the whole registrable domain, subdomains included, and HTTP authentication.
    Cookies,
    /// `"storage"`: DOM storage, databases, service workers.
    Storage,
    /// `"executionContexts"`: open pages reload.
    ExecutionContexts,
    /// `"clientHints"`: the client hints that were asked for.
    ClientHints,
    /// `"*"`: all of these, and all that will be invented.
    All,
}

/// Refusal of requests that pages of other origins make.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Csrf {
    /// `enforce` (default) refuses with 403, `shadow` counts and lets pass, `off` checks nothing: for the profile of
    /// a route that pages of any origin may call.
    #[serde(default)]
    pub mode: CsrfMode,
    /// Origins whose pages may make such requests, each `scheme://host[:port]`.
    #[serde(default)]
    pub trusted_origins: Vec<String>,
}

/// What becomes of a request that may be a forged one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CsrfMode {
    /// It is refused.
    #[default]
    Enforce,
    /// It is counted, named in the filter state, and passes.
    Shadow,
    /// Nobody looks.
    Off,
}

/// Repairs of CORS responses; the protocol itself is the business of Envoy's own `cors` filter.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// `on` (default) adds `Vary: Origin` where the response depends on it, and removes
    /// `Access-Control-Allow-Credentials` where the allowed origin is `*`, `null` or not listed.
    #[serde(default)]
    pub repair: Switch,
    /// Origins that may send credentials, each `scheme://host[:port]`. Default: any single origin but `null`.
    #[serde(default)]
    pub allowed_origins: Option<Vec<String>>,
}

/// On or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// On.
    #[default]
    On,
    /// Off.
    Off,
}
