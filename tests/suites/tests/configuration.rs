//! A bad configuration never serves: Envoy refuses to start with it, or refuses the update and goes on with the old one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::upstream::Upstream;
use portcullis_harness::{Config, Envoy, Filter, Listener, Request, Update, cases, suite};
use portcullis_suites::mistakes::{self, Mistake};
use serde_json::json;

fn main() -> ExitCode {
    suite::run(
        || Upstream::start().unwrap(),
        cases![
            every_mistake_stops_the_start_and_is_named_in_the_log,
            every_mistake_is_refused_on_a_live_update_while_the_old_one_serves,
            settings_as_json_text_and_as_a_struct_mean_the_same,
            no_settings_are_the_defaults,
            yaml_booleans_are_off_and_on,
            a_root_id_that_the_module_does_not_have_is_refused,
            a_good_update_takes_effect_without_a_lost_request,
            settings_are_never_logged,
        ],
    )
}

fn config(upstream: &Upstream, filter: Filter) -> Config {
    Config::new(upstream.port()).listener(Listener::new("main").filter(filter))
}

fn start(name: &str, config: &Config) -> Envoy {
    Envoy::start(name, config).unwrap_or_else(|error| panic!("{error}"))
}

/// Whether security-headers with its defaults, or like them, works on this proxy.
#[track_caller]
fn serves_the_api_preset(envoy: &Envoy) {
    let response = Request::get("/text").send(envoy.port("main"));
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("x-content-type-options").as_deref(),
        Some("nosniff"),
        "{response}"
    );
    let policy = response
        .header("content-security-policy")
        .unwrap_or_default();
    assert!(policy.contains("default-src 'none'"), "{policy}");
}

fn filter(mistake: &Mistake) -> Filter {
    Filter::wasm(mistake.module, mistake.settings.clone())
}

fn every_mistake_stops_the_start_and_is_named_in_the_log(upstream: &Upstream) {
    for mistake in mistakes::all() {
        let (status, log) = Envoy::refuse("mistake", &config(upstream, filter(&mistake)));
        assert!(!status.success());
        let text = serde_json::to_string(mistake.text).unwrap();
        let text = text.trim_matches('"');
        assert!(
            log.contains(text),
            "{}: no {text:?} in\n{log}",
            mistake.settings
        );
    }
}

fn every_mistake_is_refused_on_a_live_update_while_the_old_one_serves(upstream: &Upstream) {
    let good = config(upstream, Filter::wasm("security_headers", json!({})))
        .live()
        .concurrency(2);
    let mut envoy = start("live", &good);
    serves_the_api_preset(&envoy);
    for mistake in mistakes::all() {
        let bad = config(upstream, filter(&mistake)).live();
        let update = envoy.update(&bad);
        assert!(
            matches!(update, Update::Rejected(_)),
            "{} was taken",
            mistake.settings
        );
        serves_the_api_preset(&envoy);
    }
    // The old one can still be replaced.
    let other = config(
        upstream,
        Filter::wasm("security_headers", json!({"mode": "off"})),
    )
    .live();
    assert_eq!(envoy.update(&other), Update::Accepted);
    let response = Request::get("/text").send(envoy.port("main"));
    assert_eq!(response.header("x-content-type-options"), None);
    assert_eq!(envoy.admin().vm_reloads(), 0);
}

fn settings_as_json_text_and_as_a_struct_mean_the_same(upstream: &Upstream) {
    let settings = json!({"preset": "api", "profiles": {"none": {"mode": "off"}}, "routes": [
        {"paths": [{"prefix": "/none"}], "profile": "none"},
    ]});
    let text = Filter::wasm("security_headers", json!({})).text(&settings.to_string());
    let config = config(upstream, text)
        .listener(Listener::new("struct").filter(Filter::wasm("security_headers", settings)));
    let envoy = start("forms", &config);
    serves_the_api_preset(&envoy);
    for path in ["/text", "/none"] {
        let [mut text, mut structured] = ["main", "struct"]
            .map(|listener| Request::get(path).send(envoy.port(listener)).headers);
        // The path `/none` echoes the ids of its request.
        let own = |(name, _): &(Vec<u8>, Vec<u8>)| {
            name != b"date" && name != b"x-envoy-upstream-service-time"
        };
        text.retain(own);
        structured.retain(own);
        assert_eq!(text, structured);
    }
}

fn no_settings_are_the_defaults(upstream: &Upstream) {
    let envoy = start(
        "none",
        &config(
            upstream,
            Filter::wasm("security_headers", json!({})).unconfigured(),
        ),
    );
    serves_the_api_preset(&envoy);
}

fn yaml_booleans_are_off_and_on(upstream: &Upstream) {
    // What Envoy's YAML reader makes of `mode: off`.
    let envoy = start(
        "booleans",
        &config(
            upstream,
            Filter::wasm("security_headers", json!({"mode": false})),
        ),
    );
    let response = Request::get("/text").send(envoy.port("main"));
    assert_eq!(response.header("x-content-type-options"), None);
}

fn a_root_id_that_the_module_does_not_have_is_refused(upstream: &Upstream) {
    let other = Filter::wasm("security_headers", json!({})).root_id("rate-limiting");
    let (_, log) = Envoy::refuse("root-id", &config(upstream, other));
    assert!(
        log.contains("no plugin of root_id `rate-limiting`"),
        "{log}"
    );
    assert!(log.contains("it has security-headers"), "{log}");
}

fn a_good_update_takes_effect_without_a_lost_request(upstream: &Upstream) {
    let with = |preset: &str| {
        config(
            upstream,
            Filter::wasm("security_headers", json!({"preset": preset})),
        )
        .live()
    };
    let mut envoy = start("updates", &with("api"));
    serves_the_api_preset(&envoy);
    for (preset, sandboxed) in [("web", false), ("api", true), ("web", false), ("api", true)] {
        assert_eq!(envoy.update(&with(preset)), Update::Accepted);
        let response = Request::get("/text").send(envoy.port("main"));
        let policy = response
            .header("content-security-policy")
            .unwrap_or_default();
        assert_eq!(
            (response.status, policy.contains("sandbox")),
            (200, sandboxed),
            "{policy}"
        );
    }
    assert_eq!(envoy.admin().vm_reloads(), 0);
}

fn settings_are_never_logged(upstream: &Upstream) {
    let secret = "d41d8cd98f00b204";
    let settings = json!({"profiles": {secret: {"mode": "off"}}});
    let envoy = start(
        "quiet",
        &config(upstream, Filter::wasm("security_headers", settings)),
    );
    let log = envoy.log();
    assert!(log.contains("configuration_loaded"), "{log}");
    assert!(!log.contains(secret), "{log}");
}
