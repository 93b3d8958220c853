//! problem-json among other filters: what they add stands on every error, and what they refuse is a problem.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::config::cluster;
use portcullis_harness::upstream::{Answer, Upstream};
use portcullis_harness::{
    Config, Envoy, Filter, Listener, Request, Response, Route, cases, http2, suite,
};
use portcullis_suites::errors::{self, Becomes};
use portcullis_suites::plans;
use serde_json::{Value, json};

struct Shared {
    upstream: Upstream,
    envoy: Envoy,
}

const ORIGIN: &str = "https://app.example.com";
const ALLOW_ORIGIN: &str = "access-control-allow-origin";
/// Each with the CORS filter where the documentation puts it.
const LISTENERS: [&str; 3] = ["separate", "hold", "chain"];

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            every_error_carries_what_cors_and_rate_limit_say,
            with_cors_outside_of_the_chain_alone_empty_errors_lack_it,
            a_preflight_costs_nothing_and_a_refusal_can_be_read,
            a_body_too_large_to_pass_is_a_problem,
            cookies_of_every_error_are_hardened,
            refusals_of_our_own_are_problems_already,
            nothing_died,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let problem = |settings: Value| Filter::wasm("problem_json", settings);
    let around = |name: &str, filter: Filter| {
        listener(name)
            .filter(Filter::wasm("request_tracing", json!({})))
            .filter(Filter::wasm("security_headers", json!({})))
            .filter(filter)
            .filter(cors())
            .filter(buffer())
            .filter(Filter::wasm("rate_limit", plans::hourly(1_000_000, name)))
    };
    let hold = problem(json!({"reply_headers": "api", "body": "hold"}))
        .over(&json!({"allow_on_headers_stop_iteration": true}));
    let chain = |limit, name: &str| {
        let settings = json!({
            "request_tracing": {},
            "security_headers": {},
            "problem_json": {},
            "rate_limit": plans::hourly(limit, name),
        });
        Filter::wasm("portcullis", settings)
    };
    let config = Config::new(upstream.port())
        .cluster(cluster("dead", 1))
        .listener(listener("none").filter(cors()).filter(buffer()))
        .listener(around("separate", problem(json!({"reply_headers": "api"}))))
        .listener(around("hold", hold))
        .listener(
            listener("chain")
                .filter(cors())
                .filter(chain(1_000_000, "chain"))
                .filter(cors())
                .filter(buffer()),
        )
        .listener(
            listener("outside")
                .filter(cors())
                .filter(chain(1_000_000, "outside")),
        )
        .listener(
            listener("limited")
                .filter(cors())
                .filter(chain(1, "limited"))
                .filter(cors()),
        )
        .listener(
            listener("refusing")
                .filter(Filter::wasm("request_tracing", json!({})))
                .filter(Filter::wasm(
                    "security_headers",
                    json!({"csrf": {"mode": "enforce"}}),
                ))
                .filter(problem(json!({"reply_headers": "api"})))
                .filter(Filter::wasm("rate_limit", plans::hourly(1, "refusing"))),
        );
    let envoy =
        Envoy::start("problem-json-neighbours", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared { upstream, envoy }
}

fn cors() -> Filter {
    let message = "envoy.extensions.filters.http.cors.v3.Cors";
    Filter::native("envoy.filters.http.cors", message, json!({}))
}

fn buffer() -> Filter {
    let message = "envoy.extensions.filters.http.buffer.v3.Buffer";
    Filter::native(
        "envoy.filters.http.buffer",
        message,
        json!({"max_request_bytes": 2000}),
    )
}

fn listener(name: &str) -> Listener {
    let policy = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": ORIGIN}],
        "allow_methods": "GET, PUT",
    });
    let routes = [
        Route::path("/direct").direct(503, "inside-7f3a"),
        Route::path("/direct-empty").direct(403, ""),
        Route::path("/dead").cluster("dead"),
        Route::prefix("/"),
    ];
    routes
        .into_iter()
        .fold(Listener::new(name), |listener, route| {
            listener.route(route.per_filter("envoy.filters.http.cors", policy.clone()))
        })
}

impl Shared {
    fn port(&self, listener: &str) -> u16 {
        self.envoy.port(listener)
    }
}

fn from_page(request: Request) -> Request {
    request
        .header("origin", ORIGIN)
        .header("x-api-key", "client")
}

/// Requests that end in an error, each with its status.
fn erring(upstream: &Upstream) -> Vec<(&'static str, Request, u16)> {
    let mut requests = vec![
        ("direct", Request::get("/direct"), 503),
        ("direct without a body", Request::get("/direct-empty"), 403),
        ("dead", Request::get("/dead"), 503),
    ];
    for source in errors::sources() {
        if source.becomes == Becomes::Problem {
            upstream
                .recorder()
                .answer(source.name, source.answer.clone());
            let request = Request::get("/x").case(source.name);
            requests.push((source.name, request, source.answer.status));
        }
    }
    requests
}

fn every_error_carries_what_cors_and_rate_limit_say(shared: &Shared) {
    let mut allowed = 0;
    for (name, request, status) in erring(&shared.upstream) {
        let request = from_page(request);
        for send in [|port, request: &Request| request.send(port), http2::send] {
            let plain = send(shared.port("none"), &request);
            allowed += plain.lines(ALLOW_ORIGIN).len();
            for listener in LISTENERS {
                let response = send(shared.port(listener), &request);
                let what = format!("{name} on {listener}");
                assert_eq!(response.status, status, "{what}: {response}");
                assert_eq!(
                    response.lines(ALLOW_ORIGIN),
                    plain.lines(ALLOW_ORIGIN),
                    "{what}: {response}"
                );
                // One that allows an origin says that it depends on it.
                let vary = response.lines("vary").join(&b", "[..]);
                let vary = String::from_utf8(vary).unwrap();
                let by_origin = vary
                    .split(',')
                    .any(|name| name.trim().eq_ignore_ascii_case("origin"));
                let allows = !plain.lines(ALLOW_ORIGIN).is_empty();
                assert!(by_origin || !allows, "{what}: {response}");
                assert!(
                    !response.lines("ratelimit").is_empty(),
                    "{what}: {response}"
                );
                assert!(
                    response.header("x-content-type-options").is_some(),
                    "{what}: {response}"
                );
            }
        }
    }
    assert!(allowed >= 70, "{allowed}");
}

/// The host shows what takes the place of an error without a body to no filter outside of the plugin.
fn with_cors_outside_of_the_chain_alone_empty_errors_lack_it(shared: &Shared) {
    let mut lacking = Vec::new();
    for (name, request, _) in erring(&shared.upstream) {
        let request = from_page(request);
        let plain = request.send(shared.port("none"));
        let response = request.send(shared.port("outside"));
        if response.lines(ALLOW_ORIGIN) != plain.lines(ALLOW_ORIGIN) {
            lacking.push(name);
        }
    }
    assert_eq!(lacking, ["no body", "no body 500"]);
}

fn a_preflight_costs_nothing_and_a_refusal_can_be_read(shared: &Shared) {
    let port = shared.port("limited");
    for _ in 0..3 {
        let preflight = from_page(Request::new("OPTIONS", "/text"))
            .header("access-control-request-method", "PUT")
            .send(port);
        assert_eq!(preflight.status, 200, "{preflight}");
        assert_eq!(preflight.header(ALLOW_ORIGIN).as_deref(), Some(ORIGIN));
    }
    let get = || from_page(Request::get("/text")).send(port);
    let passed = get();
    assert_eq!(
        (passed.status, passed.lines(ALLOW_ORIGIN).len()),
        (200, 1),
        "{passed}"
    );
    let refused = get();
    assert_eq!(
        (refused.status, refused.lines(ALLOW_ORIGIN).len()),
        (429, 1),
        "{refused}"
    );
    assert_eq!(refused.json()["status"], 429);
}

fn a_body_too_large_to_pass_is_a_problem(shared: &Shared) {
    for send in [|port, request: &Request| request.send(port), http2::send] {
        for listener in LISTENERS {
            let request = from_page(Request::post("/x", "x".repeat(40_000)));
            let response: Response = send(shared.port(listener), &request);
            assert_eq!(response.status, 413, "{listener}: {response}");
            let kind = response.header("content-type");
            assert_eq!(
                kind.as_deref(),
                Some("application/problem+json"),
                "{listener}: {response}"
            );
            assert_eq!(response.json()["status"], 413, "{listener}");
            assert!(
                response.header("x-request-id").is_some(),
                "{listener}: {response}"
            );
        }
    }
}

fn cookies_of_every_error_are_hardened(shared: &Shared) {
    for (case, body) in [("cookies", "inside-7f3a"), ("cookies alone", "")] {
        let answer = Answer::with_body("text/plain", body)
            .status(401)
            .header("set-cookie", "sid=; Max-Age=0")
            .header("set-cookie", "b=2; SameSite=None; Secure");
        shared.upstream.recorder().answer(case, answer);
        for listener in LISTENERS {
            let response = Request::get("/x").case(case).send(shared.port(listener));
            assert_eq!(
                response.lines("set-cookie"),
                [
                    &b"sid=; Max-Age=0; HttpOnly; SameSite=Lax"[..],
                    b"b=2; SameSite=None; Secure"
                ],
                "{case} on {listener}: {response}"
            );
        }
    }
}

fn refusals_of_our_own_are_problems_already(shared: &Shared) {
    let port = shared.envoy.port("refusing");
    let limited = || Request::get("/text").header("x-api-key", "one").send(port);
    assert_eq!(limited().status, 200);
    let response = limited();
    assert_eq!(response.status, 429, "{response}");
    let document = response.json();
    assert_eq!(
        document["type"],
        "https://iana.org/assignments/http-problem-types#quota-exceeded"
    );
    assert_eq!(
        document["request_id"].as_str(),
        response.header("x-request-id").as_deref()
    );
    assert!(response.header("ratelimit").is_some() && response.header("retry-after").is_some());

    let forged = Request::post("/text", "x")
        .header("x-api-key", "two")
        .header("sec-fetch-site", "cross-site")
        .send(port);
    assert_eq!(forged.status, 403, "{forged}");
    assert_eq!(
        forged.header("content-type").as_deref(),
        Some("application/problem+json")
    );
    assert_eq!(
        forged.json()["request_id"].as_str(),
        forged.header("x-request-id").as_deref()
    );
}

fn nothing_died(shared: &Shared) {
    assert_eq!(
        shared.envoy.admin().vm_reloads(),
        0,
        "{}",
        shared.envoy.log()
    );
}
