//! The example of settings that change while Envoy serves: `envoy/examples/live`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::artifacts::Artifacts;
use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{Envoy, Request, Response, Template, artifacts, cases, suite, wait};
use portcullis_suites::shipped;
use serde_json::{Value, json};

struct Shared {
    _upstream: Upstream,
    envoy: Envoy,
    folder: Artifacts,
}

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            new_settings_of_a_filter_take_effect_and_what_was_counted_stays,
            refused_settings_of_a_filter_change_nothing,
            new_settings_of_a_listener_take_effect,
            a_refused_listener_changes_nothing,
        ],
    )
}

fn example(name: &str) -> Template {
    let folder = artifacts::root().join("envoy/examples/live");
    shipped::with_modules(Template::read(folder.join(name)))
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let folder = Artifacts::create("live-files").unwrap();
    let path = |name: &str| folder.file(name).to_str().unwrap().to_owned();
    let bootstrap = shipped::with(example("envoy.yaml"), upstream.port(), &Certificate::new()).set(
        "dynamic_resources.lds_config.path_config_source.path",
        path("listeners.json"),
    );
    put(&folder, "rate-limit.json", &example("rate-limit.yaml").0);
    let listeners = example("listeners.yaml")
        .set(
            "resources[0].address.socket_address",
            json!({"address": "127.0.0.1", "port_value": 0}),
        )
        .each("path_config_source", |source| {
            source["path"] = json!(path("rate-limit.json"));
        });
    put(&folder, "listeners.json", &listeners.0);
    Shared {
        envoy: Envoy::start_template("live", &bootstrap, 2).unwrap(),
        _upstream: upstream,
        folder,
    }
}

/// As a user does it: a new file in the place of the old one.
fn put(folder: &Artifacts, name: &str, value: &Value) {
    let new = folder.file("new");
    std::fs::write(&new, value.to_string()).unwrap();
    std::fs::rename(new, folder.file(name)).unwrap();
}

impl Shared {
    #[track_caller]
    fn get(&self) -> Response {
        let response = Request::get("/text").send(self.envoy.admin().listeners()["edge"]);
        assert_eq!(self.envoy.admin().vm_reloads(), 0);
        response
    }

    fn count(&self, filter: &str) -> u64 {
        self.envoy.admin().stats(filter).values().sum()
    }

    fn limit(&self, count: &Value) {
        let settings = "resources[0].typed_config.config.configuration.value";
        let count = example("rate-limit.yaml").set(
            &format!("{settings}.tiers.everybody.limits[0].count"),
            count.clone(),
        );
        put(&self.folder, "rate-limit.json", &count.0);
    }

    fn preset(&self, preset: &str) {
        let now = std::fs::read(self.folder.file("listeners.json")).unwrap();
        let filter = "resources[0].filter_chains[0].filters[0].typed_config.http_filters[0]";
        let changed = Template(serde_json::from_slice(&now).unwrap()).set(
            &format!("{filter}.typed_config.config.configuration.value.preset"),
            preset,
        );
        put(&self.folder, "listeners.json", &changed.0);
    }
}

fn new_settings_of_a_filter_take_effect_and_what_was_counted_stays(shared: &Shared) {
    for _ in 0..5 {
        assert_eq!(shared.get().status, 200);
    }
    assert_eq!(shared.get().status, 429);
    shared.limit(&json!(50));
    let allowed = wait::until("the new limit", || {
        let response = shared.get();
        (response.status == 200).then_some(response)
    });
    let left = allowed.header("ratelimit").unwrap();
    let left = left.split("r=").nth(1).unwrap().split(';').next().unwrap();
    assert!(left.parse::<u32>().unwrap() <= 44, "{allowed}");
}

fn refused_settings_of_a_filter_change_nothing(shared: &Shared) {
    let refused = || shared.count("extension_config_discovery.*rate-limit.config_fail$");
    let before = refused();
    shared.limit(&json!("many"));
    wait::until("the refusal", || (refused() > before).then_some(()));
    let why = "limits[0].count: found a string, expected a whole number";
    wait::until("the reason in the log", || {
        shared.envoy.log().contains(why).then_some(())
    });
    let response = shared.get();
    assert_eq!(response.status, 200);
    let policy = response.header("ratelimit-policy").unwrap();
    assert!(policy.contains("q=50"), "{policy}");
    // As long as the file is no good, no new listener that names it is either.
    let refused = || shared.count("listener_manager.lds.update_rejected");
    shared.preset("web");
    wait::until("the refusal", || (refused() > 0).then_some(()));
    shared.preset("api");
    shared.limit(&json!(5000));
    wait::until("the mended limit", || {
        let policy = shared.get().header("ratelimit-policy");
        policy
            .is_some_and(|policy| policy.contains("q=5000"))
            .then_some(())
    });
}

fn new_settings_of_a_listener_take_effect(shared: &Shared) {
    let sandboxed = |response: &Response| {
        let policy = response.header("content-security-policy").unwrap();
        policy.contains("sandbox")
    };
    assert!(sandboxed(&shared.get()));
    shared.preset("web");
    wait::until("the new preset", || {
        (!sandboxed(&shared.get())).then_some(())
    });
}

fn a_refused_listener_changes_nothing(shared: &Shared) {
    let refused = || shared.count("listener_manager.lds.update_rejected");
    let before = refused();
    shared.preset("strictest");
    wait::until("the refusal", || (refused() > before).then_some(()));
    assert_eq!(shared.get().status, 200);
}
