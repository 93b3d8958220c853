//! Who waits for the record of a request, for how long, and what ends the wait, on a real Envoy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use portcullis_harness::sink::{Mood, Sink};
use portcullis_harness::{
    Connection, Envoy, Filter, Listener, Request, Update, cases, suite, wait,
};
use portcullis_suites::fail_closed::{
    Shared, all, cases_of, config, lines, listener, settings, start, told,
};
use serde_json::{Value, json};

fn main() -> ExitCode {
    // In order: the sink has one mood at a time.
    suite::run_in_order(
        || start("audit-fail-closed-waiting", listeners()),
        cases![
            no_more_requests_wait_than_may_and_the_others_are_refused_at_once,
            bodies_wait_with_their_headers_however_the_host_is_told_to_pause,
            a_body_that_is_held_back_in_pieces_is_recorded_whole,
            a_client_that_leaves_while_waiting_leaves_nothing_behind,
            nobody_waits_for_ever_when_settings_change_meanwhile,
            nobody_waits_for_ever_when_the_vm_ends_meanwhile,
        ],
    )
}

/// What of bodies is recorded; requests wait until the sink is well.
fn bodies() -> Filter {
    let patient = json!({
        "rules": [{"level": "body"}],
        "bodies": {"request": [{"pointer": "/order/id"}, {"pointer": "/note"}]},
        "sinks": [{"webhook": {"cluster": "sink", "timeout_ms": 300}}],
        "fail_closed": {"timeout_ms": 20_000},
    });
    Filter::wasm("portcullis", json!({"audit_log": settings(&patient)}))
}

fn listeners() -> [Listener; 5] {
    let few = json!({"fail_closed": {"timeout_ms": 3000, "max_waiting": 5}});
    let stops = json!({"allow_on_headers_stop_iteration": true});
    let audit = Filter::wasm("audit_log", settings(&json!({})));
    [
        all(),
        listener("few", &few),
        Listener::new("stops").filter(audit.over(&stops)),
        Listener::new("bodies").filter(bodies()),
        Listener::new("bodies-stops").filter(bodies().over(&stops)),
    ]
}

/// One listener of its own for whoever changes its settings.
fn updated(over: &Value) -> Listener {
    listener("updated", over)
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
    let waiting = || shared.waiting();
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
                let acknowledged = shared.acknowledged();
                assert!(acknowledged[&case] <= shared.seen(&case).unwrap(), "{case}");
            }
        }
    }
    shared.well("all");
}

fn a_body_that_is_held_back_in_pieces_is_recorded_whole(shared: &Shared) {
    for listener in ["bodies", "bodies-stops"] {
        shared.well(listener);
        shared.sink.set(Mood::Hang);
        let mut connection = Connection::open(shared.envoy.port(listener));
        let head = format!(
            "POST /text HTTP/1.1\r\nhost: a.example\r\nx-case: {listener}\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\n"
        );
        connection.send(head.as_bytes());
        wait::until("the record at the sink", || {
            told(&shared.sink, listener).then_some(())
        });
        let body = r#"{"order": {"id": "A-1"}, "note": "left at the door"}"#;
        for piece in [&body[..9], &body[9..30], &body[30..]] {
            let name = format!("^http\\.{listener}\\.downstream_cx_rx_bytes_total$");
            let read = || shared.stats(&name);
            let before = read();
            connection.send(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
            wait::until("the proxy has the piece", || {
                (read() > before).then_some(())
            });
        }
        connection.send(b"0\r\n\r\n");
        shared.sink.set(Mood::Up);
        let response = connection.read_response("POST").unwrap();
        assert_eq!(response.status, 200, "{listener}");
        let received = shared.upstream.recorder().requests(listener);
        assert_eq!(received[0].body, body.as_bytes(), "{listener}");
        let record = wait::until("the record of its end", || {
            let deliveries = shared.sink.deliveries();
            let taken = deliveries.iter().filter(|delivery| delivery.taken);
            let mut all = taken.flat_map(|delivery| lines(&delivery.request.body));
            all.find(|record| {
                record["stage"] == "ResponseComplete"
                    && cases_of(record).as_deref() == Some(listener)
            })
        });
        assert_eq!(
            record["request"]["body"],
            json!({"/order/id": ["A-1"], "/note": ["left at the door"]}),
            "{listener}: {record}"
        );
    }
    shared.well("all");
}

fn a_client_that_leaves_while_waiting_leaves_nothing_behind(shared: &Shared) {
    shared.well("few");
    let waiting = || shared.waiting();
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
    let mut envoy = Envoy::start(
        "audit-fail-closed-update",
        &config(ports, [updated(&long(0))]),
    )
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
        assert_eq!(
            envoy.update(&config(ports, [updated(&long(at))])),
            Update::Accepted
        );
        let response = connection.read_response("GET").unwrap();
        assert_eq!(response.status, expected, "{case}");
        assert_eq!(shared.seen(&case).is_some(), expected == 200);
    }
    sink.set(Mood::Up);
    assert_eq!(envoy.admin().vm_reloads(), 0);
}

fn nobody_waits_for_ever_when_the_vm_ends_meanwhile(shared: &Shared) {
    // One module, and the same VM for both: whose trap it is makes no difference.
    let of_module = |root_id: &str, settings: Value| {
        Filter::wasm("test/audit_trap", settings)
            .root_id(root_id)
            .named(root_id)
    };
    let sink = Sink::start();
    let listener = Listener::new("trap")
        .filter(of_module("trap", json!({})))
        .filter(of_module("audit-log", settings(&json!({}))))
        .hcm(&json!({"stream_idle_timeout": "3s"}));
    let config = config((shared.upstream.port(), sink.port()), [listener]);
    let envoy = Envoy::start("audit-fail-closed-trap", &config.concurrency(1))
        .unwrap_or_else(|error| panic!("{error}"));
    let get = |case: &str| Request::get("/text").case(case);
    let port = envoy.port("trap");
    wait::until("a request that goes on", || {
        (get("before").send(port).status == 200).then_some(())
    });
    sink.set(Mood::Hang);
    let mut waiting: Vec<Connection> = (0..5).map(|_| Connection::open(port)).collect();
    for connection in &mut waiting {
        connection.send(&get("trapped").to_bytes());
    }
    wait::until("they wait", || {
        let waiting = envoy
            .admin()
            .stats("portcullis_audit_log_fail_closed_waiting");
        (waiting.values().sum::<u64>() == 5).then_some(())
    });
    let trap = get("trap").header("x-trap", "1").send(port);
    assert_eq!(trap.status, 503);
    sink.set(Mood::Up);
    wait::until("a new VM, which lets requests go on", || {
        (get("after").send(port).status == 200).then_some(())
    });
    // Nobody is left to answer the others: the proxy's own timeout does.
    for connection in &mut waiting {
        let response = connection.read_response("GET").unwrap();
        assert_eq!((response.status, response.body.len()), (503, 0));
    }
    let logged = envoy.access_log_of("trap", "trapped");
    assert_eq!(logged["flags"], "SI", "{logged}");
    assert!(shared.seen("trapped").is_none());
    assert!(shared.seen("after").is_some());
}
