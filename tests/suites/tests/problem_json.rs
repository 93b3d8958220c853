//! problem-json on a real Envoy: every error leaves as a problem document or as it came, on each protocol, in each way in
//! which the body gets its place, alone, twice and in the chain.
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
            clients_of_grpc_get_what_they_get_without_the_filter,
            a_failing_upstream_gives_problems,
            what_is_no_error_passes_byte_for_byte,
            in_shadow_every_error_passes_byte_for_byte,
            refusals_of_our_own_are_problems_already,
            each_route_has_its_profile,
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
    let limits = json!({
        "identity": [{"header": {"name": "x-api-key", "hash": true}}],
        "plans": "none",
        "tier": {"default": "t"},
        "tiers": {"t": {"limits": [{"name": "hour", "count": 1, "window": "1h"}]}},
    });
    let profiles = json!({
        "formats": ["json"],
        "profiles": {
            "pages": {"formats": ["json", "html", "markdown"], "languages": ["en", "de"]},
            "kept": {"mode": "off"},
        },
    });
    let config = Config::new(upstream.port())
        .cluster(http2_cluster("http2", upstream.port()))
        .cluster(cluster("dead", 1))
        .listener(listener("plain").filter(tracing()).filter(headers()))
        .listener(
            listener("shadow")
                .filter(tracing())
                .filter(headers())
                .filter(Filter::wasm("problem_json", json!({"mode": "shadow"}))),
        )
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
        .listener(listener("chain").filter(Filter::wasm("portcullis", chain)))
        .listener(
            listener("refusing")
                .filter(tracing())
                .filter(headers())
                .filter(problems())
                .filter(Filter::wasm("rate_limit", limits)),
        )
        .listener(
            Listener::new("profiles")
                .route(
                    Route::prefix("/pages/")
                        .over(&json!({"route": {"prefix_rewrite": "/"}}))
                        .profile(&json!({"profile": "pages"})),
                )
                .route(
                    Route::prefix("/kept/")
                        .over(&json!({"route": {"prefix_rewrite": "/"}}))
                        .profile(&json!({"problem-json": "kept"})),
                )
                .route(Route::prefix("/"))
                .filter(Filter::wasm("problem_json", profiles)),
        );
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

fn clients_of_grpc_get_what_they_get_without_the_filter(shared: &Shared) {
    for source in errors::sources() {
        shared.answer(source.name, &source);
        let request = Request::post("/grpc", "x")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .case(source.name);
        let plain = http2::send(shared.envoy.port("plain"), &request);
        for name in LISTENERS {
            let response = http2::send(shared.envoy.port(name), &request);
            let what = format!("grpc {} on {name}", source.name);
            assert_eq!(response.status, plain.status, "{what}");
            assert_eq!(response.body, plain.body, "{what}");
            let kind = response.header("content-type");
            assert_eq!(kind, plain.header("content-type"), "{what}");
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

fn passing() -> Vec<(&'static str, portcullis_harness::upstream::Answer)> {
    use portcullis_harness::upstream::{Answer, Framing};
    let body: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let with = |kind: &str| Answer::with_body(kind, body.clone());
    vec![
        ("200", with("text/html")),
        ("200 json", with("application/json")),
        ("206", with("video/mp4").status(206)),
        (
            "chunked",
            Answer {
                framing: Framing::Chunked,
                ..with("text/plain")
            },
        ),
        ("204", Answer::default().status(204)),
        (
            "301",
            with("text/html").status(301).header("location", "/y"),
        ),
        ("304", Answer::default().status(304).header("etag", "\"1\"")),
        (
            "events",
            Answer {
                framing: Framing::Chunked,
                chunk: 7,
                ..Answer::with_body("text/event-stream", "data: a\n\ndata: b\n\n")
            },
        ),
        ("399", with("text/html").status(399)),
    ]
}

/// Headers that differ by the time or by a draw.
const BY_CHANCE: [&str; 5] = [
    "date",
    "x-request-id",
    "server-timing",
    "x-envoy-upstream-service-time",
    "traceparent",
];

#[track_caller]
fn assert_same(what: &str, one: &Response, other: &Response) {
    let differs = portcullis_harness::compare::responses(one, other, &BY_CHANCE);
    assert!(differs.is_none(), "{what}: {}", differs.unwrap_or_default());
}

fn what_is_no_error_passes_byte_for_byte(shared: &Shared) {
    for (name, answer) in passing() {
        shared.upstream.recorder().answer(name, answer);
        let request = Request::get("/x").case(name);
        let plain = request.send(shared.envoy.port("plain"));
        for listener in ["separate", "hold", "twice", "shadow"] {
            let response = request.send(shared.envoy.port(listener));
            assert_same(&format!("{name} on {listener}"), &plain, &response);
        }
    }
}

fn in_shadow_every_error_passes_byte_for_byte(shared: &Shared) {
    for source in errors::sources() {
        shared.answer(source.name, &source);
        let request = Request::get("/x").case(source.name);
        let plain = request.send(shared.envoy.port("plain"));
        let shadow = request.send(shared.envoy.port("shadow"));
        assert_same(source.name, &plain, &shadow);
    }
    let counted = shared
        .envoy
        .admin()
        .stats("portcullis_problem_json_rewritten_total");
    assert!(counted.values().sum::<u64>() > 0, "{counted:?}");
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

fn each_route_has_its_profile(shared: &Shared) {
    let port = shared.envoy.port("profiles");
    let browser = |target: &str| {
        Request::get(target)
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("accept-language", "de-AT, en;q=0.5")
            .header("sec-fetch-mode", "navigate")
            .send(port)
    };
    let kind = |response: &Response| response.header("content-type").unwrap_or_default();
    let page = browser("/pages/status/404");
    assert_eq!(kind(&page), "text/html; charset=utf-8", "{page}");
    assert_eq!(page.header("content-language").as_deref(), Some("de"));
    assert!(page.text().contains("Nicht gefunden"), "{page}");
    let json = browser("/status/404");
    assert_eq!(kind(&json), "application/problem+json");
    assert_eq!(json.header("vary"), None);
    let kept = browser("/kept/status/404");
    assert!(!kind(&kept).contains("problem"), "{kept}");
    for (accept, expected) in [
        ("*/*", "application/problem+json"),
        ("application/json", "application/problem+json"),
        ("application/xml", "application/problem+json"),
        ("text/markdown", "text/markdown; charset=utf-8"),
        ("text/html;q=0", "application/problem+json"),
        ("application/vnd.x+json", "application/problem+json"),
        ("nonsense", "application/problem+json"),
    ] {
        let response = Request::get("/pages/status/500")
            .header("accept", accept)
            .send(port);
        assert_eq!(kind(&response), expected, "{accept}: {response}");
    }
    let port = shared.envoy.port("separate");
    let xml = Request::get("/status/500")
        .header("accept", "application/xml")
        .send(port);
    assert_eq!(kind(&xml), "application/problem+xml", "{xml}");
    assert!(xml.text().contains("urn:ietf:rfc:7807"));
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
