//! Any bytes as the configuration of any plugin: taken or refused in words, and what is taken serves a request.

#![no_main]

use audit_log::AuditLog;
use libfuzzer_sys::fuzz_target;
use portcullis::Portcullis;
use portcullis_fuzz::{exchange, request};
use portcullis_kit::chain::Bundle;
use portcullis_kit::config::read;
use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::Bench;
use rate_limit::RateLimit;
use request_tracing::RequestTracing;
use security_headers::SecurityHeaders;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    match read(bytes) {
        Ok(settings) => {
            serve::<Plugin<SecurityHeaders>>(&settings);
            serve::<Plugin<RequestTracing>>(&settings);
            serve::<Plugin<RateLimit>>(&settings);
            serve::<Plugin<AuditLog>>(&settings);
            serve::<Portcullis>(&settings);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

fn serve<B: Bundle>(settings: &Value) {
    match Bench::<B>::load(settings) {
        Ok(bench) => {
            let tls = request(&[]).with_property("connection.tls_version", "TLSv1.3");
            let cookie = (b"set-cookie".to_vec(), b"a=1".to_vec());
            let done = exchange(&bench, tls, &[cookie]);
            assert!(done.response.contains(":status"));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
