//! Requests that wait for their records, on a real Envoy: an upstream that notes what it gets and when, a sink that can be as bad as
//! real ones are, and listeners whose requests wait in different ways.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use audit_chain::verify::verdict::Outcome;
use audit_chain::verify::{Terms, Verifier};
use portcullis_harness::config::{cluster, http2_cluster};
use portcullis_harness::sink::{Mood, Sink};
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{Config, Envoy, Filter, Listener, Request, Route, wait};
use serde_json::{Value, json};

/// How long requests wait at most where nothing else is said.
pub const TIMEOUT_MS: u64 = 400;

pub struct Shared {
    pub upstream: Upstream,
    /// What the upstream got, by `x-case`, and when.
    pub seen: Arc<Mutex<Vec<(String, Instant)>>>,
    pub sink: Sink,
    pub envoy: Envoy,
}

/// Settings with `fail_closed`, and these over them; the sink is the cluster `sink`.
pub fn settings(over: &Value) -> Value {
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

/// The proxy's configuration: the ports of upstream and sink, and the listeners.
pub fn config(
    (upstream, sink): (u16, u16),
    listeners: impl IntoIterator<Item = Listener>,
) -> Config {
    let config = Config::new(upstream)
        .concurrency(2)
        .live()
        .cluster(cluster("sink", sink))
        .cluster(http2_cluster("http2", upstream));
    listeners.into_iter().fold(config, Config::listener)
}

/// A listener with audit-log under these settings.
pub fn listener(name: &str, over: &Value) -> Listener {
    Listener::new(name).filter(Filter::wasm("audit_log", settings(over)))
}

/// The listener that most of the cases use.
pub fn all() -> Listener {
    listener("all", &json!({}))
        .route(Route::prefix("/grpc").cluster("http2"))
        .route(Route::prefix("/"))
}

/// Starts them; `name` is that of the folder in which the proxy leaves its logs.
pub fn start(name: &str, listeners: impl IntoIterator<Item = Listener>) -> Shared {
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
    let config = config((upstream.port(), sink.port()), listeners);
    let envoy = Envoy::start(name, &config).unwrap_or_else(|error| panic!("{error}"));
    Shared {
        upstream,
        seen,
        sink,
        envoy,
    }
}

impl Shared {
    /// When the upstream got a request of that case, if it did.
    pub fn seen(&self, case: &str) -> Option<Instant> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .find(|(known, _)| known == case)
            .map(|(_, at)| *at)
    }

    /// The sink takes everything again, and each worker knows: so many requests in a row go on.
    pub fn well(&self, listener: &str) {
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

    pub fn stats(&self, name: &str) -> u64 {
        let stats = self.envoy.admin().stats(name);
        stats.values().sum()
    }

    /// How many requests wait.
    pub fn waiting(&self) -> u64 {
        self.stats("portcullis_audit_log_fail_closed_waiting")
    }

    /// When the sink first acknowledged that a request of each case was received.
    pub fn acknowledged(&self) -> BTreeMap<String, Instant> {
        acknowledged(&self.sink)
    }
}

/// Whether the sink got a record of this case, taken or not.
pub fn told(sink: &Sink, case: &str) -> bool {
    let deliveries = sink.deliveries();
    let mut all = deliveries
        .iter()
        .flat_map(|delivery| lines(&delivery.request.body));
    all.any(|record| cases_of(&record).as_deref() == Some(case))
}

pub fn lines(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The `x-case` of the request that a record is about.
pub fn cases_of(record: &Value) -> Option<String> {
    let case = &record["request"]["headers"]["x-case"][0];
    case.as_str().map(str::to_owned)
}

fn acknowledged(sink: &Sink) -> BTreeMap<String, Instant> {
    let mut first: BTreeMap<String, Instant> = BTreeMap::new();
    let deliveries = sink.deliveries();
    for delivery in deliveries.iter().filter(|delivery| delivery.taken) {
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

/// Whether all that the sink took is whole chains, and what the verifier says of it.
pub fn verdict(shared: &Shared) -> (bool, String) {
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
