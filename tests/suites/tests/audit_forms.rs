//! Records of every class of traffic, and of the bundle itself, in each of their forms. What they look like is judged from outside:
//! every record that this suite gets is kept for the schemas of its form.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::process::ExitCode;

use portcullis_harness::config::cluster;
use portcullis_harness::upstream::{Answer, Upstream};
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Route, Update, cases, http2, suite, wait,
};
use portcullis_suites::records;
use serde_json::{Value, json};

const FORMATS: [&str; 3] = ["native", "ocsf", "ecs"];

fn main() -> ExitCode {
    suite::run_in_order(
        || Upstream::start().unwrap(),
        cases![
            every_class_of_traffic_is_recorded_in_every_form,
            an_outage_is_told_in_every_form,
            requests_that_wait_are_recorded_in_every_form,
            a_change_of_settings_names_those_before,
        ],
    )
}

fn audit(format: &str) -> Value {
    json!({
        "rules": [{"level": "body"}],
        "identity": [{"header": {"name": "x-api-key", "hash": true}}],
        "query": [{"name": "page"}],
        "headers": {"request": [{"name": "accept"}, {"name": "x-case"}], "response": [{"name": "content-type"}]},
        "bodies": {"request": [{"pointer": "/id"}], "response": [{"pointer": "/items/*/id"}]},
        "format": format,
        "chain": {"checkpoint_records": 20},
    })
}

fn chain(format: &str) -> Filter {
    chain_of(audit(format))
}

fn chain_of(audit_log: Value) -> Filter {
    Filter::wasm(
        "portcullis",
        json!({
            "request_tracing": {"trust": "internal", "request_id": {"source": "trusted"}},
            "security_headers": {"preset": "api", "csrf": {"mode": "enforce"}},
            "audit_log": audit_log,
            "problem_json": {},
            "rate_limit": {
                "identity": [{"header": {"name": "x-api-key", "hash": true}}, {"client_address": {}}],
                "plans": "none",
                "tier": {"default": "free"},
                "tiers": {"free": {"limits": [{"name": "day", "count": 100, "window": "day"}]}},
                "profiles": {"none": {"tiers": {"free": {"limits": [{"name": "day", "count": 1, "window": "day"}]}}}},
                "routes": [{"profile": "none", "paths": [{"prefix": "/limited"}]}],
            },
        }),
    )
}

fn logger(format: &str) -> Filter {
    let mut settings = audit(format);
    settings["rules"] = json!([{"level": "headers"}]);
    settings.as_object_mut().unwrap().remove("bodies");
    Filter::wasm("audit_log", settings)
}

fn routed(listener: Listener) -> Listener {
    listener
        .route(Route::matching(json!({"connect_matcher": {}})))
        .route(Route::prefix("/dead").cluster("dead"))
        .route(Route::prefix("/direct").direct(503, "by the proxy"))
        .route(Route::prefix("/delay").over(&json!({"route": {"timeout": "0.1s"}})))
        .route(
            Route::prefix("/moved")
                .over(&json!({"route": null, "redirect": {"path_redirect": "/text"}})),
        )
        .route(Route::prefix("/text").over(&json!({"name": "text-route"})))
        .route(Route::prefix("/status"))
        .route(Route::prefix("/limited"))
        .hcm(&json!({"max_request_headers_kb": 8}))
}

/// Requests of every class, each to its end, and how many they are.
fn traffic(port: u16, name: &str) -> usize {
    let key = format!("key-of-{name}");
    let get = |target: &str| Request::get(target);
    let mut requests: Vec<Request> = [
        "/text?page=2&other=1",
        "/status/204",
        "/status/401",
        "/status/403",
        "/status/404",
        "/status/418",
        "/status/429",
        "/status/500",
        "/status/503",
        "/direct",
        "/moved",
        "/nowhere",
        "/dead",
        "/delay/2000",
        "/text?abort=headers&how=reset",
        "/text?size=5000&abort=body&how=reset",
    ]
    .map(|target| get(target).case(target))
    .into();
    requests.extend(
        ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "BREW"]
            .map(|method| Request::new(method, "/text")),
    );
    requests.extend([
        get("/text").header("x-api-key", key.as_str()),
        get("/limited").header("x-api-key", key.as_str()),
        get("/limited").header("x-api-key", key.as_str()),
        get("/text")
            .header("accept", "a")
            .header("accept", b"caf\xe9 \"\\".to_vec()),
        get("/text").header("user-agent", b"caf\xe9\x01".to_vec()),
        get("/text")
            .header("x-request-id", "not an id")
            .header("traceparent", "00-broken"),
        get("/text").header("host", "[::1]:8080"),
        get("/text").header("host", "under_score.example"),
        Request::post("/text", "{}")
            .header("sec-fetch-site", "cross-site")
            .header("origin", "https://evil.example"),
        Request::post("/text", r#"{"id":"o-1","x":1}"#)
            .header("content-type", "application/json")
            .case("body"),
    ]);
    for request in &requests {
        let mut connection = Connection::open(port);
        connection.send(&request.to_bytes());
        // There is none where the upstream breaks off.
        let _ = connection.read_response(&request.method);
    }
    http2::send(port, &get("/text"));
    let mut tunnel = Connection::open(port);
    tunnel.exchange(&Request::new("CONNECT", "example.com:443"));
    drop(tunnel);
    let mut gone = Connection::open(port);
    gone.send(&get("/text?delay=300").to_bytes());
    drop(gone);
    // What no filter is asked about.
    let large = [
        b"GET /text HTTP/1.1\r\nhost: a\r\nx-large: ".as_slice(),
        &[b'x'; 20_000],
        b"\r\n\r\n",
    ]
    .concat();
    for bytes in [
        large,
        b"GET /text HTTP/1.1\r\n\r\n".to_vec(),
        b"NONSENSE\r\n\r\n".to_vec(),
    ] {
        let mut connection = Connection::open(port);
        connection.send(&bytes);
        connection.read_to_end();
    }
    requests.len() + 6
}

fn every_class_of_traffic_is_recorded_in_every_form(upstream: &Upstream) {
    let body = Answer::with_body("application/json", r#"{"items":[{"id":1},{"id":true}]}"#);
    upstream.recorder().answer("body", body);
    let mut config = Config::new(upstream.port()).cluster(cluster("dead", 1));
    for format in FORMATS {
        config = config
            .listener(routed(
                Listener::new(&format!("chain-{format}"))
                    // Or Envoy replaces a client's malformed one before any filter sees it.
                    .hcm(&json!({"preserve_external_request_id": true}))
                    .filter(chain(format)),
            ))
            .listener(routed(
                Listener::new(&format!("logger-{format}")).access_logger(logger(format)),
            ));
    }
    let envoy = Envoy::start("audit-forms", &config).unwrap_or_else(|error| panic!("{error}"));
    let mut expected = 0;
    for format in FORMATS {
        expected += traffic(envoy.port(&format!("chain-{format}")), format);
        expected += traffic(envoy.port(&format!("logger-{format}")), format);
    }
    let records = wait::until("all records", || {
        let records = records::in_log(&envoy.log());
        (records::of_requests(&records).len() == expected).then_some(records)
    });
    records::keep(&records);
    for own in [Own::Top, Own::Under("unmapped"), Own::Under("portcullis")] {
        let told: BTreeSet<String> = records
            .iter()
            .filter(|record| own.has(record))
            .filter_map(|record| records::own(record)["event"].as_str().map(str::to_owned))
            .collect();
        for event in [
            "authentication.failed",
            "authorization.denied",
            "bundle.checkpoint",
            "bundle.settings_loaded",
            "bundle.start",
            "csrf.refused",
            "rate_limit.denied",
            "request_id.malformed",
        ] {
            assert!(told.contains(event), "{own:?}: {event} is not in {told:?}");
        }
    }
    assert_eq!(envoy.admin().vm_reloads(), 0);
}

/// Where a form has what its schema has no place for.
#[derive(Clone, Copy, Debug)]
enum Own {
    Top,
    Under(&'static str),
}

impl Own {
    fn has(self, record: &Value) -> bool {
        match self {
            Self::Top => record.get("schema").is_some(),
            Self::Under(name) => record.get(name).is_some(),
        }
    }
}

fn an_outage_is_told_in_every_form(upstream: &Upstream) {
    let recorder = upstream.recorder();
    let case = |format: &str| format!("outage {format}");
    let mut config = Config::new(upstream.port());
    for format in FORMATS {
        recorder.answer(&case(format), Answer::default().status(503));
        let server = json!({"cluster": "upstream", "path": "/sink", "headers": {"x-case": {"text": case(format)}}});
        let settings = json!({
            "format": format,
            "sinks": [{"webhook": server}],
            "delivery": {
                "batch": {"interval_ms": 50, "max_records": 5},
                "queue": {"max_records": 20},
                "retry": {"initial_ms": 20, "max_ms": 100},
            },
        });
        let listener = Listener::new(format).filter(Filter::wasm("audit_log", settings));
        config =
            config.listener(listener.route(Route::prefix("/direct").direct(200, "by the proxy")));
    }
    let envoy = Envoy::start("audit-outage", &config).unwrap_or_else(|error| panic!("{error}"));
    let told = |format: &str, event: &str| {
        wait::until(event, || {
            let records = records::in_batches(&recorder.requests(&case(format)));
            let is_told = records
                .iter()
                .any(|record| records::own(record)["event"] == event);
            is_told.then_some(records)
        })
    };
    let up = || Answer::with_body("text/plain", "");
    for format in FORMATS {
        let ask = |times: usize| {
            for _ in 0..times {
                Request::get("/direct").send(envoy.port(format));
            }
        };
        // An outage with room in the queue: what is told of it comes with the other records.
        ask(2);
        told(format, "bundle.sink_down");
        recorder.answer(&case(format), up());
        told(format, "bundle.sink_up");
        // And one without.
        recorder.answer(&case(format), Answer::default().status(503));
        ask(60);
        recorder.answer(&case(format), up());
        records::keep(&told(format, "bundle.dropped"));
    }
}

/// All records are in the log, and a sink is waited for that takes them, and at last does not.
fn requests_that_wait_are_recorded_in_every_form(upstream: &Upstream) {
    let recorder = upstream.recorder();
    let case = |format: &str| format!("waiting {format}");
    let mut config = Config::new(upstream.port()).cluster(cluster("dead", 1));
    for format in FORMATS {
        recorder.answer(&case(format), Answer::with_body("text/plain", ""));
        let server = json!({"cluster": "upstream", "path": "/sink", "headers": {"x-case": {"text": case(format)}}});
        let mut settings = audit(format);
        settings["sinks"] = json!([{"log": {}}, {"webhook": server}]);
        settings["delivery"] = json!({"ack": "all", "retry": {"initial_ms": 20, "max_ms": 50}});
        settings["fail_closed"] = json!({});
        let listener = Listener::new(format).hcm(&json!({"preserve_external_request_id": true}));
        config = config.listener(routed(listener.filter(chain_of(settings))));
    }
    let envoy = Envoy::start("audit-waiting", &config).unwrap_or_else(|error| panic!("{error}"));
    let mut expected = 0;
    for format in FORMATS {
        let port = envoy.port(format);
        expected += traffic(port, &case(format));
        recorder.answer(&case(format), Answer::default().status(403));
        let refused = wait::until("a refusal", || {
            expected += 1;
            let response = Request::get("/text").send(port);
            (response.status == 503).then_some(response)
        });
        assert!(refused.header("retry-after").is_some());
    }
    let at = |stage: &str, records: &[Value]| {
        let requests = records::of_requests(records).into_iter();
        let of_stage = requests.filter(|record| records::own(record)["stage"] == stage);
        of_stage.count()
    };
    let records = wait::until("all records", || {
        let records = records::in_log(&envoy.log());
        (at("ResponseComplete", &records) == expected).then_some(records)
    });
    records::keep(&records);
    for own in [Own::Top, Own::Under("unmapped"), Own::Under("portcullis")] {
        let of_form: Vec<Value> = records
            .iter()
            .filter(|record| own.has(record))
            .cloned()
            .collect();
        let received = at("RequestReceived", &of_form);
        assert!(received > 20, "{own:?}: {received}");
        let refused = |record: &Value| records::own(record)["event"] == "audit.refused";
        assert!(of_form.iter().any(refused), "{own:?}");
    }
    assert_eq!(envoy.admin().vm_reloads(), 0);
}

fn a_change_of_settings_names_those_before(upstream: &Upstream) {
    let config = |agent: bool| {
        let mut settings = json!({});
        if !agent {
            settings["omit"] = json!(["user_agent"]);
        }
        let listener = Listener::new("main").filter(Filter::wasm("audit_log", settings));
        Config::new(upstream.port())
            .live()
            .listener(listener.route(Route::prefix("/direct").direct(200, "by the proxy")))
    };
    let mut envoy =
        Envoy::start("audit-change", &config(true)).unwrap_or_else(|error| panic!("{error}"));
    let loaded = |envoy: &Envoy, count: usize| {
        wait::until("the settings' record", || {
            let records = records::in_log(&envoy.log());
            let loaded: Vec<Value> = records
                .into_iter()
                .filter(|record| record["event"] == "bundle.settings_loaded")
                .collect();
            (loaded.len() == count).then_some(loaded)
        })
    };
    Request::get("/direct").send(envoy.port("main"));
    loaded(&envoy, 1);
    assert_eq!(envoy.update(&config(false)), Update::Accepted);
    Request::get("/direct").send(envoy.port("main"));
    let loaded = loaded(&envoy, 2);
    assert!(loaded[0].get("previous_settings_sha256").is_none());
    records::keep(&loaded);
    assert_eq!(
        loaded[1]["previous_settings_sha256"],
        loaded[0]["settings_sha256"]
    );
    assert_ne!(loaded[1]["settings_sha256"], loaded[0]["settings_sha256"]);
}
