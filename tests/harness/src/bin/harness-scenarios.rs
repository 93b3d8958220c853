//! The scenarios for the running harness (`on: [harness]`), through its published ports. `make compose-test` runs it.
//!
//! The environment names what it speaks to: `HARNESS_HTTP`, `HARNESS_HTTPS` and `HARNESS_METRICS` are ports of the loopback,
//! `HARNESS_CERTIFICATE` is the file with the certificate to trust.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;

use portcullis_harness::expect::Outcome;
use portcullis_harness::scenario::{self, Place, Scenario, bytes, lines};
use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::faults::COLOUR_HEADER;
use portcullis_harness::{Connection, Request, Response, exposition, suite, wait};
use serde_json::Value;

struct Harness {
    http: u16,
    https: u16,
    metrics: u16,
    certificate: Certificate,
}

fn main() -> ExitCode {
    let mut cases: Vec<suite::Case<Harness>> = Vec::new();
    for file in scenario::all() {
        for scenario in file.at(Place::Harness) {
            let (scenario, tls) = (scenario.clone(), file.tls);
            let name = format!("{}: {}", file.name, scenario.name);
            cases.push((name, Box::new(move |harness| harness.run(&scenario, tls))));
        }
    }
    assert!(!cases.is_empty(), "no scenario is for the harness");
    suite::run_in_order(start, cases)
}

fn start() -> Harness {
    let text = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make compose-test`"))
    };
    let port = |name: &str| {
        text(name)
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no port"))
    };
    let path = text("HARNESS_CERTIFICATE");
    let pem = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Harness {
        http: port("HARNESS_HTTP"),
        https: port("HARNESS_HTTPS"),
        metrics: port("HARNESS_METRICS"),
        certificate: Certificate::of(&pem),
    }
}

impl Harness {
    fn run(&self, scenario: &Scenario, tls: bool) {
        let counted = &scenario.expect.metrics;
        let before = self.counters(counted.keys());
        let mut connection = match tls {
            true => Connection::open_tls(self.https, &self.certificate),
            false => Connection::open(self.http),
        };
        let response = connection.exchange(&request(scenario));
        // A filter counts at the exchange's end too, which comes after the client has its answer.
        let after = wait::poll(wait::DEADLINE, || {
            let after = self.counters(counted.keys());
            let there = counted
                .iter()
                .all(|(name, growth)| after[name] - before[name] >= *growth);
            there.then_some(after)
        });
        let after = after.unwrap_or_else(|| self.counters(counted.keys()));
        let outcome = Outcome {
            status: response.status,
            upstream: received(&response),
            response: response.headers,
            body: Some(response.body),
        };
        scenario
            .expect
            .check(&outcome, |name| after[name] - before[name]);
    }

    fn counters<'a>(&self, names: impl Iterator<Item = &'a String>) -> BTreeMap<String, u64> {
        let mut names = names.peekable();
        if names.peek().is_none() {
            return BTreeMap::new();
        }
        let page = Request::get("/stats/prometheus")
            .header("connection", "close")
            .send(self.metrics);
        assert_eq!(page.status, 200, "{page}");
        let text = page.text();
        names
            .map(|name| (name.clone(), exposition::sum(&text, name)))
            .collect()
    }
}

/// The lines that the upstream received: it says them in its answer where the path is none of its own. Empty where it says nothing; `None`
/// where the answer is not an upstream's.
fn received(response: &Response) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    response.header(COLOUR_HEADER)?;
    let echo: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let lines = echo["headers"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| bytes(value.as_str().unwrap());
    Some(
        lines
            .iter()
            .map(|line| (text(&line[0]), text(&line[1])))
            .collect(),
    )
}

fn request(scenario: &Scenario) -> Request {
    let (part, upstream) = (&scenario.request, &scenario.upstream);
    assert!(
        upstream.status == 200 && upstream.headers.is_empty() && upstream.body.is_empty(),
        "the path says what the demo's upstream answers, not `upstream:`"
    );
    let mut request =
        Request::new(&part.method, bytes(&part.path)).header("host", part.host.as_str());
    request.headers.extend(lines(&part.headers));
    request.body = bytes(&part.body);
    request
}
