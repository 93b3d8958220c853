//! A certificate of our own for the loopback.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};

const NAME: &str = "localhost";

/// A self-signed certificate and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: String,
}

impl Default for Certificate {
    fn default() -> Self {
        Self::new()
    }
}

impl Certificate {
    /// A new one.
    pub fn new() -> Self {
        let made =
            rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).expect("a certificate");
        Self {
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
            der: made.cert.into(),
        }
    }

    /// A listener's `transport_socket`.
    pub fn transport_socket(&self) -> Value {
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {"tls_certificates": [{
                    "certificate_chain": {"inline_string": self.certificate_pem},
                    "private_key": {"inline_string": self.key_pem},
                }]},
            },
        })
    }

    /// A client that trusts this certificate only.
    pub(crate) fn client(&self) -> rustls::ClientConnection {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.der.clone()).expect("the certificate is one");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(NAME).expect("a host name");
        rustls::ClientConnection::new(Arc::new(config), name).expect("a TLS client")
    }
}
