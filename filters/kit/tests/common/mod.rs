//! An exporter whose clock is set by hand and whose sinks are played by the test.
#![allow(dead_code, reason = "each test that includes this uses its share")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use portcullis_kit::config::from_value;
use portcullis_kit::exchange::CalloutAnswer;
use portcullis_kit::export::settings::{Ack, Batch, Http, Queue, Retry};
use portcullis_kit::export::{Encode, Exporter, Plan, Pushed, Record, SinkSettings};
use portcullis_kit::testing::{FakeWorker, Names, Sent, answer};
use portcullis_kit::{Compiling, Mode, Path};
use serde_json::{Value, json};

/// A record is its number; it has ten bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub u32);

impl Record for Number {
    fn size(&self) -> usize {
        10
    }
}

/// Writes numbers separated by spaces, and reads `rejected N`.
pub struct Plain(pub &'static str);

impl Encode<Number> for Plain {
    fn content_type(&self) -> &'static str {
        "text/plain"
    }

    fn encode(&self, records: &[Number], body: &mut Vec<u8>) {
        let numbers: Vec<String> = records.iter().map(|record| record.0.to_string()).collect();
        body.extend(numbers.join(" ").bytes());
    }

    fn sign(&self, body: &[u8], headers: &mut Vec<(&'static str, String)>) {
        headers.push(("x-length", body.len().to_string()));
    }

    fn rejected(&self, answer: &CalloutAnswer) -> u64 {
        let text = std::str::from_utf8(&answer.body).unwrap();
        text.strip_prefix("rejected ")
            .map_or(0, |number| number.parse().unwrap())
    }

    fn identity(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

pub fn part<T: portcullis_kit::config::Setting>(settings: &Value, key: &str) -> T {
    from_value(settings.get(key).unwrap_or(&json!({}))).unwrap()
}

/// An exporter to as many sinks as `names` has.
pub fn exporter(names: &Names, settings: &Value, identity: &'static str) -> Exporter<Number> {
    let environment = BTreeMap::from([("TOKEN".to_owned(), "s3cret".to_owned())]);
    let registry = RefCell::new(names.clone());
    let compiling = Compiling::new("probe", "default", Mode::Enforce, &environment, &registry);
    let http: Vec<Http> = settings
        .get("sinks")
        .unwrap_or(&json!([{"cluster": "one"}]))
        .as_array()
        .unwrap()
        .iter()
        .map(|sink| from_value(sink).unwrap())
        .collect();
    let sinks: Vec<SinkSettings<'_>> = http
        .iter()
        .zip(["first", "second"])
        .map(|(http, name)| SinkSettings {
            name,
            http,
            path: "/in",
            at: Path::top(),
        })
        .collect();
    let ack: Ack = settings
        .get("ack")
        .map_or(Ack::Any, |ack| from_value(ack).unwrap());
    let (batch, queue, retry): (Batch, Queue, Retry) = (
        part(settings, "batch"),
        part(settings, "queue"),
        part(settings, "retry"),
    );
    let plan = Plan::compile(
        &compiling,
        "records",
        &sinks,
        ack,
        (&batch, &queue, &retry),
        &Path::top(),
    )
    .unwrap();
    let encoders = sinks
        .iter()
        .map(|_| Box::new(Plain(identity)) as Box<dyn Encode<Number>>)
        .collect();
    Exporter::new(Rc::new(plan), encoders).watched()
}

/// An exporter and its worker.
pub struct Bench {
    pub exporter: Exporter<Number>,
    pub worker: FakeWorker,
    pub names: Names,
}

impl Bench {
    pub fn new(settings: &Value) -> Self {
        let names = Names::default();
        let exporter = exporter(&names, settings, "");
        Self {
            exporter,
            worker: FakeWorker::new(&names),
            names,
        }
    }

    pub fn push(&self, numbers: impl IntoIterator<Item = u32>) -> Vec<Pushed> {
        let now = self.worker.now.get();
        let push = |number| self.exporter.push(Number(number), now);
        numbers.into_iter().map(push).collect()
    }

    /// Lets time pass, ticks, and gives what was sent.
    pub fn after(&mut self, milliseconds: u64) -> Vec<Sent> {
        self.worker.pass_ms(milliseconds);
        self.exporter.tick(&mut self.worker);
        self.worker.sent()
    }

    pub fn answer(&mut self, sent: &Sent, lines: &[(&str, &str)], body: &[u8]) {
        let known = self
            .exporter
            .answered(sent.id, &answer(lines, body), &mut self.worker);
        assert!(known, "the exporter knows its callout");
    }

    pub fn status(&mut self, sent: &Sent, status: u16) {
        self.answer(sent, &[(":status", &status.to_string())], b"");
    }

    pub fn dropped(&self, reason: &str) -> u64 {
        self.worker.count(&format!(
            "portcullis_probe_records_dropped_total.reason={reason}.profile=default"
        ))
    }

    pub fn acknowledged(&self) -> u64 {
        self.worker
            .count("portcullis_probe_records_acknowledged_total.profile=default")
    }

    pub fn gauge(&self, name: &str) -> i64 {
        self.worker
            .gauge(&format!("portcullis_probe_records_{name}.profile=default"))
    }

    pub fn events(&self) -> Vec<String> {
        let logs = self.worker.logs.borrow();
        let event = |line: &(log::Level, String)| {
            let line: Value = serde_json::from_str(&line.1).unwrap();
            line["event"].as_str().unwrap().to_owned()
        };
        logs.iter().map(event).collect()
    }
}

pub fn numbers(sent: &Sent) -> Vec<u32> {
    let text = std::str::from_utf8(&sent.body).unwrap();
    text.split(' ')
        .map(|number| number.parse().unwrap())
        .collect()
}
