//! Every scenario of `tests/scenarios` in the compiled modules, in the in-process host, with the settings in both forms
//! in which a proxy hands them over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::suite;
use portcullis_host::{Form, Module, Response, Script, dist};
use portcullis_suites::expect::Outcome;
use portcullis_suites::scenario::{self, Place, Scenario, ScenarioFile, bytes, lines};

fn main() -> ExitCode {
    let mut cases: Vec<suite::Case<()>> = Vec::new();
    for file in scenario::all() {
        for scenario in file.at(Place::Host) {
            let name = format!("{}: {}", file.name, scenario.name);
            let (file, scenario) = (file.clone(), scenario.clone());
            cases.push((name, Box::new(move |()| run(&file, &scenario))));
        }
    }
    suite::run(|| (), cases)
}

fn run(file: &ScenarioFile, scenario: &Scenario) {
    for form in Form::BOTH {
        run_with(form, file, scenario);
    }
}

fn run_with(form: Form, file: &ScenarioFile, scenario: &Scenario) {
    let module = Module::load(&dist(&file.module()));
    let settings = form.encode(&file.settings);
    let start = module
        .start()
        .root_id(&file.filter)
        .configuration(&settings);
    let start = file
        .environment
        .iter()
        .fold(start, |start, (name, value)| start.variable(name, value));
    let mut plugin = start.load().unwrap_or_else(|refused| panic!("{refused}"));

    let outcome = plugin
        .request(&script(file, scenario))
        .unwrap_or_else(|trap| panic!("{trap}"));
    let fields = |lines: &portcullis_host::Lines| -> Vec<(Vec<u8>, Vec<u8>)> {
        let own = |(name, _): &(&[u8], &[u8])| !name.starts_with(b":");
        lines
            .iter()
            .filter(own)
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect()
    };
    assert_eq!(outcome.hangs_in, None);
    let seen = Outcome {
        status: outcome.status().expect("a response"),
        upstream: outcome.forwarded.then(|| fields(&outcome.request)),
        response: fields(&outcome.response),
        body: Some(outcome.body),
    };
    scenario.expect.check(&seen, |name| {
        u64::try_from(outcome.metrics.get(name).copied().unwrap_or(0)).expect("counters grow")
    });
}

fn script(file: &ScenarioFile, scenario: &Scenario) -> Script {
    let part = &scenario.request;
    let scheme = if file.tls { "https" } else { "http" };
    let mut script = Script::new(&part.method, &part.path)
        .set(":path", bytes(&part.path))
        .set(":authority", bytes(&part.host))
        .set(":scheme", scheme)
        .header("x-forwarded-proto", scheme)
        .property(&["source", "address"], "127.0.0.1:40000")
        .respond(response(scenario));
    if file.tls {
        script = script.tls();
    }
    if !scenario.route.name.is_empty() {
        script = script.property(&["xds", "route_name"], &scenario.route.name);
    }
    if !scenario.route.metadata.is_empty() {
        let metadata = scenario
            .route
            .metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        script = script.route_metadata(metadata);
    }
    for (name, value) in lines(&part.headers) {
        script.request.add(name, value);
    }
    if !part.body.is_empty() {
        script = script.chunk(bytes(&part.body));
    }
    script
}

fn response(scenario: &Scenario) -> Response {
    let part = &scenario.upstream;
    let mut response = Response::new(part.status);
    for (name, value) in lines(&part.headers) {
        response.headers.add(name, value);
    }
    if !part.body.is_empty() {
        response = response.chunk(bytes(&part.body));
    }
    response
}
