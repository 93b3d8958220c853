//! request-tracing where only a real proxy can show it: the proxy's own ids, access logs, times, local replies, rates.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::HashSet;
use std::process::ExitCode;

use portcullis_harness::config::{cluster, http2_cluster};
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Response, Route, cases, http2, suite,
    wait,
};
use serde_json::{Value, json};

struct Shared {
    upstream: Upstream,
    envoy: Envoy,
}

fn main() -> ExitCode {
    suite::run(
        start,
        cases![
            the_proxys_own_id_is_used_where_the_settings_say_so,
            one_id_stands_in_request_response_and_access_log,
            a_clients_id_is_not_believed_at_the_edge,
            local_replies_carry_the_id,
            grpc_websocket_and_connect_carry_the_id,
            http2_requests_are_traced,
            server_timing_is_told_to_whom_the_settings_say,
            response_times_are_told_on_request,
            a_slow_request_is_counted_and_logged_without_its_path,
            a_ratio_samples_its_share,
            a_cap_holds_per_second,
            an_upstreams_server_timing_stays_beside_ours,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let tracing = |settings: Value| Filter::wasm("request_tracing", settings);
    let told = json!({
        "trust": "internal",
        "response_time": true,
        "slow_ms": 0,
        "server_timing": {"trace_name": "traceparent"},
        "profiles": {
            "public": {"trust": "edge"},
            "all": {"trust": "edge", "server_timing": {"trace": "all", "app": "all"}},
            "slow": {"slow_ms": 50},
        },
    });
    let config = Config::new(upstream.port())
        .cluster(http2_cluster("http2", upstream.port()))
        .cluster(cluster("dead", 1))
        .listener(
            Listener::new("edge")
                .filter(tracing(json!({})))
                .route(Route::prefix("/dead").cluster("dead"))
                .route(Route::prefix("/direct").direct(503, "by the proxy"))
                .route(Route::prefix("/grpc").cluster("http2"))
                .route(Route::matching(json!({"connect_matcher": {}})))
                .route(Route::prefix("/text")),
        )
        .listener(
            Listener::new("proxy").filter(tracing(json!({"request_id": {"source": "proxy"}}))),
        )
        .listener(
            Listener::new("told")
                .filter(tracing(told))
                .route(Route::prefix("/public").profile(&json!({"profile": "public"})))
                .route(Route::prefix("/all").profile(&json!({"profile": "all"})))
                .route(
                    Route::prefix("/slow")
                        .profile(&json!({"profile": "slow"}))
                        .over(&json!({"name": "a-slow-route"})),
                )
                .route(Route::prefix("/")),
        )
        .listener(
            Listener::new("half").filter(tracing(json!({"sampling": {"root": {"ratio": 0.5}}}))),
        )
        .listener(
            Listener::new("capped").filter(tracing(json!({"sampling": {"max_per_second": 5}}))),
        );
    let envoy = Envoy::start("request-tracing", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared { upstream, envoy }
}

impl Shared {
    #[track_caller]
    fn send(&self, listener: &str, request: &Request) -> Response {
        request.send(self.envoy.port(listener))
    }

    /// The only line of that name in the request that the upstream received.
    #[track_caller]
    fn received(&self, case: &str, name: &str) -> String {
        let received = self
            .upstream
            .recorder()
            .requests(case)
            .pop()
            .expect("the request");
        let lines = received.header_lines(name);
        assert_eq!(lines.len(), 1, "{name}");
        String::from_utf8(lines[0].to_vec()).unwrap()
    }

    fn counter(&self, what: &str) -> u64 {
        let stats = self
            .envoy
            .admin()
            .stats(&format!("portcullis_request_tracing_{what}_total"));
        stats.values().sum()
    }
}

fn is_uuid4(id: &str) -> bool {
    let groups: Vec<usize> = id.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && id.as_bytes().get(14) == Some(&b'4')
}

fn the_proxys_own_id_is_used_where_the_settings_say_so(shared: &Shared) {
    let response = shared.send(
        "proxy",
        &Request::get("/text")
            .case("own")
            .header("x-request-id", "mine"),
    );
    let id = response.header("x-request-id").unwrap();
    assert!(is_uuid4(&id), "{id}");
    assert_eq!(shared.received("own", "x-request-id"), id);
    let line = shared.envoy.access_log_of("proxy", "own");
    // What Envoy calls the stream is the id that it made.
    assert_eq!(
        (&line["stream_id"], &line["request_id"]),
        (&json!(id), &json!(id))
    );
}

fn one_id_stands_in_request_response_and_access_log(shared: &Shared) {
    let mut ids = HashSet::new();
    for i in 0..20 {
        let case = format!("one id {i}");
        let id = shared
            .send("edge", &Request::get("/text").case(&case))
            .header("x-request-id")
            .unwrap();
        assert!(is_uuid4(&id), "{id}");
        assert_eq!(shared.received(&case, "x-request-id"), id);
        assert_eq!(
            shared.envoy.access_log_of("edge", &case)["request_id"],
            id.as_str()
        );
        assert!(ids.insert(id));
    }
}

fn a_clients_id_is_not_believed_at_the_edge(shared: &Shared) {
    for (i, id) in ["mine", "0af76519-16cd-43dd-8448-eb211c80319c"]
        .iter()
        .enumerate()
    {
        let case = format!("believed {i}");
        let response = shared.send(
            "edge",
            &Request::get("/text")
                .case(&case)
                .header("x-request-id", *id),
        );
        assert_ne!(response.header("x-request-id").as_deref(), Some(*id));
        assert_ne!(shared.received(&case, "x-request-id"), *id);
    }
}

fn local_replies_carry_the_id(shared: &Shared) {
    for (target, status) in [
        ("/dead", 503),
        ("/direct", 503),
        ("/nowhere", 404),
        ("/text?abort=headers&how=reset", 503),
    ] {
        let case = format!("local {target}");
        let response = shared.send("edge", &Request::get(target).case(&case));
        assert_eq!(response.status, status, "{target}");
        let id = response
            .header("x-request-id")
            .unwrap_or_else(|| panic!("{target}: no id"));
        assert_eq!(
            shared.envoy.access_log_of("edge", &case)["request_id"],
            id.as_str(),
            "{target}"
        );
    }
}

fn grpc_websocket_and_connect_carry_the_id(shared: &Shared) {
    let port = shared.envoy.port("edge");
    let grpc = Request::post("/grpc/0", [0; 5])
        .header("content-type", "application/grpc")
        .case("grpc id");
    let response = http2::send(port, &grpc.header("te", "trailers"));
    assert_eq!(response.trailer_lines("grpc-status"), [b"0"]);
    assert_eq!(
        response.header("x-request-id"),
        Some(shared.received("grpc id", "x-request-id"))
    );

    let upgrade = Request::get("/text")
        .case("websocket id")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
    let response = Connection::open(port).exchange(&upgrade);
    assert_eq!(response.status, 101);
    assert_eq!(
        response.header("x-request-id"),
        Some(shared.received("websocket id", "x-request-id"))
    );
    assert_eq!(shared.received("websocket id", "traceparent").len(), 55);

    let connect = Request::new("CONNECT", "example.com:443").case("connect id");
    let response = Connection::open(port).exchange(&connect);
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("x-request-id"),
        Some(shared.received("connect id", "x-request-id"))
    );
}

fn http2_requests_are_traced(shared: &Shared) {
    let request = Request::get("/text").case("h2 trace");
    let request = request.header(
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    );
    http2::send(shared.envoy.port("told"), &request);
    let traceparent = shared.received("h2 trace", "traceparent");
    assert!(
        traceparent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"),
        "{traceparent}"
    );
    assert!(!traceparent.contains("b7ad6b7169203331"), "{traceparent}");
}

fn server_timing_is_told_to_whom_the_settings_say(shared: &Shared) {
    let told = shared.send("told", &Request::get("/text").case("told"));
    let timing = told
        .header("server-timing")
        .expect("Server-Timing for a trusted client");
    let (trace, app) = timing.split_once(", ").unwrap();
    assert_eq!(
        trace,
        format!(
            "traceparent;desc={}",
            shared.received("told", "traceparent")
        )
    );
    assert!(
        app.strip_prefix("app;dur=")
            .is_some_and(|ms| ms.parse::<f64>().is_ok()),
        "{timing}"
    );

    let public = shared.send("told", &Request::get("/public"));
    assert_eq!(public.header("server-timing"), None);
    let all = shared.send("told", &Request::get("/all"));
    assert!(
        all.header("server-timing")
            .is_some_and(|timing| timing.contains("desc=00-")),
        "{all}"
    );
    assert_eq!(
        shared
            .send("edge", &Request::get("/text"))
            .header("server-timing"),
        None
    );
}

fn an_upstreams_server_timing_stays_beside_ours(shared: &Shared) {
    let response = shared.send(
        "told",
        &Request::get("/text?header=Server-Timing:db%3Bdur%3D5"),
    );
    let lines = response.lines("server-timing");
    assert_eq!(lines[0], b"db;dur=5");
    assert_eq!(lines.len(), 2, "{response}");
}

fn response_times_are_told_on_request(shared: &Shared) {
    let response = shared.send("told", &Request::get("/text?delay=120"));
    let time = response.header("x-response-time").unwrap();
    let milliseconds: f64 = time.strip_suffix("ms").unwrap().parse().unwrap();
    assert!((120.0..5000.0).contains(&milliseconds), "{time}");
    assert_eq!(
        shared
            .send("edge", &Request::get("/text"))
            .header("x-response-time"),
        None
    );
}

fn a_slow_request_is_counted_and_logged_without_its_path(shared: &Shared) {
    let before = shared.counter("slow_requests");
    let request = Request::get("/slow?delay=120&token=a-secret-token").case("slow");
    let response = shared.send("told", &request);
    let timing = response.header("server-timing").unwrap();
    assert!(timing.ends_with(", slow"), "{timing}");
    let id = response.header("x-request-id").unwrap();

    let log = wait::until("the slow request's log line", || {
        let log = shared.envoy.log();
        let line = log
            .lines()
            .find(|line| line.contains("slow_request") && line.contains(&id))?;
        Some(line[line.find('{')?..].to_owned())
    });
    let line: Value = serde_json::from_str(&log).expect("one JSON line");
    assert_eq!(
        (&line["event"], &line["route"], &line["status"]),
        (&json!("slow_request"), &json!("a-slow-route"), &json!(200))
    );
    assert!(
        line["duration_ms"]
            .as_u64()
            .is_some_and(|ms| (120..5000).contains(&ms)),
        "{line}"
    );
    assert!(
        shared
            .received("slow", "traceparent")
            .contains(line["trace_id"].as_str().unwrap())
    );
    assert!(!shared.envoy.log().contains("a-secret-token"));
    assert_eq!(shared.counter("slow_requests"), before + 1);

    shared.send("told", &Request::get("/slow").case("quick"));
    shared.envoy.access_log_of("told", "quick");
    assert_eq!(shared.counter("slow_requests"), before + 1);
}

/// How many of so many requests the upstream received as sampled.
fn sampled(shared: &Shared, listener: &str, requests: usize) -> usize {
    let mut connection = Connection::open(shared.envoy.port(listener));
    let case = format!("sampled {listener}");
    for _ in 0..requests {
        connection.exchange(&Request::get("/text").case(&case));
    }
    let received = shared.upstream.recorder().requests(&case);
    assert_eq!(received.len(), requests);
    received
        .iter()
        .filter(|request| {
            request
                .header("traceparent")
                .is_some_and(|value| value.ends_with(b"-03"))
        })
        .count()
}

fn a_ratio_samples_its_share(shared: &Shared) {
    let sampled = sampled(shared, "half", 400);
    // Eight standard deviations: this fails by chance once in a million billion runs.
    assert!((120..=280).contains(&sampled), "{sampled} of 400");
}

fn a_cap_holds_per_second(shared: &Shared) {
    let start = std::time::Instant::now();
    let sampled = sampled(shared, "capped", 100);
    let seconds = usize::try_from(start.elapsed().as_secs()).unwrap() + 2;
    assert!(
        (5..=5 * seconds).contains(&sampled),
        "{sampled} in {seconds} s"
    );
    assert!(sampled < 100);
    assert_eq!(shared.counter("sampling_capped"), 100 - sampled as u64);
}
