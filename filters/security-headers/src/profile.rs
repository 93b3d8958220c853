//! What requests use: the settings of one profile, with everything computed that is known at load.

use portcullis_kit::cookies;
use portcullis_kit::metrics::MetricId;

use crate::csp::Template;
use crate::csrf::Reason;
use crate::lookup::Lookup;
use crate::origin::Origin;
use crate::settings::Tls;

/// One compiled profile.
pub struct Profile {
    pub(crate) lookup: Lookup,
    /// Names of headers to remove.
    pub(crate) removed: Vec<String>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) csp: Csp,
    pub(crate) hsts: Option<Hsts>,
    pub(crate) tls: Tls,
    pub(crate) cookies: Option<cookies::Rules>,
    pub(crate) cors: Option<Cors>,
    /// Names that `Vary` gets.
    pub(crate) vary: Vec<Vec<u8>>,
    pub(crate) clear_site_data: Option<Vec<u8>>,
    /// The value of `Reporting-Endpoints`.
    pub(crate) endpoint: Option<Vec<u8>>,
    /// Whether each response has a nonce of its own.
    pub(crate) nonces: bool,
    /// Whether a client's nonce header is taken away.
    pub(crate) strips_nonce: bool,
    pub(crate) csrf: Option<Csrf>,
    pub(crate) counters: Counters,
}

impl Profile {
    /// Whether no response can be changed, so that none need be read.
    #[inline]
    pub fn leaves_responses_alone(&self) -> bool {
        self.removed.is_empty()
            && self.rules.is_empty()
            && matches!(self.csp, Csp::Off)
            && self.hsts.is_none()
            && self.cookies.is_none()
            && self.cors.is_none()
            && self.vary.is_empty()
            && self.clear_site_data.is_none()
            && self.endpoint.is_none()
            && !self.nonces
    }
}

/// A header with its value.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The name under which it is sent.
    pub(crate) name: String,
    pub(crate) value: Vec<u8>,
    pub(crate) action: Action,
    /// Whether it is a policy that only reports.
    pub(crate) reports: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It replaces the upstream's.
    Set,
    /// It is sent where the upstream sends none.
    Default,
    /// It is one more line, unless a line or member says it already.
    Append,
    /// `Cache-Control` that must hold `no-store`.
    Uncacheable,
}

/// What happens to Content-Security-Policy.
#[derive(Debug)]
pub(crate) enum Csp {
    Off,
    Remove,
    Send {
        policy: Template,
        how: CspAction,
        report_only: bool,
        uses_nonce: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CspAction {
    Set,
    Default,
    Merge,
}

#[derive(Debug)]
pub(crate) struct Hsts {
    pub(crate) value: Vec<u8>,
    pub(crate) replaces: bool,
    /// Also where TLS is not known.
    pub(crate) always: bool,
}

#[derive(Debug)]
pub(crate) struct Cors {
    pub(crate) allowed: Option<Vec<Origin>>,
}

#[derive(Debug)]
pub(crate) struct Csrf {
    pub(crate) enforce: bool,
    pub(crate) trusted: Vec<Origin>,
    pub(crate) trusted_passes: MetricId,
    /// In the order of [`Reason::ALL`].
    pub(crate) refusals: [MetricId; Reason::ALL.len()],
}

/// Counters of rare events; what happens on every response is not worth an increment.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) cookies_hardened: MetricId,
    pub(crate) cors_vary: MetricId,
    pub(crate) cors_credentials: MetricId,
}
