//! Which answers become problem documents on a real Envoy: every error does or leaves as it came, on each protocol, in each
//! way in which the body gets its place, alone, twice and in the chain.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use jsonschema::Validator;
use portcullis_harness::config::{cluster, http2_cluster};
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Ending, Envoy, Filter, Listener, Request, Response, Route, cases, http2, suite,
};
use portcullis_suites::errors::{self, Becomes, SECRET};
use serde_json::{Value, json};

struct Shared {
    upstream: Upstream,
    envoy: Envoy,
    schemas: [Validator; 2],
}

/// Every way to run the filter.
const LISTENERS: [&str; 4] = ["separate", "hold", "twice", "chain"];

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            every_error_leaves_as_a_problem_or_as_it_came,
            on_http2_too,
            head_gets_the_headers_and_no_body,
            naming_another_protocol_opens_nothing,
            a_failing_upstream_gives_problems,
            a_body_that_never_ends_is_answered,
            nothing_died,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let tracing = || Filter::wasm("request_tracing", json!({}));
    let headers = || Filter::wasm("security_headers", json!({"csrf": {"mode": "enforce"}}));
    let settings = json!({"reply_headers": "api"});
    let problems = || Filter::wasm("problem_json", settings.clone());
    let hold = Filter::wasm(
        "problem_json",
        json!({"reply_headers": "api", "body": "hold"}),
    )
    .over(&json!({"allow_on_headers_stop_iteration": true}));
    let chain = json!({
        "request_tracing": {},
        "security_headers": {"csrf": {"mode": "enforce"}},
        "problem_json": {},
        "rate_limit": {
            "identity": [{"header": {"name": "x-api-key", "hash": true}}],
            "plans": "none",
            "tier": {"default": "t"},
            "tiers": {"t": {"limits": [{"name": "hour", "count": 1000000, "window": "1h"}]}},
        },
    });
    let config = Config::new(upstream.port())
        .cluster(http2_cluster("http2", upstream.port()))
        .cluster(cluster("dead", 1))
        .listener(listener("plain").filter(tracing()).filter(headers()))
        .listener(
            listener("separate")
                .filter(tracing())
                .filter(headers())
                .filter(problems()),
        )
        .listener(
            listener("hold")
                .filter(tracing())
                .filter(headers())
                .filter(hold),
        )
        .listener(
            listener("twice")
                .filter(tracing())
                .filter(headers())
                .filter(problems().named("outer"))
                .filter(problems().named("inner")),
        )
        .listener(listener("chain").filter(Filter::wasm("portcullis", chain)));
    let envoy = Envoy::start("problem-json", &config).unwrap_or_else(|error| panic!("{error}"));
    let schema = |text: &str| {
        let schema: Value = serde_json::from_str(text).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    };
    Shared {
        upstream,
        envoy,
        schemas: [
            schema(include_str!(
                "../../../filters/problem-json/tests/schema/rfc9457.json"
            )),
            schema(include_str!(
                "../../../filters/problem-json/tests/schema/strict.json"
            )),
        ],
    }
}

fn listener(name: &str) -> Listener {
    Listener::new(name)
        .route(Route::prefix("/grpc").cluster("http2"))
        .route(Route::prefix("/dead").cluster("dead"))
        .route(Route::path("/direct").direct(418, "inside-7f3a"))
        .route(Route::path("/direct-empty").direct(403, ""))
        .route(Route::prefix("/late").over(&json!({"route": {"cluster": "upstream", "timeout": "1s"}})))
        .route(Route::matching(json!({"prefix": "/", "headers": [{"name": "x-no-route", "present_match": true, "invert_match": true}]})))
}

impl Shared {
    fn answer(&self, name: &str, answer: &errors::Source) {
        self.upstream.recorder().answer(name, answer.answer.clone());
    }

    /// The response is a problem document of this status, complete, valid and dressed as any other response.
    #[track_caller]
    fn assert_problem(&self, what: &str, response: &Response, status: u16) -> Value {
        let kind = response.header("content-type");
        assert_eq!(
            kind.as_deref(),
            Some("application/problem+json"),
            "{what}: {response}"
        );
        assert_eq!(response.status, status, "{what}: {response}");
        assert_eq!(response.ending, Ending::Complete, "{what}: {response}");
        let document = response.json();
        for schema in &self.schemas {
            let wrong: Vec<String> = schema
                .iter_errors(&document)
                .map(|error| error.to_string())
                .collect();
            assert!(wrong.is_empty(), "{what}: {wrong:?}\n{response}");
        }
        assert_eq!(document["status"], status, "{what}");
        self.assert_dressed(what, response);
        let id = response.header("x-request-id");
        assert_eq!(
            document["request_id"].as_str(),
            id.as_deref(),
            "{what}: {response}"
        );
        document
    }

    #[track_caller]
    fn assert_dressed(&self, what: &str, response: &Response) {
        let whole = format!("{response}");
        assert!(!whole.contains(SECRET), "{what}: {response}");
        assert!(!whole.contains("upstream connect"), "{what}: {response}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-language", "en"),
        ] {
            assert_eq!(
                response.header(name).as_deref(),
                Some(value),
                "{what}: {name}\n{response}"
            );
        }
        assert!(
            response.header("content-security-policy").is_some(),
            "{what}: {response}"
        );
        assert!(
            response.header("x-request-id").is_some(),
            "{what}: {response}"
        );
        for gone in [
            "etag",
            "content-encoding",
            "content-disposition",
            "refresh",
            "link",
            "last-modified",
            "digest",
        ] {
            assert!(
                response.lines(gone).is_empty(),
                "{what}: {gone}\n{response}"
            );
        }
        let vary: Vec<u8> = response.lines("vary").join(&b", "[..]);
        assert!(
            String::from_utf8_lossy(&vary).contains("Accept"),
            "{what}: {response}"
        );
        if response.status >= 500 {
            assert_eq!(
                response.header("cache-control").as_deref(),
                Some("no-store"),
                "{what}"
            );
        }
    }

    #[track_caller]
    fn check(&self, send: impl Fn(u16, &Request) -> Response) {
        for source in errors::sources() {
            self.answer(source.name, &source);
            let request = Request::get("/x?q=inside-7f3a").case(source.name);
            let plain = send(self.envoy.port("plain"), &request);
            for name in LISTENERS {
                let what = format!("{} on {name}", source.name);
                let response = send(self.envoy.port(name), &request);
                match source.becomes {
                    Becomes::Itself => {
                        assert_eq!(response.body, plain.body, "{what}");
                        let kind = response.header("content-type");
                        assert_eq!(kind, plain.header("content-type"), "{what}");
                    }
                    Becomes::Problem => {
                        let status = source.answer.status;
                        self.assert_problem(&what, &response, status);
                        if name == "hold" {
                            let length = response.header("content-length");
                            assert_eq!(length, Some(response.body.len().to_string()), "{what}");
                        }
                        for kept in [
                            "retry-after",
                            "www-authenticate",
                            "set-cookie",
                            "ratelimit",
                            "deprecation",
                        ] {
                            // The chain's own rate-limit writes these.
                            if kept == "ratelimit" && name == "chain" {
                                continue;
                            }
                            assert_eq!(response.lines(kept), plain.lines(kept), "{what}: {kept}");
                        }
                    }
                }
            }
        }
    }
}

fn every_error_leaves_as_a_problem_or_as_it_came(shared: &Shared) {
    assert!(errors::sources().len() >= 40);
    shared.check(|port, request| request.send(port));
}

fn on_http2_too(shared: &Shared) {
    shared.check(http2::send);
}

fn head_gets_the_headers_and_no_body(shared: &Shared) {
    for source in errors::sources() {
        if source.becomes == Becomes::Itself {
            continue;
        }
        shared.answer(source.name, &source);
        for name in LISTENERS {
            let request = Request::new("HEAD", "/x").case(source.name);
            let response = request.send(shared.envoy.port(name));
            let what = format!("HEAD {} on {name}", source.name);
            assert_eq!(response.status, source.answer.status, "{what}");
            let kind = response.header("content-type");
            assert_eq!(
                kind.as_deref(),
                Some("application/problem+json"),
                "{what}: {response}"
            );
            assert!(response.body.is_empty(), "{what}");
            shared.assert_dressed(&what, &response);
        }
    }
}

fn naming_another_protocol_opens_nothing(shared: &Shared) {
    let post = |target| Request::post(target, "x");
    for source in errors::sources() {
        shared.answer(source.name, &source);
        let calls = [
            post("/grpc")
                .header("content-type", "application/grpc")
                .header("te", "trailers"),
            post("/x").header("content-type", "application/grpc-web+proto"),
            post("/x")
                .header("content-type", "application/json")
                .header("connect-protocol-version", "1"),
        ];
        for (at, call) in calls.into_iter().enumerate() {
            let call = call.case(source.name);
            let plain = http2::send(shared.envoy.port("plain"), &call);
            for name in LISTENERS {
                let response = http2::send(shared.envoy.port(name), &call);
                let what = format!("call {at}, {} on {name}", source.name);
                let is_rpc = at < 2;
                if matches!(source.becomes, Becomes::Itself) || (is_rpc && response.body.is_empty())
                {
                    assert_eq!(response.status, plain.status, "{what}");
                    assert_eq!(response.body, plain.body, "{what}");
                    let kind = response.header("content-type");
                    assert_eq!(kind, plain.header("content-type"), "{what}");
                    continue;
                }
                shared.assert_dressed(&what, &response);
                let status = source.answer.status;
                assert_eq!(response.status, status, "{what}: {response}");
                assert_eq!(response.json()["status"], status, "{what}: {response}");
            }
        }
    }
}

fn a_failing_upstream_gives_problems(shared: &Shared) {
    for (name, answer, status) in errors::failures() {
        shared.upstream.recorder().answer(name, answer);
        for listener in LISTENERS {
            for send in [|port, request: &Request| request.send(port), http2::send] {
                let request = Request::get("/late").case(name);
                let response = send(shared.envoy.port(listener), &request);
                let document =
                    shared.assert_problem(&format!("{name} on {listener}"), &response, status);
                assert_eq!(document["category"], "external");
                assert_eq!(document["retryable"], true);
            }
        }
    }
    for listener in LISTENERS {
        let port = shared.envoy.port(listener);
        for (name, request, status) in [
            ("dead", Request::get("/dead"), 503),
            ("direct", Request::get("/direct"), 418),
            ("direct without a body", Request::get("/direct-empty"), 403),
            ("no route", Request::get("/").header("x-no-route", "1"), 404),
        ] {
            for send in [|port, request: &Request| request.send(port), http2::send] {
                let what = format!("{name} on {listener}");
                shared.assert_problem(&what, &send(port, &request), status);
            }
        }
    }
}

/// Reads until the document is there: the body's end never comes.
fn a_body_that_never_ends_is_answered(shared: &Shared) {
    use portcullis_harness::Connection;
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    drop(listening);
    for name in ["separate", "hold", "chain"] {
        for kind in ["application/json", "text/html"] {
            // Announced as 100 MB, of which half comes: more than any buffer holds.
            let answer = portcullis_harness::upstream::Answer {
                end: portcullis_harness::upstream::End::InBody(
                    portcullis_harness::upstream::Break::Fin,
                ),
                ..portcullis_harness::upstream::Answer::with_body(kind, vec![b' '; 16 << 20])
                    .status(500)
            };
            let case = format!("endless {kind} {name}");
            shared.upstream.recorder().answer(&case, answer);
            let before = shared.envoy.resident_bytes();
            let mut connection = Connection::open(shared.envoy.port(name));
            connection.send(&Request::get("/x").case(&case).to_bytes());
            let response = connection.read_response("GET").unwrap();
            assert_eq!(response.json()["status"], 500, "{case}: {response}");
            let grown = shared.envoy.resident_bytes().saturating_sub(before);
            assert!(grown < 8 << 20, "{case}: {grown} bytes");
        }
    }
}

fn nothing_died(shared: &Shared) {
    assert_eq!(
        shared.envoy.admin().vm_reloads(),
        0,
        "{}",
        shared.envoy.log()
    );
    let refused = shared
        .envoy
        .admin()
        .stats("portcullis_problem_json_host_refusals_total");
    assert_eq!(refused.values().sum::<u64>(), 0, "{refused:?}");
}
