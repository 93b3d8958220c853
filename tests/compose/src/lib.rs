//! The small programs of the compose harness. They are linked statically, so that they run in any image, one without a
//! shell included.
//!
//! * `harness-probe` ([`probe`]) is every healthcheck.
//! * `harness-certificate` ([`certificate`]) makes the certificate of the TLS listener.
//! * `harness-alerts` ([`alerts`]) is where Alertmanager sends what it has to tell.

pub mod alerts;
pub mod certificate;
pub mod probe;
