//! One worker whose requests wait for their records: its clock, its plugin, and the sinks that a test plays.

use portcullis_kit::Flow;
use portcullis_kit::chain::Bundle as _;
use portcullis_kit::exchange::{CalloutId, Reply, Resume};
use portcullis_kit::testing::{Bench, Fake, FakeWorker, Sent, answer};
use serde_json::{Value, json};

use super::{Audit, environment, parsed};

pub type PluginStream =
    <portcullis_kit::plugin::Plugin<audit_log::AuditLog> as portcullis_kit::chain::Bundle>::Stream;

/// One request on its way.
pub struct Request {
    pub fake: Fake,
    pub stream: PluginStream,
    pub flow: Flow,
}

/// One worker: its clock, its plugin, and the callouts that its requests made.
pub struct Site {
    pub audit: Audit,
    pub worker: FakeWorker,
    requests: u32,
    /// Callouts made from requests, whose numbers are kept apart from those of the worker's own.
    calls: u32,
}

pub const OF_REQUESTS: u32 = 1 << 20;

impl Site {
    pub fn new(settings: &Value) -> Self {
        let audit: Audit =
            Bench::load_with(settings, &environment()).unwrap_or_else(|error| panic!("{error}"));
        let worker = FakeWorker::new(audit.names());
        Self {
            audit,
            worker,
            requests: 0,
            calls: 0,
        }
    }

    /// Sends a request in; what it sent to the sink comes with it.
    pub fn receive(&mut self, fake: Fake) -> (Request, Vec<Sent>) {
        self.requests += 1;
        let mut fake = fake.with_property("source.address", "203.0.113.7:1");
        fake.id = self.requests;
        fake.now.set(self.worker.now.get());
        fake.seed.set(self.worker.seed.get());
        fake.mutes.set(self.worker.mutes.get());
        fake.shared = self.worker.shared.clone();
        fake.counts = std::mem::take(&mut self.worker.counts);
        fake.gauges = std::mem::take(&mut self.worker.gauges);
        fake.calls_from(OF_REQUESTS + self.calls);
        let mut stream = PluginStream::default();
        let flow = self.audit.request(&mut fake, &mut stream);
        let sent = std::mem::take(&mut fake.sent);
        self.calls += u32::try_from(sent.len()).unwrap();
        self.take_back(&mut fake);
        (Request { fake, stream, flow }, sent)
    }

    pub fn get(&mut self, path: &str) -> (Request, Vec<Sent>) {
        self.receive(Fake::get(path))
    }

    pub fn take_back(&mut self, fake: &mut Fake) {
        self.worker.counts = std::mem::take(&mut fake.counts);
        self.worker.gauges = std::mem::take(&mut fake.gauges);
        self.worker.seed.set(fake.seed.get());
    }

    pub fn end(&mut self, mut request: Request) {
        request.fake.now.set(self.worker.now.get());
        request.fake.mutes.set(self.worker.mutes.get());
        request.fake.counts = std::mem::take(&mut self.worker.counts);
        request.fake.gauges = std::mem::take(&mut self.worker.gauges);
        self.audit.finish(&mut request.fake, &mut request.stream);
        self.take_back(&mut request.fake);
    }

    pub fn tick_after(&mut self, milliseconds: u64) -> Vec<Sent> {
        self.worker.pass_ms(milliseconds);
        self.audit.bundle().tick(&mut self.worker);
        self.worker.sent()
    }

    pub fn answer(&mut self, id: CalloutId, lines: &[(&str, &str)], body: &[u8]) {
        let answer = answer(lines, body);
        self.audit.bundle().callout(id, &answer, &mut self.worker);
    }

    pub fn acknowledge(&mut self, sent: &Sent) {
        self.answer(sent.id, &[(":status", "200")], b"");
    }

    /// What became of waiting requests, by their numbers.
    pub fn resumed(&mut self) -> Vec<(u32, Option<Reply>)> {
        let all = std::mem::take(&mut self.worker.resumed);
        all.into_iter()
            .map(|(id, how)| match how {
                Resume::Continue => (id.0, None),
                Resume::Reply(reply) => (id.0, Some(reply)),
            })
            .collect()
    }

    pub fn waiting(&self) -> i64 {
        self.worker
            .gauge("portcullis_audit_log_fail_closed_waiting.profile=default")
    }

    pub fn count(&self, what: &str) -> u64 {
        let name = format!("portcullis_audit_log_{what}.profile=default");
        self.worker.count(&name)
    }

    pub fn denials(&self, reason: &str) -> u64 {
        self.count(&format!("fail_closed_denials_total.reason={reason}"))
    }
}

pub fn records(sent: &[Sent]) -> Vec<Value> {
    let lines = sent.iter().flat_map(|sent| {
        let text = std::str::from_utf8(&sent.body).unwrap();
        text.lines().map(parsed).collect::<Vec<_>>()
    });
    lines.collect()
}

pub fn stages(sent: &[Sent]) -> Vec<String> {
    let name = |record: &Value| {
        let name = record["stage"].as_str().or(record["event"].as_str());
        name.unwrap_or("?").to_owned()
    };
    records(sent).iter().map(name).collect()
}

pub fn settings(over: &Value) -> Value {
    let mut settings = json!({"sinks": [{"webhook": {"cluster": "sink"}}], "fail_closed": {}});
    for (key, value) in over.as_object().unwrap() {
        settings[key] = value.clone();
    }
    settings
}

pub fn refused(request: &Request) -> &Reply {
    assert_eq!(request.flow, Flow::Replied);
    assert_eq!(request.fake.replies.len(), 1);
    &request.fake.replies[0]
}
