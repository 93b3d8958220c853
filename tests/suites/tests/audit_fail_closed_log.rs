//! A proxy's log that does not write records, on a real Envoy whose log level changes while it runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::config::cluster;
use portcullis_harness::{Config, Envoy, Listener, Request, Route, Sink, cases, suite, wait};
use portcullis_suites::evidence::{Evidence, audit};
use portcullis_suites::records;
use serde_json::{Value, json};

fn main() -> ExitCode {
    suite::run_in_order(
        || (),
        cases![
            a_log_that_does_not_write_records_refuses_requests_until_it_does,
            an_access_logger_tells_how_many_records_its_log_did_not_write,
            while_the_log_does_not_write_records_the_other_sink_is_waited_for,
        ],
    )
}

fn settings(over: &Value) -> Value {
    let mut settings = json!({"sinks": [{"log": {}}], "delivery": null});
    for (key, value) in over.as_object().unwrap() {
        settings[key] = value.clone();
    }
    settings
}

fn start(listener: Listener, sink: &Sink) -> Envoy {
    let config = Config::new(1)
        .concurrency(1)
        .cluster(cluster("sink", sink.port()))
        .listener(listener);
    Envoy::start("audit-fail-closed-log", &config).unwrap_or_else(|error| panic!("{error}"))
}

fn direct() -> Listener {
    Listener::new("main").route(Route::prefix("/").direct(200, "ok"))
}

fn get(envoy: &Envoy) -> u16 {
    Request::get("/orders").send(envoy.port("main")).status
}

/// Sets the level of the proxy's log for modules.
fn log_from(envoy: &Envoy, level: &str) {
    let told = envoy.admin().post(&format!("/logging?wasm={level}"));
    assert_eq!(told.status, 200, "{}", told.text());
}

fn is_down(envoy: &Envoy) -> u64 {
    let name = "portcullis_audit_log_records_sink_down.sink=log";
    envoy.admin().stats(name).values().sum()
}

fn unwritten(envoy: &Envoy) -> u64 {
    let name = "portcullis_audit_log_records_dropped_total.reason=unwritten";
    envoy.admin().stats(name).values().sum()
}

fn written(envoy: &Envoy) -> Evidence {
    let lines = records::in_log(&envoy.log());
    Evidence::of(&lines.iter().map(Value::to_string).collect::<Vec<_>>())
}

/// Once the worker has heard of it.
fn hears(envoy: &Envoy, down: u64) {
    wait::until("the worker hears of the level", || {
        (is_down(envoy) == down).then_some(())
    });
}

fn a_log_that_does_not_write_records_refuses_requests_until_it_does(_: &()) {
    let sink = Sink::start();
    let listener = direct().filter(audit(&settings(&json!({"fail_closed": {}}))));
    let envoy = start(listener, &sink);
    for _ in 0..5 {
        assert_eq!(get(&envoy), 200);
    }
    assert_eq!(is_down(&envoy), 0);
    for level in ["warning", "error", "off"] {
        log_from(&envoy, level);
        hears(&envoy, 1);
        let before = unwritten(&envoy);
        for _ in 0..4 {
            assert_eq!(get(&envoy), 503, "{level}");
        }
        let refused = Request::get("/orders").case(level);
        assert_eq!(refused.send(envoy.port("main")).status, 503);
        let logged = envoy.access_log_of("main", level);
        assert_eq!(logged["details"], "audit_log_sink_down");
        let denials = "portcullis_audit_log_fail_closed_denials_total.reason=sink_down";
        assert!(envoy.admin().stats(denials).values().sum::<u64>() >= 5);
        // The ends of what was refused have no record either.
        wait::until("the ends", || {
            (unwritten(&envoy) == before + 5).then_some(())
        });
        log_from(&envoy, "info");
        hears(&envoy, 0);
        assert_eq!(get(&envoy), 200);
    }
    wait::until("what was lost, in the log", || {
        let evidence = written(&envoy);
        (evidence.told_dropped() == 15).then_some(())
    });
    let evidence = written(&envoy);
    // What was not written had no number.
    evidence.assert_intact();
    assert_eq!(evidence.events("bundle.sink_up").len(), 3);
    for dropped in evidence.events("bundle.dropped") {
        assert_eq!(dropped["reason"], "unwritten");
    }
    assert_eq!(envoy.admin().vm_reloads(), 0);
}

fn an_access_logger_tells_how_many_records_its_log_did_not_write(_: &()) {
    let sink = Sink::start();
    let envoy = start(direct().access_logger(audit(&settings(&json!({})))), &sink);
    log_from(&envoy, "error");
    for _ in 0..7 {
        assert_eq!(get(&envoy), 200);
    }
    wait::until("the ends", || (unwritten(&envoy) == 7).then_some(()));
    assert_eq!(is_down(&envoy), 1);
    log_from(&envoy, "trace");
    hears(&envoy, 0);
    assert_eq!(get(&envoy), 200);
    wait::until("what was lost, in the log", || {
        (written(&envoy).told_dropped() == 7).then_some(())
    });
    assert_eq!(written(&envoy).requests(), 1);
    written(&envoy).assert_intact();
}

fn while_the_log_does_not_write_records_the_other_sink_is_waited_for(_: &()) {
    let sink = Sink::start();
    let both = json!({
        "sinks": [{"log": {}}, {"webhook": {"cluster": "sink"}}],
        "delivery": {"batch": {"interval_ms": 40}},
        "fail_closed": {},
    });
    let envoy = start(direct().filter(audit(&settings(&both))), &sink);
    let waits = || {
        let name = "portcullis_audit_log_fail_closed_waits_total";
        envoy.admin().stats(name).values().sum::<u64>()
    };
    assert_eq!(get(&envoy), 200);
    assert_eq!(waits(), 0, "the log has it");
    log_from(&envoy, "error");
    hears(&envoy, 1);
    for _ in 0..5 {
        assert_eq!(get(&envoy), 200);
    }
    assert_eq!((waits(), unwritten(&envoy)), (5, 0));
    wait::until("all at the other sink", || {
        let evidence = Evidence::of(&sink.records());
        let ends = evidence
            .records
            .values()
            .filter(|record| record["stage"] == "ResponseComplete");
        (ends.count() == 6).then_some(())
    });
    Evidence::of(&sink.records()).assert_intact();
}
