//! The small programs of the compose harness. They are linked statically, so that they run in any image, one without a
//! shell included.
//!
//! * `harness-probe` ([`probe`]) is every healthcheck.
//! * `harness-certificate` ([`certificate`]) makes the certificate of the TLS listener.

pub mod certificate;
pub mod probe;
