//! Requests that wait for a callout, callouts that outlive their request, and a module as access logger, on a real proxy.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;
use std::time::Duration;

use portcullis_harness::config::cluster;
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, cases, suite, wait,
};
use serde_json::json;

const A_WHILE: Duration = Duration::from_secs(5);

struct Shared {
    upstream: Upstream,
    sink: Upstream,
    envoy: Envoy,
}

fn main() -> ExitCode {
    // In order: a case reads what its own request added to the log.
    suite::run_in_order(
        start,
        cases![
            a_request_waits_for_the_answer_to_a_callout,
            a_request_that_waits_can_be_answered,
            a_client_that_leaves_while_waiting_harms_nothing,
            a_callout_outlives_its_request,
            an_access_logger_sees_requests_that_no_filter_saw,
            nothing_died,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let sink = Upstream::start().unwrap();
    let probe = |vm: &str| {
        Filter::wasm("test/probe", json!({}))
            .root_id("probe")
            .named("probe")
            .over(&json!({"vm_config": {"vm_id": vm}}))
    };
    let config = Config::new(upstream.port())
        .cluster(cluster("probe", sink.port()))
        .listener(Listener::new("filter").filter(probe("filter")))
        .listener(Listener::new("logger").access_logger(probe("logger")));
    let envoy = Envoy::start("waiting", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared {
        upstream,
        sink,
        envoy,
    }
}

fn a_request_waits_for_the_answer_to_a_callout(shared: &Shared) {
    let request = Request::post("/text", "body")
        .case("waits")
        .header("x-probe", "request_headers wait /delay/300 waited");
    let mut connection = Connection::open(shared.envoy.port("filter"));
    connection.send(&request.to_bytes());
    assert!(shared.sink.recorder().wait("waited", A_WHILE).is_some());
    // The sink has the question and takes its time.
    assert!(shared.upstream.recorder().requests("waits").is_empty());
    let response = connection.read_response("POST").unwrap();
    assert_eq!(
        (response.status, response.text().as_str()),
        (200, "hello\n")
    );
    let received = shared.upstream.recorder().requests("waits");
    assert_eq!(received.len(), 1);
    assert_eq!(received.first().unwrap().body, b"body");
}

fn a_request_that_waits_can_be_answered(shared: &Shared) {
    let commands = [
        "request_headers wait /status/500 refused",
        "response_headers set_response_header x-seen 1",
    ];
    let request = Request::get("/text").case("denied");
    let request = commands.iter().fold(request, |request, command| {
        request.header("x-probe", *command)
    });
    let response = request.send(shared.envoy.port("filter"));
    assert_eq!(
        (response.status, response.text().as_str()),
        (503, "not acknowledged")
    );
    assert_eq!(response.header("x-seen").as_deref(), Some("1"));
    assert!(shared.upstream.recorder().requests("denied").is_empty());
    let logged = shared.envoy.access_log_of("filter", "denied");
    assert_eq!(logged["details"], "probe_waited");
}

fn a_client_that_leaves_while_waiting_harms_nothing(shared: &Shared) {
    for how in ["delay/200", "delay/200?status=500"] {
        let case = format!("leaves {how}");
        let command = format!(
            "request_headers wait /{how} asked%20{}",
            how.replace('=', "%3d")
        );
        let mut connection = Connection::open(shared.envoy.port("filter"));
        let request = Request::get("/text").case(&case).header("x-probe", command);
        let before = shared.envoy.log().len();
        connection.send(&request.to_bytes());
        let asked = format!("asked {how}");
        assert!(shared.sink.recorder().wait(&asked, A_WHILE).is_some());
        drop(connection);
        wait::until("the answer in the log", || {
            let log = shared.envoy.log();
            log.get(before..)?.contains("late").then_some(())
        });
        assert!(shared.upstream.recorder().requests(&case).is_empty());
    }
    let after = Request::get("/text").send(shared.envoy.port("filter"));
    assert_eq!(after.status, 200);
}

fn a_callout_outlives_its_request(shared: &Shared) {
    for phase in ["request_headers", "response_headers", "finished"] {
        let before = shared.envoy.log().len();
        let told = format!("told in {phase}");
        let command = format!("{phase} call /delay/200 {}", told.replace(' ', "%20"));
        let request = Request::get("/text").header("x-probe", command);
        assert_eq!(request.send(shared.envoy.port("filter")).status, 200);
        assert!(shared.sink.recorder().wait(&told, A_WHILE).is_some());
        wait::until("the answer in the log", || {
            let log = shared.envoy.log();
            let answered = log.get(before..)?.contains("probe answer -> 200 late");
            answered.then_some(())
        });
    }
}

fn an_access_logger_sees_requests_that_no_filter_saw(shared: &Shared) {
    let port = shared.envoy.port("logger");
    let before = shared.envoy.log().len();
    let commands = "x-probe: finished property response|code_details\r\nx-probe: finished call /text logged\r\n";
    // Without a host Envoy answers by itself, before any filter.
    let mut connection = Connection::open(port);
    connection.send(format!("GET /text HTTP/1.1\r\n{commands}\r\n").as_bytes());
    let response = connection.read_response("GET").unwrap();
    assert_eq!(response.status, 400);
    wait::until("the line of the access logger", || {
        let log = shared.envoy.log();
        log.get(before..)?
            .contains("probe finished property -> missing_host_header")
            .then_some(())
    });
    assert!(shared.sink.recorder().wait("logged", A_WHILE).is_some());
    let request = Request::get("/text").header("x-probe", "finished response_header :status");
    assert_eq!(request.send(port).status, 200);
    wait::until("the status in the log", || {
        let log = shared.envoy.log();
        log.get(before..)?
            .contains("probe finished response_header -> 200")
            .then_some(())
    });
}

fn nothing_died(shared: &Shared) {
    assert_eq!(shared.envoy.admin().vm_reloads(), 0);
}
