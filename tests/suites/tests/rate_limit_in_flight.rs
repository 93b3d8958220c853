//! Requests in flight: however a request ends, what it held is given back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use portcullis_harness::config::cluster;
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Response, Route, Update, cases, suite,
    wait,
};
use portcullis_suites::plans::{self, KEY};
use serde_json::{Value, json};

const CONNECTIONS: usize = 32;
/// More clients than connections: each is within its limit.
const CLIENTS: usize = 8;
const MAX: usize = 8;
/// What one client of the faulty module holds is forgotten after that.
const LEASE: Duration = Duration::from_secs(3);

struct Shared {
    upstream: Upstream,
    envoy: Envoy,
}

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            at_most_so_many_are_in_flight,
            whatever_ends_a_request_gives_back_what_it_held,
            what_a_trapped_vm_held_lapses_with_its_lease,
            what_a_drain_cuts_off_leaves_the_gauge,
        ],
    )
}

fn settings(max: usize, lease: &str) -> Value {
    let mut settings = plans::settings(&json!([]));
    settings["tiers"]["t"] = json!({"concurrency": {"max": max, "lease": lease}});
    settings
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    // Nothing listens where this was.
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let listener = Listener::new("main")
        .filter(Filter::wasm("rate_limit", settings(MAX, "10m")))
        .route(Route::prefix("/dead").cluster("dead"))
        .route(Route::prefix("/delay/99").over(&json!({"route": {"timeout": "0.02s"}})))
        .route(Route::prefix("/"));
    let traps = Filter::wasm("test/rate_limit_mutants", {
        let mut settings = settings(1, &format!("{}s", LEASE.as_secs()));
        settings["namespace"] = "traps".into();
        settings
    })
    .root_id("rate-limit")
    .environment("FAULT", "traps-at-the-end");
    let config = Config::new(upstream.port())
        .concurrency(2)
        .cluster(cluster("dead", dead))
        .listener(listener)
        .listener(
            Listener::new("traps")
                .filter(traps)
                .route(Route::prefix("/direct").direct(200, "ok"))
                .route(Route::prefix("/")),
        );
    let envoy =
        Envoy::start("rate-limit-in-flight", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared { upstream, envoy }
}

/// Until the proxy's gauge tells that count.
#[track_caller]
fn until_in_flight(envoy: &Envoy, count: u64) {
    let name = "wasmcustom.portcullis_rate_limit_in_flight.profile=default";
    wait::until(&format!("{count} in flight"), || {
        (envoy.admin().stat(name) == count).then_some(())
    });
}

/// Requests of these clients that wait for their answer.
fn wait_for_answers(port: u16, clients: impl IntoIterator<Item = String>) -> Vec<Connection> {
    let request = |client| Request::get("/delay/15000").header(KEY, client);
    let held = clients.into_iter().map(|client: String| {
        let mut connection = Connection::open(port);
        connection.send(&request(client).to_bytes());
        connection
    });
    held.collect()
}

impl Shared {
    #[track_caller]
    fn until_in_flight(&self, count: u64) {
        until_in_flight(&self.envoy, count);
    }

    /// One client holds as many requests as it may; one more is refused.
    #[track_caller]
    fn has_all_of_its_concurrency(&self, client: &str) {
        let port = self.envoy.port("main");
        let request = |target: &str| Request::get(target).header(KEY, client);
        let held = wait_for_answers(port, (0..MAX).map(|_| client.to_owned()));
        self.until_in_flight(MAX as u64);
        let refused = request("/text").send(port);
        assert_eq!(refused.status, 429, "{refused}");
        assert_eq!(refused.json()["violated-policies"], json!(["concurrency"]));
        drop(held);
        self.until_in_flight(0);
        assert_eq!(request("/text").send(port).status, 200);
    }
}

fn at_most_so_many_are_in_flight(shared: &Shared) {
    shared.has_all_of_its_concurrency("alone");
}

/// A request that ends before its time, and with what.
fn spoil(port: u16, kind: usize, client: &str) -> Option<Response> {
    let mut connection = Connection::open(port);
    let request = |target: &str| {
        Request::get(target)
            .header(KEY, client)
            .header("connection", "close")
    };
    let upload = || {
        Request::post("/text", "half")
            .header(KEY, client)
            .header("content-length", "100")
    };
    let (request, waits) = match kind % 6 {
        // The client hangs up in the middle of its body, …
        0 => (upload(), false),
        // … while it waits, …
        1 => (request("/delay/50"), false),
        // … the upstream does, …
        2 => (request("/abort/headers?how=reset"), true),
        3 => (request("/abort/body"), true),
        // … is not there, …
        4 => (request("/dead"), true),
        // … or is late.
        _ => (request("/delay/99"), true),
    };
    connection.send(&request.to_bytes());
    waits.then(|| connection.read_response("GET")).flatten()
}

fn whatever_ends_a_request_gives_back_what_it_held(shared: &Shared) {
    let port = shared.envoy.port("main");
    let all = if plans::full() { 10_000 } else { 1_500 };
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|thread| {
            thread::spawn(move || {
                let mut statuses = Vec::new();
                for number in (thread..all).step_by(CONNECTIONS) {
                    let client = format!("spoiled-{}", thread % CLIENTS);
                    let kind = number / CONNECTIONS + thread;
                    statuses.push((
                        kind % 6,
                        spoil(port, kind, &client).map(|response| response.status),
                    ));
                }
                statuses
            })
        })
        .collect();
    let outcomes: Vec<_> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    for (kind, status) in [
        (0, None),
        (1, None),
        (2, Some(503)),
        (3, Some(200)),
        (4, Some(503)),
        (5, Some(504)),
    ] {
        let as_expected = outcomes
            .iter()
            .filter(|outcome| **outcome == (kind, status))
            .count();
        let refused = outcomes
            .iter()
            .filter(|outcome| **outcome == (kind, Some(429)))
            .count();
        println!("kind {kind}: {as_expected} ended with {status:?}, {refused} refused");
        assert!(
            as_expected * 2 > outcomes.len() / 6,
            "kind {kind}: {outcomes:?}"
        );
    }
    shared.until_in_flight(0);
    for client in 0..CLIENTS {
        shared.has_all_of_its_concurrency(&format!("spoiled-{client}"));
    }
    assert_eq!(shared.envoy.admin().vm_reloads(), 0);
    assert!(shared.upstream.port() > 0);
}

/// The module traps where the request's end would give back what it held. The proxy answers 503 until the VM is
/// there again.
fn what_a_trapped_vm_held_lapses_with_its_lease(shared: &Shared) {
    let port = shared.envoy.port("traps");
    let get = |target: &str, client: &str| Request::get(target).header(KEY, client);
    let send = || get("/direct", "trapped").send(port).status;
    let began = Instant::now();
    assert_eq!(send(), 200);
    wait::until("the VM after its trap", || (send() == 429).then_some(()));
    wait::until("the end of the lease", || (send() == 200).then_some(()));
    let held = began.elapsed();
    println!("held for {held:?}");
    assert!(held >= LEASE, "{held:?}");
    assert!(shared.envoy.admin().vm_reloads() > 0, "the module did trap");
    // Whatever held requests when its VM was gone, gives them back to the gauge.
    let held = wait_for_answers(port, (0..3).map(|client| format!("held-{client}")));
    shared.until_in_flight(3);
    assert_eq!(get("/direct", "traps").send(port).status, 200);
    drop(held);
    shared.until_in_flight(0);
}

/// An update takes the plugin's place while it holds requests: those that are not done at the end of the drain are cut off, and
/// the VM is gone before its next tick. In the place of the plugin comes one of another `vm_id`, which no healer of the old
/// one's sees, and then one without a limit of requests in flight, which has no tick.
fn what_a_drain_cuts_off_leaves_the_gauge(shared: &Shared) {
    let with = |vm_id: &str, settings: Value| {
        let over = json!({"vm_config": {"vm_id": vm_id}});
        let filter = Filter::wasm("rate_limit", settings).over(&over);
        Config::new(shared.upstream.port())
            .concurrency(1)
            .live()
            .listener(Listener::new("main").filter(filter))
    };
    let limited = || settings(MAX, "10m");
    let hourly = plans::settings(&json!([{"name": "hour", "count": 1_000, "window": "1h"}]));
    let mut envoy = Envoy::start("rate-limit-drain", &with("first", limited()))
        .unwrap_or_else(|error| panic!("{error}"));
    for (at, next) in [with("second", limited()), with("third", hourly)]
        .iter()
        .enumerate()
    {
        let clients = (0..3).map(|client| format!("{at}-{client}"));
        let held = wait_for_answers(envoy.port("main"), clients);
        until_in_flight(&envoy, 3);
        assert_eq!(envoy.update(next), Update::Accepted);
        until_in_flight(&envoy, 0);
        drop(held);
    }
    assert_eq!(envoy.admin().vm_reloads(), 0);
}
