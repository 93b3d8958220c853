//! The configuration that we ship: what an edge does beside its filters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::{Answer, Upstream};
use portcullis_harness::{Connection, Request, Template, artifacts, cases, patch, suite, wait};
use portcullis_suites::shipped::{self, Edge};
use serde_json::json;

struct Shared {
    upstream: Upstream,
    edge: Edge,
}

fn main() -> ExitCode {
    suite::run(
        start,
        cases![
            plain_http_leads_to_tls,
            probes_pass_by_the_filters_and_the_logs,
            one_spelling_of_a_path_reaches_the_upstream,
            heads_that_nobody_should_send_are_refused,
            a_scraper_sees_two_pages_of_the_admin_interface_and_no_other,
            what_protects_upstreams_and_envoy_is_on,
            latencies_are_counted_in_the_buckets_that_alerts_ask_for,
            reading_is_repeated_and_writing_is_not,
            a_short_retry_after_is_kept_and_a_long_one_is_left_to_the_client,
            without_an_upstream_the_process_lives_and_is_not_ready,
            connections_beyond_the_limit_are_closed,
            short_of_memory_requests_are_refused_and_scrapers_are_not,
            an_envoy_that_is_to_go_is_not_ready_and_ends_what_it_has_begun,
            a_new_certificate_is_shown_without_a_restart,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let flaky = Mutex::new(HashMap::<Vec<u8>, usize>::new());
    upstream.recorder().rule(move |request| {
        // `/flaky/STATUS/RETRY-AFTER`: fails the first time that a case asks.
        let target = String::from_utf8_lossy(&request.target).into_owned();
        let (status, after) = target.strip_prefix("/flaky/")?.split_once('/')?;
        let case = request.header("x-case")?.to_vec();
        let mut seen = flaky.lock().unwrap();
        let times = seen.entry(case).or_default();
        *times += 1;
        let failed = Answer::default().status(status.parse().ok()?);
        Some(match (*times, after) {
            (2.., _) => Answer::with_body("text/plain", "at last"),
            (_, "none") => failed,
            (_, after) => failed.header("retry-after", after),
        })
    });
    let (template, certificate) = template(&upstream);
    Shared {
        edge: Edge::start("edge", &template, certificate),
        upstream,
    }
}

fn template(upstream: &Upstream) -> (Template, Certificate) {
    let certificate = Certificate::new();
    let template = shipped::template("envoy.yaml", upstream.port(), &certificate);
    (template, certificate)
}

fn plain_http_leads_to_tls(shared: &Shared) {
    let port = shared.edge.envoy.port("redirect");
    let request = Request::get("/a?b=c").header("host", "api.example.com");
    let response = request.send(port);
    assert_eq!(response.status, 308);
    assert_eq!(
        response.header("location").as_deref(),
        Some("https://api.example.com:10443/a?b=c")
    );
    let alive = Request::get("/healthz").send(port);
    assert_eq!((alive.status, alive.text().as_str()), (200, "ok\n"));
}

fn probes_pass_by_the_filters_and_the_logs(shared: &Shared) {
    for (target, text) in [("/healthz", Some("ok\n")), ("/readyz", None)] {
        let response = shared.edge.send(&Request::get(target));
        assert_eq!(response.status, 200, "{response}");
        assert!(
            text.is_none_or(|text| response.text() == text),
            "{response}"
        );
        for name in [
            "ratelimit",
            "x-request-id",
            "content-security-policy",
            "server",
        ] {
            assert_eq!(response.header(name), None, "{name}: {response}");
        }
    }
    let post = Request::post("/healthz", "x").header("sec-fetch-site", "cross-site");
    assert_eq!(shared.edge.send(&post).status, 200);
    shared.edge.send(&Request::get("/after-the-probes"));
    wait::until("the access log", || {
        let mut lines = shared.edge.envoy.output().into_iter();
        lines.find(|line| line["path"] == "/after-the-probes")
    });
    let lines = shared.edge.envoy.output();
    let probes = lines
        .iter()
        .filter(|line| line["path"] == "/healthz" || line["path"] == "/readyz");
    assert_eq!(probes.count(), 0);
}

fn one_spelling_of_a_path_reaches_the_upstream(shared: &Shared) {
    let request = Request::get("/a//b/./c/../d").case("edge path");
    assert_eq!(shared.edge.send(&request).status, 200);
    let received = shared.upstream.recorder().requests("edge path").remove(0);
    assert_eq!(String::from_utf8_lossy(&received.target), "/a/b/d");
    let escaped = shared
        .edge
        .send(&Request::get("/a%2fb").case("edge escaped"));
    assert_eq!(escaped.status, 307, "{escaped}");
    assert_eq!(escaped.header("location").as_deref(), Some("/a/b"));
}

fn heads_that_nobody_should_send_are_refused(shared: &Shared) {
    let underscore = Request::get("/").header("x_request_id", "1");
    assert_eq!(shared.edge.send(&underscore).status, 400);
    let long = Request::get("/").header("x-long", "x".repeat(40_000));
    assert_eq!(shared.edge.send(&long).status, 431);
    let many = (0..120).fold(Request::get("/"), |request, number| {
        request.header(format!("x-{number}"), "1")
    });
    assert_eq!(shared.edge.send(&many).status, 431);
}

fn a_scraper_sees_two_pages_of_the_admin_interface_and_no_other(shared: &Shared) {
    let port = shared.edge.envoy.port("metrics");
    let page = Request::get("/stats/prometheus?usedonly").send(port);
    assert!(page.text().contains("envoy_server_live"), "{page}");
    assert_eq!(Request::get("/ready").send(port).text(), "LIVE\n");
    for target in [
        "/config_dump",
        "/quitquitquit",
        "/stats",
        "/ready/../config_dump",
        "/",
    ] {
        assert_eq!(Request::get(target).send(port).status, 404, "{target}");
    }
    let post = Request::new("POST", "/ready").header("content-length", "0");
    assert_eq!(post.send(port).status, 404);
}

fn what_protects_upstreams_and_envoy_is_on(shared: &Shared) {
    let admin = shared.edge.envoy.admin();
    for colour in ["blue", "green"] {
        let cluster = format!("cluster.upstream-{colour}");
        let count = |name: &str| admin.stat(&format!("{cluster}.{name}"));
        wait::until("a health check", || {
            (count("health_check.success") > 0).then_some(())
        });
        // Changes are put together for a second.
        wait::until("a healthy host", || {
            (count("membership_healthy") == 1).then_some(())
        });
        for (name, limit) in [
            ("remaining_cx", 1024),
            ("remaining_pending", 256),
            ("remaining_rq", 2048),
        ] {
            let left = count(&format!("circuit_breakers.default.{name}"));
            assert!(
                left > limit - 20 && left <= limit,
                "{colour} {name}: {left}"
            );
        }
        let ejections = format!("{cluster}.outlier_detection.ejections_active");
        assert!(admin.stats(&ejections).contains_key(&ejections), "{colour}");
    }
    let heap = "overload.envoy.resource_monitors.fixed_heap.pressure";
    let pressure = admin.stat(heap);
    assert!((1..50).contains(&pressure), "{pressure} %");
}

fn latencies_are_counted_in_the_buckets_that_alerts_ask_for(shared: &Shared) {
    shared.edge.send(&Request::get("/text"));
    // Histograms are counted together every few seconds.
    wait::until("a histogram", || {
        let page = shared.edge.envoy.admin().prometheus();
        let mut lines = page.lines();
        lines.find(|line| {
            line.starts_with("envoy_cluster_upstream_rq_time_bucket{")
                && line.contains("upstream-blue")
                && line.contains("le=\"2000\"")
        })?;
        Some(())
    });
}

/// How often the upstream was asked in this case.
fn asked(shared: &Shared, case: &str) -> usize {
    shared.upstream.recorder().requests(case).len()
}

fn reading_is_repeated_and_writing_is_not(shared: &Shared) {
    let read = shared
        .edge
        .send(&Request::get("/flaky/503/none").case("edge read"));
    assert_eq!(
        (read.status, asked(shared, "edge read")),
        (200, 2),
        "{read}"
    );
    let write = Request::post("/flaky/503/none", "x").case("edge write");
    let write = shared.edge.send(&write);
    assert_eq!(
        (write.status, asked(shared, "edge write")),
        (503, 1),
        "{write}"
    );
}

fn a_short_retry_after_is_kept_and_a_long_one_is_left_to_the_client(shared: &Shared) {
    let asked_at = Instant::now();
    let short = shared
        .edge
        .send(&Request::get("/flaky/429/1").case("edge short"));
    assert_eq!(
        (short.status, asked(shared, "edge short")),
        (200, 2),
        "{short}"
    );
    // However slow this machine is, it is not sooner.
    assert!(asked_at.elapsed() >= Duration::from_secs(1));
    let long = shared
        .edge
        .send(&Request::get("/flaky/429/60").case("edge long"));
    assert_eq!(
        (long.status, asked(shared, "edge long")),
        (429, 1),
        "{long}"
    );
    assert_eq!(long.header("retry-after").as_deref(), Some("60"), "{long}");
}

fn without_an_upstream_the_process_lives_and_is_not_ready(shared: &Shared) {
    let (mut template, certificate) = template(&shared.upstream);
    shipped::without_modules(&mut template);
    shipped::behind(&mut template, "upstream-blue", 1);
    let edge = Edge::start("edge-alone", &template, certificate);
    assert_eq!(edge.send(&Request::get("/healthz")).status, 200);
    let ready = edge.send(&Request::get("/readyz"));
    assert_eq!(ready.status, 503);
    let kind = ready.header("content-type");
    assert_eq!(kind.as_deref(), Some("application/problem+json"), "{ready}");
}

fn connections_beyond_the_limit_are_closed(shared: &Shared) {
    let (mut template, certificate) = template(&shared.upstream);
    shipped::without_modules(&mut template);
    let limits = &mut template.0["layered_runtime"]["layers"][0]["static_layer"];
    let limit = "envoy.resource_limits.listener.edge.connection_limit";
    assert_eq!(limits[limit], 10_000);
    limits[limit] = json!(2);
    let edge = Edge::start("edge-full", &template, certificate);
    let mut connections = [edge.open(), edge.open()];
    let mut third = Connection::open(edge.envoy.port("edge"));
    assert_eq!(third.read_to_end(), b"");
    for connection in &mut connections {
        assert_eq!(connection.exchange(&Request::get("/healthz")).status, 200);
    }
}

fn short_of_memory_requests_are_refused_and_scrapers_are_not(shared: &Shared) {
    let (mut template, certificate) = template(&shared.upstream);
    shipped::without_modules(&mut template);
    let overload = &mut template.0["overload_manager"];
    overload["resource_monitors"][0]["typed_config"]["max_heap_size_bytes"] = json!(1);
    // The last action alone: nobody could connect otherwise.
    let actions = overload["actions"].as_array_mut().unwrap();
    actions.retain(|action| action["name"] == "envoy.overload_actions.stop_accepting_requests");
    assert_eq!(actions.len(), 1);
    let edge = Edge::start("edge-short", &template, certificate);
    let refused = wait::until("a refusal", || {
        let response = edge.send(&Request::get("/healthz"));
        (response.status != 200).then_some(response)
    });
    assert_eq!(refused.status, 503);
    let kind = refused.header("content-type");
    assert_eq!(
        kind.as_deref(),
        Some("application/problem+json"),
        "{refused}"
    );
    let page = Request::get("/stats/prometheus").send(edge.envoy.port("metrics"));
    assert_eq!(page.status, 200, "{page}");
}

fn an_envoy_that_is_to_go_is_not_ready_and_ends_what_it_has_begun(shared: &Shared) {
    let (mut template, certificate) = template(&shared.upstream);
    shipped::without_modules(&mut template);
    let edge = Edge::start("edge-drain", &template, certificate);
    assert_eq!(edge.send(&Request::get("/readyz")).status, 200);
    let mut begun = edge.open();
    begun.send(&Request::get("/delay/3000").case("edge drain").to_bytes());
    let arrived = shared
        .upstream
        .recorder()
        .wait("edge drain", wait::DEADLINE);
    assert!(arrived.is_some());
    edge.envoy.admin().post("/healthcheck/fail");
    assert_eq!(edge.send(&Request::get("/readyz")).status, 503);
    assert_eq!(edge.send(&Request::get("/healthz")).status, 200);
    edge.envoy.admin().post("/drain_listeners?graceful");
    let port = edge.envoy.port("edge");
    wait::until("the listener's end", || Connection::try_open(port).err());
    let ended = begun.read_response("GET").expect("an answer");
    assert_eq!(ended.text(), "late\n");
}

fn a_new_certificate_is_shown_without_a_restart(shared: &Shared) {
    let (mut template, first) = template(&shared.upstream);
    shipped::without_modules(&mut template);
    let folder = artifacts::Artifacts::create("edge-certificates").unwrap();
    let path = |name: &str| folder.file(name).to_str().unwrap().to_owned();
    first.write(&folder.file("tls.crt"), &folder.file("tls.key"));
    let mut secret = Template::read(artifacts::root().join("envoy/certificate.yaml")).0;
    let shown = &mut secret["resources"][0]["tls_certificate"];
    shown["certificate_chain"]["filename"] = json!(path("tls.crt"));
    shown["private_key"]["filename"] = json!(path("tls.key"));
    shown["watched_directory"]["path"] = json!(path(""));
    std::fs::write(folder.file("certificate.json"), secret.to_string()).unwrap();
    let mut sds = Template::read(artifacts::root().join("envoy/envoy.yaml")).0;
    let context = "transport_socket.typed_config.common_tls_context";
    let chain = "static_resources.listeners[0].filter_chains[0]";
    let at = format!("{chain}.{context}");
    let mut shipped = patch::at(&mut sds, &at)["tls_certificate_sds_secret_configs"].clone();
    shipped[0]["sds_config"]["path_config_source"]["path"] = json!(path("certificate.json"));
    let template = template.merge(
        &at,
        &json!({"tls_certificates": null, "tls_certificate_sds_secret_configs": shipped}),
    );
    let edge = Edge::start("edge-renewed", &template, first);
    assert_eq!(edge.send(&Request::get("/healthz")).status, 200);
    let second = Certificate::new();
    second.write(&folder.file("new.crt"), &folder.file("new.key"));
    std::fs::rename(folder.file("new.key"), folder.file("tls.key")).unwrap();
    std::fs::rename(folder.file("new.crt"), folder.file("tls.crt")).unwrap();
    let port = edge.envoy.port("edge");
    wait::until("the new certificate", || {
        Connection::try_open_tls(port, &second).ok()
    });
}
