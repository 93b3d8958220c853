//! Nothing is lost silently, whatever the sinks do: checked against sinks that remember what they took.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use portcullis_kit::config::from_value;
use portcullis_kit::exchange::{CalloutAnswer, CalloutError};
use portcullis_kit::export::settings::{Ack, Batch, Http, Overflow, Queue, Retry};
use portcullis_kit::export::{Encode, Exporter, Plan, Pushed, Record, Settled, SinkSettings};
use portcullis_kit::testing::{FakeWorker, Names, Sent, answer};
use portcullis_kit::{Compiling, Mode, Path};
use proptest::prelude::*;
use serde_json::json;

#[derive(Clone, Debug)]
struct Number(u32, usize);

impl Record for Number {
    fn size(&self) -> usize {
        self.1
    }
}

struct Plain;

impl Encode<Number> for Plain {
    fn content_type(&self) -> &'static str {
        "text/plain"
    }

    fn encode(&self, records: &[Number], body: &mut Vec<u8>) {
        let numbers: Vec<String> = records.iter().map(|record| record.0.to_string()).collect();
        body.extend(numbers.join(" ").bytes());
    }

    fn rejected(&self, answer: &CalloutAnswer) -> u64 {
        let text = std::str::from_utf8(&answer.body).unwrap();
        text.parse().unwrap_or(0)
    }
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Push(u8),
    Tick(u16),
    /// The clock steps back.
    Back(u16),
    Answer(usize, Kind),
    /// The host refuses callouts, or takes them again.
    Refuse(bool),
    /// The callouts of this configuration are cancelled, and a new one starts.
    Reload,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Take,
    TakeAllBut(u8),
    Status(u16),
    Later(u8),
    Reset,
    /// It takes the records, and its answer never comes.
    TakeAndReset,
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Take),
        1 => (0..4_u8).prop_map(Kind::TakeAllBut),
        3 => prop::sample::select(vec![500, 503, 429, 400, 413, 401, 302]).prop_map(Kind::Status),
        1 => (0..4_u8).prop_map(Kind::Later),
        1 => Just(Kind::Reset),
        1 => Just(Kind::TakeAndReset),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => any::<u8>().prop_map(Step::Push),
        6 => (0..3000_u16).prop_map(Step::Tick),
        1 => any::<u16>().prop_map(Step::Back),
        6 => (any::<usize>(), kinds()).prop_map(|(which, kind)| Step::Answer(which, kind)),
        1 => any::<bool>().prop_map(Step::Refuse),
        1 => Just(Step::Reload),
    ];
    prop::collection::vec(step, 1..120)
}

#[derive(Clone, Debug)]
struct Shape {
    sinks: usize,
    ack: Ack,
    overflow: Overflow,
    max_records: u32,
    in_flight: u32,
    batch: u32,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let ack = prop::sample::select(vec![Ack::Any, Ack::All]);
    let overflow = [Overflow::DropOldest, Overflow::DropNewest, Overflow::Deny];
    let overflow = prop::sample::select(overflow.to_vec());
    (1..3_usize, ack, overflow, 4..40_u32, 1..4_u32, 1..5_u32).prop_map(
        |(sinks, ack, overflow, max_records, in_flight, batch)| Shape {
            sinks,
            ack,
            overflow,
            max_records,
            in_flight,
            batch,
        },
    )
}

fn exporter(names: &Names, shape: &Shape) -> Exporter<Number> {
    let environment = BTreeMap::new();
    let registry = RefCell::new(names.clone());
    let compiling = Compiling::new("probe", "default", Mode::Enforce, &environment, &registry);
    let http: Vec<Http> = (0..shape.sinks)
        .map(|at| from_value(&json!({"cluster": format!("sink{at}")})).unwrap())
        .collect();
    let sinks: Vec<SinkSettings<'_>> = http
        .iter()
        .zip(["a", "b"])
        .map(|(http, name)| SinkSettings {
            name,
            http,
            path: "/",
            at: Path::top(),
        })
        .collect();
    let batch = Batch {
        max_records: shape.batch,
        max_bytes: 1024,
        interval_ms: 500,
        max_in_flight: shape.in_flight,
    };
    let queue = Queue {
        max_records: shape.max_records,
        max_bytes: 2048,
        overflow: shape.overflow,
    };
    let retry = Retry {
        initial_ms: 100,
        max_ms: 2000,
    };
    let parts = (&batch, &queue, &retry);
    let plan = Plan::compile(&compiling, "x", &sinks, shape.ack, parts, &Path::top()).unwrap();
    let encoders = (0..shape.sinks)
        .map(|_| Box::new(Plain) as Box<dyn Encode<Number>>)
        .collect();
    Exporter::new(Rc::new(plan), encoders).watched()
}

/// The model: what was pushed, what each sink took, and how each record ended.
struct Model {
    shape: Shape,
    names: Names,
    worker: FakeWorker,
    exporter: Exporter<Number>,
    /// With the time at which each one was sent.
    waiting: VecDeque<(Sent, u64)>,
    /// Milliseconds, without the clock's steps back.
    elapsed: u64,
    pushed: u32,
    took: [BTreeSet<u32>; 2],
    acknowledged: BTreeSet<u32>,
    dropped: BTreeMap<u32, &'static str>,
    rejected: u64,
    told: BTreeMap<&'static str, u64>,
}

impl Model {
    fn new(shape: &Shape) -> Self {
        let names = Names::default();
        Self {
            shape: shape.clone(),
            worker: FakeWorker::new(&names),
            exporter: exporter(&names, shape),
            names,
            waiting: VecDeque::new(),
            elapsed: 0,
            pushed: 0,
            took: Default::default(),
            acknowledged: BTreeSet::new(),
            dropped: BTreeMap::new(),
            rejected: 0,
            told: BTreeMap::new(),
        }
    }

    fn push(&mut self, size: usize) {
        let record = Number(self.pushed, size);
        self.pushed += 1;
        let before = self.exporter.held();
        let pushed = self.exporter.push(record, self.worker.now.get());
        assert!(pushed == Pushed::Queued || self.exporter.held() == before);
        assert!(self.exporter.held() <= self.shape.max_records as usize);
        self.collect();
    }

    fn tick(&mut self, milliseconds: u64) {
        self.worker.pass_ms(milliseconds);
        self.elapsed += milliseconds;
        // A host would have ended them: nobody waits for their answers any more.
        let elapsed = self.elapsed;
        self.waiting.retain(|(_, at)| elapsed - at <= 20_000);
        self.exporter.tick(&mut self.worker);
        self.collect();
    }

    fn answer(&mut self, which: usize, kind: Kind) {
        if self.waiting.is_empty() {
            return;
        }
        let (sent, _) = self.waiting.remove(which % self.waiting.len()).unwrap();
        let sink = usize::from(sent.cluster == "sink1");
        let numbers = std::str::from_utf8(&sent.body).unwrap().split(' ');
        let numbers: Vec<u32> = numbers.map(|number| number.parse().unwrap()).collect();
        let told = match kind {
            Kind::Take => answer(&[(":status", "200")], b""),
            Kind::TakeAllBut(n) => answer(&[(":status", "200")], n.to_string().as_bytes()),
            Kind::Status(status) => answer(&[(":status", &status.to_string())], b""),
            Kind::Later(seconds) => {
                let after = seconds.to_string();
                answer(&[(":status", "503"), ("retry-after", &after)], b"")
            }
            Kind::Reset | Kind::TakeAndReset => answer(&[], b""),
        };
        if matches!(kind, Kind::Take | Kind::TakeAllBut(_) | Kind::TakeAndReset) {
            self.took[sink].extend(numbers);
        }
        self.exporter.answered(sent.id, &told, &mut self.worker);
        self.collect();
    }

    fn reload(&mut self) {
        self.collect();
        self.exporter = exporter(&self.names, &self.shape);
        self.waiting.clear();
        self.tick(0);
    }

    /// Takes what was sent, and how records ended; no record ends twice.
    fn collect(&mut self) {
        let at = self.elapsed;
        let sent = self.worker.sent().into_iter();
        self.waiting.extend(sent.map(|sent| (sent, at)));
        let in_flight = self.shape.in_flight as usize * self.shape.sinks;
        assert!(self.waiting.len() <= in_flight, "too much in flight");
        for end in self.exporter.settled() {
            match end {
                Settled::Acknowledged { records, rejected } => {
                    self.rejected += rejected;
                    *self.told.entry("acknowledged").or_default() +=
                        records.len() as u64 - rejected;
                    for record in records {
                        assert!(self.acknowledged.insert(record.0), "{record:?} twice");
                        let took = |sink: usize| self.took[sink].contains(&record.0);
                        let enough = match self.shape.ack {
                            Ack::Any => (0..self.shape.sinks).any(took),
                            Ack::All => (0..self.shape.sinks).all(took),
                        };
                        assert!(enough, "{record:?} was acknowledged, and not taken");
                    }
                }
                Settled::Dropped { records, reason } => {
                    *self.told.entry(reason.name()).or_default() += records.len() as u64;
                    for record in records {
                        let before = self.dropped.insert(record.0, reason.name());
                        assert!(before.is_none(), "{record:?} was dropped twice");
                    }
                }
            }
        }
    }

    /// The sinks take everything; then every record must have ended, and the metrics must say how.
    fn recover(&mut self) {
        self.worker.refuses = None;
        for round in 0..400 {
            if round == 300 {
                // A sink without which all could be delivered shows only now that it is up.
                self.push(1);
            }
            self.tick(1000);
            while !self.waiting.is_empty() {
                self.answer(0, Kind::Take);
            }
        }
        assert_eq!(self.exporter.held(), 0);
        let ends = self.acknowledged.len() + self.dropped.len();
        assert_eq!(
            ends, self.pushed as usize,
            "a record ended nowhere, or twice"
        );
        assert!(
            self.dropped
                .keys()
                .all(|number| !self.acknowledged.contains(number))
        );
        let metric = |name: &str| {
            let name = format!("portcullis_probe_x_{name}.profile=default");
            self.worker.count(&name)
        };
        self.told.insert("rejected", self.rejected);
        for (end, count) in &self.told {
            let name = match *end {
                "acknowledged" => "acknowledged_total".to_owned(),
                reason => format!("dropped_total.reason={reason}"),
            };
            assert_eq!(metric(&name), *count, "{name}");
        }
        for gauge in [
            "queued",
            "queued_bytes",
            "sink_down.sink=a",
            "sink_down.sink=b",
        ] {
            let name = format!("portcullis_probe_x_{gauge}.profile=default");
            assert_eq!(self.worker.gauge(&name), 0, "{gauge}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn after_recovery_every_record_was_taken_or_is_counted_as_dropped(
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
            Step::Push(size) => model.push(usize::from(size) * 9),
            Step::Tick(milliseconds) => model.tick(milliseconds.into()),
            Step::Back(seconds) => {
                let back = u64::from(seconds) * 1_000_000_000;
                model.worker.now.set(model.worker.now.get() - back);
            }
            Step::Answer(which, kind) => model.answer(which, kind),
            Step::Refuse(refuses) => {
                model.worker.refuses = refuses.then_some(CalloutError::Unavailable);
            }
            Step::Reload => model.reload(),
        }
    }
    model.recover();
}
