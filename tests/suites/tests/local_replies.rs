//! The net under problem-json: what Envoy answers by itself, in the configuration that we ship and without any filter.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::HashSet;
use std::process::ExitCode;

use portcullis_harness::config::cluster;
use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::{Answer, Upstream};
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Response, Route, cases, http2, suite,
};
use portcullis_suites::shipped::{self, CONNECTION_MANAGER};
use serde_json::{Value, json};

struct Shared {
    upstream: Upstream,
    /// `envoy/envoy.yaml` with more routes.
    shipped: Envoy,
    /// Its `local_reply_config`, and no filter but the router.
    alone: Envoy,
}

fn main() -> ExitCode {
    suite::run(
        start,
        cases![
            a_request_that_is_no_http_is_answered_with_a_document,
            a_request_without_a_host_is_answered_with_a_document,
            a_broken_chunk_is_answered_with_a_document,
            a_request_in_http_1_0_is_answered_with_a_document,
            headers_that_are_too_large_are_answered_with_a_document,
            headers_that_do_not_arrive_are_answered_with_a_document,
            a_body_that_is_too_large_is_answered_with_a_document,
            a_host_without_routes_is_answered_with_a_document,
            an_upstream_in_trouble_says_nothing_of_itself,
            http_2_gets_the_same_documents,
            an_answer_to_head_has_the_headers_and_no_body,
            grpc_gets_a_status_and_no_document,
            an_error_without_a_body_is_no_document_for_grpc_either,
            what_only_looks_like_grpc_gets_a_document,
            refusals_of_filters_stay_as_they_are,
            a_page_of_problem_json_stays_one,
            the_filters_write_what_they_see_anew,
            no_two_requests_without_an_id_share_one,
            an_id_that_no_log_should_hold_is_not_taken_from_the_client,
            the_filter_and_the_net_name_a_request_by_the_same_id,
            every_status_has_its_own_words_without_any_filter,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    // In cleartext, so that tests can send what is no HTTP.
    let mut template = shipped::template("envoy.yaml", upstream.port(), &Certificate::new())
        .merge(
            "static_resources.listeners[0].filter_chains[0]",
            &json!({"transport_socket": null}),
        )
        .set(
            &format!("{CONNECTION_MANAGER}.request_headers_timeout"),
            "0.2s",
        );
    let net = at(&mut template.0, CONNECTION_MANAGER)["local_reply_config"].clone();
    add_troubles(&mut template.0);
    // What a client calls its request reaches the net.
    let manager = json!({"local_reply_config": net, "preserve_external_request_id": true});
    let alone = Listener::new("alone")
        .hcm(&manager)
        .route(Route::path("/dead").cluster("dead"));
    let alone = statuses().into_iter().fold(alone, |listener, status| {
        listener.route(Route::path(&format!("/{status}")).direct(status, "no healthy upstream"))
    });
    let filtered = |name: &str, settings: Value| {
        Listener::new(name)
            .hcm(&manager)
            .filter(Filter::wasm("problem_json", settings))
            .route(Route::path("/dead").cluster("dead"))
            .route(Route::prefix("/").cluster("upstream"))
    };
    let pages = filtered("pages", json!({}));
    let json = filtered("json", json!({"formats": ["json"]}));
    let alone = Config::new(upstream.port())
        .cluster(cluster("dead", 1))
        .listener(pages)
        .listener(json)
        .listener(alone);
    Shared {
        shipped: Envoy::start_template("local-replies", &template, 2).unwrap(),
        alone: Envoy::start("local-replies-alone", &alone).unwrap(),
        upstream,
    }
}

fn at<'a>(value: &'a mut Value, path: &str) -> &'a mut Value {
    portcullis_harness::patch::at(value, path)
}

/// What Envoy is told to answer by itself, beside 499 and 599, which are in nobody's list.
fn statuses() -> [u16; 20] {
    [
        400, 401, 403, 404, 405, 408, 413, 415, 421, 426, 429, 431, 499, 500, 501, 502, 503, 504,
        505, 599,
    ]
}

/// Routes and a filter that fail in ways of their own.
fn add_troubles(bootstrap: &mut Value) {
    let manager = at(bootstrap, CONNECTION_MANAGER);
    let filters = manager["http_filters"].as_array_mut().unwrap();
    let router = filters.len() - 1;
    filters.insert(
        router,
        json!({"name": "buffer", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
            "max_request_bytes": 1000,
        }}),
    );
    let hosts = manager["route_config"]["virtual_hosts"]
        .as_array_mut()
        .unwrap();
    let off = json!({"buffer": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
        "disabled": true,
    }});
    for route in hosts[0]["routes"].as_array_mut().unwrap() {
        portcullis_harness::patch::merge(&mut route["typed_per_filter_config"], &off);
    }
    hosts[0]["routes"].as_array_mut().unwrap().splice(
        0..0,
        [
            json!({"match": {"path": "/dead"}, "route": {"cluster": "dead"}}),
            json!({"match": {"path": "/empty"}, "route": {"cluster": "empty"}}),
            json!({"match": {"prefix": "/delay/"}, "route": {"cluster": "upstream-blue", "timeout": "0.1s"}}),
            json!({"match": {"path": "/buffered"}, "route": {"cluster": "upstream-blue"}}),
        ],
    );
    hosts.push(json!({"name": "nobody", "domains": ["nobody.example"], "routes": []}));
    let clusters = at(bootstrap, "static_resources.clusters")
        .as_array_mut()
        .unwrap();
    clusters.push(cluster("dead", 1));
    clusters.push(json!({
        "name": "empty",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "empty", "endpoints": []},
    }));
}

impl Shared {
    fn port(&self) -> u16 {
        self.shipped.port("edge")
    }

    #[track_caller]
    fn raw(&self, bytes: &[u8]) -> Response {
        let mut connection = Connection::open(self.port());
        connection.send(bytes);
        connection.read_response("GET").expect("an answer")
    }
}

/// A document of the net, or of problem-json where it saw it: valid, complete, and silent about what is behind.
#[track_caller]
fn assert_document(response: &Response, status: u16) -> Value {
    assert_eq!(response.status, status, "{response}");
    assert_headers(response);
    let document = response.json();
    let schema = include_str!("../../../filters/problem-json/tests/schema/strict.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let schema = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let mistakes: Vec<String> = schema
        .iter_errors(&document)
        .map(|error| error.to_string())
        .collect();
    assert!(mistakes.is_empty(), "{mistakes:?} in {response}");
    assert_eq!(document["status"], status, "{response}");
    assert_eq!(
        document["request_id"].as_str(),
        response.header("x-request-id").as_deref(),
        "{response}"
    );
    assert_eq!(document["retryable"].as_bool().map(|_| ()), Some(()));
    document
}

#[track_caller]
fn assert_headers(response: &Response) {
    for (name, value) in [
        ("content-type", "application/problem+json"),
        ("content-language", "en"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("proxy-status", "gateway"),
    ] {
        assert_eq!(response.header(name).as_deref(), Some(value), "{response}");
    }
    for name in ["content-security-policy", "permissions-policy"] {
        assert!(response.header(name).is_some(), "{name}: {response}");
    }
    let id = response.header("x-request-id");
    assert!(id.is_some_and(|id| !id.is_empty()), "{response}");
    assert_silent(response);
}

/// Words of Envoy's own texts, details and flags.
#[track_caller]
fn assert_silent(response: &Response) {
    let shown = response.to_string().to_ascii_lowercase();
    for word in [
        "upstream connect",
        "reset",
        "healthy",
        "transport",
        "overflow",
        "disconnect",
        "connection refused",
        "delayed",
        "codec",
        "http1",
        "127.0.0.1",
        "response_flags",
    ] {
        assert!(!shown.contains(word), "`{word}` in {response}");
    }
}

fn a_request_that_is_no_http_is_answered_with_a_document(shared: &Shared) {
    let document = assert_document(&shared.raw(b"this is no request\r\n\r\n"), 400);
    assert_eq!(document["title"], "Bad Request");
    assert_eq!(document["category"], "user");
    assert_eq!(document["retryable"], false);
}

fn a_request_without_a_host_is_answered_with_a_document(shared: &Shared) {
    assert_document(&shared.raw(b"GET / HTTP/1.1\r\n\r\n"), 400);
}

fn a_broken_chunk_is_answered_with_a_document(shared: &Shared) {
    let request = b"POST /text HTTP/1.1\r\nhost: api.example.com\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n\r\n";
    assert_document(&shared.raw(request), 400);
}

fn a_request_in_http_1_0_is_answered_with_a_document(shared: &Shared) {
    let document = assert_document(&shared.raw(b"GET / HTTP/1.0\r\n\r\n"), 426);
    assert_eq!(document["title"], "Upgrade Required");
}

fn headers_that_are_too_large_are_answered_with_a_document(shared: &Shared) {
    let large = Request::get("/").header("x-large", "x".repeat(70_000));
    let document = assert_document(&large.send(shared.port()), 431);
    assert_eq!(document["title"], "Request Header Fields Too Large");
}

fn headers_that_do_not_arrive_are_answered_with_a_document(shared: &Shared) {
    let document = assert_document(&shared.raw(b"GET / HTTP/1.1\r\nhost: a"), 408);
    assert_eq!(document["title"], "Request Timeout");
    assert_eq!(document["retryable"], true);
}

fn a_body_that_is_too_large_is_answered_with_a_document(shared: &Shared) {
    let request = Request::post("/buffered", "x".repeat(2000));
    let document = assert_document(&request.send(shared.port()), 413);
    assert_eq!(document["title"], "Content Too Large");
}

fn a_host_without_routes_is_answered_with_a_document(shared: &Shared) {
    let request = Request::get("/").header("host", "nobody.example");
    let document = assert_document(&request.send(shared.port()), 404);
    assert_eq!(document["title"], "Not Found");
}

fn an_upstream_in_trouble_says_nothing_of_itself(shared: &Shared) {
    for (target, status) in [
        ("/dead", 503),
        ("/empty", 503),
        ("/delay/5000", 504),
        ("/abort/headers?how=reset", 503),
        ("/abort/headers", 503),
    ] {
        let document = assert_document(&Request::get(target).send(shared.port()), status);
        assert_eq!(document["category"], "external", "{target}");
        assert_eq!(document["retryable"], true, "{target}");
    }
}

fn http_2_gets_the_same_documents(shared: &Shared) {
    for (target, status) in [("/dead", 503), ("/empty", 503), ("/delay/5000", 504)] {
        assert_document(&http2::send(shared.port(), &Request::get(target)), status);
    }
    let elsewhere = Request::get("/").header("host", "nobody.example");
    assert_document(&http2::send(shared.port(), &elsewhere), 404);
}

fn an_answer_to_head_has_the_headers_and_no_body(shared: &Shared) {
    let response = Request::new("HEAD", "/dead").send(shared.port());
    assert_eq!((response.status, response.body.len()), (503, 0));
    assert_headers(&response);
}

fn grpc_gets_a_status_and_no_document(shared: &Shared) {
    for target in ["/dead", "/empty"] {
        for envoy in [(&shared.shipped, "edge"), (&shared.alone, "alone")] {
            if target == "/empty" && envoy.1 == "alone" {
                continue;
            }
            let call = Request::post(target, "").header("content-type", "application/grpc");
            let response = http2::send(envoy.0.port(envoy.1), &call);
            assert_eq!(response.status, 200, "{response}");
            assert_eq!(response.header("grpc-status").as_deref(), Some("14"));
            let message = response.header("grpc-message").unwrap();
            assert!(
                message.starts_with("The service is not available"),
                "{response}"
            );
            assert!(response.body.is_empty(), "{response}");
            assert_silent(&response);
        }
    }
}

/// Clients of a bridge speak gRPC over HTTP/1.1 and send no `te`, so that problem-json cannot know them where it reads no
/// request.
fn an_error_without_a_body_is_no_document_for_grpc_either(shared: &Shared) {
    for (status, grpc_status) in [(500, "2"), (404, "12"), (503, "14")] {
        let case = format!("empty {status}");
        let empty = Answer::with_body("text/html", "").status(status);
        shared.upstream.recorder().answer(&case, empty);
        let call = |kind: &str| {
            let request = Request::post("/x", "\0\0\0\0\0").case(&case);
            let request = request.header("content-type", kind);
            request.send(shared.alone.port("json"))
        };
        let response = call("application/grpc");
        assert_eq!(response.status, 200, "{response}");
        assert_eq!(
            response.header("grpc-status").as_deref(),
            Some(grpc_status),
            "{response}"
        );
        let message = format!("HTTP status {status}");
        assert_eq!(response.header("grpc-message"), Some(message), "{response}");
        let other = call("application/json");
        assert_eq!(other.status, status, "{other}");
        assert_eq!(other.json()["status"], status, "{other}");
    }
}

fn what_only_looks_like_grpc_gets_a_document(shared: &Shared) {
    for kind in [
        "application/grpcx",
        "application/grpc-web",
        "application/grpc-web-text",
    ] {
        let call = Request::post("/dead", "x").header("content-type", kind);
        assert_document(&call.send(shared.port()), 503);
        assert_document(&call.send(shared.alone.port("alone")), 503);
    }
}

fn a_page_of_problem_json_stays_one(shared: &Shared) {
    let empty = Answer::with_body("text/html", "").status(404);
    shared.upstream.recorder().answer("empty", empty);
    let page = |accept: &str| {
        let request = Request::get("/").case("empty").header("accept", accept);
        let request = request.header("sec-fetch-mode", "navigate");
        request.send(shared.alone.port("pages"))
    };
    for (accept, kind) in [
        ("text/html", "text/html; charset=utf-8"),
        ("application/problem+xml", "application/problem+xml"),
    ] {
        let response = page(accept);
        assert_eq!(response.status, 404, "{response}");
        assert_eq!(
            response.header("content-type").as_deref(),
            Some(kind),
            "{response}"
        );
        assert_eq!(response.header("proxy-status"), None, "{response}");
    }
}

fn refusals_of_filters_stay_as_they_are(shared: &Shared) {
    let post = Request::post("/text", "x").header("sec-fetch-site", "cross-site");
    let refused = post.send(shared.port());
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("proxy-status"), None, "{refused}");
    assert_eq!(refused.json()["title"], "Forbidden", "{refused}");
    let call = || {
        let request = Request::get("/json").header("x-api-key", "demo-free");
        request.send(shared.port())
    };
    for _ in 0..10 {
        assert_eq!(call().status, 200);
    }
    let limited = call();
    assert_eq!(limited.status, 429, "{limited}");
    assert_eq!(limited.header("proxy-status"), None, "{limited}");
    assert_eq!(limited.json()["tier"], "free", "{limited}");
    assert!(limited.header("retry-after").is_some(), "{limited}");
}

fn the_filters_write_what_they_see_anew(shared: &Shared) {
    let document = assert_document(&Request::get("/dead").send(shared.port()), 503);
    let id = document["request_id"].as_str().unwrap();
    assert_eq!(document["instance"], format!("urn:uuid:{id}"), "{document}");
    // Where the filters are not, the net's own words stay.
    let document = assert_document(&Request::get("/dead").send(shared.alone.port("alone")), 503);
    assert_eq!(document["instance"], Value::Null, "{document}");
}

fn no_two_requests_without_an_id_share_one(shared: &Shared) {
    let ids: HashSet<String> = (0..50)
        .map(|_| {
            let document = assert_document(&shared.raw(b"GET / HTTP/1.1\r\n\r\n"), 400);
            document["request_id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 50);
}

fn an_id_that_no_log_should_hold_is_not_taken_from_the_client(shared: &Shared) {
    let (longest, longer) = ([b'7'; 128], [b'7'; 129]);
    let named: [(&[u8], bool); 6] = [
        (&longest, true),
        (&longer, false),
        (b"a\" <b>", false),
        (b"", false),
        (b"\xff\xfe", false),
        (b"abc-1", true),
    ];
    for (id, taken) in named {
        let request = [b"GET / HTTP/1.1\r\nx-request-id: ", id, b"\r\n\r\n"].concat();
        let document = assert_document(&shared.raw(&request), 400);
        let told = document["request_id"].as_str().unwrap();
        assert_eq!(told.as_bytes() == id, taken, "{document}");
    }
}

/// Where no request-tracing replaces what a client sends as the id of its request.
fn the_filter_and_the_net_name_a_request_by_the_same_id(shared: &Shared) {
    let longer = "7".repeat(129);
    for listener in ["pages", "json", "alone"] {
        for (id, taken) in [
            ("a\"b<c>", false),
            (longer.as_str(), false),
            ("abc-1", true),
        ] {
            let request = Request::get("/dead").header("x-request-id", id);
            let response = request.send(shared.alone.port(listener));
            let document = response.json();
            let told = response.header("x-request-id");
            assert_eq!(
                document["request_id"].as_str(),
                told.as_deref(),
                "{response}"
            );
            assert_eq!(told.as_deref() == Some(id), taken, "{listener}: {response}");
        }
    }
}

fn every_status_has_its_own_words_without_any_filter(shared: &Shared) {
    let mut titles = HashSet::new();
    for status in statuses() {
        let request = Request::get(format!("/{status}"));
        let document = assert_document(&request.send(shared.alone.port("alone")), status);
        let category = match status {
            ..500 => "user",
            502..=504 => "external",
            _ => "system",
        };
        assert_eq!(document["category"], category, "{document}");
        titles.insert(document["title"].to_string());
    }
    // 499 and 599 speak for their classes.
    assert_eq!(titles.len(), statuses().len() - 2);
    let fine = Request::get("/text").send(shared.upstream.port());
    assert_eq!(fine.status, 200);
}
