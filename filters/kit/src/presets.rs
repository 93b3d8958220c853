//! What each preset of security-headers sends; also on replies that no filter outside of the one that made them sees.
//!
//! The values are those that the OWASP Secure Headers Project proposes, stricter for `api`, whose responses are no pages.

use crate::config::Setting;

/// A set of headers to start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Responses that are data: nothing may be loaded, framed or run.
    #[default]
    Api,
    /// Pages that load only from their own origin.
    Web,
    /// Pages whose scripts and styles carry a nonce that is new for every response.
    WebNonce,
    /// No header, and nothing removed or changed, but what the settings name.
    Off,
}

/// A header that a preset sends, and whether it replaces the upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preselected {
    pub name: &'static str,
    pub value: &'static str,
    pub replaces: bool,
}

const fn keep(name: &'static str, value: &'static str) -> Preselected {
    Preselected {
        name,
        value,
        replaces: false,
    }
}

pub const COOP: &str = "cross-origin-opener-policy";
pub const COEP: &str = "cross-origin-embedder-policy";
pub const PERMISSIONS: &str = "permissions-policy";
pub const CACHE_CONTROL: &str = "cache-control";

const API_CSP: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox";
const WEB_CSP: &str = "default-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'; upgrade-insecure-requests";
const NONCE_CSP: &str = "default-src 'self'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'self' 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; upgrade-insecure-requests";

macro_rules! permissions {
    ($sync_xhr:literal) => {
        concat!(
            "accelerometer=(), autoplay=(), camera=(), cross-origin-isolated=(), display-capture=(), encrypted-media=(), ",
            "fullscreen=(), geolocation=(), gyroscope=(), keyboard-map=(), magnetometer=(), microphone=(), midi=(), ",
            "payment=(), picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), sync-xhr=",
            $sync_xhr,
            ", usb=(), web-share=(), xr-spatial-tracking=(), clipboard-read=(), clipboard-write=(), gamepad=(), hid=(), ",
            "idle-detection=(), interest-cohort=(), serial=(), unload=()"
        )
    };
}

/// What all presets but `off` share. `nosniff` is the only value there is, so it also replaces a mistaken one.
const COMMON: [Preselected; 9] = [
    Preselected {
        name: "x-content-type-options",
        value: "nosniff",
        replaces: true,
    },
    keep("x-frame-options", "DENY"),
    keep("referrer-policy", "no-referrer"),
    keep(COOP, "same-origin"),
    keep(COEP, "require-corp"),
    keep("cross-origin-resource-policy", "same-origin"),
    keep("origin-agent-cluster", "?1"),
    keep("x-permitted-cross-domain-policies", "none"),
    keep("x-dns-prefetch-control", "off"),
];
const API: [Preselected; 2] = [
    keep(CACHE_CONTROL, "no-store"),
    keep(PERMISSIONS, permissions!("()")),
];
const WEB: [Preselected; 2] = [
    keep(CACHE_CONTROL, "no-store, max-age=0"),
    keep(PERMISSIONS, permissions!("(self)")),
];

impl Preset {
    /// The headers, without those that have settings of their own.
    pub fn headers(self) -> impl Iterator<Item = Preselected> {
        let (common, own): (&[Preselected], &[Preselected]) = match self {
            Self::Api => (&COMMON, &API),
            Self::Web | Self::WebNonce => (&COMMON, &WEB),
            Self::Off => (&[], &[]),
        };
        common.iter().chain(own).copied()
    }

    pub fn csp(self) -> Option<&'static str> {
        match self {
            Self::Api => Some(API_CSP),
            Self::Web => Some(WEB_CSP),
            Self::WebNonce => Some(NONCE_CSP),
            Self::Off => None,
        }
    }

    /// Whether HSTS, cookie hardening, CORS repair and the removal of leaking headers are on without being named.
    pub fn protects(self) -> bool {
        self != Self::Off
    }

    /// Whether requests are checked for CSRF without `csrf` being named. An API that is called with tokens, from other
    /// origins, would break; a site that is used with cookies needs it.
    pub fn checks_csrf(self) -> bool {
        matches!(self, Self::Web | Self::WebNonce)
    }
}
