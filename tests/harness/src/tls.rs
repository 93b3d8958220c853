//! A certificate of our own for the loopback.

use std::path::Path;
use std::sync::Arc;

use rustls::ConfigBuilder;
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
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

    /// That of a proxy which somebody else runs, as PEM: to trust, not to serve with.
    pub fn of(certificate_pem: &str) -> Self {
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes());
        Self {
            der: der.expect("a certificate"),
            certificate_pem: certificate_pem.to_owned(),
            key_pem: String::new(),
        }
    }

    /// Writes the certificate and its key, as PEM.
    pub fn write(&self, certificate: &Path, key: &Path) {
        std::fs::write(certificate, &self.certificate_pem).expect("a writable folder");
        std::fs::write(key, &self.key_pem).expect("a writable folder");
    }

    /// A listener's `transport_socket`.
    pub fn transport_socket(&self) -> Value {
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "alpn_protocols": ["h2", "http/1.1"],
                    "tls_certificates": [{
                        "certificate_chain": {"inline_string": self.certificate_pem},
                        "private_key": {"inline_string": self.key_pem},
                    }],
                },
            },
        })
    }

    /// A listener's `transport_socket` that also takes this very certificate from clients.
    pub fn mutual_transport_socket(&self) -> Value {
        let mut socket = self.transport_socket();
        socket["typed_config"]["common_tls_context"]["validation_context"] =
            json!({"trusted_ca": {"inline_string": self.certificate_pem}});
        socket
    }

    /// A client of HTTP/1.1 that trusts this certificate only.
    pub(crate) fn client(&self) -> rustls::ClientConnection {
        let config = self.trusting().with_no_client_auth();
        rustls::ClientConnection::new(Arc::new(config), Self::name()).expect("a TLS client")
    }

    /// The same, with this certificate for its own.
    pub(crate) fn mutual_client(&self) -> rustls::ClientConnection {
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("a key");
        let config = self
            .trusting()
            .with_client_auth_cert(vec![self.der.clone()], key);
        let config = config.expect("the key is the certificate's");
        rustls::ClientConnection::new(Arc::new(config), Self::name()).expect("a TLS client")
    }

    /// What a client of HTTP/2 needs that trusts this certificate only.
    pub(crate) fn http2_client(&self) -> (Arc<rustls::ClientConfig>, ServerName<'static>) {
        let mut config = self.trusting().with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        (Arc::new(config), Self::name())
    }

    fn name() -> ServerName<'static> {
        ServerName::try_from(NAME).expect("a host name")
    }

    fn trusting(&self) -> ConfigBuilder<rustls::ClientConfig, WantsClientCert> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.der.clone()).expect("the certificate is one");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.2 and 1.3")
            .with_root_certificates(roots)
    }
}
