//! A worker with the filter, its sinks played by the test.
#![allow(dead_code, reason = "each test that includes this uses its share")]

use std::sync::atomic::{AtomicU64, Ordering};

use audit_log::AuditLog;
use portcullis_kit::chain::Bundle as _;
use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::{Bench, Fake, FakeWorker, Sent, Shared, answer};
use serde_json::{Value, json};

use super::{Audit, environment, parsed};

/// One worker: its clock, its plugin and its shared data.
pub struct Site {
    pub audit: Audit,
    pub worker: FakeWorker,
}

impl Site {
    pub fn new(settings: &Value) -> Self {
        Self::on(Shared::default(), settings)
    }

    pub fn on(shared: Shared, settings: &Value) -> Self {
        let audit: Bench<Plugin<AuditLog>> =
            Bench::load_with(settings, &environment()).unwrap_or_else(|error| panic!("{error}"));
        let mut worker = FakeWorker::new(audit.names());
        worker.shared = shared;
        // What one draws, another does not.
        static SITES: AtomicU64 = AtomicU64::new(1);
        let number = SITES.fetch_add(1, Ordering::Relaxed);
        worker.seed.set(number << 40);
        Self { audit, worker }
    }

    pub fn end(&self, fake: Fake) -> Vec<Value> {
        let fake = self.ended(fake);
        let logs = fake.logs.take();
        let records = logs.iter().filter(|(level, _)| *level == log::Level::Info);
        records.map(|(_, line)| parsed(line)).collect()
    }

    /// Ends the request, and gives it back.
    pub fn ended(&self, mut fake: Fake) -> Fake {
        fake.now.set(self.worker.now.get());
        fake.seed.set(self.worker.seed.get());
        fake.shared = self.worker.shared.clone();
        fake.mutes.set(self.worker.mutes.get());
        self.audit.attach(&mut fake);
        self.audit.finish(&mut fake, &mut Default::default());
        self.worker.seed.set(fake.seed.get());
        fake
    }

    /// The plugin ends; what it logged.
    pub fn stop(&mut self) -> Vec<Value> {
        self.audit.bundle().stop(&mut self.worker);
        let logs = self.worker.logs.take();
        logs.iter().map(|(_, line)| parsed(line)).collect()
    }

    pub fn tick_after(&mut self, milliseconds: u64) -> Vec<Sent> {
        self.worker.pass_ms(milliseconds);
        self.audit.bundle().tick(&mut self.worker);
        self.worker.sent()
    }

    pub fn answer(&mut self, sent: &Sent, status: &str, body: &[u8]) {
        let answer = answer(&[(":status", status)], body);
        self.audit
            .bundle()
            .callout(sent.id, &answer, &mut self.worker);
    }
}

pub fn lines(sent: &Sent) -> Vec<Value> {
    let text = std::str::from_utf8(&sent.body).unwrap();
    text.lines().map(parsed).collect()
}

pub fn seqs(records: &[Value]) -> Vec<u64> {
    records
        .iter()
        .map(|record| record["chain"]["seq"].as_u64().unwrap())
        .collect()
}

pub fn events(records: &[Value]) -> Vec<&str> {
    records
        .iter()
        .map(|record| record["event"].as_str().unwrap_or("-"))
        .collect()
}

/// Settings with the one sink `webhook`.
pub fn webhook(over: &Value) -> Value {
    let mut settings = json!({"sinks": [{"webhook": {"cluster": "sink"}}]});
    for (key, value) in over.as_object().unwrap() {
        settings[key] = value.clone();
    }
    settings
}

impl Site {
    /// The next configuration of the same VM, a moment later.
    pub fn reloaded(self, settings: &Value) -> Self {
        let next = Self::on(self.worker.shared.clone(), settings);
        next.worker.now.set(self.worker.now.get());
        next
    }

    /// Ticks until nothing is sent any more, and lets `judge` answer; all records that it answered well.
    pub fn drain(&mut self, ticks: u32, judge: impl Fn(&Sent) -> &'static str) -> Vec<Value> {
        let mut got = Vec::new();
        for _ in 0..ticks {
            let mut sent = self.tick_after(1000);
            while let Some(batch) = sent.pop() {
                let status = judge(&batch);
                self.answer(&batch, status, b"");
                if status.starts_with('2') {
                    got.extend(lines(&batch));
                }
                sent.extend(self.worker.sent());
            }
        }
        got
    }
}

/// The emitter of a record.
pub fn emitter(record: &Value) -> &str {
    let chain = [&record["chain"], &record["portcullis"]["chain"]];
    let emitters = chain.map(|chain| chain["emitter"].as_str());
    emitters.into_iter().flatten().next().unwrap()
}

/// As if another VM had taken the chain of the one slot, and was gone then.
pub fn seize(shared: &Shared) {
    shared.change_the_one(|value| value[0] ^= 1);
}

/// The ranges that records of that emitter say were dropped.
pub fn dropped(records: &[Value], of: &str) -> Vec<(u64, u64)> {
    let of_it = records.iter().filter(|record| emitter(record) == of);
    let ranges = of_it.filter_map(|record| {
        let range = record["chain"].get("dropped")?;
        Some((range["first"].as_u64()?, range["last"].as_u64()?))
    });
    ranges.collect()
}
