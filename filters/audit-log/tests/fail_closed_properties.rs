//! Whatever happens in whatever order, each request that waits is answered once and in time, no more wait than may, and none
//! goes on without an acknowledged record.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::site::{Request, Site, records};
use common::{Audit, environment, parsed};
use portcullis_kit::Flow;
use portcullis_kit::chain::Bundle as _;
use portcullis_kit::exchange::CalloutError;
use portcullis_kit::testing::{Bench, Sent};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Arrive,
    /// To a path that is exempt.
    ArriveExempt,
    /// A sink answers one of the batches that it has.
    Answer(usize, Kind),
    Tick(u16),
    /// The wall clock steps back.
    Back(u16),
    /// One of the requests ends, waiting or not: its client leaves, or it was served.
    End(usize),
    /// The host refuses callouts, or takes them again.
    Refuse(bool),
    /// The proxy's log writes no records any more, or does again; every worker hears of it.
    Mute(bool),
    /// New settings: who waits under the old ones still does.
    Update(u16),
    /// The configuration ends with all its requests, and another one starts.
    Stop,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Take,
    TakeAllBut(u8),
    Status(u16),
    Reset,
    /// It takes the records, and its answer never comes.
    TakeAndReset,
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => Just(Kind::Take),
        1 => (1..3_u8).prop_map(Kind::TakeAllBut),
        3 => prop::sample::select(vec![500, 503, 429, 400, 413, 401]).prop_map(Kind::Status),
        1 => Just(Kind::Reset),
        1 => Just(Kind::TakeAndReset),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => Just(Step::Arrive),
        1 => Just(Step::ArriveExempt),
        8 => (any::<usize>(), kinds()).prop_map(|(which, kind)| Step::Answer(which, kind)),
        6 => (0..700_u16).prop_map(Step::Tick),
        1 => any::<u16>().prop_map(Step::Back),
        3 => any::<usize>().prop_map(Step::End),
        1 => any::<bool>().prop_map(Step::Refuse),
        1 => any::<bool>().prop_map(Step::Mute),
        1 => (50..2000_u16).prop_map(Step::Update),
        1 => Just(Step::Stop),
    ];
    prop::collection::vec(step, 1..150)
}

#[derive(Clone, Debug)]
struct Shape {
    /// Sinks that are asked by HTTP.
    sinks: usize,
    /// Whether the proxy's log is one more.
    logs: bool,
    ack_all: bool,
    max_waiting: usize,
    in_flight: u32,
    max_records: u32,
    overflow: &'static str,
    timeout_ms: u16,
    sealed: bool,
}

fn shapes() -> impl Strategy<Value = Shape> {
    (
        (
            prop::sample::select(vec![(1, false), (2, false), (0, true), (1, true)]),
            any::<bool>(),
            1..6_usize,
            1..4_u32,
        ),
        prop::sample::select(vec![2_u32, 8, 512]),
        prop::sample::select(vec!["drop_oldest", "drop_newest", "deny"]),
        (50..2000_u16, any::<bool>()),
    )
        .prop_map(
            |(((sinks, logs), ack_all, max_waiting, in_flight), max_records, overflow, more)| {
                Shape {
                    sinks,
                    logs,
                    ack_all,
                    max_waiting,
                    in_flight,
                    max_records,
                    overflow,
                    timeout_ms: more.0,
                    sealed: more.1,
                }
            },
        )
}

impl Shape {
    fn settings(&self) -> Value {
        // Lines and OTLP: the one sink takes a batch or does not, the other one may take a part of it.
        let sinks = [
            json!({"webhook": {"cluster": "lines"}}),
            json!({"otlp": {"cluster": "otlp"}}),
        ];
        let mut all = sinks[..self.sinks].to_vec();
        all.extend(self.logs.then(|| json!({"log": {}})));
        let delivery = json!({
            "ack": if self.ack_all { "all" } else { "any" },
            "batch": {"max_records": self.max_records, "max_in_flight": self.in_flight, "interval_ms": 100},
            "queue": {
                "max_records": self.max_records.max(16),
                // Beside the log nothing is denied.
                "overflow": if self.logs { "drop_newest" } else { self.overflow },
            },
            "retry": {"initial_ms": 50, "max_ms": 400},
        });
        json!({
            "sinks": all,
            "delivery": if self.sinks > 0 { delivery } else { Value::Null },
            "chain": {"sealed": self.sealed},
            "fail_closed": {
                "timeout_ms": self.timeout_ms,
                "max_waiting": self.max_waiting,
                "exempt": [{"prefix": "/open"}],
            },
        })
    }
}

/// A request on its way.
struct Guest {
    request: Option<Request>,
    of: usize,
    /// Until when it must be answered; none if it does not wait.
    waits_until: Option<u64>,
}

/// The model: who waits, and what each sink has.
struct Model {
    shape: Shape,
    site: Site,
    /// The number of the configuration that `site` has, which gets new requests.
    current: usize,
    /// Those before it that still have requests.
    older: BTreeMap<usize, Audit>,
    guests: BTreeMap<u32, Guest>,
    arrived: u32,
    on_their_way: Vec<(usize, Sent)>,
    took: [BTreeSet<u32>; 2],
    /// Milliseconds, without the clock's steps back.
    elapsed: u64,
}

impl Model {
    fn new(shape: &Shape) -> Self {
        Self {
            site: Site::new(&shape.settings()),
            shape: shape.clone(),
            current: 0,
            older: BTreeMap::new(),
            guests: BTreeMap::new(),
            arrived: 0,
            on_their_way: Vec::new(),
            took: Default::default(),
            elapsed: 0,
        }
    }

    /// Does something to the configuration of that number.
    fn on<T>(&mut self, of: usize, action: impl FnOnce(&mut Site) -> T) -> T {
        let Some(mut audit) = self.older.remove(&of) else {
            return action(&mut self.site);
        };
        std::mem::swap(&mut self.site.audit, &mut audit);
        let done = action(&mut self.site);
        std::mem::swap(&mut self.site.audit, &mut audit);
        self.older.insert(of, audit);
        done
    }

    fn arrive(&mut self, folder: &str) {
        self.arrived += 1;
        let id = self.arrived;
        let (request, sent) = self.site.get(&format!("/{folder}/{id}"));
        self.on_their_way
            .extend(sent.into_iter().map(|sent| (self.current, sent)));
        let needs_all = self.shape.ack_all && self.shape.sinks > 0;
        match request.flow {
            Flow::Pause => assert!(!self.shape.logs || !needs_all || is_logged(&request)),
            Flow::Replied => {
                assert_eq!(request.fake.replies.len(), 1);
                if request.fake.replies[0].details == "audit_log_limit" {
                    let waiting = self.waiting().filter(|(_, guest)| guest.of == self.current);
                    assert_eq!(waiting.count(), self.shape.max_waiting, "places are free");
                }
            }
            _ => assert!(
                folder == "open" || is_logged(&request) && !needs_all,
                "{id} went on without a record"
            ),
        }
        let waits = request.flow == Flow::Pause;
        let timeout = u64::from(self.shape.timeout_ms);
        self.guests.insert(
            id,
            Guest {
                request: Some(request),
                of: self.current,
                waits_until: waits.then_some(self.elapsed + timeout),
            },
        );
        self.check();
    }

    fn answer(&mut self, which: usize, kind: Kind) {
        if self.on_their_way.is_empty() {
            return;
        }
        let at = which % self.on_their_way.len();
        let (of, sent) = self.on_their_way.swap_remove(at);
        let is_otlp = sent.cluster == "otlp";
        let partial = |n: u8| json!({"partialSuccess": {"rejectedLogRecords": n.to_string()}});
        let (status, body) = match kind {
            Kind::Take => ("200".to_owned(), String::new()),
            // Lines are taken or they are not.
            Kind::TakeAllBut(n) => ("200".to_owned(), partial(n).to_string()),
            Kind::Status(status) => (status.to_string(), String::new()),
            Kind::Reset | Kind::TakeAndReset => (String::new(), String::new()),
        };
        let takes = matches!(kind, Kind::Take | Kind::TakeAndReset)
            || matches!(kind, Kind::TakeAllBut(_)) && !is_otlp;
        if takes {
            self.took[usize::from(is_otlp)].extend(received(&sent));
        }
        let status = [(":status", status.as_str())];
        let lines = if status[0].1.is_empty() {
            &[]
        } else {
            &status[..]
        };
        self.on(of, |site| site.answer(sent.id, lines, body.as_bytes()));
        self.collect(of);
    }

    fn tick(&mut self, milliseconds: u64) {
        self.elapsed += milliseconds;
        self.site.worker.pass_ms(milliseconds);
        let all: Vec<usize> = self.older.keys().copied().chain([self.current]).collect();
        for of in all {
            self.on(of, |site| {
                site.audit.bundle().tick(&mut site.worker);
            });
            self.collect(of);
        }
        let late = self
            .waiting()
            .find(|(_, guest)| guest.waits_until.unwrap() <= self.elapsed);
        assert!(
            late.is_none(),
            "{:?} waits for too long",
            late.map(|(id, _)| id)
        );
    }

    fn waiting(&self) -> impl Iterator<Item = (&u32, &Guest)> {
        self.guests
            .iter()
            .filter(|(_, guest)| guest.waits_until.is_some())
    }

    fn end(&mut self, which: usize) {
        let Some(id) = self
            .guests
            .keys()
            .nth(which % self.guests.len().max(1))
            .copied()
        else {
            return;
        };
        self.leave(id);
        self.retire();
    }

    fn leave(&mut self, id: u32) {
        let mut guest = self.guests.remove(&id).unwrap();
        let request = guest.request.take().unwrap();
        self.on(guest.of, |site| site.end(request));
        self.collect(guest.of);
    }

    fn update(&mut self, timeout_ms: u16) {
        self.shape.timeout_ms = timeout_ms;
        let loaded = Bench::load_with(&self.shape.settings(), &environment());
        let next = loaded.unwrap_or_else(|error| panic!("{error}"));
        let before = std::mem::replace(&mut self.site.audit, next);
        self.older.insert(self.current, before);
        self.current += 1;
        self.retire();
    }

    /// A host deletes a configuration once its last request is over; callouts end with it.
    fn retire(&mut self) {
        let used: BTreeSet<usize> = self.guests.values().map(|guest| guest.of).collect();
        let over: Vec<usize> = self
            .older
            .keys()
            .copied()
            .filter(|of| !used.contains(of))
            .collect();
        for of in over {
            self.on(of, |site| site.audit.bundle().stop(&mut site.worker));
            self.collect(of);
            self.older.remove(&of);
            self.on_their_way.retain(|(whose, _)| *whose != of);
        }
    }

    fn stop(&mut self) {
        let mine = |guest: &Guest| guest.of == self.current;
        let all: Vec<u32> = self
            .guests
            .iter()
            .filter(|(_, guest)| mine(guest))
            .map(|(id, _)| *id)
            .collect();
        for id in all {
            self.leave(id);
        }
        self.update(self.shape.timeout_ms);
    }

    /// Takes what was sent, and who was answered.
    fn collect(&mut self, of: usize) {
        let sent = self.site.worker.sent();
        self.on_their_way
            .extend(sent.into_iter().map(|sent| (of, sent)));
        for (id, reply) in self.site.resumed() {
            let guest = self.guests.get_mut(&id);
            let guest = guest.unwrap_or_else(|| panic!("{id} is gone, and was answered"));
            assert_eq!(guest.of, of, "{id} was answered by another configuration");
            assert!(
                guest.waits_until.take().is_some(),
                "{id} was answered twice"
            );
            let took = |sink: usize| self.took[sink].contains(&id);
            let sinks = self.shape.sinks;
            let is_acknowledged = match self.shape.ack_all {
                true => (0..sinks).all(took),
                false => (0..sinks).any(took),
            };
            match reply {
                None => assert!(is_acknowledged, "{id} went on unrecorded"),
                Some(reply) => assert_eq!(reply.status, 503),
            }
        }
        self.check();
    }

    fn check(&self) {
        let mut by_configuration = BTreeMap::new();
        for (_, guest) in self.waiting() {
            *by_configuration.entry(guest.of).or_insert(0) += 1;
        }
        for (of, waiting) in &by_configuration {
            assert!(*waiting <= self.shape.max_waiting, "{waiting} wait in {of}");
        }
        let all: usize = by_configuration.values().sum();
        assert_eq!(self.site.waiting(), i64::try_from(all).unwrap());
    }
}

/// Whether the proxy's log has the request's `RequestReceived`.
fn is_logged(request: &Request) -> bool {
    let lines = request.fake.logs.borrow();
    lines
        .iter()
        .any(|(_, line)| parsed(line)["stage"] == "RequestReceived")
}

/// The requests whose `RequestReceived` is in a batch.
fn received(sent: &Sent) -> Vec<u32> {
    let records: Vec<Value> = match sent.cluster.as_str() {
        "otlp" => {
            let body: Value = serde_json::from_slice(&sent.body).unwrap();
            let logs = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
                .as_array()
                .unwrap();
            let text = |log: &Value| log["body"]["stringValue"].as_str().unwrap().to_owned();
            logs.iter()
                .map(|log| serde_json::from_str(&text(log)).unwrap())
                .collect()
        }
        _ => records(std::slice::from_ref(sent)),
    };
    let received = records
        .iter()
        .filter(|record| record["stage"] == "RequestReceived");
    let id = |record: &Value| {
        let path = record["action"]["path"].as_str().unwrap();
        path.rsplit('/').next().unwrap().parse().unwrap()
    };
    received.map(id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn each_waiting_request_is_answered_once_in_time_and_goes_on_only_when_it_is_recorded(
        shape in shapes(),
        steps in steps(),
    ) {
        // A thread of its own: what a run that fails leaves is not for the next one.
        let run = std::thread::spawn(move || run(&shape, steps));
        prop_assert!(run.join().is_ok());
    }
}

fn run(shape: &Shape, steps: Vec<Step>) {
    let mut model = Model::new(shape);
    for step in steps {
        match step {
            Step::Arrive => model.arrive("kept"),
            Step::ArriveExempt => model.arrive("open"),
            Step::Answer(which, kind) => model.answer(which, kind),
            Step::Tick(milliseconds) => model.tick(milliseconds.into()),
            Step::Back(seconds) => {
                let now = &model.site.worker.now;
                now.set(now.get() - u64::from(seconds) * 1_000_000_000);
                // The clock counts on from where it is looked at.
                model.tick(0);
            }
            Step::End(which) => model.end(which),
            Step::Refuse(refuses) => {
                model.site.worker.refuses = refuses.then_some(CalloutError::Unavailable);
            }
            Step::Mute(mutes) => {
                model.site.worker.mutes.set(mutes);
                model.tick(0);
            }
            Step::Update(timeout_ms) => model.update(timeout_ms),
            Step::Stop => model.stop(),
        }
    }
    // Nobody answers any more: all are refused, and once all are over, nothing is left.
    model.tick(2000);
    assert_eq!(model.site.waiting(), 0);
    while let Some(id) = model.guests.keys().next().copied() {
        model.leave(id);
    }
    model.retire();
    assert_eq!(model.site.waiting(), 0);
}
