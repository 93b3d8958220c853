//! security-headers where the client uses TLS, by HTTP/1.1 and HTTP/2, and where it does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, cases, http2, suite,
};
use portcullis_suites::hardened::assert_hardened;
use serde_json::{Value, json};

struct Shared {
    _upstream: Upstream,
    certificate: Certificate,
    envoy: Envoy,
}

fn main() -> ExitCode {
    suite::run(
        start,
        cases![
            hsts_is_sent_on_tls_only,
            http2_over_tls_gets_hsts_and_secure_cookies,
            connections_with_and_without_tls_in_turn_are_told_apart,
            a_trusted_forwarded_proto_counts_as_tls_where_the_settings_say_so,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let certificate = Certificate::new();
    let filter = |settings: Value| Filter::wasm("security_headers", settings);
    let config = Config::new(upstream.port())
        .listener(Listener::new("plain").filter(filter(json!({}))))
        .listener(
            Listener::new("tls")
                .filter(filter(json!({})))
                .tls(&certificate),
        )
        .listener(
            Listener::new("mutual")
                .filter(filter(json!({})))
                .mutual_tls(&certificate),
        )
        .listener(
            Listener::new("forwarded")
                .filter(filter(json!({"tls": "forwarded_proto"})))
                .hcm(&json!({"use_remote_address": false})),
        );
    let envoy = Envoy::start("tls", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared {
        _upstream: upstream,
        certificate,
        envoy,
    }
}

impl Shared {
    fn port(&self, listener: &str) -> u16 {
        self.envoy.port(listener)
    }
}

fn hsts_is_sent_on_tls_only(shared: &Shared) {
    let mut connection = Connection::open_tls(shared.port("tls"), &shared.certificate);
    for target in ["/text", "/status/500"] {
        let response = connection.exchange(&Request::get(target));
        assert_eq!(
            response.header("strict-transport-security").as_deref(),
            Some("max-age=63072000; includeSubDomains")
        );
        assert_hardened(&response);
    }
    // A client's word for it is not enough.
    let claimed = Request::get("/text")
        .header("x-forwarded-proto", "https")
        .send(shared.port("plain"));
    assert_eq!(claimed.header("strict-transport-security"), None);
}

fn http2_over_tls_gets_hsts_and_secure_cookies(shared: &Shared) {
    let target = "/text?header=Set-Cookie:a=1&header=Set-Cookie:b=2;%20SameSite=None;%20Secure&header=Set-Cookie:c=3";
    let response = http2::send_tls(
        shared.port("tls"),
        &shared.certificate,
        &Request::get(target),
    );
    assert_eq!(
        response.header("strict-transport-security").as_deref(),
        Some("max-age=63072000; includeSubDomains")
    );
    assert_eq!(
        response.lines("set-cookie"),
        [
            &b"a=1; Secure; HttpOnly; SameSite=Lax"[..],
            b"b=2; SameSite=None; Secure",
            b"c=3; Secure; HttpOnly; SameSite=Lax",
        ]
    );
    assert_hardened(&response);
    let cleartext = http2::send(shared.port("plain"), &Request::get(target));
    assert_eq!(cleartext.header("strict-transport-security"), None);
    assert_eq!(
        cleartext.lines("set-cookie")[0],
        b"a=1; HttpOnly; SameSite=Lax"
    );
}

/// One worker runs both listeners' plugin, and it remembers what it saw last.
fn connections_with_and_without_tls_in_turn_are_told_apart(shared: &Shared) {
    let port = shared.port("tls");
    let certificate = &shared.certificate;
    let mut tls = Connection::open_tls(port, certificate);
    let mut mutual = Connection::open_mutual_tls(shared.port("mutual"), certificate);
    let mut plain = Connection::open(shared.port("plain"));
    for turn in [0, 1, 1, 2, 2, 0, 0, 2, 1, 0, 1] {
        let connection = [&mut plain, &mut tls, &mut mutual][turn].exchange(&Request::get("/text"));
        assert_eq!(
            connection.header("strict-transport-security").is_some(),
            turn > 0
        );
    }
}

fn a_trusted_forwarded_proto_counts_as_tls_where_the_settings_say_so(shared: &Shared) {
    let with = |proto: &str| {
        Request::get("/text")
            .header("x-forwarded-proto", proto)
            .send(shared.port("forwarded"))
    };
    assert!(with("https").header("strict-transport-security").is_some());
    assert_eq!(with("http").header("strict-transport-security"), None);
}
