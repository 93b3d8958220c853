//! W3C Trace Context Level 2 on the wire: every request that the 41 tests of the W3C's own conformance suite send in its
//! strictest level, and some that it does not; the filter alone, in the chain and beside Envoy's OpenTelemetry tracer.
//!
//! | tests of the W3C suite | here |
//! |---|---|
//! | `both_…_missing`, `traceparent_header_name` | [`without_a_traceparent_a_trace_starts`] |
//! | `traceparent_included_…`, `…_valid_casing`, `version_0xcc`, `ows_handling`, `propagates_random_flag` | [`a_valid_traceparent_is_continued_with_a_parent_id_of_our_own`] |
//! | `traceparent_duplicated`, `version_…`, `trace_id_…`, `parent_id_…`, `trace_flags_…` | [`an_invalid_traceparent_starts_a_trace`] |
//! | `tracestate_included_traceparent_included`, `…_valid_casing`, `empty_header`, `multiple_headers_…`, `duplicated_keys`, `all_allowed_characters`, `ows_handling`, both limits from within | [`a_tracestate_is_kept_in_order_with_a_valid_traceparent`] |
//! | `tracestate_header_name`, `key_illegal_…`, `value_illegal_…`, both limits from beyond | [`an_invalid_tracestate_is_dropped_and_the_traceparent_kept`] |
//! | `tracestate_included_traceparent_missing` | [`a_tracestate_without_a_valid_traceparent_is_dropped`] |
//! | `multiple_requests_…` | [`every_request_of_a_connection_gets_its_own_parent_id`] |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::LazyLock;

use portcullis_harness::config::http2_cluster;
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Version, cases, suite,
};
use portcullis_suites::trace::{Received, parse};
use portcullis_suites::w3c::{self, Line, PARENT, TRACE, traceparent, tracestate, valid};
use serde_json::json;

struct Shared {
    upstream: Upstream,
    envoy: Envoy,
}

const BESIDE: &str = "beside-opentelemetry";

/// The ways in which the filter runs, as far as this Envoy has them.
fn listeners() -> impl Iterator<Item = &'static str> {
    ["alone", "chain"]
        .into_iter()
        .chain(silent_tracers().then_some(BESIDE))
}

/// Whether Envoy's own tracer can be kept from writing `traceparent` as well.
fn silent_tracers() -> bool {
    static HAS: LazyLock<bool> =
        LazyLock::new(|| Version::of_envoy() >= Version::WITH_SILENT_TRACERS);
    *HAS
}

fn main() -> ExitCode {
    if !silent_tracers() {
        let why = "its tracers have no `no_context_propagation`";
        suite::say_left_out("every case beside OpenTelemetry's tracer", why);
    }
    suite::run(
        start,
        cases![
            without_a_traceparent_a_trace_starts,
            a_valid_traceparent_is_continued_with_a_parent_id_of_our_own,
            an_invalid_traceparent_starts_a_trace,
            a_tracestate_is_kept_in_order_with_a_valid_traceparent,
            an_invalid_tracestate_is_dropped_and_the_traceparent_kept,
            a_tracestate_without_a_valid_traceparent_is_dropped,
            every_request_of_a_connection_gets_its_own_parent_id,
            an_edge_believes_nobody,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let internal = json!({"trust": "internal"});
    let tracing = || Filter::wasm("request_tracing", internal.clone());
    let config = Config::new(upstream.port())
        .cluster(http2_cluster("collector", 1))
        .listener(Listener::new("alone").filter(tracing()))
        .listener(Listener::new("chain").filter(Filter::wasm(
            "portcullis",
            json!({"request_tracing": internal, "security_headers": {}}),
        )))
        .listener(Listener::new("edge").filter(Filter::wasm("request_tracing", json!({}))));
    let beside = Listener::new(BESIDE).filter(tracing()).hcm(&json!({"tracing": {
        "no_context_propagation": true,
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
                "grpc_service": {"envoy_grpc": {"cluster_name": "collector"}, "timeout": "0.25s"},
                "service_name": "edge",
            },
        },
    }}));
    let config = match silent_tracers() {
        true => config.listener(beside),
        false => config,
    };
    let envoy = Envoy::start("trace-context", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared { upstream, envoy }
}

/// Whether the trace is the one that the request names.
fn continues(received: &Received) -> bool {
    received.trace == TRACE
}

impl Shared {
    /// Sends these lines, after those of the case, and reads what arrives.
    #[track_caller]
    fn send(&self, connection: &mut Connection, case: &str, lines: &[(&str, String)]) -> Received {
        let request = lines.iter().fold(
            Request::get("/text").case(case),
            |request, (name, value)| request.header(*name, value.as_str()),
        );
        assert_eq!(connection.exchange(&request).status, 200, "{case}");
        let received = self
            .upstream
            .recorder()
            .requests(case)
            .pop()
            .expect("the request");
        let all = |name: &str| -> Vec<String> {
            let lines = received.header_lines(name);
            lines
                .iter()
                .map(|line| String::from_utf8(line.to_vec()).unwrap())
                .collect()
        };
        let [traceparent] = all("traceparent").try_into().expect("one traceparent");
        let states = all("tracestate");
        assert!(
            states.iter().all(|line| !line.is_empty()),
            "{case}: an empty tracestate"
        );
        parse(&traceparent, &states.join(","))
    }

    /// Sends one case to every listener.
    #[track_caller]
    fn everywhere(&self, case: &str, lines: &[(&str, String)], check: impl Fn(&Received)) {
        for listener in listeners() {
            let mut connection = Connection::open(self.envoy.port(listener));
            let mut received = self.send(&mut connection, &format!("{listener}: {case}"), lines);
            assert_ne!(received.parent, PARENT, "{listener}: {case}");
            received.listener = listener.to_owned();
            check(&received);
        }
    }
}

fn without_a_traceparent_a_trace_starts(shared: &Shared) {
    shared.everywhere("nothing", &[], |received| assert!(!continues(received)));
    for name in ["trace-parent", "trace.parent"] {
        let lines = [(name, format!("00-{TRACE}-{PARENT}-01"))];
        shared.everywhere(name, &lines, |received| {
            assert!(!continues(received), "{name}")
        });
    }
}

fn a_valid_traceparent_is_continued_with_a_parent_id_of_our_own(shared: &Shared) {
    for (value, flags) in w3c::continued() {
        shared.everywhere(
            &format!("valid {value:?}"),
            &[traceparent(value.clone())],
            |received| {
                assert!(continues(received), "{value:?}: {received:?}");
                assert_eq!(received.flags, flags, "{value:?}");
            },
        );
    }
    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        shared.everywhere(
            name,
            &[(name, format!("00-{TRACE}-{PARENT}-01"))],
            |received| assert!(continues(received), "{name}"),
        );
    }
}

fn an_invalid_traceparent_starts_a_trace(shared: &Shared) {
    for value in w3c::restarting() {
        let lines = [traceparent(value.clone()), tracestate("foo=1")];
        shared.everywhere(&format!("invalid {value:?}"), &lines, |received| {
            assert!(
                !received.trace.contains(&TRACE[1..31]),
                "{value:?}: {received:?}"
            );
            assert_eq!(received.value("foo"), None, "{value:?}: {received:?}");
        });
    }
    let other = TRACE.replace('2', "3");
    for second in [
        format!("00-{other}-{PARENT}-01"),
        format!("00-{TRACE}-{PARENT}-00"),
        "nonsense".to_owned(),
    ] {
        let lines = [valid(), traceparent(second.clone()), tracestate("foo=1")];
        shared.everywhere(&format!("two: {second}"), &lines, |received| {
            assert!(
                !continues(received) && received.trace != other,
                "{second}: {received:?}"
            );
            assert_eq!(received.value("foo"), None, "{second}: {received:?}");
        });
    }
}

fn a_tracestate_is_kept_in_order_with_a_valid_traceparent(shared: &Shared) {
    for (lines, expected) in w3c::kept() {
        let name = format!(
            "{:?}",
            lines.iter().map(|(_, value)| value).collect::<Vec<_>>()
        );
        let lines = [vec![valid()], lines].concat();
        shared.everywhere(&name, &lines, |received| {
            assert!(continues(received), "{name}: {received:?}");
            assert_eq!(received.state, expected, "{name}");
        });
    }
}

fn an_invalid_tracestate_is_dropped_and_the_traceparent_kept(shared: &Shared) {
    for value in w3c::dropped() {
        let name = format!("dropped {value}").replace(|c: char| !c.is_ascii_graphic(), "?");
        shared.everywhere(&name, &[valid(), tracestate(value.clone())], |received| {
            assert!(continues(received), "{value:?}: {received:?}");
            assert_eq!(received.state, [], "{value:?}: {received:?}");
        });
    }
    // A bad member in one line takes those of the other lines along.
    for second in w3c::beyond_limits() {
        let lines = [valid(), tracestate("foo=1"), tracestate(second.clone())];
        shared.everywhere(&format!("second line {second}"), &lines, |received| {
            assert!(continues(received), "{second:?}: {received:?}");
            assert_eq!(received.state, [], "{second:?}: {received:?}");
        });
    }
    for name in ["trace-state", "trace.state"] {
        let lines = [valid(), (name, "foo=1".to_owned())];
        shared.everywhere(name, &lines, |received| assert_eq!(received.state, []));
    }
}

fn a_tracestate_without_a_valid_traceparent_is_dropped(shared: &Shared) {
    for value in ["foo=1", "foo=1,bar=2"] {
        shared.everywhere(
            &format!("alone {value}"),
            &[tracestate(value)],
            |received| {
                assert_eq!(
                    (received.value("foo"), received.value("bar")),
                    (None, None),
                    "{received:?}"
                );
            },
        );
    }
}

fn every_request_of_a_connection_gets_its_own_parent_id(shared: &Shared) {
    let invalid = || traceparent(format!("00-{}-{PARENT}-01", "0".repeat(32)));
    let kinds: [Vec<Line>; 3] = [vec![valid()], vec![], vec![invalid()]];
    for listener in listeners() {
        let mut connection = Connection::open(shared.envoy.port(listener));
        let mut parents = HashSet::new();
        let mut new_traces = HashSet::new();
        for i in 0..60 {
            let kind = i % kinds.len();
            let received = shared.send(&mut connection, &format!("{listener} {i}"), &kinds[kind]);
            assert_eq!(continues(&received), kind == 0, "{received:?}");
            assert!(parents.insert(received.parent.clone()), "{received:?}");
            if kind != 0 {
                assert_eq!(
                    received.flags & 2,
                    2,
                    "a new trace id is random: {received:?}"
                );
                assert!(new_traces.insert(received.trace.clone()), "{received:?}");
            }
        }
        assert_eq!((parents.len(), new_traces.len()), (60, 40));
    }
}

fn an_edge_believes_nobody(shared: &Shared) {
    let lines = [valid(), tracestate("foo=1")];
    let received = shared.send(
        &mut Connection::open(shared.envoy.port("edge")),
        "edge",
        &lines,
    );
    assert!(
        !continues(&received) && received.value("foo").is_none(),
        "{received:?}"
    );
}
