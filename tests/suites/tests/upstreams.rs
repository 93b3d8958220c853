//! The configuration that we ship: what it does about upstreams that fail, or have more to do than they can.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::{Answer, Upstream};
use portcullis_harness::{Connection, Envoy, Request, Response, Template, cases, suite, wait};
use portcullis_suites::held::Held;
use portcullis_suites::shipped;
use serde_json::{Value, json};

fn main() -> ExitCode {
    suite::run(
        || (),
        cases![
            a_host_that_fails_loses_its_share_for_as_long_as_is_set,
            what_no_connection_and_no_place_to_wait_is_left_for_is_refused,
            requests_beyond_those_that_may_be_under_way_are_refused,
            repeated_requests_are_a_share_of_those_under_way,
        ],
    )
}

const CLUSTER: &str = "cluster.upstream-blue";

/// The shipped file without its filters and its TLS, before these hosts of the blue cluster.
fn template(hosts: &[u16]) -> Template {
    let mut template = shipped::template("envoy.yaml", hosts[0], &Certificate::new());
    shipped::without_modules(&mut template);
    shipped::behind_all(&mut template, "upstream-blue", hosts);
    template.merge(
        "static_resources.listeners[0].filter_chains[0]",
        &json!({"transport_socket": null}),
    )
}

/// The only thresholds of the blue cluster.
fn thresholds(template: &mut Template) -> &mut Value {
    let clusters = template.0["static_resources"]["clusters"].as_array_mut();
    let mut clusters = clusters.unwrap().iter_mut();
    let blue = clusters.find(|cluster| cluster["name"] == "upstream-blue");
    &mut blue.unwrap()["circuit_breakers"]["thresholds"][0]
}

/// One worker, so that all requests meet in one pool of connections.
fn start(name: &str, template: &Template) -> Envoy {
    Envoy::start_template(name, template, 1).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn count(envoy: &Envoy, name: &str) -> u64 {
    envoy.admin().stat(&format!("{CLUSTER}.{name}"))
}

fn until(envoy: &Envoy, name: &str, wanted: u64) {
    wait::until(&format!("{name} of {wanted}"), || {
        (count(envoy, name) == wanted).then_some(())
    });
}

/// Sends it on a connection of its own, which has to stay for the answer.
fn begin(envoy: &Envoy, request: &Request) -> Connection {
    let mut connection = Connection::open(envoy.port("edge"));
    connection.send(&request.to_bytes());
    connection
}

#[track_caller]
fn assert_overflow(envoy: &Envoy, target: &str, refused: &Response) {
    assert_eq!(refused.status, 503, "{refused}");
    let kind = refused.header("content-type");
    let problem = Some("application/problem+json");
    assert_eq!(kind.as_deref(), problem, "{refused}");
    assert_eq!(refused.json()["category"], "external", "{refused}");
    let line = wait::until("the access log", || {
        let mut lines = envoy.output().into_iter();
        lines.find(|line| line["path"] == target)
    });
    assert_eq!(
        (&line["flags"], &line["attempts"]),
        (&json!("UO"), &json!(1)),
        "{line}"
    );
}

fn a_host_that_fails_loses_its_share_for_as_long_as_is_set((): &()) {
    // Failures in a row that are enough: of a gateway, and of any other kind.
    for (status, enough) in [(503, 5), (500, 20)] {
        let (good, bad) = (Upstream::start().unwrap(), Upstream::start().unwrap());
        bad.recorder().rule(move |request| {
            let healthy = request.target == b"/healthz";
            (!healthy).then(|| Answer::default().status(status))
        });
        let envoy = start(
            &format!("upstreams-{status}"),
            &template(&[good.port(), bad.port()]),
        );
        until(&envoy, "membership_healthy", 2);
        let of = |upstream: &Upstream| upstream.recorder().requests("outlier").len();
        // Writing is not repeated, so the client sees what each host answers.
        let write = Request::post("/text", "x").case("outlier");
        let send = || write.send(envoy.port("edge")).status;
        while of(&bad) < enough {
            assert_eq!(count(&envoy, "outlier_detection.ejections_active"), 0);
            let before = of(&bad);
            let answered = send();
            assert_eq!(answered == status, of(&bad) > before, "{answered}");
        }
        until(&envoy, "outlier_detection.ejections_active", 1);
        until(&envoy, "membership_healthy", 1);
        // Both hosts answer their health checks, and the one stays out all the same.
        let checked = count(&envoy, "health_check.success");
        wait::until("health checks of both hosts", || {
            (count(&envoy, "health_check.success") >= checked + 4).then_some(())
        });
        let (taken, failed) = (of(&good), of(&bad));
        for _ in 0..40 {
            assert_eq!(send(), 200);
        }
        assert_eq!((of(&good), of(&bad)), (taken + 40, failed));
    }
}

fn what_no_connection_and_no_place_to_wait_is_left_for_is_refused((): &()) {
    let held = Held::start();
    let mut template = template(&[held.port()]);
    // The shipped ones are over a thousand.
    let breaker = thresholds(&mut template);
    assert_eq!(breaker["max_connections"], 1024);
    assert_eq!(breaker["max_pending_requests"], 256);
    breaker["max_connections"] = json!(4);
    breaker["max_pending_requests"] = json!(3);
    let envoy = start("upstreams-pending", &template);
    let begun: Vec<Connection> = (1..=7)
        .map(|number| {
            let begun = begin(&envoy, &Request::get(format!("/held/{number}")));
            until(&envoy, "upstream_rq_active", number.min(4));
            until(&envoy, "upstream_rq_pending_active", number.max(4) - 4);
            begun
        })
        .collect();
    assert_eq!(count(&envoy, "circuit_breakers.default.rq_pending_open"), 1);
    let refused = Request::get("/refused").send(envoy.port("edge"));
    assert_overflow(&envoy, "/refused", &refused);
    assert_eq!(count(&envoy, "upstream_rq_pending_overflow"), 1);
    // Whoever had a place got its answer.
    held.release(usize::MAX);
    for mut connection in begun {
        let answered = connection.read_response("GET").expect("an answer");
        assert_eq!(answered.status, 503, "{answered}");
    }
    assert_eq!(count(&envoy, "upstream_rq_pending_overflow"), 1);
}

fn requests_beyond_those_that_may_be_under_way_are_refused((): &()) {
    let held = Held::start();
    let mut template = template(&[held.port()]);
    let breaker = thresholds(&mut template);
    assert_eq!(breaker["max_requests"], 2048);
    breaker["max_requests"] = json!(2);
    let envoy = start("upstreams-requests", &template);
    let _begun: Vec<Connection> = (1..=2)
        .map(|number| {
            let begun = begin(&envoy, &Request::get(format!("/held/{number}")));
            until(&envoy, "upstream_rq_active", number);
            begun
        })
        .collect();
    assert_eq!(count(&envoy, "circuit_breakers.default.rq_open"), 1);
    let refused = Request::get("/refused").send(envoy.port("edge"));
    assert_overflow(&envoy, "/refused", &refused);
    assert_eq!(held.arrived(), 2);
}

fn repeated_requests_are_a_share_of_those_under_way((): &()) {
    const REQUESTS: usize = 40;
    let held = Held::start();
    let mut template = template(&[held.port()]);
    let budget = &thresholds(&mut template)["retry_budget"];
    let share = budget["budget_percent"]["value"].as_u64().unwrap();
    let least = budget["min_retry_concurrency"].as_u64().unwrap();
    assert_eq!((share, least), (20, 3));
    let envoy = start("upstreams-budget", &template);
    let begun: Vec<Connection> = (0..REQUESTS)
        .map(|_| begin(&envoy, &Request::get("/held")))
        .collect();
    let arrived = |number: usize| {
        wait::until("requests at the upstream", || {
            (held.arrived() == number).then_some(())
        });
    };
    arrived(REQUESTS);
    // All fail at once, and each would be tried again, were there no budget.
    held.release(REQUESTS);
    let tried = || {
        (
            count(&envoy, "upstream_rq_retry"),
            count(&envoy, "upstream_rq_retry_overflow"),
        )
    };
    let (repeated, left) = wait::until("a decision on each", || {
        let (repeated, left) = tried();
        (repeated + left == REQUESTS as u64).then_some((repeated, left))
    });
    let most = REQUESTS as u64 * share / 100;
    assert!(
        (least..=most).contains(&repeated),
        "{repeated} repeated, {left} not"
    );
    arrived(REQUESTS + usize::try_from(repeated).unwrap());
    // The second and last attempts.
    held.release(usize::MAX);
    for mut connection in begun {
        let answered = connection.read_response("GET").expect("an answer");
        assert_eq!(answered.status, 503, "{answered}");
    }
    let (repeated, _) = tried();
    assert!(repeated <= most + least, "{repeated} of {REQUESTS}");
}
