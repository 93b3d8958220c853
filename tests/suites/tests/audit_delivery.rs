//! Records on their way to a sink: whatever it does, none is lost silently, and the chain says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_harness::config::cluster;
use portcullis_harness::{
    Config, Envoy, Listener, Mood, Request, Route, Sink, Update, cases, load, suite, wait,
};
use portcullis_suites::evidence::{Evidence, audit, metric};
use serde_json::{Value, json};

fn main() -> ExitCode {
    suite::run_in_order(
        || (),
        cases![
            after_every_kind_of_outage_each_of_ten_thousand_requests_has_its_record,
            a_sink_that_is_restarted_gets_what_was_kept,
            records_that_a_sink_refuses_are_found_and_told_of_and_the_rest_arrives,
            a_record_that_makes_a_sink_fail_again_and_again_is_found_and_told_of_and_the_rest_arrives,
            what_a_sink_takes_only_in_part_is_counted,
            new_settings_under_load_go_on_with_the_chain_and_lose_nothing,
            sinks_of_older_settings_that_were_down_get_their_records_and_each_chain_counts_its_own,
        ],
    )
}

fn config(sink: &Sink, over: &Value) -> Config {
    Config::new(1)
        .concurrency(2)
        .cluster(cluster("sink", sink.port()))
        .listener(
            Listener::new("main")
                .filter(audit(over))
                .route(Route::prefix("/").direct(200, "ok")),
        )
}

fn start(config: &Config) -> Envoy {
    Envoy::start("audit-delivery", config).unwrap_or_else(|error| panic!("{error}"))
}

/// Sends so many requests from a few connections. All must be answered well.
fn send(envoy: &Envoy, requests: u64) {
    let mut left = requests;
    let request = Request::get("/orders").to_bytes();
    let next = |out: &mut Vec<u8>| {
        left = left.checked_sub(1)?;
        out.extend(&request);
        Some(())
    };
    let lost = load::run(envoy.port("main"), 8, next, |(), answer| {
        assert_eq!(answer.status, 200);
    });
    assert!(lost.is_empty(), "{} requests", lost.len());
}

/// Waits until nothing is queued any more and the sink has the records of so many requests.
fn arrived(envoy: &Envoy, sink: &Sink, requests: u64) -> Evidence {
    let evidence = wait::until("every record", || {
        if metric(envoy, "queued\\.") > 0 {
            return None;
        }
        let evidence = Evidence::of(&sink.records());
        (evidence.requests() >= requests).then_some(evidence)
    });
    assert_eq!(evidence.requests(), requests);
    assert_eq!(envoy.admin().vm_reloads(), 0);
    evidence
}

fn after_every_kind_of_outage_each_of_ten_thousand_requests_has_its_record(_: &()) {
    let sink = Sink::start();
    let envoy = start(&config(&sink, &json!({})));
    for mood in [
        Mood::Up,
        Mood::Down,
        Mood::Status(500),
        Mood::Flap,
        // Longer than its timeout.
        Mood::Slow(Duration::from_millis(700)),
        Mood::Hang,
        Mood::Status(503),
        Mood::TooMany("1".to_owned()),
    ] {
        let tried = sink.deliveries().len();
        sink.set(mood);
        send(&envoy, 1250);
        wait::until("two attempts", || {
            (sink.deliveries().len() >= tried + 2).then_some(())
        });
    }
    sink.set(Mood::Up);
    let evidence = arrived(&envoy, &sink, 10_000);
    evidence.assert_intact();
    assert_eq!(evidence.emitters().len(), 2, "one of each worker");
    assert_eq!(evidence.sealed(), evidence.records.len() as u64);
    // What the sink took without an answer in time came once more.
    assert!(evidence.duplicates > 0);
    assert_eq!(metric(&envoy, "dropped_total"), 0);
    // What the bundle tells of itself may still come.
    wait::until("as many acknowledged as the sink has", || {
        let has = Evidence::of(&sink.records()).records.len() as u64;
        (metric(&envoy, "acknowledged_total") == has).then_some(())
    });
    assert!(metric(&envoy, "retries_total") > 0);
    assert!(!evidence.events("bundle.sink_down").is_empty());
    assert!(!evidence.events("bundle.checkpoint").is_empty());
}

fn a_sink_that_is_restarted_gets_what_was_kept(_: &()) {
    let sink = Sink::start();
    let envoy = start(&config(&sink, &json!({})));
    send(&envoy, 500);
    let mut records = {
        arrived(&envoy, &sink, 500);
        sink.records()
    };
    let port = sink.port();
    // Connections that are open end with the next request on them; then nothing listens.
    sink.set(Mood::Down);
    drop(sink);
    send(&envoy, 1000);
    wait::until("a sink that is down", || {
        (metric(&envoy, "sink_down") > 0).then_some(())
    });
    let sink = Sink::on(port);
    let evidence = wait::until("every record", || {
        let all: Vec<String> = records.iter().cloned().chain(sink.records()).collect();
        let evidence = Evidence::of(&all);
        (evidence.requests() == 1500).then_some(evidence)
    });
    records.clear();
    evidence.assert_intact();
}

fn records_that_a_sink_refuses_are_found_and_told_of_and_the_rest_arrives(_: &()) {
    let sink = Sink::start();
    sink.set(Mood::Refuses("/poison".to_owned()));
    let envoy = start(&config(&sink, &json!({})));
    send(&envoy, 300);
    for _ in 0..3 {
        Request::get("/poison").send(envoy.port("main"));
    }
    send(&envoy, 300);
    wait::until("the refusals", || {
        (metric(&envoy, "dropped_total.reason=refused") == 3).then_some(())
    });
    wait::until("what is told of them", || {
        (Evidence::of(&sink.records()).told_dropped() == 3).then_some(())
    });
    let evidence = arrived(&envoy, &sink, 600);
    evidence.assert_intact();
    assert_eq!(evidence.sealed(), evidence.records.len() as u64 + 3);
}

fn a_record_that_makes_a_sink_fail_again_and_again_is_found_and_told_of_and_the_rest_arrives(
    _: &(),
) {
    let sink = Sink::start();
    sink.set(Mood::FailsOn("/poison".to_owned()));
    let envoy = start(&config(&sink, &json!({})));
    send(&envoy, 300);
    Request::get("/poison").send(envoy.port("main"));
    let mut sent = 300;
    // That the sink is well shows by what else it takes.
    wait::until("the record to be given up", || {
        send(&envoy, 10);
        sent += 10;
        (metric(&envoy, "dropped_total.reason=refused") > 0).then_some(())
    });
    wait::until("what is told of it", || {
        (Evidence::of(&sink.records()).told_dropped() == 1).then_some(())
    });
    let evidence = arrived(&envoy, &sink, sent);
    evidence.assert_intact();
    assert_eq!(evidence.sealed(), evidence.records.len() as u64 + 1);
    assert_eq!(metric(&envoy, "dropped_total"), 1);
}

fn what_a_sink_takes_only_in_part_is_counted(_: &()) {
    let sink = Sink::start();
    sink.set(Mood::Partial(1));
    let over = json!({"chain": {"checkpoint_seconds": 1}});
    let envoy = start(&config(&sink, &over));
    send(&envoy, 10);
    let (emitted, dropped) = wait::until("a checkpoint that knows", || {
        let evidence = Evidence::of(&sink.records());
        let checkpoints = evidence.events("bundle.checkpoint");
        let counts = &checkpoints.last()?["chain"]["checkpoint"];
        let dropped = counts["dropped"].as_u64()?;
        (dropped > 0).then(|| (counts["emitted"].as_u64(), dropped))
    });
    assert!(emitted > Some(dropped), "{emitted:?} {dropped}");
    sink.set(Mood::Up);
    arrived(&envoy, &sink, 10).assert_intact();
    let rejected = metric(&envoy, "dropped_total.reason=rejected");
    assert!(rejected >= dropped, "{rejected} {dropped}");
}

fn new_settings_under_load_go_on_with_the_chain_and_lose_nothing(_: &()) {
    let sink = Sink::start();
    let mut envoy = start(&config(&sink, &json!({})).live());
    let seen = under_load(&mut envoy, |envoy| {
        for update in 1..=4 {
            sink.set(if update % 2 == 1 {
                Mood::Down
            } else {
                Mood::Up
            });
            let over = json!({"omit": if update % 2 == 1 { json!(["route"]) } else { json!([]) }});
            update_to(envoy, &config(&sink, &over));
        }
    });
    let evidence = arrived(&envoy, &sink, seen);
    evidence.assert_intact();
    assert_eq!(evidence.emitters().len(), 2, "chains went on");
    let loads = evidence.events("bundle.settings_loaded").len();
    assert!(loads >= 5, "{loads}");
}

/// New settings again and again while the sink is down: other paths, which keep the chain, and other clusters, which do not.
fn sinks_of_older_settings_that_were_down_get_their_records_and_each_chain_counts_its_own(_: &()) {
    let sink = Sink::start();
    let to = |name: &str, path: &str| {
        let over = json!({
            "sinks": [{"webhook": {"cluster": name, "path": path, "timeout_ms": 500}}],
            "chain": {"checkpoint_seconds": 1},
        });
        let other = cluster("other", sink.port());
        config(&sink, &over).cluster(other)
    };
    let mut envoy = start(&to("sink", "/first").live());
    let seen = under_load(&mut envoy, |envoy| {
        sink.set(Mood::Down);
        update_to(envoy, &to("sink", "/second"));
        update_to(envoy, &to("other", "/second"));
        sink.set(Mood::Up);
        update_to(envoy, &to("sink", "/first"));
        sink.set(Mood::Status(503));
        update_to(envoy, &to("other", "/first"));
        sink.set(Mood::Up);
    });
    let evidence = arrived(&envoy, &sink, seen);
    evidence.assert_intact();
    assert_eq!(metric(&envoy, "dropped_total"), 0);
    assert_eq!(evidence.told_dropped(), 0);
    // Two of each worker, or fewer: one that comes late may go on with a chain that the other has ended.
    let emitters = evidence.emitters().len();
    assert!((3..=4).contains(&emitters), "{emitters}");
    let checkpoints = evidence.events("bundle.checkpoint");
    assert!(!checkpoints.is_empty());
    for checkpoint in checkpoints {
        let chain = &checkpoint["chain"];
        let counts = &chain["checkpoint"];
        let emitted = counts["emitted"].as_u64().unwrap();
        let of_it = evidence
            .records
            .keys()
            .filter(|(name, seq)| chain["emitter"] == name.as_str() && *seq <= emitted);
        assert_eq!(of_it.count() as u64, emitted);
        assert_eq!(counts["dropped"], 0);
    }
}

/// Lets `change` change the proxy while requests come; how many came.
fn under_load(envoy: &mut Envoy, change: impl FnOnce(&mut Envoy)) -> u64 {
    let port = envoy.port("main");
    let stop = AtomicBool::new(false);
    let request = Request::get("/orders").to_bytes();
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            load::run(
                port,
                4,
                |out| {
                    // Fewer than the queue has room for while the sink is down.
                    std::thread::sleep(Duration::from_millis(1));
                    out.extend(&request);
                    (!stop.load(Ordering::Relaxed)).then_some(())
                },
                |(), answer| assert_eq!(answer.status, 200),
            )
        });
        change(envoy);
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap();
    });
    // The proxy's own log counts also what ended with its connection.
    wait::until("the end of all requests", || {
        let active = envoy.admin().stat("http.main.downstream_rq_active");
        let is_over = active == 0 && is_drained(envoy);
        let total = envoy.admin().stat("http.main.downstream_rq_total");
        let lines = envoy.access_log("main").len() as u64;
        (is_over && lines == total).then_some(lines)
    })
}

/// Gives the proxy that configuration. From then on all requests come under it.
fn update_to(envoy: &mut Envoy, config: &Config) {
    assert_eq!(envoy.update(&config.clone().live()), Update::Accepted);
    wait::until("the end of the old listener", || {
        is_drained(envoy).then_some(())
    });
}

fn is_drained(envoy: &Envoy) -> bool {
    ["listeners", "filter_chains"].iter().all(|what| {
        let draining = format!("listener_manager.total_{what}_draining");
        envoy.admin().stat(&draining) == 0
    })
}
