//! What operators see of rate-limit on a real Envoy: access log, metrics, and nothing at all on the wire in shadow mode.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::upstream::{Answer, Upstream};
use portcullis_harness::{
    Config, Connection, Envoy, Listener, Request, Template, artifacts, cases, compare, suite,
};
use portcullis_suites::plans::{self, Clients};
use portcullis_suites::standing::field;
use portcullis_suites::traffic;
use serde_json::{Value, json};

struct Shared {
    upstream: Upstream,
    envoy: Envoy,
}

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            tier_and_decision_stand_in_the_access_log,
            shadow_changes_nothing_on_the_wire,
            the_same_limit_enforced_does,
            metrics_carry_tier_limit_and_profile,
            no_reset_of_the_upstream_stands_beside_a_limit_without_one,
            a_flood_of_clients_at_their_limits_displaces_none_that_came_more_often,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    // All clients are one, and it may call once.
    let strict = |mode: &str| {
        json!({
            "identity": [{"client_address": {}}],
            "mode": mode,
            "tiers": {"t": {"limits": [{"name": "hour", "count": 1, "window": "1h"}]}},
        })
    };
    let state = json!({"access_log": [{
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": "/dev/stdout",
            "log_format": {"json_format": {
                "case": "%REQ(X-CASE)%",
                "tier": "%FILTER_STATE(wasm.portcullis.tier:PLAIN)%",
                "decision": "%FILTER_STATE(wasm.portcullis.ratelimit:PLAIN)%",
                "details": "%RESPONSE_CODE_DETAILS%",
            }},
        },
    }]});
    let flying = json!({
        "tiers": {"t": {"concurrency": {"max": 3}}},
        "headers": {"ietf": false, "x_ratelimit": "delta", "x_ratelimit_window": "delta"},
    });
    // One value holds all clients of this one.
    let hour = |count: u64| json!({"limits": [{"name": "hour", "count": count, "window": "1h"}]});
    let small = json!({
        "max_identities": 16,
        "tier": {"from": [{"header": {"name": "x-plan", "trusted": true}}], "default": "t"},
        "tiers": {"t": hour(1), "pro": hour(60)},
    });
    // Envoy's own ids differ from request to request.
    let no_ids = json!({"generate_request_id": false});
    let tags = Template::read(artifacts::root().join("envoy/envoy.yaml")).0["stats_config"].clone();
    let listener =
        |name: &str, change: &Value| Listener::new(name).filter(plans::filter(name, change));
    let config = Config::new(upstream.port())
        .over(&json!({"stats_config": tags}))
        .listener(listener("state", &json!({})).hcm(&state))
        .listener(Listener::new("none").hcm(&no_ids))
        .listener(listener("shadow", &strict("shadow")).hcm(&no_ids))
        .listener(listener("strict", &strict("enforce")).hcm(&no_ids))
        .listener(listener(
            "counted",
            &json!({"profiles": {"other": {"cost": 2}}}),
        ))
        .listener(listener("flying", &flying))
        .listener(listener("small", &small));
    let envoy = Envoy::start("rate-limit-told", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared { upstream, envoy }
}

impl Clients for Shared {
    fn port(&self, listener: &str) -> u16 {
        self.envoy.port(listener)
    }
}

fn tier_and_decision_stand_in_the_access_log(shared: &Shared) {
    for number in 0..4 {
        let request = Request::get("/text").case(&format!("state {number}"));
        shared.send("state", "state", request);
    }
    let preflight = Request::new("OPTIONS", "/text")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "PUT")
        .case("state preflight");
    shared.send("state", "state", preflight);
    let line = |case: &str| {
        portcullis_harness::wait::until("a line in the access log", || {
            shared
                .envoy
                .output()
                .into_iter()
                .find(|line| line["case"] == case)
        })
    };
    let first = line("state 0");
    assert_eq!(
        (&first["tier"], &first["decision"]),
        (&json!("t"), &json!("allowed"))
    );
    let last = line("state 3");
    assert_eq!(
        (&last["tier"], &last["decision"]),
        (&json!("t"), &json!("denied:minute"))
    );
    assert_eq!(last["details"], "rate_limited", "{last}");
    assert_eq!(line("state preflight")["decision"], "exempt");
}

/// What differs between a listener without the filter and this one, over all traffic.
fn differences(shared: &Shared, listener: &str) -> Vec<String> {
    let recorder = shared.upstream.recorder();
    let mut found = Vec::new();
    for exchange in traffic::ordinary().iter().chain(&traffic::hostile()) {
        recorder.answer(&exchange.name, exchange.answer.clone());
        let send = |listener: &str| {
            let before = recorder.requests(&exchange.name).len();
            let response =
                Connection::open(shared.envoy.port(listener)).exchange(&exchange.request);
            (
                response,
                recorder.requests(&exchange.name).into_iter().nth(before),
            )
        };
        let ((one, one_request), (other, other_request)) = (send("none"), send(listener));
        let difference = compare::responses(&one, &other, compare::VOLATILE).or_else(|| {
            match (&one_request, &other_request) {
                (Some(one), Some(other)) => compare::requests(one, other, &[]),
                (None, None) => None,
                _ => Some("only one of the requests arrived".to_owned()),
            }
        });
        found.extend(difference.map(|difference| format!("{}:\n{difference}", exchange.name)));
    }
    found
}

fn counted(shared: &Shared, what: &str) -> u64 {
    let name = format!("portcullis_rate_limit_{what}_total");
    shared.envoy.admin().stats(&name).values().sum()
}

fn shadow_changes_nothing_on_the_wire(shared: &Shared) {
    let before = counted(shared, "shadow_denied");
    let differences = differences(shared, "shadow");
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    let all = traffic::ordinary().len() as u64;
    let would = counted(shared, "shadow_denied") - before;
    assert!(
        would >= all / 2,
        "{would} of more than {all} would have been denied"
    );
}

fn the_same_limit_enforced_does(shared: &Shared) {
    let all = traffic::ordinary().len();
    let differences = differences(shared, "strict");
    assert!(differences.len() > all / 2, "{differences:?}");
}

fn metrics_carry_tier_limit_and_profile(shared: &Shared) {
    shared.spent("counted", "counted");
    shared.get("counted", "counted");
    let page = shared.envoy.admin().prometheus();
    let value = |name: &str, labels: &[&str]| {
        let line = page.lines().find(|line| {
            line.starts_with(&format!("{name}{{"))
                && labels.iter().all(|label| line.contains(label))
        });
        let value = line.and_then(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        value.unwrap_or_else(|| {
            let ours: Vec<_> = page
                .lines()
                .filter(|line| line.contains("rate_limit"))
                .collect();
            panic!("no {name} with {labels:?}:\n{}", ours.join("\n"))
        })
    };
    let profile = "profile=\"default\"";
    assert!(
        value(
            "portcullis_rate_limit_allowed_total",
            &["tier=\"t\"", profile]
        ) >= 3
    );
    let limit = ["tier=\"t\"", "limit=\"minute\"", profile];
    assert!(value("portcullis_rate_limit_denied_total", &limit) >= 1);
    assert!(value("portcullis_rate_limit_near_limit_total", &limit) >= 1);
    value("portcullis_rate_limit_in_flight", &[profile]);
    for line in page
        .lines()
        .filter(|line| line.contains("portcullis_rate_limit"))
    {
        assert!(!line.contains("_total_"), "a label in a name: {line}");
        assert!(!line.contains("counted"), "an identity: {line}");
    }
}

fn no_reset_of_the_upstream_stands_beside_a_limit_without_one(shared: &Shared) {
    let upstreams = ["x-ratelimit-reset", "x-ratelimit-reset-concurrency"];
    let answer = upstreams
        .iter()
        .fold(Answer::with_body("text/plain", "told"), |answer, name| {
            answer.header(*name, "999")
        });
    shared
        .upstream
        .recorder()
        .answer("upstream's reset", answer);
    // Once with what is to be removed, and once without.
    for case in ["upstream's reset", "no reset"] {
        let response = shared.send("flying", case, Request::get("/text").case(case));
        assert_eq!(response.status, 200, "{response}");
        for name in ["x-ratelimit-remaining", "x-ratelimit-remaining-concurrency"] {
            assert_eq!(response.header(name).as_deref(), Some("2"), "{response}");
        }
        for name in upstreams {
            assert_eq!(response.header(name), None, "{response}");
        }
    }
    assert_eq!(counted(shared, "host_refusals"), 0);
}

fn a_flood_of_clients_at_their_limits_displaces_none_that_came_more_often(shared: &Shared) {
    let pro = || {
        let request = Request::get("/text").header("x-plan", "pro");
        shared.send("small", "known", request)
    };
    for _ in 0..5 {
        assert_eq!(pro().status, 200);
    }
    let full = counted(shared, "table_full");
    for stranger in 0..100 {
        let client = format!("made up {stranger}");
        assert_eq!(shared.get("small", &client).status, 200);
    }
    assert!(counted(shared, "table_full") - full > 50);
    let response = pro();
    let stands = field(&response, "ratelimit");
    assert_eq!(stands["hour"]["r"], 54, "{response}");
}
