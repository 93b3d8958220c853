//! problem-json on a real Envoy where responses end with trailers, over HTTP/2 and over HTTP/1.1 with `enable_trailers`; and
//! what the headers of an error say where a response has no body: to HEAD, to caches, to a second instance.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::config::{cluster, http2_cluster};
use portcullis_harness::upstream::{Answer, Framing, Line, Upstream};
use portcullis_harness::{
    Config, Connection, Ending, Envoy, Filter, Listener, Request, Response, Route, cases, compare,
    http2, patch, suite,
};
use serde_json::{Value, json};

struct Shared {
    upstream: Upstream,
    envoy: Envoy,
}

/// Ways to run the filter. With `hold` in the name, headers wait for the body.
const LISTENERS: [&str; 7] = [
    "separate",
    "json",
    "drop",
    "twice",
    "chain",
    "hold",
    "hold json",
];

/// Where the upstream answers from: the prefix of the route.
const UPSTREAMS: [&str; 2] = ["/h1", "/h2"];

const KINDS: [&str; 3] = ["text/html", "application/json", "application/xml"];

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            headers_and_trailers_alone_neither_hang_nor_shift_the_connection,
            trailers_of_a_rewritten_error_do_not_leave,
            trailers_arrive_of_what_is_no_error_or_has_errors_of_its_own,
            a_problem_of_the_upstreams_keeps_its_body_and_loses_its_trailers,
            head_gets_the_same_headers_as_get_or_fewer,
            two_instances_give_what_one_gives,
            an_upstream_cannot_say_that_its_problem_is_the_proxys,
            no_cache_keeps_what_must_not_be_stored,
            nothing_died,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let problems = |settings: Value| Filter::wasm("problem_json", settings);
    let hold = |settings: Value| {
        problems(settings).over(&json!({"allow_on_headers_stop_iteration": true}))
    };
    let pages = json!({"formats": ["json", "xml", "html", "markdown"]});
    let chain = json!({"request_tracing": {}, "security_headers": {}, "problem_json": pages});
    let mut trailing = cluster("trailing", upstream.port());
    patch::merge(
        &mut trailing,
        &json!({"typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
            },
        }}),
    );
    let config = Config::new(upstream.port())
        .cluster(trailing)
        .cluster(http2_cluster("http2", upstream.port()))
        .listener(listener("plain"))
        .listener(listener("separate").filter(problems(pages.clone())))
        .listener(listener("json").filter(problems(json!({"formats": ["json"]}))))
        .listener(listener("drop").filter(problems(json!({"upstream": {"json": "drop"}}))))
        .listener(
            listener("twice")
                .filter(problems(pages.clone()).named("outer"))
                .filter(problems(pages).named("inner")),
        )
        .listener(listener("chain").filter(Filter::wasm("portcullis", chain)))
        .listener(listener("hold").filter(hold(json!({"body": "hold"}))))
        .listener(listener("hold json").filter(hold(json!({"body": "hold", "formats": ["json"]}))))
        .listener(
            listener("leave").filter(problems(json!({"formats": ["json"], "empty": "leave"}))),
        )
        .listener(listener("enrich").filter(problems(json!({"upstream": {"problem": "enrich"}}))));
    let envoy =
        Envoy::start("problem-json-trailers", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared { upstream, envoy }
}

fn listener(name: &str) -> Listener {
    let to = |prefix: &str, cluster: &str| {
        Route::prefix(prefix)
            .cluster(cluster)
            .over(&json!({"route": {"timeout": "5s"}}))
    };
    Listener::new(name)
        .route(to("/h1", "trailing"))
        .route(to("/h2", "http2"))
        .route(Route::prefix("/"))
        .hcm(&json!({"http_protocol_options": {"enable_trailers": true}}))
}

fn trailing(kind: &str, status: u16, body: &str) -> Answer {
    let line = |name: &str, value: &str| -> Line { (name.into(), value.into()) };
    Answer {
        framing: Framing::Chunked,
        chunk: 7,
        trailers: vec![
            line("x-stack", "at com.acme.Db.run(Db.java:7) password=hunter2"),
            line("grpc-message", "hunter2"),
        ],
        ..Answer::with_body(kind, body).status(status)
    }
}

const BODIES: [&str; 3] = [
    "<html>hunter2</html>",
    r#"{"message":"Order 7 is gone.","code":"gone","trace":"hunter2"}"#,
    "<Error><Code>Gone</Code><Message>It is gone.</Message></Error>",
];

impl Shared {
    fn port(&self, listener: &str) -> u16 {
        self.envoy.port(listener)
    }

    /// The response with the id that Envoy made up for the request taken out of its body.
    fn without_id(&self, case: &str, request: &Request, listener: &str) -> Response {
        let mut response = request.send(self.port(listener));
        let requests = self.upstream.recorder().requests(case);
        let id = requests.last().unwrap().header("x-request-id").unwrap();
        let id = std::str::from_utf8(id).unwrap();
        assert!(response.text().contains(id), "{case}: {response}");
        response.body = response.text().replace(id, "").into_bytes();
        response
    }

    fn answer(&self, case: &str, answer: Answer) {
        self.upstream.recorder().answer(case, answer);
    }
}

/// The document is whole, and no longer or shorter than the headers say.
#[track_caller]
fn assert_problem(what: &str, response: &Response) {
    assert_eq!(response.ending, Ending::Complete, "{what}: {response}");
    let kind = response.header("content-type");
    assert_eq!(
        kind.as_deref(),
        Some("application/problem+json"),
        "{what}: {response}"
    );
    assert_eq!(response.json()["status"], response.status, "{what}");
    if let Some(length) = response.header("content-length") {
        assert_eq!(length, response.body.len().to_string(), "{what}");
    }
}

fn headers_and_trailers_alone_neither_hang_nor_shift_the_connection(shared: &Shared) {
    for (name, prefix) in LISTENERS.iter().flat_map(|l| UPSTREAMS.map(|u| (*l, u))) {
        for kind in KINDS {
            let what = format!("{kind} of {prefix} on {name}");
            shared.answer(&what, trailing(kind, 500, ""));
            let request = Request::get(format!("{prefix}/x")).case(&what);
            let check = |response: &Response| {
                assert_eq!(response.status, 500, "{what}: {response}");
                assert!(
                    !response.to_string().contains("hunter2"),
                    "{what}: {response}"
                );
                if name.starts_with("hold") {
                    return assert_problem(&what, response);
                }
                // The headers have left, and there is nothing to put a body into.
                assert_eq!(response.ending, Ending::Complete, "{what}: {response}");
                assert!(response.body.is_empty(), "{what}: {response}");
                let length = response.header("content-length");
                assert!(
                    length.is_none_or(|length| length == "0"),
                    "{what}: {response}"
                );
            };
            check(&http2::send(shared.port(name), &request));
            // What follows on the connection is the answer to the next request, and nothing else's body.
            let mut connection = Connection::open(shared.port(name));
            let next = Request::get("/text");
            connection.send(&[request.to_bytes(), next.to_bytes()].concat());
            check(&connection.read_response("GET").unwrap());
            let second = connection.read_response("GET").unwrap();
            assert_eq!(
                (second.status, second.text().as_str()),
                (200, "hello\n"),
                "{what}"
            );
        }
    }
}

fn trailers_of_a_rewritten_error_do_not_leave(shared: &Shared) {
    let enriched = (
        "application/problem+json",
        "{\"title\":\"T\",\"status\":400}",
    );
    let mut bodies: Vec<(&str, &str)> = KINDS.into_iter().zip(BODIES).collect();
    bodies.push(("text/plain", "hunter2"));
    for (name, prefix) in LISTENERS.iter().flat_map(|l| UPSTREAMS.map(|u| (*l, u))) {
        for (kind, body) in &bodies {
            for status in [400, 500] {
                let what = format!("{kind} {status} of {prefix} on {name}");
                shared.answer(&what, trailing(kind, status, body));
                let request = Request::get(format!("{prefix}/x")).case(&what);
                for response in [
                    request.send(shared.port(name)),
                    http2::send(shared.port(name), &request),
                ] {
                    assert_problem(&what, &response);
                    assert!(response.trailers.is_empty(), "{what}: {response}");
                    assert!(
                        !response.to_string().contains("hunter2"),
                        "{what}: {response}"
                    );
                }
            }
        }
    }
    for prefix in UPSTREAMS {
        shared.answer("enriched", trailing(enriched.0, 400, enriched.1));
        let request = Request::get(format!("{prefix}/x")).case("enriched");
        let response = http2::send(shared.port("enrich"), &request);
        assert!(response.json()["request_id"].is_string(), "{response}");
        assert!(response.trailers.is_empty(), "{response}");
    }
}

fn trailers_arrive_of_what_is_no_error_or_has_errors_of_its_own(shared: &Shared) {
    for (name, prefix) in LISTENERS.iter().flat_map(|l| UPSTREAMS.map(|u| (*l, u))) {
        for (kind, status) in [("text/html", 200), ("application/grpc", 503)] {
            let what = format!("left {kind} of {prefix} on {name}");
            shared.answer(&what, trailing(kind, status, "{\"status\":422}"));
            let request = Request::get(format!("{prefix}/x")).case(&what);
            let response = http2::send(shared.port(name), &request);
            assert_eq!(response.trailers.len(), 2, "{what}: {response}");
            assert_eq!(response.text(), "{\"status\":422}", "{what}");
        }
    }
}

/// Whoever lets the body be: of its trailers nobody knows what they say.
fn a_problem_of_the_upstreams_keeps_its_body_and_loses_its_trailers(shared: &Shared) {
    let listeners = [&LISTENERS[..], &["leave", "enrich"]].concat();
    for (name, prefix) in listeners.iter().flat_map(|l| UPSTREAMS.map(|u| (*l, u))) {
        let what = format!("problem of {prefix} on {name}");
        let body = "{\"status\":500,\"request_id\":\"7\",\"trace_id\":\"7\"}";
        shared.answer(&what, trailing("application/problem+json", 500, body));
        let request = Request::get(format!("{prefix}/x")).case(&what);
        for response in [
            request.send(shared.port(name)),
            http2::send(shared.port(name), &request),
        ] {
            assert_eq!(response.ending, Ending::Complete, "{what}: {response}");
            assert_eq!(response.text(), body, "{what}");
            assert!(response.trailers.is_empty(), "{what}: {response}");
        }
    }
}

/// Headers that differ by the time, by a draw, or by how the message is sent.
const BY_CHANCE: [&str; 8] = [
    "date",
    "x-request-id",
    "server-timing",
    "traceparent",
    "x-envoy-upstream-service-time",
    "transfer-encoding",
    "connection",
    "content-length",
];

fn head_gets_the_same_headers_as_get_or_fewer(shared: &Shared) {
    let lines = |response: &Response| {
        let lines = response.headers.iter();
        let mut lines: Vec<Line> = lines
            .filter(|(name, _)| !BY_CHANCE.iter().any(|other| name == other.as_bytes()))
            .cloned()
            .collect();
        lines.sort();
        lines
    };
    for name in [&LISTENERS[..], &["leave", "enrich"]].concat() {
        for (kind, body) in [
            (KINDS[0], BODIES[0]),
            (KINDS[1], BODIES[1]),
            ("application/problem+json", "{\"status\":500}"),
        ] {
            for framing in [Framing::Length, Framing::Chunked] {
                let what = format!("HEAD {kind} {framing:?} on {name}");
                let answer = Answer {
                    framing,
                    ..Answer::with_body(kind, body)
                        .status(500)
                        .header("etag", "\"1\"")
                };
                shared.answer(&what, answer);
                let full = Request::get("/x").case(&what).send(shared.port(name));
                let head = Request::new("HEAD", "/x").case(&what);
                let head = head.send(shared.port(name));
                assert_eq!(head.status, full.status, "{what}");
                assert!(head.body.is_empty(), "{what}: {head}");
                let missing: Vec<Line> = lines(&full)
                    .into_iter()
                    .filter(|line| !lines(&head).contains(line))
                    .collect();
                let more: Vec<Line> = lines(&head)
                    .into_iter()
                    .filter(|line| !lines(&full).contains(line))
                    .collect();
                assert!(
                    missing.is_empty() && more.is_empty(),
                    "{what}:\n{full}\n{head}"
                );
                // A length may be left out, not wrong.
                if let Some(length) = head.header("content-length") {
                    assert_eq!(length, full.body.len().to_string(), "{what}: {head}");
                }
            }
        }
    }
}

fn two_instances_give_what_one_gives(shared: &Shared) {
    for (accept, kind) in [
        ("text/html", "text/html; charset=utf-8"),
        ("text/markdown", "text/markdown; charset=utf-8"),
        ("application/xml", "application/problem+xml"),
        ("*/*", "application/problem+json"),
    ] {
        for (upstream_kind, body) in [(KINDS[0], BODIES[0]), (KINDS[1], BODIES[1])] {
            let what = format!("{accept} of {upstream_kind}");
            shared.answer(&what, Answer::with_body(upstream_kind, body).status(404));
            let request = Request::get("/x").case(&what).header("accept", accept);
            let once = shared.without_id(&what, &request, "separate");
            assert_eq!(once.header("content-type").as_deref(), Some(kind), "{what}");
            let twice = shared.without_id(&what, &request, "twice");
            let differs = compare::responses(&once, &twice, &BY_CHANCE);
            assert!(differs.is_none(), "{what}: {}", differs.unwrap_or_default());
        }
    }
}

fn an_upstream_cannot_say_that_its_problem_is_the_proxys(shared: &Shared) {
    let own = r#"{"type":"https://a.example/own","title":"Own","status":422,"detail":"Mine."}"#;
    let answer = Answer::with_body("application/problem+json", own).status(422);
    shared.answer("own", answer.header("proxy-status", "gateway"));
    for name in LISTENERS {
        let response = Request::get("/x").case("own").send(shared.port(name));
        assert_eq!(response.text(), own, "{name}");
    }
}

fn no_cache_keeps_what_must_not_be_stored(shared: &Shared) {
    let of_caches = [
        "cdn-cache-control",
        "surrogate-control",
        "a-cdn-cache-control",
        "age",
    ];
    let mut answer = Answer::with_body("text/html", "x").status(500);
    for name in of_caches {
        answer = answer.header(name, "600");
    }
    shared.answer("cached", answer);
    for name in LISTENERS {
        let response = Request::get("/x").case("cached").send(shared.port(name));
        let control = response.header("cache-control");
        assert_eq!(control.as_deref(), Some("no-store"), "{name}: {response}");
        for gone in of_caches {
            assert!(
                response.lines(gone).is_empty(),
                "{name}: {gone}\n{response}"
            );
        }
    }
}

fn nothing_died(shared: &Shared) {
    let admin = shared.envoy.admin();
    assert_eq!(admin.vm_reloads(), 0, "{}", shared.envoy.log());
    let refused = admin.stats("portcullis_problem_json_host_refusals_total");
    assert_eq!(refused.values().sum::<u64>(), 0, "{refused:?}");
}
