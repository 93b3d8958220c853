//! What becomes of records when the VM, the worker or the proxy ends: what is lost is lost for a reason, and told of.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, ExitCode, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use portcullis_harness::config::cluster;
use portcullis_harness::{
    Config, Envoy, Filter, Listener, Mood, Request, Route, Sink, cases, suite, wait,
};
use portcullis_suites::evidence::{self, Evidence, audit, metric};
use serde_json::{Value, json};

fn main() -> ExitCode {
    suite::run_in_order(
        || (),
        cases![
            a_vm_that_traps_loses_what_it_held_and_the_chain_shows_exactly_that,
            a_drained_proxy_loses_nothing_under_load,
            a_drain_that_cannot_end_says_what_is_left,
            a_proxy_that_is_terminated_loses_only_what_was_queued,
            in_the_proxys_own_logs_nothing_is_lost_when_it_is_terminated,
        ],
    )
}

fn config(sink: &Sink, listener: Listener) -> Config {
    Config::new(1)
        .concurrency(2)
        .cluster(cluster("sink", sink.port()))
        .listener(listener)
}

fn direct() -> Listener {
    Listener::new("main").route(Route::prefix("/").direct(200, "ok"))
}

fn start(config: &Config) -> Envoy {
    Envoy::start("audit-ends", config).unwrap_or_else(|error| panic!("{error}"))
}

fn get(envoy: &Envoy) -> u16 {
    Request::get("/orders").send(envoy.port("main")).status
}

fn a_vm_that_traps_loses_what_it_held_and_the_chain_shows_exactly_that(_: &()) {
    let sink = Sink::start();
    // One module, and the same VM for both: whose trap it is makes no difference.
    let of_module = |root_id: &str, settings: Value| {
        let (name, key) = evidence::KEY;
        Filter::wasm("test/audit_trap", settings)
            .root_id(root_id)
            .named(root_id)
            .environment(name, key)
    };
    let listener = direct()
        .filter(of_module("audit-log", evidence::settings(&json!({}))))
        .filter(of_module("trap", json!({})));
    let envoy = start(&config(&sink, listener).concurrency(1));
    // While the other plugin of the VM is not back, the proxy answers 503, of which audit-log may know already.
    let requests = |evidence: &Evidence| {
        let served = |record: &&Value| record["response"]["status"] == 200;
        evidence.records.values().filter(served).count() as u64
    };
    let got = |count: u64| {
        wait::until("the records", || {
            let evidence = Evidence::of(&sink.records());
            (requests(&evidence) >= count && metric(&envoy, "queued\\.") == 0).then_some(evidence)
        })
    };
    for _ in 0..100 {
        assert_eq!(get(&envoy), 200);
    }
    let before = got(100).records.len() as u64;
    sink.set(Mood::Down);
    for _ in 0..50 {
        assert_eq!(get(&envoy), 200);
    }
    // What the bundle itself tells of the outage is queued, too.
    wait::until("all that is queued", || {
        (metric(&envoy, "sink_down") == 1 && metric(&envoy, "queued\\.") == 51).then_some(())
    });
    let trapped = Request::get("/orders").header("x-trap", "1");
    assert_eq!(trapped.send(envoy.port("main")).status, 503);
    sink.set(Mood::Up);
    let mut after = 0;
    wait::until("a new VM", || {
        let is_served = get(&envoy) == 200;
        after += u64::from(is_served);
        is_served.then_some(())
    });
    wait::until("the word of the VM that ended", || {
        let evidence = Evidence::of(&sink.records());
        (!evidence.events("bundle.restart").is_empty()).then_some(())
    });
    let evidence = got(100 + after);
    assert_eq!(requests(&evidence), 100 + after);
    let restart = evidence.events("bundle.restart")[0];
    assert_eq!(restart["records"], 51);
    assert_eq!(restart["chain"]["restart"]["acknowledged"], before);
    assert_eq!(restart["chain"]["seq"], before + 51 + 1);
    let breaks: Vec<&str> = evidence
        .verdict
        .breaks
        .iter()
        .map(|found| found.kind.name())
        .collect();
    assert_eq!(breaks, ["restart-gap"]);
    let gap = &evidence.verdict.breaks[0];
    assert_eq!((gap.seq, gap.last), (Some(before + 1), Some(before + 51)));
    assert_eq!(metric(&envoy, "dropped_total.reason=restart"), 51);
    assert_eq!(
        metric(&envoy, "queued_bytes"),
        0,
        "of the VM that ended, too"
    );
    assert_eq!(evidence.sealed(), evidence.records.len() as u64 + 51);
    wait::until("the sink up, also for the VM that ended", || {
        (metric(&envoy, "sink_down") == 0).then_some(())
    });
}

/// Clients that ask as fast as they are answered, each on connections of its own, until nobody answers any more.
struct Load {
    clients: Vec<thread::JoinHandle<()>>,
}

static ANSWERED: AtomicU64 = AtomicU64::new(0);

impl Load {
    /// Starts it, and gives the proxy time to be busy.
    fn start(port: u16) -> Self {
        ANSWERED.store(0, Ordering::Relaxed);
        let clients = (0..4).map(|_| thread::spawn(move || while ask(port).is_some() {}));
        let load = Self {
            clients: clients.collect(),
        };
        wait::until("load", || {
            (ANSWERED.load(Ordering::Relaxed) > 500).then_some(())
        });
        load
    }

    /// Waits for its end; how many answers there were.
    fn end(self) -> u64 {
        for client in self.clients {
            client.join().unwrap();
        }
        ANSWERED.load(Ordering::Relaxed)
    }
}

/// Some requests on one connection, until the proxy ends it; `None` if nobody listens.
fn ask(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let mut answer = [0; 4096];
    for _ in 0..50 {
        stream
            .write_all(b"GET /orders HTTP/1.1\r\nhost: a\r\n\r\n")
            .ok();
        let Ok(size @ 1..) = stream.read(&mut answer) else {
            return Some(());
        };
        ANSWERED.fetch_add(1, Ordering::Relaxed);
        if String::from_utf8_lossy(&answer[..size]).contains("connection: close") {
            return Some(());
        }
    }
    Some(())
}

fn drain(envoy: &Envoy, options: &[&str]) -> Output {
    let script = portcullis_harness::artifacts::root().join(Path::new("envoy/drain.py"));
    let admin = format!("127.0.0.1:{}", envoy.admin().port);
    let mut command = Command::new("python3");
    command.arg(script).args(["--admin", &admin]).args(options);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn a_drained_proxy_loses_nothing_under_load(_: &()) {
    let sink = Sink::start();
    // Batches wait for long, so that there is something to lose.
    let slow = json!({"delivery": {"batch": {"max_records": 10_000, "interval_ms": 1500}}});
    let mut seen = 0;
    // Twice: a proxy that starts anew has a chain of its own.
    for _ in 0..2 {
        let mut envoy = start(&config(&sink, direct().filter(audit(&slow))));
        let load = Load::start(envoy.port("main"));
        let output = drain(&envoy, &["--grace", "0.2"]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("ok: nothing is on its way"), "{said}");
        envoy.wait_for_the_end();
        let answered = load.end();
        let logged = envoy.access_log("main").len() as u64;
        assert!(logged >= answered, "{logged} {answered}");
        seen += logged;
    }
    let evidence = Evidence::of(&sink.records());
    assert_eq!(evidence.requests(), seen);
    assert_eq!(evidence.sealed(), evidence.records.len() as u64);
    assert_eq!(evidence.emitters().len(), 4);
    println!("{seen} requests before two drains");
    evidence.assert_intact();
}

fn a_drain_that_cannot_end_says_what_is_left(_: &()) {
    let sink = Sink::start();
    sink.set(Mood::Down);
    let mut envoy = start(&config(&sink, direct().filter(audit(&json!({})))));
    for _ in 0..5 {
        get(&envoy);
    }
    wait::until("a queue", || {
        (metric(&envoy, "queued\\.") >= 5).then_some(())
    });
    let output = drain(&envoy, &["--grace", "0", "--deadline", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("at the deadline 0 requests on their way"),
        "{said}"
    );
    assert!(!said.contains(" 0 records and spans wait"), "{said}");
    envoy.wait_for_the_end();
    let output = drain(&envoy, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("does not answer"));
}

/// What this prints stands in docs/audit-log.md.
fn a_proxy_that_is_terminated_loses_only_what_was_queued(_: &()) {
    let sink = Sink::start();
    // As many as the default settings let wait: those of a second.
    let settings = json!({"delivery": {"batch": {"max_records": 512, "interval_ms": 1000}}});
    let mut envoy = start(&config(&sink, direct().filter(audit(&settings))));
    let load = Load::start(envoy.port("main"));
    wait::until("a first batch", || {
        (!sink.deliveries().is_empty()).then_some(())
    });
    envoy.terminate();
    load.end();
    let logged = envoy.access_log("main").len() as u64;
    let evidence = Evidence::of(&sink.records());
    println!("{logged} requests, {} records arrived", evidence.requests());
    assert!(evidence.requests() <= logged);
    // What arrived has no gap: the ends of the chains are missing, and nothing else.
    evidence.assert_intact();
    assert_eq!(evidence.sealed(), evidence.records.len() as u64);
}

fn in_the_proxys_own_logs_nothing_is_lost_when_it_is_terminated(_: &()) {
    let line = "%FILTER_STATE(wasm.portcullis.audit:PLAIN)%\n";
    let access_log = json!({"sinks": [{"access_log": {}}], "delivery": null});
    let log = json!({"sinks": [{"log": {}}], "delivery": null});
    let sink = Sink::start();
    for (settings, stops) in [(access_log, 0), (log, 2)] {
        let listener = direct().filter(audit(&settings)).access_log_line(line);
        let mut envoy = start(&config(&sink, listener));
        let load = Load::start(envoy.port("main"));
        envoy.terminate();
        load.end();
        let logged = envoy.access_log("main").len() as u64;
        let mut records = envoy.access_log_lines("main");
        if stops > 0 {
            let log = envoy.log();
            let lines = log
                .lines()
                .filter_map(|line| line.find("{\"action\"").map(|at| &line[at..]));
            let notices = log
                .lines()
                .filter_map(|line| line.find("{\"category\":\"bundle\"").map(|at| &line[at..]));
            records = lines.chain(notices).map(str::to_owned).collect();
        }
        records.retain(|line| !line.is_empty());
        let evidence = Evidence::of(&records);
        assert_eq!(evidence.requests(), logged);
        assert_eq!(evidence.duplicates, 0);
        evidence.assert_intact();
        // A worker that had requests says that it stops, where a line is still written.
        let stopped = evidence.events("bundle.stop");
        assert!(
            stopped.len() <= stops && (stopped.is_empty() == (stops == 0)),
            "{stopped:?}"
        );
        for record in stopped {
            let emitter = record["chain"]["emitter"].as_str().unwrap();
            let last = evidence.records.keys().filter(|(name, _)| name == emitter);
            assert_eq!(
                record["chain"]["seq"],
                last.map(|(_, seq)| *seq).max().unwrap()
            );
        }
    }
}
