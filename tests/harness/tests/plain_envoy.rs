//! The harness itself, shown on an Envoy without any module of ours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::config::{cluster, http2_cluster};
use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::{Answer, Break, End, Protocol, Upstream, percent};
use portcullis_harness::{
    Config, Connection, Ending, Envoy, Filter, Listener, Request, Route, Template, Update, cases,
    compare, http2, suite,
};
use serde_json::json;

struct Shared {
    upstream: Upstream,
    certificate: Certificate,
    envoy: Envoy,
}

fn main() -> ExitCode {
    suite::run(
        start,
        cases![
            bytes_pass_both_ways_and_are_recorded,
            a_ready_answer_is_given_to_its_case,
            trailers_and_chunks_arrive,
            a_reset_in_the_body_is_seen,
            a_dead_upstream_is_a_503,
            tls_is_spoken,
            http2_is_spoken_on_both_sides,
            a_websocket_echoes,
            a_connect_tunnel_echoes,
            interim_and_pipelined_responses_are_told_apart,
            equal_answers_compare_equal_and_others_do_not,
            counters_and_access_logs_are_read,
            a_refused_configuration_tells_why,
            listeners_are_updated_and_a_bad_update_keeps_the_old_ones,
            a_configuration_file_is_a_template,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let certificate = Certificate::new();
    let grpc = Route::prefix("/grpc").cluster("http2");
    let config = Config::new(upstream.port())
        .cluster(http2_cluster("http2", upstream.port()))
        .cluster(cluster("dead", 1))
        .listener(
            Listener::new("main")
                .route(grpc)
                .route(Route::prefix("/dead").cluster("dead"))
                .route(Route::path("/own").direct(418, "own"))
                .route(Route::matching(json!({"connect_matcher": {}})))
                .route(Route::prefix("/")),
        )
        .listener(Listener::new("tls").tls(&certificate));
    let envoy = Envoy::start("plain", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared {
        upstream,
        certificate,
        envoy,
    }
}

fn bytes_pass_both_ways_and_are_recorded(shared: &Shared) {
    let value: Vec<u8> = (0x80..=0xff).collect();
    let target = format!("/text?header=x-back:{}", percent::encode(&value));
    let request = Request::get(target)
        .case("bytes")
        .header("x-there", value.clone());
    let response = request.send(shared.envoy.port("main"));
    assert_eq!(response.lines("x-back"), [value.as_slice()]);
    let recorded = shared.upstream.recorder().requests("bytes").remove(0);
    assert_eq!(recorded.header_lines("x-there"), [value.as_slice()]);
    assert!(
        recorded
            .head
            .windows(value.len())
            .any(|window| window == value)
    );
}

fn a_ready_answer_is_given_to_its_case(shared: &Shared) {
    let answer = Answer::with_body("text/x", "ready")
        .status(404)
        .header("a", "1")
        .header("a", "2");
    shared.upstream.recorder().answer("ready", answer);
    let response = Request::get("/any")
        .case("ready")
        .send(shared.envoy.port("main"));
    assert_eq!((response.status, response.text().as_str()), (404, "ready"));
    assert_eq!(response.lines("a"), [b"1", b"2"]);
    assert_eq!(
        Request::get("/own").send(shared.envoy.port("main")).status,
        418
    );
}

fn trailers_and_chunks_arrive(shared: &Shared) {
    let response = Request::get("/chunked").send(shared.envoy.port("main"));
    assert_eq!(response.text(), "one piece after another\n");
    let response = http2::send(shared.envoy.port("main"), &Request::get("/grpc/7"));
    assert_eq!(response.trailer_lines("grpc-status"), [b"7"]);
    assert_eq!(response.body, [0; 5]);
    // Trailers of an HTTP/1 upstream are dropped unless Envoy is told to keep them.
    let response = Request::get("/trailers").send(shared.upstream.port());
    assert_eq!(response.trailer_lines("x-trailer"), [b"last"]);
}

fn a_reset_in_the_body_is_seen(shared: &Shared) {
    for how in ["fin", "reset"] {
        let target = format!("/bytes/100000?abort=body&how={how}");
        let response = Request::get(target).send(shared.envoy.port("main"));
        assert_eq!(response.status, 200);
        assert_ne!(response.ending, Ending::Complete);
        assert!(response.body.len() < 100_000);
    }
    let reset = Answer {
        end: End::InBody(Break::Reset),
        ..Answer::with_body("text/plain", [b'x'; 1000])
    };
    shared.upstream.recorder().answer("reset", reset);
    let response = Request::get("/").case("reset").send(shared.upstream.port());
    assert_eq!(response.ending, Ending::Reset);
    let response = Request::get("/abort/headers?how=reset").send(shared.envoy.port("main"));
    assert_eq!(response.status, 503);
}

fn a_dead_upstream_is_a_503(shared: &Shared) {
    assert_eq!(
        Request::get("/dead").send(shared.envoy.port("main")).status,
        503
    );
}

fn tls_is_spoken(shared: &Shared) {
    let mut connection = Connection::open_tls(shared.envoy.port("tls"), &shared.certificate);
    let response = connection.exchange(&Request::get("/echo").case("tls"));
    assert_eq!(response.status, 200);
    let recorded = shared.upstream.recorder().requests("tls").remove(0);
    assert_eq!(
        recorded.header("x-forwarded-proto"),
        Some(b"https".as_slice())
    );
}

fn http2_is_spoken_on_both_sides(shared: &Shared) {
    let request = Request::post("/grpc/0", [0; 5])
        .case("h2")
        .header("content-type", "application/grpc");
    let response = http2::send(shared.envoy.port("main"), &request.header("x-a", [0xff]));
    assert_eq!(response.status, 200);
    assert_eq!(response.ending, Ending::Complete);
    let recorded = shared.upstream.recorder().requests("h2").remove(0);
    assert_eq!(recorded.protocol, Protocol::Http2);
    assert_eq!(recorded.header("x-a"), Some([0xff].as_slice()));
    assert_eq!(recorded.body, [0; 5]);
    let head = http2::send(shared.envoy.port("main"), &Request::new("HEAD", "/bytes/9"));
    assert_eq!(head.header("content-length").as_deref(), Some("9"));
    assert!(head.body.is_empty());
}

fn a_websocket_echoes(shared: &Shared) {
    let mut connection = Connection::open(shared.envoy.port("main"));
    let upgrade = Request::get("/chat")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
    assert_eq!(connection.exchange(&upgrade).status, 101);
    connection.send(b"\x81\x02hi");
    assert_eq!(connection.read_exactly(4), b"\x81\x02hi");
}

fn a_connect_tunnel_echoes(shared: &Shared) {
    let mut connection = Connection::open(shared.envoy.port("main"));
    assert_eq!(
        connection
            .exchange(&Request::new("CONNECT", "example.com:443"))
            .status,
        200
    );
    connection.send(b"\x00any bytes\xff");
    assert_eq!(connection.read_exactly(11), b"\x00any bytes\xff");
}

fn interim_and_pipelined_responses_are_told_apart(shared: &Shared) {
    let mut connection = Connection::open(shared.envoy.port("main"));
    let one = Request::get("/text").to_bytes();
    let two = Request::new("HEAD", "/json").to_bytes();
    connection.send(&[one, two].concat());
    assert_eq!(connection.read_response("GET").unwrap().text(), "hello\n");
    let head = connection.read_response("HEAD").unwrap();
    assert_eq!(
        head.header("content-type").as_deref(),
        Some("application/json")
    );
    let expects = Request::post("/text", "x").header("expect", "100-continue");
    let response = connection.exchange(&expects);
    assert_eq!((response.interim.len(), response.status), (1, 200));
}

fn equal_answers_compare_equal_and_others_do_not(shared: &Shared) {
    let send = |target: &str| Request::get(target).send(shared.envoy.port("main"));
    let (one, same, other) = (send("/text"), send("/text"), send("/text?header=a:b"));
    assert_eq!(compare::responses(&one, &same, compare::VOLATILE), None);
    assert!(
        compare::responses(&one, &other, compare::VOLATILE)
            .unwrap()
            .contains("a: b")
    );
    assert_eq!(
        compare::responses(&one, &other, &[compare::VOLATILE, &["a", "A"]].concat()),
        None
    );
    let (case_one, case_two) = (
        Request::get("/a").case("same 1"),
        Request::get("/a").case("same 2"),
    );
    case_one.send(shared.envoy.port("main"));
    case_two.send(shared.envoy.port("main"));
    let recorded = |case: &str| shared.upstream.recorder().requests(case).remove(0);
    let ignoring = ["x-case", "x-request-id"];
    assert_eq!(
        compare::requests(&recorded("same 1"), &recorded("same 2"), &ignoring),
        None
    );
    assert!(compare::requests(&recorded("same 1"), &recorded("same 2"), &[]).is_some());
}

fn counters_and_access_logs_are_read(shared: &Shared) {
    let before = shared.envoy.admin().stat("http.tls.downstream_rq_4xx");
    let mut connection = Connection::open_tls(shared.envoy.port("tls"), &shared.certificate);
    assert_eq!(
        connection
            .exchange(&Request::get("/status/404").case("logged"))
            .status,
        404
    );
    let line = shared.envoy.access_log_of("tls", "logged");
    assert_eq!(
        (&line["status"], &line["path"]),
        (&json!(404), &json!("/status/404"))
    );
    assert_eq!(
        shared.envoy.admin().stat("http.tls.downstream_rq_4xx"),
        before + 1
    );
    assert!(
        shared
            .envoy
            .admin()
            .prometheus()
            .contains("envoy_http_downstream_rq_xx")
    );
    assert_eq!(shared.envoy.admin().vm_reloads(), 0);
}

fn a_refused_configuration_tells_why(shared: &Shared) {
    let bad = Filter::native(
        "envoy.filters.http.header_mutation",
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        json!({"mutationz": {}}),
    );
    let config = Config::new(shared.upstream.port()).listener(Listener::new("main").filter(bad));
    let (status, log) = Envoy::refuse("bad", &config);
    assert!(!status.success());
    assert!(log.contains("mutationz"), "{log}");
}

fn listeners_are_updated_and_a_bad_update_keeps_the_old_ones(shared: &Shared) {
    let with = |status, stat_prefix: &str| {
        Config::new(shared.upstream.port())
            .concurrency(2)
            .live()
            .listener(
                Listener::new("main")
                    .route(Route::prefix("/").direct(status, ""))
                    .hcm(&json!({"stat_prefix": stat_prefix})),
            )
    };
    let mut envoy = Envoy::start("live", &with(201, "a")).unwrap();
    let status = |envoy: &Envoy| Request::get("/").send(envoy.port("main")).status;
    assert_eq!(status(&envoy), 201);
    for round in 0..5 {
        assert_eq!(envoy.update(&with(202 + round, "a")), Update::Accepted);
        assert_eq!(status(&envoy), 202 + round);
    }
    let Update::Rejected(words) = envoy.update(&with(299, "")) else {
        panic!("accepted")
    };
    assert!(words.contains("StatPrefix"), "{words}");
    assert_eq!(status(&envoy), 206);
}

fn a_configuration_file_is_a_template(shared: &Shared) {
    let file = shared.envoy.folder().join("bootstrap.json");
    let template = Template::read(file).set(
        "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes",
        json!([{"match": {"prefix": "/"}, "direct_response": {"status": 299}}]),
    );
    let envoy = Envoy::start_template("template", &template, 1).unwrap();
    assert_eq!(Request::get("/").send(envoy.port("main")).status, 299);
}
