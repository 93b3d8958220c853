//! Which requests are not limited, and why.

use portcullis_kit::exchange::Properties;
use portcullis_kit::headers::Headers;
use portcullis_kit::property;

use crate::plan::Exempt;

/// Why a request is not limited, whoever sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exemption {
    Preflight,
    Path,
    Address,
}

/// Whether a request is limited at all.
#[inline]
pub fn of_request<X: Properties>(
    exempt: &Exempt,
    headers: &Headers,
    host: &X,
) -> Option<Exemption> {
    if exempt.preflight && is_preflight(headers) {
        return Some(Exemption::Preflight);
    }
    if !exempt.paths.is_empty() {
        let target = headers.get(":path").unwrap_or_default();
        if exempt.paths.match_target(target) {
            return Some(Exemption::Path);
        }
    }
    let listed = !exempt.cidrs.is_empty()
        && property::source_address(host)
            .is_some_and(|address| exempt.cidrs.iter().any(|range| range.contains(address)));
    listed.then_some(Exemption::Address)
}

/// A CORS preflight (Fetch, "CORS-preflight request").
#[inline]
fn is_preflight(headers: &Headers) -> bool {
    headers.get(":method") == Some(b"OPTIONS")
        && headers.contains("origin")
        && headers.contains("access-control-request-method")
}
