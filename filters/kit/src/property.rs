//! The one typed reader of the host's properties: paths and encodings stand here and nowhere else.
//!
//! Each present property costs a host call that returns bytes; never ask for what a header says.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use crate::exchange::{Exchange, Properties};
use crate::headers::Headers;

/// Tells whether the client's own connection to the proxy is TLS (`connection.tls_version`).
///
/// A version is bytes, and bytes are what host calls cost. On TLS Envoy also has the subject of the client's certificate,
/// which is empty where the client shows none, and without TLS it has no such property. A worker's connections are nearly
/// always alike, so after one with TLS the subject is asked for first; where it is not there, the version decides.
#[derive(Debug, Default)]
pub struct TlsReader {
    was_tls: Cell<bool>,
}

impl TlsReader {
    pub fn is_tls(&self, host: &impl Properties) -> bool {
        let subject = ["connection", "subject_peer_certificate"];
        if self.was_tls.get() && host.property(&subject).is_some() {
            return true;
        }
        let version = host.property(&["connection", "tls_version"]);
        let is_tls = version.is_some_and(|version| !version.is_empty());
        self.was_tls.set(is_tls);
        is_tls
    }
}

/// The filter state in which the request id stands. Later modules read it as a property, access logs show it as
/// `%FILTER_STATE(wasm.portcullis.request_id:PLAIN)%`.
pub const REQUEST_ID: &str = "portcullis.request_id";

/// The filter state in which request-tracing tells of [`crate::exchange::MalformedIds`]; none where there were none.
pub const MALFORMED_IDS: &str = "portcullis.malformed_ids";

/// The request id: what a filter of this plugin made of it, or else what an earlier module published. The latter costs a
/// host call, so this is for refusals.
pub fn request_id(exchange: &mut impl Exchange) -> Option<Rc<str>> {
    if let Some(id) = &exchange.facts().request_id {
        return Some(Rc::clone(id));
    }
    let id = String::from_utf8(exchange.property(&[REQUEST_ID])?).ok()?;
    (!id.is_empty()).then(|| id.into())
}

/// The client's address as the listener's `use_remote_address` and `xff_num_trusted_hops` see it, without the port.
pub fn source_address(host: &impl Properties) -> Option<IpAddr> {
    address(&host.property(&["source", "address"])?)
}

/// `203.0.113.7:0`, `[2001:db8::1]:443`, or an address alone. An IPv4 address mapped into IPv6 is the IPv4 address.
#[inline]
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse::<SocketAddr>()
        .map(|address| address.ip())
        .or_else(|_| text.parse())
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

/// The name of the route that matched (`xds.route_name`), if it has one.
pub fn route_name(host: &impl Properties) -> Option<String> {
    let name = String::from_utf8(host.property(&["xds", "route_name"])?).ok()?;
    (!name.is_empty()).then_some(name)
}

/// The route's metadata under the namespace `portcullis`, as its keys and plain values; asked of the host once per
/// request.
pub fn route_metadata(exchange: &mut impl Exchange) -> Rc<Headers> {
    if let Some(metadata) = &exchange.facts().route_metadata {
        return Rc::clone(metadata);
    }
    let path = ["xds", "route_metadata", "filter_metadata", "portcullis"];
    let metadata = exchange
        .property(&path)
        .and_then(Headers::from_serialized)
        .unwrap_or_default();
    let metadata = Rc::new(metadata);
    exchange.facts().route_metadata = Some(Rc::clone(&metadata));
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_with_or_without_its_port() {
        for (text, expected) in [
            ("203.0.113.7:0", Some("203.0.113.7")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("203.0.113.7", Some("203.0.113.7")),
            ("[::ffff:203.0.113.7]:9", Some("203.0.113.7")),
            ("/var/run/envoy.sock", None),
            ("", None),
        ] {
            assert_eq!(
                address(text.as_bytes()),
                expected.map(|ip| ip.parse().unwrap()),
                "{text}"
            );
        }
    }
}
