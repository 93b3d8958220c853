//! Shadow mode changes nothing on the wire: what the client and the upstream see is, byte for byte, what they see
//! without the filter.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::{Request as Received, Upstream};
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Response, cases, compare, suite,
};
use portcullis_suites::everything;
use portcullis_suites::traffic::{self, Exchange};
use serde_json::{Value, json};

struct Shared {
    upstream: Upstream,
    certificate: Certificate,
    envoy: Envoy,
}

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            security_headers_in_shadow_change_nothing,
            request_tracing_in_shadow_changes_nothing,
            the_chain_in_shadow_changes_nothing,
            the_chain_in_shadow_changes_nothing_on_tls,
            a_profile_in_shadow_changes_nothing,
            the_same_settings_enforced_do_change_the_wire,
            shadow_counts_what_it_would_have_done,
        ],
    )
}

fn with_mode(mut settings: Value, mode: &str) -> Value {
    settings["mode"] = mode.into();
    settings
}

fn chain(mode: &str) -> Filter {
    let settings = json!({
        "security_headers": with_mode(everything::security_headers(), mode),
        "request_tracing": with_mode(everything::request_tracing(), mode),
    });
    Filter::wasm("portcullis", settings)
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let certificate = Certificate::new();
    let mut by_profile = everything::security_headers();
    by_profile["profiles"] = json!({"watch": {"mode": "shadow"}});
    by_profile["routes"] = json!([{"hosts": ["*"], "profile": "watch"}]);
    let shadow = |module, settings| Filter::wasm(module, with_mode(settings, "shadow"));
    // Envoy's own ids differ from request to request.
    let listener = |name: &str| Listener::new(name).hcm(&json!({"generate_request_id": false}));
    let config = Config::new(upstream.port())
        .listener(listener("none"))
        .listener(
            listener("security-headers")
                .filter(shadow("security_headers", everything::security_headers())),
        )
        .listener(
            listener("request-tracing")
                .filter(shadow("request_tracing", everything::request_tracing())),
        )
        .listener(listener("chain").filter(chain("shadow")))
        .listener(listener("enforced").filter(chain("enforce")))
        .listener(listener("profile").filter(Filter::wasm("security_headers", by_profile)))
        .listener(listener("none-tls").tls(&certificate))
        .listener(
            listener("chain-tls")
                .filter(chain("shadow"))
                .tls(&certificate),
        );
    let envoy = Envoy::start("shadow", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared {
        upstream,
        certificate,
        envoy,
    }
}

impl Shared {
    /// The answer, and the request as the upstream received it.
    fn send(&self, listener: &str, exchange: &Exchange) -> (Response, Option<Received>) {
        let recorder = self.upstream.recorder();
        recorder.answer(&exchange.name, exchange.answer.clone());
        let before = recorder.requests(&exchange.name).len();
        let port = self.envoy.port(listener);
        let mut connection = match listener.ends_with("tls") {
            true => Connection::open_tls(port, &self.certificate),
            false => Connection::open(port),
        };
        let response = connection.exchange(&exchange.request);
        (
            response,
            recorder.requests(&exchange.name).into_iter().nth(before),
        )
    }

    /// What differs between two listeners for this exchange.
    fn difference(&self, exchange: &Exchange, one: &str, other: &str) -> Option<String> {
        let (one_response, one_request) = self.send(one, exchange);
        let (response, request) = self.send(other, exchange);
        compare::responses(&one_response, &response, compare::VOLATILE).or_else(|| {
            match (one_request, request) {
                (Some(one), Some(other)) => compare::requests(&one, &other, &[]),
                (None, None) => None,
                _ => Some("only one of the requests arrived".to_owned()),
            }
        })
    }

    #[track_caller]
    fn same(&self, one: &str, other: &str) {
        for exchange in traffic::ordinary().iter().chain(&traffic::hostile()) {
            if let Some(difference) = self.difference(exchange, one, other) {
                panic!("{}:\n{difference}", exchange.name);
            }
        }
    }
}

fn security_headers_in_shadow_change_nothing(shared: &Shared) {
    shared.same("none", "security-headers");
}

fn request_tracing_in_shadow_changes_nothing(shared: &Shared) {
    shared.same("none", "request-tracing");
}

fn the_chain_in_shadow_changes_nothing(shared: &Shared) {
    shared.same("none", "chain");
}

fn the_chain_in_shadow_changes_nothing_on_tls(shared: &Shared) {
    shared.same("none-tls", "chain-tls");
}

fn a_profile_in_shadow_changes_nothing(shared: &Shared) {
    shared.same("none", "profile");
}

fn the_same_settings_enforced_do_change_the_wire(shared: &Shared) {
    for exchange in traffic::ordinary() {
        assert!(
            shared.difference(&exchange, "none", "enforced").is_some(),
            "{}",
            exchange.name
        );
    }
}

fn shadow_counts_what_it_would_have_done(shared: &Shared) {
    let refusals = || {
        let stats = shared
            .envoy
            .admin()
            .stats("wasmcustom\\.portcullis_security_headers_csrf_total");
        stats
            .iter()
            .filter(|(name, _)| name.contains("refused"))
            .map(|(_, count)| count)
            .sum::<u64>()
    };
    let exchange = traffic::ordinary()
        .into_iter()
        .find(|exchange| exchange.name == "cross-site post")
        .unwrap();
    let before = refusals();
    let (response, _) = shared.send("security-headers", &exchange);
    assert_eq!(response.status, 200);
    assert_eq!(refusals(), before + 1);
}
