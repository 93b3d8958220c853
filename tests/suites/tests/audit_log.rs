//! audit-log on a real Envoy: one record of every request, whatever its end, as Envoy's own access log tells of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use portcullis_harness::config::{cluster, http2_cluster};
use portcullis_harness::upstream::{Answer, Upstream};
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Route, cases, http2, suite, wait,
};
use serde_json::{Value, json};

/// A key that no token here is signed with.
const JWKS: &str =
    r#"{"keys":[{"kty":"oct","alg":"HS256","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U"}]}"#;

struct Shared {
    as_filter: Envoy,
    as_access_logger: Envoy,
    into_access_log: Envoy,
    upstream: Upstream,
}

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            a_filter_records_every_end_once_as_the_proxy_itself_tells_it,
            an_access_logger_records_every_end_once_as_the_proxy_itself_tells_it,
            the_proxys_access_log_gets_every_record_of_a_filter,
            a_sink_that_was_down_gets_every_record_once_it_is_back,
        ],
    )
}

fn settings() -> Value {
    json!({
        "rules": [{"level": "headers"}],
        "headers": {"request": [{"name": "x-case"}]},
        "jwt": {"payload_in_metadata": "payload"},
    })
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let audit = || Filter::wasm("audit_log", settings());
    let mut into_access_log = settings();
    into_access_log["sinks"] = json!([{"access_log": {}}]);
    let line = "%FILTER_STATE(wasm.portcullis.audit:PLAIN)%\n";
    let lines = Listener::new("all")
        .filter(Filter::wasm("audit_log", into_access_log))
        .access_log_line(line);
    let filters = |listener: Listener| {
        listener
            .filter(Filter::native(
                "envoy.filters.http.rbac",
                "envoy.extensions.filters.http.rbac.v3.RBAC",
                json!({}),
            ))
            .filter(Filter::native(
                "envoy.filters.http.jwt_authn",
                "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                json!({
                    "providers": {"p": {"issuer": "https://id.example", "local_jwks": {"inline_string": JWKS}}},
                    "rules": [{"match": {"prefix": "/token"}, "requires": {"provider_name": "p"}}],
                }),
            ))
            .filter(Filter::native(
                "envoy.filters.http.local_ratelimit",
                "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
                json!({"stat_prefix": "limit"}),
            ))
            .route(Route::matching(json!({"connect_matcher": {}})))
            .route(Route::prefix("/dead").cluster("dead"))
            .route(Route::prefix("/unknown").cluster("nowhere"))
            .route(Route::prefix("/direct").direct(503, "by the proxy"))
            .route(Route::prefix("/grpc").cluster("http2"))
            .route(Route::prefix("/delay").over(&json!({"route": {"timeout": "0.1s"}})))
            .route(Route::prefix("/forbidden").per_filter("envoy.filters.http.rbac", json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
                "rbac": {"rules": {"action": "ALLOW", "policies": {}}},
            })))
            .route(Route::prefix("/limited").per_filter("envoy.filters.http.local_ratelimit", json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
                "stat_prefix": "limited",
                "token_bucket": {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "3600s"},
                "filter_enabled": {"default_value": {"numerator": 100}},
                "filter_enforced": {"default_value": {"numerator": 100}},
            })))
            .route(Route::prefix("/moved").over(&json!({"route": null, "redirect": {"path_redirect": "/text"}})))
            .route(Route::prefix("/text").over(&json!({"name": "text-route"})))
            .route(Route::prefix("/status"))
            .route(Route::prefix("/bytes"))
    };
    let hcm = json!({
        "stream_idle_timeout": "0.5s",
        "max_request_headers_kb": 8,
        "route_config": {"validate_clusters": false},
    });
    let start = |name: &str, listener: Listener| {
        let config = Config::new(upstream.port())
            .cluster(http2_cluster("http2", upstream.port()))
            .cluster(cluster("dead", 1))
            .listener(filters(listener).hcm(&hcm));
        Envoy::start(name, &config).unwrap_or_else(|error| panic!("{error}"))
    };
    Shared {
        as_filter: start("audit-filter", Listener::new("all").filter(audit())),
        as_access_logger: start("audit-logger", Listener::new("all").access_logger(audit())),
        into_access_log: start("audit-lines", lines),
        upstream,
    }
}

/// One exchange of each kind of end.
fn every_end(port: u16) {
    let get = |target: &str| Request::get(target).case(target);
    for target in [
        "/text",
        "/status/204",
        "/status/401",
        "/status/404",
        "/status/500",
        "/bytes/100000",
        "/direct",
        "/moved",
        "/nowhere",
        "/dead",
        "/unknown",
        "/delay/2000",
        "/forbidden",
        "/token",
        "/limited",
        "/limited",
        "/text?abort=headers&how=reset",
        "/text?abort=headers&how=fin",
    ] {
        get(target).send(port);
    }
    Request::get("/text?secret=hunter2")
        .case("query")
        .header("authorization", "Bearer hunter2")
        .send(port);
    Request::new("HEAD", "/text").case("head").send(port);
    Request::post("/text", "a body").case("post").send(port);
    Request::new("OPTIONS", "/text").case("options").send(port);
    // The upstream breaks off in the middle of its body.
    get("/text?size=5000&abort=body&how=reset").send(port);
    // Bytes that are no UTF-8 in what is recorded.
    get("/text")
        .header("user-agent", b"caf\xe9".to_vec())
        .send(port);
    // HTTP/2, with and without an error, and gRPC.
    http2::send(port, &get("/text"));
    http2::send(port, &get("/nowhere"));
    let grpc = Request::post("/grpc/0", [0; 5]).header("content-type", "application/grpc");
    http2::send(port, &grpc.header("te", "trailers"));
    // A tunnel and an upgrade, which end with the client.
    let mut tunnel = Connection::open(port);
    tunnel.exchange(&Request::new("CONNECT", "example.com:443").case("connect"));
    drop(tunnel);
    let mut socket = Connection::open(port);
    let upgrade = get("/text")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
    assert_eq!(socket.exchange(&upgrade).status, 101);
    drop(socket);
    // The client goes away: while it waits, and before its body is there.
    let mut waiting = Connection::open(port);
    waiting.send(&get("/text?delay=300").case("gone").to_bytes());
    drop(waiting);
    let mut half = Connection::open(port);
    half.send(b"POST /text HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\nx-case: half\r\n\r\nhalf");
    drop(half);
    // The client falls silent in the middle of its body.
    let mut silent = Connection::open(port);
    silent.send(
        b"POST /text HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\nx-case: silent\r\n\r\nhalf",
    );
    silent.read_to_end();
    // What no filter sees: too large, no host, no HTTP.
    for bytes in [
        [
            b"GET /text HTTP/1.1\r\nhost: a\r\nx-large: ".as_slice(),
            &[b'x'; 20_000],
            b"\r\n\r\n",
        ]
        .concat(),
        b"GET /text HTTP/1.1\r\n\r\n".to_vec(),
        b"GET /text HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n".to_vec(),
        b"NONSENSE\r\n\r\n".to_vec(),
    ] {
        let mut connection = Connection::open(port);
        connection.send(&bytes);
        connection.read_to_end();
    }
}

/// All records of requests in the proxy's log.
fn logged(envoy: &Envoy) -> Vec<Value> {
    records(&envoy.log())
}

/// Those in its access log.
fn written(envoy: &Envoy) -> Vec<Value> {
    records(&envoy.access_log_lines("all").join("\n"))
}

fn records(log: &str) -> Vec<Value> {
    log.lines()
        .filter_map(|line| line.find("{\"action\"").map(|at| &line[at..]))
        .map(|json| {
            let value: Value =
                serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
            assert_eq!(value.to_string(), json, "canonical");
            value
        })
        .collect()
}

fn check(envoy: &Envoy, records: fn(&Envoy) -> Vec<Value>) {
    every_end(envoy.port("all"));
    let completed = || envoy.admin().stat("http.all.downstream_rq_completed");
    let active = || envoy.admin().stat("http.all.downstream_rq_active");
    wait::until("the end of all requests", || (active() == 0).then_some(()));
    // Requests without a response are not counted as completed.
    let answered = |lines: &[Value]| {
        let answered = lines
            .iter()
            .filter(|line| line["status"].as_u64() > Some(0));
        answered.count() as u64
    };
    let access_log = wait::until("all lines of the access log", || {
        let lines = envoy.access_log("all");
        (answered(&lines) == completed()).then_some(lines)
    });
    let records = wait::until("all records", || {
        let records = records(envoy);
        (records.len() >= access_log.len()).then_some(records)
    });
    assert!(records.len() >= 36, "{}", records.len());
    // What the proxy counts as completed are the requests that got a response.
    let has_response = |record: &&Value| record["response"]["status"].as_u64() > Some(0);
    let responses = records.iter().filter(has_response).count() as u64;
    assert_eq!(responses, completed());
    assert!(
        records
            .iter()
            .all(|record| record["stage"] == "ResponseComplete")
    );
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut told: Vec<String> = access_log
        .iter()
        .map(|line| {
            let (case, details) = (text(&line["case"]), text(&line["details"]));
            format!(
                "{case} {} {} {details}",
                line["status"],
                text(&line["flags"])
            )
        })
        .collect();
    let mut recorded: Vec<String> = records
        .iter()
        .map(|record| {
            let case = text(&record["request"]["headers"]["x-case"][0]);
            let flags = record["response"]["flags"].as_array();
            let flags: Vec<String> = flags.into_iter().flatten().map(text).collect();
            let flags = if flags.is_empty() {
                "-".to_owned()
            } else {
                flags.join(",")
            };
            let status = record["response"]["status"].as_u64().unwrap_or(0);
            format!(
                "{case} {status} {flags} {}",
                text(&record["response"]["details"])
            )
        })
        .collect();
    told.sort();
    recorded.sort();
    assert_eq!(recorded, told);
    let kinds = |line: &String| line.split_once(' ').map(|(_, end)| end.to_owned());
    let kinds: BTreeSet<Option<String>> = told.iter().map(kinds).collect();
    assert!(
        kinds.len() >= 20,
        "{} kinds of ends: {kinds:#?}",
        kinds.len()
    );
    assert_eq!(envoy.admin().vm_reloads(), 0);
    let counted: u64 = envoy
        .admin()
        .stats("portcullis_audit_log_records_total")
        .values()
        .sum();
    assert_eq!(counted, records.len() as u64);
    assert!(!envoy.log().contains("hunter2"));
}

fn a_filter_records_every_end_once_as_the_proxy_itself_tells_it(shared: &Shared) {
    check(&shared.as_filter, logged);
}

fn an_access_logger_records_every_end_once_as_the_proxy_itself_tells_it(shared: &Shared) {
    check(&shared.as_access_logger, logged);
}

fn the_proxys_access_log_gets_every_record_of_a_filter(shared: &Shared) {
    check(&shared.into_access_log, written);
    let lines = shared.into_access_log.access_log_lines("all");
    assert!(lines[0].contains("bundle.start"), "{}", lines[0]);
    assert!(!lines.join("").contains("hunter2"));
    assert!(!shared.into_access_log.log().contains("\"chain\""));
}

/// Answers to batches, by the `x-case` that the settings give them.
const SINK: &str = "the sink of audit-log";

fn a_sink_that_was_down_gets_every_record_once_it_is_back(shared: &Shared) {
    let recorder = shared.upstream.recorder();
    let server =
        json!({"cluster": "upstream", "path": "/sink", "headers": {"x-case": {"text": SINK}}});
    let settings = json!({
        "sinks": [{"webhook": server}],
        "delivery": {"batch": {"interval_ms": 100}, "retry": {"initial_ms": 50, "max_ms": 200}},
    });
    let config = Config::new(shared.upstream.port()).concurrency(2).listener(
        Listener::new("all")
            .filter(Filter::wasm("audit_log", settings))
            .route(Route::prefix("/direct").direct(200, "by the proxy")),
    );
    let envoy = Envoy::start("audit-sink", &config).unwrap_or_else(|error| panic!("{error}"));
    let mut sent = 0;
    for status in [503, 429, 200] {
        let tried = recorder.requests(SINK).len();
        recorder.answer(SINK, Answer::with_body("text/plain", "").status(status));
        for _ in 0..100 {
            Request::get("/direct").send(envoy.port("all"));
            sent += 1;
        }
        wait::until("a batch", || {
            (recorder.requests(SINK).len() > tried).then_some(())
        });
    }
    let all = || {
        let mut records: BTreeMap<(String, u64), Value> = BTreeMap::new();
        for batch in recorder.requests(SINK) {
            for line in String::from_utf8(batch.body).unwrap().lines() {
                let record: Value = serde_json::from_str(line).unwrap();
                let emitter = record["chain"]["emitter"].as_str().unwrap().to_owned();
                let seq = record["chain"]["seq"].as_u64().unwrap();
                if let Some(before) = records.insert((emitter, seq), record.clone()) {
                    assert_eq!(before, record, "a number is one record");
                }
            }
        }
        records
    };
    let requests = |records: &BTreeMap<(String, u64), Value>| {
        let requests = records
            .values()
            .filter(|record| record["type"] == "request");
        requests.count()
    };
    let records = wait::until("every record", || {
        let records = all();
        (requests(&records) == sent).then_some(records)
    });
    let mut before: Option<(&str, u64, &Value)> = None;
    for ((emitter, seq), record) in &records {
        let chain = &record["chain"];
        match before {
            Some((same, last, hash)) if same == emitter => {
                assert_eq!((*seq, &chain["prev"]), (last + 1, hash));
            }
            _ => assert_eq!((*seq, &chain["prev"]), (1, &json!("0".repeat(64)))),
        }
        before = Some((emitter, *seq, &chain["hash"]));
    }
    assert_eq!(envoy.admin().vm_reloads(), 0);
}
