//! Combinations of settings that cannot be meant.

use std::fmt;

/// What is wrong, and what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsMistake {
    /// A header that another setting writes.
    OwnSetting(&'static str),
    CorsHeader,
    Framing,
    VaryOnlyGrows,
    PreloadMaxAge,
    PreloadSubdomains,
    NothingToReport,
    KeepNotListed,
    KeepWithoutList,
    KeptAndRemoved,
    RemovedAndRuled,
    NoCookieNames,
    CookieName,
    NonceCacheable,
    AllIncludesThis,
}

impl fmt::Display for SettingsMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnSetting(setting) => {
                return write!(
                    f,
                    "this header has settings of its own; write them under `{setting}`"
                );
            }
            Self::CorsHeader => {
                "CORS headers are the business of Envoy's own filter, envoy.filters.http.cors; take this one out"
            }
            Self::Framing => {
                "this header says how the message is sent, and only the proxy knows that; take it out"
            }
            Self::VaryOnlyGrows => {
                "a cache that misses a member of `vary` serves one client's response to another; use `append`"
            }
            Self::PreloadMaxAge => {
                "the preload list demands a max_age of at least 31536000 (a year); raise it or take `preload` away"
            }
            Self::PreloadSubdomains => {
                "the preload list demands `include_subdomains: true`; set it or take `preload` away"
            }
            Self::NothingToReport => {
                "there is no such policy to report on; give it a value, or take it out of `report_only`"
            }
            Self::KeepNotListed => {
                "this name is not on the list, so nothing removes it; take it out"
            }
            Self::KeepWithoutList => {
                "no list is applied, so there is nothing to keep from; set `list: owasp` or take `keep` away"
            }
            Self::KeptAndRemoved => "this name stands under `keep` and `remove`; take one out",
            Self::RemovedAndRuled => {
                "this name also stands under `headers`; take one out"
            }
            Self::NoCookieNames => {
                "the list is empty; name cookies, or write `on` or `off` instead"
            }
            Self::CookieName => {
                "this is no cookie name; it holds neither spaces nor any of ()<>@,;:\\\"/[]?={}"
            }
            Self::NonceCacheable => {
                "a nonce must not be served twice, so these responses cannot be cached; take this rule out, or set a value with `no-store`"
            }
            Self::AllIncludesThis => "`all` includes the others; keep it alone",
        })
    }
}
