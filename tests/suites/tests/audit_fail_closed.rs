//! Requests that wait for their records, on a real Envoy: the upstream sees no request whose record no sink acknowledged,
//! whatever the sink does, and nobody waits for ever.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use audit_chain::verify::verdict::Outcome;
use audit_chain::verify::{Terms, Verifier};
use portcullis_harness::config::{cluster, http2_cluster};
use portcullis_harness::sink::{Mood, Sink};
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Route, Update, cases, http2, load, suite,
    wait,
};
use serde_json::{Value, json};

const CONNECTIONS: usize = 32;
/// For each mood of the sink.
const REQUESTS: usize = 600;
const TIMEOUT_MS: u64 = 400;
const A_WHILE: Duration = Duration::from_secs(15);

struct Shared {
    upstream: Upstream,
    /// What the upstream got, by `x-case`, and when.
    seen: Arc<Mutex<Vec<(String, Instant)>>>,
    sink: Sink,
    envoy: Envoy,
}

fn main() -> ExitCode {
    // In order: the sink has one mood at a time.
    suite::run_in_order(
        start,
        cases![
            the_upstream_sees_no_request_whose_record_was_not_acknowledged,
            exempt_paths_pass_while_the_sink_is_down,
            no_more_requests_wait_than_may_and_the_others_are_refused_at_once,
            bodies_wait_with_their_headers_however_the_host_is_told_to_pause,
            head_and_grpc_requests_are_refused_in_their_own_way,
            a_client_that_leaves_while_waiting_leaves_nothing_behind,
            a_refusal_passes_the_outer_filters_and_what_goes_on_passes_the_inner_ones,
            shadow_mode_neither_waits_nor_refuses,
            nobody_waits_for_ever_when_settings_change_meanwhile,
            every_chain_is_whole_once_the_sink_is_well_and_nothing_died,
        ],
    )
}

fn settings(over: &Value) -> Value {
    let mut settings = json!({
        "rules": [{"level": "headers"}],
        "headers": {"request": [{"name": "x-case"}]},
        "sinks": [{"webhook": {"cluster": "sink", "timeout_ms": 1000}}],
        "delivery": {"batch": {"interval_ms": 100}, "retry": {"initial_ms": 50, "max_ms": 200}},
        "fail_closed": {"timeout_ms": TIMEOUT_MS, "exempt": [{"prefix": "/status"}]},
    });
    for (key, value) in over.as_object().unwrap() {
        settings[key] = value.clone();
    }
    settings
}

/// One listener of its own for whoever changes its settings.
fn updated(settings: Value) -> Listener {
    Listener::new("updated").filter(Filter::wasm("audit_log", settings))
}

fn config(shared_ports: (u16, u16), update: &Value) -> Config {
    let (upstream, sink) = shared_ports;
    let audit = |over: &Value| Filter::wasm("audit_log", settings(over));
    let few = json!({"fail_closed": {"timeout_ms": 3000, "max_waiting": 5}});
    let stops = json!({"allow_on_headers_stop_iteration": true});
    let chain = json!({
        "request_tracing": {"trust": "edge"},
        "security_headers": {"preset": "api"},
        "audit_log": settings(&json!({})),
        "problem_json": {},
        "rate_limit": {
            "identity": [{"header": {"name": "x-api-key", "hash": true}}],
            "plans": "none",
            "tier": {"default": "t"},
            "tiers": {"t": {"limits": [{"name": "minute", "count": 2, "window": "1m"}]}},
        },
    });
    Config::new(upstream)
        .concurrency(2)
        .live()
        .cluster(cluster("sink", sink))
        .cluster(http2_cluster("http2", upstream))
        .listener(
            Listener::new("all")
                .filter(audit(&json!({})))
                .route(Route::prefix("/grpc").cluster("http2"))
                .route(Route::prefix("/")),
        )
        .listener(Listener::new("few").filter(audit(&few)))
        .listener(Listener::new("stops").filter(audit(&json!({})).over(&stops)))
        .listener(Listener::new("shadow").filter(audit(&json!({"mode": "shadow"}))))
        .listener(Listener::new("chain").filter(Filter::wasm("portcullis", chain)))
        .listener(updated(settings(update)))
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let sink = Sink::start();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    upstream.recorder().rule(move |request| {
        let case = request.header("x-case").unwrap_or_default();
        let case = String::from_utf8_lossy(case).into_owned();
        note.lock().unwrap().push((case, Instant::now()));
        None
    });
    let config = config((upstream.port(), sink.port()), &json!({}));
    let envoy =
        Envoy::start("audit-fail-closed", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared {
        upstream,
        seen,
        sink,
        envoy,
    }
}

impl Shared {
    /// When the upstream got a request of that case, if it did.
    fn seen(&self, case: &str) -> Option<Instant> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .find(|(known, _)| known == case)
            .map(|(_, at)| *at)
    }

    /// The sink takes everything again, and each worker knows: so many requests in a row go on.
    fn well(&self, listener: &str) {
        self.sink.set(Mood::Up);
        let mut in_a_row = 0;
        wait::until("requests that go on", || {
            let response = Request::get("/text")
                .case("well")
                .send(self.envoy.port(listener));
            in_a_row = if response.status == 200 {
                in_a_row + 1
            } else {
                0
            };
            (in_a_row == 20).then_some(())
        });
    }

    fn stats(&self, name: &str) -> u64 {
        let stats = self.envoy.admin().stats(name);
        stats.values().sum()
    }
}

/// Whether the sink got a record of this case, taken or not.
fn told(sink: &Sink, case: &str) -> bool {
    let deliveries = sink.deliveries();
    let mut all = deliveries
        .iter()
        .flat_map(|delivery| lines(&delivery.request.body));
    all.any(|record| cases_of(&record).as_deref() == Some(case))
}

fn lines(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The `x-case` of the request that a record is about.
fn cases_of(record: &Value) -> Option<String> {
    let case = &record["request"]["headers"]["x-case"][0];
    case.as_str().map(str::to_owned)
}

fn request(out: &mut Vec<u8>, case: &str) {
    out.extend_from_slice(&Request::get("/text").case(case).to_bytes());
}

/// Sends that many from many connections: how many passed, and how many were refused as they should be.
fn burst(shared: &Shared, name: &str) -> (usize, usize) {
    let (mut sent, mut passed, mut refused) = (0, 0, 0);
    let lost = load::run(
        shared.envoy.port("all"),
        CONNECTIONS,
        |out| {
            sent += 1;
            let case = format!("{name}-{sent}");
            (sent <= REQUESTS).then(|| request(out, &case))
        },
        |(), answer| match answer.status {
            200 => passed += 1,
            503 => {
                refused += 1;
                assert_eq!(
                    answer.header("content-type"),
                    Some("application/problem+json")
                );
                let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
                assert!((1..=60).contains(&after));
                let problem: Value = serde_json::from_slice(answer.body).unwrap();
                assert_eq!(problem["status"], 503, "{problem}");
            }
            other => panic!("{name}: {other}"),
        },
    );
    assert!(lost.is_empty(), "{name}: {}", lost.len());
    (passed, refused)
}

fn the_upstream_sees_no_request_whose_record_was_not_acknowledged(shared: &Shared) {
    let moods = [
        ("up", Mood::Up),
        ("slow", Mood::Slow(Duration::from_millis(100))),
        ("flap", Mood::Flap),
        ("down", Mood::Down),
        ("hang", Mood::Hang),
        ("too-many", Mood::TooMany("1".to_owned())),
        ("error", Mood::Status(500)),
        ("refuses", Mood::Status(403)),
    ];
    for (name, mood) in moods {
        shared.well("all");
        shared.sink.set(mood);
        let (passed, refused) = burst(shared, name);
        println!("{name}: {passed} passed, {refused} refused");
        assert_eq!(passed + refused, REQUESTS, "{name}");
        match name {
            "up" => assert_eq!(refused, 0),
            "slow" | "flap" => assert!(passed > 0, "{name}"),
            // The sink took nothing.
            _ => assert_eq!(passed, 0, "{name}"),
        }
        let seen = shared.seen.lock().unwrap();
        let prefix = format!("{name}-");
        let seen: BTreeMap<&str, Instant> = seen
            .iter()
            .filter(|(case, _)| case.starts_with(&prefix))
            .map(|(case, at)| (case.as_str(), *at))
            .collect();
        // As many as the clients were told, and each after the sink's answer.
        assert_eq!(seen.len(), passed, "{name}");
        let acknowledged = acknowledged(shared);
        for (case, at) in seen {
            let answered = acknowledged.get(case);
            assert!(
                answered.is_some_and(|answered| *answered <= at),
                "{case} was not acknowledged when the upstream got it"
            );
        }
    }
    shared.well("all");
}

/// When the sink first acknowledged that a request of each case was received.
fn acknowledged(shared: &Shared) -> BTreeMap<String, Instant> {
    let mut first: BTreeMap<String, Instant> = BTreeMap::new();
    for delivery in shared
        .sink
        .deliveries()
        .iter()
        .filter(|delivery| delivery.taken)
    {
        for record in lines(&delivery.request.body) {
            if record["stage"] == "RequestReceived"
                && let Some(case) = cases_of(&record)
            {
                let at = first.entry(case).or_insert(delivery.answered_at);
                *at = (*at).min(delivery.answered_at);
            }
        }
    }
    first
}

fn exempt_paths_pass_while_the_sink_is_down(shared: &Shared) {
    shared.sink.set(Mood::Down);
    let port = shared.envoy.port("all");
    wait::until("a refusal", || {
        (Request::get("/text").send(port).status == 503).then_some(())
    });
    assert_eq!(Request::get("/status/204").send(port).status, 204);
    shared.well("all");
}

fn no_more_requests_wait_than_may_and_the_others_are_refused_at_once(shared: &Shared) {
    shared.well("few");
    shared.sink.set(Mood::Hang);
    let mut connections: Vec<Connection> = (0..30)
        .map(|_| Connection::open(shared.envoy.port("few")))
        .collect();
    for connection in &mut connections {
        connection.send(&Request::get("/text").case("few").to_bytes());
    }
    let waiting = || shared.stats("portcullis_audit_log_fail_closed_waiting");
    let refused = || shared.stats("portcullis_audit_log_fail_closed_denials_total.reason=limit");
    // Five on each of two workers, however the connections fell.
    wait::until("all are decided", || {
        (waiting() + refused() == 30).then_some(())
    });
    assert!((5..=10).contains(&waiting()), "{}", waiting());
    let mut kinds = BTreeMap::new();
    for connection in &mut connections {
        let response = connection.read_response("GET").unwrap();
        assert_eq!(response.status, 503);
        *kinds.entry(response.status).or_insert(0) += 1;
    }
    assert_eq!(kinds[&503], 30);
    assert_eq!(waiting(), 0);
    assert!(shared.upstream.recorder().requests("few").is_empty());
    shared.well("few");
}

fn bodies_wait_with_their_headers_however_the_host_is_told_to_pause(shared: &Shared) {
    let large = vec![b'x'; 3 << 20];
    for listener in ["all", "stops"] {
        shared.well(listener);
        for (mood, expected) in [
            (Mood::Slow(Duration::from_millis(200)), 200),
            (Mood::Hang, 503),
        ] {
            shared.sink.set(mood);
            for (kind, body) in [("small", &b"body"[..]), ("large", &large)] {
                let case = format!("{listener} {kind} {expected}");
                let post = Request::post("/text", body).case(&case);
                let response = post.send(shared.envoy.port(listener));
                assert_eq!(response.status, expected, "{case}");
                let received = shared.upstream.recorder().requests(&case);
                assert_eq!(received.len(), usize::from(expected == 200), "{case}");
                assert!(
                    received.iter().all(|received| received.body == body),
                    "{case}"
                );
            }
            // A body that comes in pieces, with trailers behind it, while the headers wait.
            let case = format!("{listener} pieces {expected}");
            let mut connection = Connection::open(shared.envoy.port(listener));
            let head = format!(
                "POST /text HTTP/1.1\r\nhost: a.example\r\nx-case: {case}\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            connection.send(head.as_bytes());
            wait::until("the record at the sink", || {
                told(&shared.sink, &case).then_some(())
            });
            connection.send(b"3\r\none\r\n");
            connection.send(b"3\r\ntwo\r\n0\r\nx-trailer: 1\r\n\r\n");
            let response = connection.read_response("POST").unwrap();
            assert_eq!(response.status, expected, "{case}");
            let received = shared.upstream.recorder().requests(&case);
            assert_eq!(received.len(), usize::from(expected == 200), "{case}");
            assert!(
                received.iter().all(|received| received.body == b"onetwo"),
                "{case}"
            );
            if expected == 200 {
                let acknowledged = acknowledged(shared);
                assert!(acknowledged[&case] <= shared.seen(&case).unwrap(), "{case}");
            }
        }
    }
    shared.well("all");
}

fn head_and_grpc_requests_are_refused_in_their_own_way(shared: &Shared) {
    shared.sink.set(Mood::Hang);
    let port = shared.envoy.port("all");
    let head = Request::new("HEAD", "/text").case("head").send(port);
    assert_eq!((head.status, head.body.len()), (503, 0));
    assert_eq!(head.header("retry-after").as_deref(), Some("1"));
    let grpc = Request::post("/grpc", "")
        .case("grpc")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let response = http2::send(port, &grpc);
    assert_eq!(response.status, 200);
    assert_eq!(response.header("grpc-status").as_deref(), Some("14"));
    let message = response.header("grpc-message").unwrap();
    assert!(
        message.contains("cannot be recorded") || message.contains("cannot%20be"),
        "{message}"
    );
    assert!(shared.seen("head").is_none() && shared.seen("grpc").is_none());
    shared.well("all");
    let head = Request::new("HEAD", "/text").case("head").send(port);
    assert_eq!((head.status, head.body.len()), (200, 0));
}

fn a_client_that_leaves_while_waiting_leaves_nothing_behind(shared: &Shared) {
    shared.well("few");
    let waiting = || shared.stats("portcullis_audit_log_fail_closed_waiting");
    shared.sink.set(Mood::Slow(Duration::from_millis(800)));
    let mut connection = Connection::open(shared.envoy.port("few"));
    connection.send(&Request::get("/text").case("left").to_bytes());
    wait::until("it waits", || (waiting() == 1).then_some(()));
    drop(connection);
    wait::until("it is gone", || (waiting() == 0).then_some(()));
    shared.well("few");
    assert!(shared.seen("left").is_none());
    wait::until("its end at the sink", || {
        let deliveries = shared.sink.deliveries();
        let mut all = deliveries
            .iter()
            .flat_map(|delivery| lines(&delivery.request.body));
        let ended = all.any(|record| {
            cases_of(&record).as_deref() == Some("left") && record["outcome"] == "aborted"
        });
        ended.then_some(())
    });
}

fn a_refusal_passes_the_outer_filters_and_what_goes_on_passes_the_inner_ones(shared: &Shared) {
    let send = |case: &str| {
        Request::get("/text")
            .case(case)
            .header("x-api-key", "k")
            .send(shared.envoy.port("chain"))
    };
    shared.sink.set(Mood::Up);
    wait::until("a request that goes on", || {
        (send("chain 1").status == 200).then_some(())
    });
    shared.sink.set(Mood::Hang);
    let refused = send("chain 2");
    assert_eq!(refused.status, 503);
    assert_eq!(
        refused.header("x-content-type-options").as_deref(),
        Some("nosniff")
    );
    let id = refused.header("x-request-id").unwrap();
    assert_eq!(refused.json()["request_id"], json!(id));
    assert!(
        refused.header("ratelimit").is_none(),
        "rate-limit never saw it"
    );
    assert_eq!(
        shared.envoy.access_log_of("chain", "chain 2")["details"],
        "audit_log_timeout"
    );
    shared.sink.set(Mood::Up);
    let mut statuses = Vec::new();
    wait::until("the limit", || {
        let response = send("chain 3");
        statuses.push(response.status);
        (response.status == 429).then_some(())
    });
    // One of two was used above; what was refused consumed nothing.
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(passed, 1, "{statuses:?}");
}

fn shadow_mode_neither_waits_nor_refuses(shared: &Shared) {
    shared.sink.set(Mood::Hang);
    let refused = || shared.stats("portcullis_audit_log_fail_closed_shadow_denials_total");
    let before = refused();
    for case in 0..10 {
        let case = format!("shadow {case}");
        let response = Request::get("/text")
            .case(&case)
            .send(shared.envoy.port("shadow"));
        assert_eq!(response.status, 200);
        assert!(shared.seen(&case).is_some());
    }
    wait::until("all would have been refused", || {
        (refused() == before + 10).then_some(())
    });
    shared.well("all");
}

fn nobody_waits_for_ever_when_settings_change_meanwhile(shared: &Shared) {
    // Another Envoy: an update drains connections, which end a second later whatever they wait for. So all is decided sooner.
    // With a sink of its own: what such a proxy still holds when it is stopped is missing there.
    let sink = Sink::start();
    let ports = (shared.upstream.port(), sink.port());
    let long = |other: u32| {
        json!({
            "sinks": [{"webhook": {"cluster": "sink", "timeout_ms": 20_000}}],
            "fail_closed": {"timeout_ms": if other == 0 { 4000 } else { 700 }, "max_waiting": 100 + other},
        })
    };
    let mut envoy = Envoy::start("audit-fail-closed-update", &config(ports, &long(0)))
        .unwrap_or_else(|error| panic!("{error}"));
    for (at, (mood, expected)) in (1..).zip([
        (Mood::Slow(Duration::from_millis(700)), 200),
        (Mood::Hang, 503),
    ]) {
        sink.set(Mood::Up);
        wait::until("a request that goes on", || {
            let response = Request::get("/text").send(envoy.port("updated"));
            (response.status == 200).then_some(())
        });
        sink.set(mood);
        let case = format!("updated {at}");
        let mut connection = Connection::open(envoy.port("updated"));
        connection.send(&Request::get("/text").case(&case).to_bytes());
        wait::until("it waits", || told(&sink, &case).then_some(()));
        assert_eq!(envoy.update(&config(ports, &long(at))), Update::Accepted);
        let response = connection.read_response("GET").unwrap();
        assert_eq!(response.status, expected, "{case}");
        assert_eq!(shared.seen(&case).is_some(), expected == 200);
    }
    sink.set(Mood::Up);
    assert_eq!(envoy.admin().vm_reloads(), 0);
}

fn every_chain_is_whole_once_the_sink_is_well_and_nothing_died(shared: &Shared) {
    shared.sink.set(Mood::Up);
    for listener in ["all", "few", "stops", "shadow"] {
        shared.well(listener);
    }
    // What was recorded last is told to the sink, and by the gauge of what is queued, a little later.
    let mut told = String::new();
    let whole = wait::poll(A_WHILE, || {
        let (intact, text) = verdict(shared);
        told = text;
        intact.then_some(())
    });
    assert!(whole.is_some(), "{told}");
    assert_eq!(shared.envoy.admin().vm_reloads(), 0);
}

/// Whether all that the sink took is whole chains, and what the verifier says of it.
fn verdict(shared: &Shared) -> (bool, String) {
    let mut verifier = Verifier::new(Terms::default());
    for delivery in shared
        .sink
        .deliveries()
        .iter()
        .filter(|delivery| delivery.taken)
    {
        verifier
            .read("sink", &mut delivery.request.body.as_slice())
            .unwrap();
    }
    let verdict = verifier.close();
    (
        verdict.outcome == Outcome::Intact && verdict.emitters.len() >= 2,
        verdict.to_text(),
    )
}
