//! Every scenario of `tests/scenarios` on a real Envoy: one process, one listener per file, one route per scenario.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::{Answer, CASE_HEADER, Upstream};
use portcullis_harness::{Config, Connection, Envoy, Filter, Listener, Request, Route, suite};
use portcullis_suites::expect::Outcome;
use portcullis_suites::scenario::{self, Place, Scenario, ScenarioFile, bytes, lines};
use serde_json::json;

struct Shared {
    upstream: Upstream,
    certificate: Certificate,
    envoy: Envoy,
}

fn main() -> ExitCode {
    let files: Vec<ScenarioFile> = scenario::all()
        .into_iter()
        .filter(|file| file.at(Place::Envoy).next().is_some())
        .collect();
    let mut cases: Vec<suite::Case<Shared>> = Vec::new();
    for file in &files {
        for scenario in file.at(Place::Envoy) {
            let (file, scenario) = (file.clone(), scenario.clone());
            let name = case(&file, &scenario);
            cases.push((name, Box::new(move |shared| run(shared, &file, &scenario))));
        }
    }
    suite::run_in_order(move || start(&files), cases)
}

/// What ties request, route and response together.
fn case(file: &ScenarioFile, scenario: &Scenario) -> String {
    format!("{}: {}", file.name, scenario.name)
}

fn start(files: &[ScenarioFile]) -> Shared {
    let upstream = Upstream::start().unwrap();
    let certificate = Certificate::new();
    let config = files
        .iter()
        .fold(Config::new(upstream.port()), |config, file| {
            config.listener(listener(file, &certificate))
        });
    let envoy = Envoy::start("scenarios", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared {
        upstream,
        certificate,
        envoy,
    }
}

fn listener(file: &ScenarioFile, certificate: &Certificate) -> Listener {
    let filter = Filter::wasm(&file.module(), file.settings.clone());
    let filter = file
        .environment
        .iter()
        .fold(filter, |filter, (name, value)| {
            filter.environment(name, value)
        });
    let mut listener = Listener::new(&file.name).filter(filter);
    if !file.hcm.is_null() {
        listener = listener.hcm(&file.hcm);
    }
    if file.tls {
        listener = listener.tls(certificate);
    }
    file.at(Place::Envoy).fold(listener, |listener, scenario| {
        let matcher = json!({
            "prefix": "/",
            "headers": [{"name": CASE_HEADER, "string_match": {"exact": case(file, scenario)}}],
        });
        let route = Route::matching(matcher)
            .over(&json!({"name": scenario.route.name}))
            .profile(&json!(scenario.route.metadata));
        listener.route(route)
    })
}

fn run(shared: &Shared, file: &ScenarioFile, scenario: &Scenario) {
    let case = case(file, scenario);
    let recorder = shared.upstream.recorder();
    recorder.answer(&case, answer(scenario));

    let admin = shared.envoy.admin();
    let count = |name: &str| admin.stat(&format!("wasmcustom.{name}"));
    let before: BTreeMap<&String, u64> = scenario
        .expect
        .metrics
        .keys()
        .map(|name| (name, count(name)))
        .collect();

    let port = shared.envoy.port(&file.name);
    let mut connection = match file.tls {
        true => Connection::open_tls(port, &shared.certificate),
        false => Connection::open(port),
    };
    let response = connection.exchange(&request(scenario, &case));
    // A filter counts at the exchange's end too; the access log is written after that.
    if !before.is_empty() {
        shared.envoy.access_log_of(&file.name, &case);
    }
    let outcome = Outcome {
        status: response.status,
        // The response is here, so the request was there or never will be.
        upstream: recorder
            .wait(&case, Duration::ZERO)
            .map(|received| received.headers),
        response: response.headers,
        body: Some(response.body),
    };
    scenario.expect.check(&outcome, |name| {
        count(name) - before.get(&name.to_owned()).copied().unwrap_or(0)
    });
    assert_eq!(admin.vm_reloads(), 0);
}

fn request(scenario: &Scenario, case: &str) -> Request {
    let part = &scenario.request;
    let mut request = Request::new(&part.method, bytes(&part.path))
        .header("host", part.host.as_str())
        .case(case);
    request.headers.extend(lines(&part.headers));
    request.body = bytes(&part.body);
    request
}

fn answer(scenario: &Scenario) -> Answer {
    Answer {
        status: scenario.upstream.status,
        headers: lines(&scenario.upstream.headers),
        body: bytes(&scenario.upstream.body),
        ..Answer::default()
    }
}
