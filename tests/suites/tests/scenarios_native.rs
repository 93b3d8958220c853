//! Every scenario of `tests/scenarios` in the filters' own code, without wasm and without a proxy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis::Portcullis;
use portcullis_harness::suite;
use portcullis_kit::plugin::Plugin;
use portcullis_suites::native;
use portcullis_suites::scenario::{self, Place, Scenario, ScenarioFile};
use rate_limit::RateLimit;
use request_tracing::RequestTracing;
use security_headers::SecurityHeaders;

fn main() -> ExitCode {
    let mut cases: Vec<suite::Case<()>> = Vec::new();
    for file in scenario::all() {
        for scenario in file.at(Place::Native) {
            let name = format!("{}: {}", file.name, scenario.name);
            let (file, scenario) = (file.clone(), scenario.clone());
            cases.push((name, Box::new(move |()| run(&file, &scenario))));
        }
    }
    suite::run(|| (), cases)
}

fn run(file: &ScenarioFile, scenario: &Scenario) {
    let (outcome, counts) = match file.filter.as_str() {
        "portcullis" => native::run::<Portcullis>(file, scenario),
        "rate-limit" => native::run::<Plugin<RateLimit>>(file, scenario),
        "request-tracing" => native::run::<Plugin<RequestTracing>>(file, scenario),
        "security-headers" => native::run::<Plugin<SecurityHeaders>>(file, scenario),
        other => panic!("{}: there is no filter {other}", file.name),
    };
    scenario
        .expect
        .check(&outcome, |name| counts.get(name).copied().unwrap_or(0));
}
