//! Where it is read whether the client used TLS.

use crate::profile::Profile;
use crate::settings::Tls;

/// Where the request phase reads whether the client used TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsReading {
    /// Nowhere: it is read with the response, if that depends on it.
    Later,
    /// From the connection: HSTS depends on it with nearly every response, and the response phase has one read already.
    Connection,
    /// From `x-forwarded-proto`, which the response phase can no longer read.
    ForwardedProto,
}

/// What the request phase has to read for the response.
#[inline]
pub fn tls_reading(profile: &Profile) -> TlsReading {
    let hsts = profile.hsts.as_ref().is_some_and(|hsts| !hsts.always);
    match profile.tls {
        Tls::Connection if hsts => TlsReading::Connection,
        Tls::ForwardedProto if hsts || profile.cookies.is_some() => TlsReading::ForwardedProto,
        _ => TlsReading::Later,
    }
}
