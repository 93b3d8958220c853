//! No input kills a VM, and no request that passes a proxy without our filters is stopped by them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::config::{cluster, http2_cluster};
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Connection, Ending, Envoy, Filter, Listener, Request, Route, cases, http2, suite, wait,
};
use portcullis_suites::everything;
use portcullis_suites::traffic::{self, Exchange};
use serde_json::json;

struct Shared {
    upstream: Upstream,
    envoy: Envoy,
}

/// Everything on, so that every reader of headers runs.
const LISTENERS: [&str; 3] = ["defaults", "everything", "continued"];

fn main() -> ExitCode {
    suite::run(
        start,
        cases![
            hostile_requests_and_responses_pass_as_without_filters,
            hostile_requests_and_responses_pass_on_http2,
            ordinary_requests_pass_as_without_filters,
            a_broken_upstream_gives_what_it_gives_without_filters,
            a_dead_upstream_and_no_route_give_what_they_give_without_filters,
            a_websocket_passes,
            a_connect_tunnel_passes,
            grpc_passes_with_its_trailers,
            malformed_requests_are_refused_by_the_proxy_alone,
            a_client_that_leaves_early_harms_nobody,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let continued = json!({"trust": "internal"});
    let everything = json!({
        "security_headers": everything::security_headers(),
        "request_tracing": everything::request_tracing(),
    });
    let config = Config::new(upstream.port())
        .cluster(http2_cluster("http2", upstream.port()))
        .cluster(cluster("dead", 1))
        .listener(listener("none"))
        .listener(
            listener("defaults")
                .filter(Filter::wasm("request_tracing", json!({})))
                .filter(Filter::wasm("security_headers", json!({}))),
        )
        .listener(listener("everything").filter(Filter::wasm("portcullis", everything)))
        .listener(listener("continued").filter(Filter::wasm("request_tracing", continued)));
    let envoy = Envoy::start("hostile", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared { upstream, envoy }
}

fn listener(name: &str) -> Listener {
    Listener::new(name)
        .route(Route::prefix("/grpc").cluster("http2"))
        .route(Route::prefix("/dead").cluster("dead"))
        .route(Route::matching(json!({"connect_matcher": {}})))
        .route(Route::matching(json!({"prefix": "/", "headers": [{"name": "x-no-route", "present_match": true, "invert_match": true}]})))
}

impl Shared {
    /// Sends the exchange through a listener.
    fn send(&self, listener: &str, exchange: &Exchange) -> (u16, Vec<u8>, Ending) {
        self.upstream
            .recorder()
            .answer(&exchange.name, exchange.answer.clone());
        let response = exchange.request.send(self.envoy.port(listener));
        (response.status, response.body, response.ending)
    }

    /// Sends each exchange through all listeners, and expects the answer that the one without filters gives.
    #[track_caller]
    fn same_as_without_filters(&self, exchanges: &[Exchange]) {
        for exchange in exchanges {
            let plain = self.send("none", exchange);
            for name in LISTENERS {
                let filtered = self.send(name, exchange);
                assert!(
                    filtered == plain,
                    "{} on {name}: {} {:?}",
                    exchange.name,
                    filtered.0,
                    filtered.2
                );
            }
        }
        self.nothing_died();
    }

    #[track_caller]
    fn nothing_died(&self) {
        assert_eq!(self.envoy.admin().vm_reloads(), 0, "{}", self.envoy.log());
        let log = self.envoy.log();
        assert!(
            !log.contains("Function: ") && !log.contains("panicked"),
            "{log}"
        );
    }
}

fn hostile_requests_and_responses_pass_as_without_filters(shared: &Shared) {
    shared.same_as_without_filters(&traffic::hostile());
}

fn hostile_requests_and_responses_pass_on_http2(shared: &Shared) {
    // These are no HTTP/2: the client cannot write them.
    let not_http2 = |exchange: &Exchange| {
        exchange.name == "a path of encodings" || exchange.name == "a long path"
    };
    for exchange in traffic::hostile()
        .iter()
        .filter(|exchange| !not_http2(exchange))
    {
        shared
            .upstream
            .recorder()
            .answer(&exchange.name, exchange.answer.clone());
        let plain = http2::send(shared.envoy.port("none"), &exchange.request);
        let filtered = http2::send(shared.envoy.port("everything"), &exchange.request);
        assert_eq!(
            (filtered.status, &filtered.body),
            (plain.status, &plain.body),
            "{}",
            exchange.name
        );
    }
    shared.nothing_died();
}

fn ordinary_requests_pass_as_without_filters(shared: &Shared) {
    // The one that CSRF protection is there to stop.
    let passes = |exchange: &Exchange| exchange.name != "cross-site post";
    shared.same_as_without_filters(
        &traffic::ordinary()
            .into_iter()
            .filter(passes)
            .collect::<Vec<_>>(),
    );
}

fn a_broken_upstream_gives_what_it_gives_without_filters(shared: &Shared) {
    for exchange in traffic::broken() {
        let (plain, _, plain_end) = shared.send("none", &exchange);
        for name in LISTENERS {
            let (filtered, _, end) = shared.send(name, &exchange);
            assert_eq!(filtered, plain, "{} on {name}", exchange.name);
            assert_eq!(
                end == Ending::Complete,
                plain_end == Ending::Complete,
                "{} on {name}",
                exchange.name
            );
        }
    }
    shared.nothing_died();
}

fn a_dead_upstream_and_no_route_give_what_they_give_without_filters(shared: &Shared) {
    for name in LISTENERS {
        assert_eq!(
            Request::get("/dead").send(shared.envoy.port(name)).status,
            503
        );
        let unrouted = Request::get("/")
            .header("x-no-route", "1")
            .send(shared.envoy.port(name));
        assert_eq!(unrouted.status, 404);
    }
    shared.nothing_died();
}

fn a_websocket_passes(shared: &Shared) {
    for name in LISTENERS {
        let mut connection = Connection::open(shared.envoy.port(name));
        let upgrade = Request::get("/chat")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
        assert_eq!(connection.exchange(&upgrade).status, 101, "{name}");
        connection.send(b"\x81\x02hi\xff");
        assert_eq!(connection.read_exactly(5), b"\x81\x02hi\xff", "{name}");
    }
    shared.nothing_died();
}

fn a_connect_tunnel_passes(shared: &Shared) {
    for name in LISTENERS {
        let mut connection = Connection::open(shared.envoy.port(name));
        let connect = Request::new("CONNECT", "example.com:443").header("host", "example.com:443");
        assert_eq!(connection.exchange(&connect).status, 200, "{name}");
        connection.send(b"\x16\x03\x01\xff");
        assert_eq!(connection.read_exactly(4), b"\x16\x03\x01\xff", "{name}");
    }
    shared.nothing_died();
}

fn grpc_passes_with_its_trailers(shared: &Shared) {
    for name in LISTENERS {
        let request = Request::post("/grpc/5", [0; 5])
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let response = http2::send(shared.envoy.port(name), &request);
        assert_eq!(response.status, 200, "{name}");
        assert_eq!(response.body, [0; 5], "{name}");
        assert_eq!(response.trailer_lines("grpc-status"), [b"5"], "{name}");
    }
    shared.nothing_died();
}

fn malformed_requests_are_refused_by_the_proxy_alone(shared: &Shared) {
    for name in LISTENERS {
        for (bytes, status) in [
            (b"GET / HTTP/1.1\r\n\r\n".as_slice(), 400),
            (b"GET / HTTP/1.1\r\nhost: a\r\nx\0y: 1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n", 400),
            (b"GET / HTTP/1.0\r\nhost: a\r\n\r\n", 426),
            (b"nonsense\r\n\r\n", 400),
        ] {
            let mut connection = Connection::open(shared.envoy.port(name));
            connection.send(bytes);
            let response = connection.read_response("GET").expect("an answer");
            assert_eq!(
                response.status,
                status,
                "{:?} on {name}",
                String::from_utf8_lossy(bytes)
            );
        }
        let large = Request::get("/")
            .header("x-large", "a".repeat(300_000))
            .send(shared.envoy.port(name));
        assert_eq!(large.status, 431, "{name}");
    }
    shared.nothing_died();
}

fn a_client_that_leaves_early_harms_nobody(shared: &Shared) {
    for name in LISTENERS {
        for target in ["/delay/200", "/bytes/3000000?chunk=1000"] {
            let case = format!("left {name} {target}");
            let mut connection = Connection::open(shared.envoy.port(name));
            connection.send(&Request::get(target).case(&case).to_bytes());
            shared
                .upstream
                .recorder()
                .wait(&case, wait::DEADLINE)
                .expect("the request");
            drop(connection);
            let line = shared.envoy.access_log_of(name, &case);
            assert!(
                line["flags"]
                    .as_str()
                    .is_some_and(|flags| flags.contains("DC")),
                "{line}"
            );
        }
    }
    shared.nothing_died();
}
