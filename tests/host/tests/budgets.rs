//! What each filter costs per exchange, against the `budget.toml` beside it.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may fail by panic.

mod common;

use common::{json, load, typical};
use portcullis_host::{Budgets, Cost, Response, Script};
use serde_json::{Value, json as value};

/// Byte-returning host calls of one filter: in all, and while the response passes.
const FILTER: (u64, u64) = (2, 1);
/// Of the chain.
const CHAIN: (u64, u64) = (3, 1);
/// Of the chain where it rewrites an error: the body is read, and the headers again by the filters that come after.
const REWRITTEN: (u64, u64) = (4, 3);
/// Of CSRF protection where `Sec-Fetch-Site` alone does not decide: that header, then all of them, beside the response.
/// Reading all of them first would make it two, and dearer the requests that need that header at most, which nearly all
/// are, and those of clients that are no browsers, which need not even that.
const CSRF: (u64, u64) = (3, 1);

/// Of a record: both maps of headers and one property. This host has few of the properties that a record asks for; on
/// Envoy each one that is there hands over bytes, too.
const RECORD: (u64, u64) = (3, 0);

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

/// What one exchange costs once a worker has warmed up.
fn cost(module: &str, root_id: &str, settings: &Value, script: &Script) -> Cost {
    let mut plugin = load(module, root_id, settings);
    for _ in 0..20 {
        plugin.request(script).unwrap();
    }
    plugin.request(script).unwrap().cost
}

fn post() -> Script {
    typical()
        .set(":method", "POST")
        .header("origin", "https://app.example.com")
        .header("sec-fetch-site", "cross-site")
        .chunk("{}")
}

#[test]
fn security_headers_stays_within_its_budget() {
    let mut budgets = Budgets::of("security-headers");
    let mut hold = |scenario: &str, settings: Value, script: Script| {
        let ceiling = if scenario.contains("POST") && !scenario.contains("forwarded") {
            CSRF
        } else {
            FILTER
        };
        let cost = cost("security_headers", "security-headers", &settings, &script);
        budgets.hold(scenario, ceiling, &cost);
    };
    let csrf = value!({
        "csrf": {"mode": "enforce", "trusted_origins": ["https://app.example.com"]},
        "cors": {"allowed_origins": ["https://app.example.com"]},
    });
    let strict = value!({"csrf": {"mode": "enforce"}});
    let forwarded = value!({"csrf": {"mode": "enforce"}, "tls": "forwarded_proto"});
    let cookies = json(200)
        .header("set-cookie", "session=1; Path=/")
        .header("set-cookie", "theme=dark; Secure; HttpOnly; SameSite=Lax");
    hold("api, 200", value!({}), typical());
    hold("api, 404", value!({}), typical().respond(json(404)));
    hold(
        "api, redirect without a body",
        value!({}),
        typical().respond(Response::new(302).header("location", "/")),
    );
    hold("api, cookies", value!({}), typical().respond(cookies));
    hold("api, CSRF, GET", csrf.clone(), typical());
    hold("api, CSRF, POST of a trusted origin", csrf, post());
    hold("api, CSRF, POST refused", strict, post());
    hold("api, CSRF, forwarded, GET", forwarded.clone(), typical());
    hold("api, CSRF, forwarded, POST refused", forwarded, post());
    hold("web, 200", value!({"preset": "web"}), typical());
    hold("web-nonce, 200", value!({"preset": "web-nonce"}), typical());
    hold("nothing to do", value!({"preset": "off"}), typical());
    hold("mode off", value!({"mode": "off"}), typical());
    budgets.finish();
}

#[test]
fn request_tracing_stays_within_its_budget() {
    let mut budgets = Budgets::of("request-tracing");
    let mut hold = |scenario: &str, settings: Value, script: Script| {
        let cost = cost("request_tracing", "request-tracing", &settings, &script);
        budgets.hold(scenario, FILTER, &cost);
    };
    let continued = || {
        typical()
            .header("traceparent", TRACEPARENT)
            .header("tracestate", "a=1,b=2")
    };
    let cidrs = value!({"trust": {"cidrs": ["203.0.113.0/24"]}});
    let timing = value!({"trust": "internal", "response_time": true, "server_timing": {"trace": "all", "app": "all"}});
    let all = value!({"trust": "internal", "propagation": {
        "extract": ["w3c", "b3", "b3_multi", "xray", "datadog"],
        "inject": ["w3c", "b3", "b3_multi", "xray", "datadog"],
    }});
    hold("edge, new trace", value!({}), typical());
    hold("edge, context removed", value!({}), continued());
    hold(
        "internal, continued",
        value!({"trust": "internal"}),
        continued(),
    );
    hold(
        "internal, new trace",
        value!({"trust": "internal"}),
        typical(),
    );
    hold("cidrs, continued", cidrs, continued());
    hold("internal, times told", timing, continued());
    hold("internal, all formats", all, continued());
    hold("mode off", value!({"mode": "off"}), typical());
    budgets.finish();
}

#[test]
fn rate_limit_stays_within_its_budget() {
    let mut budgets = Budgets::of("rate-limit");
    let mut hold = |scenario: &str, settings: Value, script: Script, sets: u64| {
        let cost = cost("rate_limit", "rate-limit", &settings, &script);
        let written = cost.of("proxy_set_shared_data");
        assert_eq!(written, sets, "{scenario}: {:?}", cost.calls);
        // Two for every request; one more to learn the address, or to give back at the end.
        let more = scenario.contains("address") || scenario == "concurrency";
        budgets.hold(scenario, (2 + u64::from(more), 0), &cost);
    };
    // The standard plan's windows; `count` each, so that the 21st request of a test is within them or is not.
    let four = |count: u32| {
        let limit =
            |name: &str, window: &str| value!({"name": name, "count": count, "window": window});
        value!({
            "identity": [{"header": {"name": "x-api-key", "hash": true}}],
            "plans": "none",
            "tier": {"default": "t"},
            "tiers": {
                "t": {
                    "limits": [
                        limit("minute", "minute"),
                        limit("hour", "hour"),
                        limit("day", "day"),
                        limit("ai", "day"),
                    ],
                    "upgrade_to": "more",
                },
                "more": {"limits": [limit("minute", "minute"), limit("hour", "hour")]},
            },
            "upgrade": {"url": "https://example.com/plans"},
        })
    };
    let with = |mut settings: Value, key: &str, value: Value| {
        settings[key] = value;
        settings
    };
    let call = || typical().header("x-api-key", "5c1f9d0e7ab84f6fb1c2d3e4f5a60718");
    let concurrent = value!({
        "identity": [{"header": {"name": "x-api-key", "hash": true}}],
        "plans": "none",
        "tier": {"default": "t"},
        "tiers": {"t": {"concurrency": {"max": 8}}},
    });
    hold("four windows, admitted", four(1000), call(), 1);
    hold("four windows, refused", four(3), call(), 0);
    let address = with(four(1000), "identity", value!([{"client_address": {}}]));
    hold("four windows, by address", address, typical(), 1);
    let silent = with(four(1000), "headers", value!({"ietf": false}));
    hold("four windows, no headers", silent, call(), 1);
    let shadow = with(four(3), "mode", "shadow".into());
    hold("four windows, shadow, would be refused", shadow, call(), 0);
    hold("concurrency", concurrent, call(), 2);
    let exempt = with(four(1000), "exempt", value!({"paths": [{"prefix": "/"}]}));
    hold("exempt", exempt, call(), 0);
    let off = with(four(1000), "mode", "off".into());
    hold("mode off", off, call(), 0);
    budgets.finish();
}

/// A write with a body.
fn post_json() -> Script {
    typical()
        .set(":method", "POST")
        .header("content-type", "application/json")
        .chunk(r#"{"order": {"id": "A-1"}}"#)
}

#[test]
fn audit_log_stays_within_its_budget() {
    let mut budgets = Budgets::of("audit-log");
    let mut hold = |scenario: &str, settings: Value, reads: (u64, u64)| {
        // The chain's module is told of bodies, which costs something where none is recorded, too.
        let (module, script) = match scenario.split_once(" in portcullis.wasm, ") {
            Some((_, "POST")) => ("portcullis", post_json()),
            Some(_) => ("portcullis", typical()),
            None => ("audit_log", typical()),
        };
        let cost = cost(module, "audit-log", &settings, &script);
        budgets.hold(scenario, reads, &cost);
    };
    let of = |rules: Value| {
        value!({
            "rules": rules,
            "identity": [{"header": {"name": "x-api-key", "hash": true}}],
            "sinks": [{"otlp": {"cluster": "collector"}}],
        })
    };
    hold("metadata", of(value!([{"level": "metadata"}])), RECORD);
    let mut headers = of(value!([{"level": "headers"}]));
    headers["headers"] = value!({"request": [{"name": "content-type"}, {"name": "accept"}]});
    hold("headers", headers, RECORD);
    let unsealed = value!({
        "rules": [{"level": "metadata"}],
        "sinks": [{"otlp": {"cluster": "collector"}}],
        "chain": {"sealed": false},
    });
    hold("metadata, not sealed", unsealed, RECORD);
    let health = value!([{"level": "none", "methods": ["GET"]}, {"level": "metadata"}]);
    hold("not recorded", of(health), (2, 0));
    let mut off = of(value!([{"level": "metadata"}]));
    off["mode"] = "off".into();
    hold("mode off", off, (0, 0));
    let metadata = || of(value!([{"level": "metadata"}]));
    hold("metadata in portcullis.wasm, GET", metadata(), RECORD);
    hold("metadata in portcullis.wasm, POST", metadata(), RECORD);
    let mut bodies = of(value!([{"level": "body"}]));
    bodies["bodies"] =
        value!({"request": [{"pointer": "/order/id"}], "response": [{"pointer": "/id"}]});
    // Beside the record: the headers of both sides once more, and both bodies.
    let reads = (RECORD.0 + 4, RECORD.1 + 2);
    hold("bodies in portcullis.wasm, POST", bodies, reads);
    waiting(&mut budgets);
    budgets.finish();
}

/// Requests that wait for their records, from their headers to their ends, the callout and its answer included.
fn waiting(budgets: &mut Budgets) {
    let mut hold =
        |scenario: &str, sink: Value, reads: (u64, u64), script: Script, passes: bool| {
            let settings = value!({
                "sinks": [sink],
                "fail_closed": {"timeout_ms": 100},
            });
            let mut plugin = load("audit_log", "audit-log", &settings);
            if passes {
                plugin.world_mut().clusters.insert("collector".to_owned());
            }
            for _ in 0..20 {
                plugin.request(&script).unwrap();
            }
            let outcome = plugin.request(&script).unwrap();
            assert_eq!(outcome.forwarded, passes, "{scenario}");
            assert_eq!(outcome.hangs_in, None, "{scenario}");
            budgets.hold(scenario, reads, &outcome.cost);
        };
    let otlp = || value!({"otlp": {"cluster": "collector"}});
    let lines = value!({"webhook": {"cluster": "collector"}});
    let acknowledged = || typical().answer_callouts(200);
    // The request's headers and its client's address for the first record, what RECORD says for the second, and the headers
    // of the sink's answer.
    let waits = (2 + RECORD.0 + 1, RECORD.1);
    hold("waiting, OTLP", otlp(), waits, acknowledged(), true);
    hold("waiting, webhook", lines, waits, acknowledged(), true);
    let at_once = (2 + RECORD.0, RECORD.1);
    let log = value!({"log": {}});
    hold("waiting, log", log, at_once, typical(), true);
    // The host knows no such cluster: no sink is asked for a while.
    let refused = (1 + RECORD.0, RECORD.1);
    hold(
        "waiting, refused at once",
        otlp(),
        refused,
        typical(),
        false,
    );
}

#[test]
fn problem_json_stays_within_its_budget() {
    let mut budgets = Budgets::of("problem-json");
    let mut hold = |scenario: &str, settings: Value, script: Script, reads: u64| {
        let cost = cost("problem_json", "problem-json", &settings, &script);
        budgets.hold(scenario, (reads, 3), &cost);
    };
    let alone = || value!({"formats": ["json"]});
    let page = || {
        Response::new(404)
            .header("content-type", "text/html")
            .chunk("<html>gone</html>")
    };
    let known = Response::new(422)
        .header("content-type", "application/json")
        .chunk(r#"{"error":{"code":"short","message":"The name is short."}}"#);
    // A success costs the status, and what the client asks for where that matters.
    hold("json alone, 200", alone(), typical(), 1);
    hold("json alone, POST, 200", alone(), post(), 1);
    hold("negotiated, 200", value!({}), typical(), 2);
    // An error: the status, all headers, and the id that request-tracing left.
    let page_of = |settings| (settings, typical().respond(page()));
    let (settings, script) = page_of(alone());
    hold("json alone, a page of 404", settings, script, 3);
    let (settings, script) = page_of(value!({}));
    hold("negotiated, a page of 404", settings, script, 4);
    hold(
        "negotiated, JSON of 422 merged",
        value!({}),
        typical().respond(known),
        5,
    );
    hold(
        "negotiated, 422 with long texts redacted",
        value!({}),
        typical().respond(long_texts()),
        5,
    );
    hold("mode off", value!({"mode": "off"}), typical(), 0);
    budgets.finish();
}

/// As much as is read of texts, as long as each may be, of what makes a careless scanner look twice.
fn long_texts() -> Response {
    let text = "select %2525 the api key type 'A.B' table 'x' session a1 &#37; key (id) C:\\\\x "
        .repeat(12);
    let one = format!(r#"{{"field":"a.b c.d","message":"{text}"}}"#);
    let all = vec![one; 63 * 1024 / (text.len() + 40)].join(",");
    Response::new(422)
        .header("content-type", "application/json")
        .chunk(format!(r#"{{"errors":[{all}]}}"#))
}

#[test]
fn the_chain_stays_within_its_budget() {
    let mut budgets = Budgets::of("portcullis");
    let mut hold = |scenario: &str, settings: Value, script: Script| {
        let cost = cost("portcullis", "portcullis", &settings, &script);
        let ceiling = if scenario.contains("error") {
            REWRITTEN
        } else {
            CHAIN
        };
        budgets.hold(scenario, ceiling, &cost);
    };
    let both = value!({"request_tracing": {}, "security_headers": {}});
    let internal = value!({"request_tracing": {"trust": "internal"}, "security_headers": {
        "csrf": {"mode": "enforce", "trusted_origins": ["https://app.example.com"]},
    }});
    let nonces = value!({"request_tracing": {}, "security_headers": {"preset": "web-nonce"}});
    let continued = typical().header("traceparent", TRACEPARENT);
    hold("defaults, 200", both.clone(), typical());
    hold("defaults, 404", both, typical().respond(json(404)));
    hold(
        "internal and CSRF, continued GET",
        internal.clone(),
        continued,
    );
    hold(
        "internal and CSRF, POST of a trusted origin",
        internal,
        post(),
    );
    hold("web-nonce, 200", nonces, typical());
    let errors = value!({"request_tracing": {}, "security_headers": {}, "problem_json": {}});
    hold("with problem-json, 200", errors.clone(), typical());
    hold(
        "with problem-json, error rewritten",
        errors,
        typical().respond(json(404)),
    );
    hold("no filter", value!({}), typical());
    budgets.finish();
}

#[test]
fn the_adapter_alone_makes_no_host_call() {
    let cost = cost("test/noop", "noop", &value!({}), &typical());
    println!("noop: {} instructions", cost.instructions());
    println!(
        "the SDK's empty filter: {} instructions",
        self::cost("test/sdk_empty", "", &value!({}), &typical()).instructions()
    );
    assert_eq!(cost.host_calls(), 0, "{:?}", cost.calls);
}
