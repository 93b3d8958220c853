//! Fifty secrets where secrets stand in requests and responses: none in any byte of any sink, of the proxy's log or of its
//! metrics, in whatever form audit-log is configured; and beside them values that are listed, which all arrive.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::process::ExitCode;

use portcullis_harness::upstream::{Answer, Framing, Upstream};
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Route, cases, suite, wait,
};
use portcullis_suites::records;
use serde_json::{Value, json};

/// What every secret contains. No id, no hash and no number has it.
const CANARY: &str = "c4n4ry-";
/// What every listed value contains.
const LISTED: &str = "l1sted-";
const JWKS: &str = r#"{"keys":[{"kty":"oct","alg":"HS256","kid":"k","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}"#;
/// Signed with that key: issuer `https://id.example`, and four secrets, one of them the subject.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiJjNG40cnktMzUtc3ViamVjdCIsImV4cCI6NDEwMjQ0NDgwMCwiZW1haWwiOiJjNG40cnktMzYtZW1haWxAZXhhbXBsZS5jb20iLCJvcmciOnsidG9rZW4iOiJjNG40cnktMzctY2xhaW0ifSwic2NvcGUiOiJjNG40cnktMzgtc2NvcGUifQ.y4if9_EeAuTk4bhtIBMN6GO34JbiXp9RBdFGzwMPtNI";
/// `user:c4n4ry-02-basic`
const BASIC: &str = "dXNlcjpjNG40cnktMDItYmFzaWM";
/// Secrets as they stand where they are encoded: parts of the token, and that user.
const ENCODED: [&str; 4] = ["zdWIiOiJjNG40cnk", "y4if9_EeAuTk4bht", "c4n4ry%2d", BASIC];
/// Those that stand in the token only.
const IN_TOKEN: usize = 4;

fn main() -> ExitCode {
    suite::run_in_order(
        || (),
        cases![
            no_secret_leaves_by_any_sink_log_or_metric_and_every_listed_value_does,
            bodies_pass_as_they_are_however_long_they_are,
        ],
    )
}

/// One way in which audit-log stands.
struct Form {
    name: &'static str,
    sees_bodies: bool,
    listener: fn(&str, Value) -> Listener,
}

const FORMS: [Form; 4] = [
    Form {
        name: "alone",
        sees_bodies: false,
        listener: |name, settings| {
            Listener::new(name).filter(keyed(Filter::wasm("audit_log", settings)))
        },
    },
    Form {
        name: "with-bodies",
        sees_bodies: true,
        listener: |name, settings| {
            let filter = Filter::wasm("portcullis", settings).named("audit-log");
            Listener::new(name).filter(keyed(filter.root_id("audit-log")))
        },
    },
    Form {
        name: "chain",
        sees_bodies: true,
        listener: |name, settings| {
            let all = json!({
                "request_tracing": {"trust": "internal", "slow_ms": 1},
                "security_headers": {"preset": "api", "csrf": {"mode": "shadow"}},
                "audit_log": settings,
                "problem_json": {},
                "rate_limit": {
                    "identity": [{"header": {"name": "x-api-key", "hash": true}}, {"client_address": {}}],
                    "plans": "none",
                    "tier": {"default": "free"},
                    "tiers": {"free": {"limits": [{"name": "day", "count": 100_000, "window": "day"}]}},
                },
            });
            Listener::new(name).filter(keyed(Filter::wasm("portcullis", all)))
        },
    },
    Form {
        name: "logger",
        sees_bodies: false,
        listener: |name, settings| {
            Listener::new(name).access_logger(keyed(Filter::wasm("audit_log", settings)))
        },
    },
];

fn keyed(filter: Filter) -> Filter {
    let key = "0123456789abcdef0123456789abcdef";
    filter
        .environment("AUDIT_KEY", key)
        .environment("CHAIN_KEY", key)
}

/// The case under which a listener's sinks are recorded.
fn sink(listener: &str, kind: &str) -> String {
    format!("sink {kind} of {listener}")
}

/// Each form of records, and between them each kind of sink.
fn sinks(listener: &str, format: &str) -> Value {
    let http = |kind: &str| json!({"cluster": "upstream", "path": "/sink", "headers": {"x-case": {"text": sink(listener, kind)}}});
    let mut array = http("webhook");
    array["body"] = "array".into();
    match format {
        "native" => json!([{"log": {}}, {"otlp": http("otlp")}]),
        "ocsf" => json!([{"log": {}}, {"webhook": http("webhook")}]),
        _ => json!([{"otlp": http("otlp")}, {"webhook": array}]),
    }
}

fn settings(form: &Form, listener: &str, format: &str) -> Value {
    let mut settings = json!({
        "rules": [{"level": if form.sees_bodies { "body" } else { "headers" }}],
        "identity": [{"header": {"name": "x-api-key", "hash": true}}],
        "jwt": {"payload_in_metadata": "payload", "subject": "hashed"},
        "path": {"templates": ["/users/{id}", "/orders", "/l1sted-path/{rest...}"], "unmatched": "omit"},
        "query": [{"name": "page"}, {"name": "who", "value": "hashed"}],
        "headers": {
            "request": [{"name": "x-listed"}, {"name": "referer"}, {"name": "x-hashed", "value": "hashed"}],
            "response": [{"name": "x-listed"}, {"name": "location"}, {"name": "x-hashed", "value": "hashed"}],
        },
        "hmac_key": {"id": "h1", "secret": {"env": "AUDIT_KEY"}},
        "sinks": sinks(listener, format),
        "delivery": {"batch": {"interval_ms": 100}, "ack": "all"},
        "format": format,
        "chain": {"key": {"id": "c1", "secret": {"env": "CHAIN_KEY"}}, "checkpoint_records": 7},
    });
    if form.sees_bodies {
        settings["bodies"] = json!({
            "request": [{"pointer": "/order/id"}, {"pointer": "/items/*/sku"}, {"pointer": "/email", "value": "hashed"}],
            "response": [{"pointer": "/id"}],
            "max_bytes": 2048,
        });
    }
    settings
}

fn listener(form: &Form, format: &str) -> Listener {
    let name = format!("{}-{format}", form.name);
    (form.listener)(&name, settings(form, &name, format))
        .filter(Filter::native(
            "envoy.filters.http.jwt_authn",
            "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            json!({
                "providers": {"p": {
                    "issuer": "https://id.example",
                    "local_jwks": {"inline_string": JWKS},
                    "payload_in_metadata": "payload",
                    "forward": true,
                }},
                "rules": [{"match": {"prefix": "/users/token"}, "requires": {"provider_name": "p"}}],
            }),
        ))
        .route(Route::prefix("/moved").over(&json!({"route": null, "redirect": {"path_redirect": "/text"}})))
        .route(Route::prefix("/"))
        .hcm(&json!({
            "http_protocol_options": {"enable_trailers": true, "allow_absolute_url": true},
            "max_request_headers_kb": 8,
        }))
}

/// What is sent to each listener: all secrets, with listed values beside them.
fn requests() -> Vec<Vec<u8>> {
    let get = |target: &str| Request::get(target).header("x-listed", "l1sted-header");
    let json_post = |body: &str| {
        Request::post("/orders", body)
            .header("content-type", "application/json")
            .case("body")
    };
    let order = r#"{"order":{"id":"l1sted-body","card":"c4n4ry-39-card","c4n4ry-40-name":1},
        "items":[{"sku":"l1sted-sku","note":"c4n4ry-41-note"},{"sku":{"inner":"c4n4ry-42-inner"}}],
        "email":"c4n4ry-43-email"}"#;
    let long = format!(r#"{{"order":{{"id":"c4n4ry-44-{}"}}}}"#, "x".repeat(3000));
    let mut sent: Vec<Vec<u8>> = [
        get("/users/c4n4ry-01-path")
            .header("authorization", format!("Basic {BASIC}=="))
            .header("proxy-authorization", "Bearer c4n4ry-03-proxy")
            .header("cookie", "session=c4n4ry-04-session; theme=c4n4ry-05-theme")
            .header("x-api-key", "c4n4ry-06-key")
            .header("x-auth-token", "c4n4ry-07-token")
            .header("x-amz-security-token", "c4n4ry-08-amz")
            .header("x-csrf-token", "c4n4ry-09-csrf")
            .header("x-custom", "c4n4ry-10-custom")
            .header("x-hashed", "c4n4ry-11-hashed")
            .header("x-listed-not", "c4n4ry-12-neighbour")
            .header("baggage", "user=c4n4ry-13-baggage")
            .header("tracestate", "v=c4n4ry-14-state")
            .header("x-forwarded-for", "c4n4ry-15-address")
            .header("forwarded", "for=c4n4ry-16-forwarded")
            .header("origin", "https://c4n4ry-17-origin.example")
            .header("referer", "https://u:c4n4ry-18-referer@a.example/l1sted-page?c4n4ry-19-query#c4n4ry-20-fragment")
            .case("secrets"),
        get("/orders?page=l1sted-query&token=c4n4ry-21-token&code=c4n4ry-22-code&q=c4n4ry-23-q&who=c4n4ry-24-who")
            // The proxy takes out one that is not as it asks.
            .header("referer", "https://a.example/l1sted-page?c4n4ry-59-referer"),
        get("/orders?pag%65=c4n4ry%2d25&PAGE=c4n4ry-25-case&page[]=c4n4ry-26-list&c4n4ry-27-name"),
        get("/orders#c4n4ry-28-fragment"),
        get("/c4n4ry-29-segment/x;session=c4n4ry-30-matrix"),
        get("http://user:c4n4ry-31-userinfo@api.example.com/orders"),
        get("/orders").header("host", "user:c4n4ry-32-host@api.example.com"),
        get("/orders").header("authorization", "Bearer c4n4ry-33-bearer"),
        get("/users/token").header("authorization", "Bearer c4n4ry-34-refused"),
        get("/users/token").header("authorization", format!("Bearer {TOKEN}")),
        get("/moved?c4n4ry-47-redirect"),
        json_post(order).header("x-listed", "l1sted-header"),
        json_post(&long),
        json_post("c4n4ry-45-no-json"),
        Request::post("/orders", "password=c4n4ry-46-form")
            .header("content-type", "application/x-www-form-urlencoded"),
        // Too large for the proxy: no filter is asked, and all are told of its end.
        get("/orders").header("x-large", format!("c4n4ry-48-{}", "x".repeat(20_000))),
    ]
    .iter()
    .map(Request::to_bytes)
    .collect();
    sent.push(
        b"POST /orders HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\
          trailer: x-secret\r\n\r\n2\r\n{}\r\n0\r\nx-secret: c4n4ry-49-trailer\r\n\r\n"
            .to_vec(),
    );
    sent
}

/// What the upstream answers, by case.
fn answers() -> Vec<(&'static str, Answer)> {
    let secrets = Answer::with_body("text/plain", "c4n4ry-50-text")
        .status(302)
        .header("set-cookie", "session=c4n4ry-51-cookie; HttpOnly")
        .header(
            "location",
            "https://u:c4n4ry-52-location@a.example/l1sted-location?c4n4ry-53-query",
        )
        .header("www-authenticate", "Basic realm=c4n4ry-54-realm")
        .header("x-internal", "c4n4ry-55-internal")
        .header("x-hashed", "c4n4ry-56-hashed")
        .header("x-listed", "l1sted-answer");
    let mut body = Answer::with_body(
        "application/json",
        r#"{"id":"l1sted-id","secret":"c4n4ry-57-json"}"#,
    );
    body.framing = Framing::Chunked;
    body.chunk = 7;
    body.trailers = vec![(b"x-secret".to_vec(), b"c4n4ry-58-trailer".to_vec())];
    vec![("secrets", secrets), ("body", body)]
}

/// Every distinct text that begins so in these bytes.
fn texts(bytes: &[u8], begin: &str) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(bytes);
    let ends = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    let starts = text.match_indices(begin).map(|(at, _)| &text[at..]);
    starts
        .map(|rest| rest.split(ends).next().unwrap().chars().take(24).collect())
        .collect()
}

fn assert_clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for needle in ENCODED.iter().chain([&CANARY]) {
        if let Some(at) = text.find(needle) {
            let start = text.floor_char_boundary(at.saturating_sub(400));
            let end = text.ceil_char_boundary((at + 100).min(text.len()));
            panic!("{what} shows a secret: …{}…", &text[start..end]);
        }
    }
}

fn no_secret_leaves_by_any_sink_log_or_metric_and_every_listed_value_does((): &()) {
    let upstream = Upstream::start().unwrap();
    let recorder = upstream.recorder();
    let mut secrets = BTreeSet::new();
    for (case, answer) in answers() {
        let parts = answer
            .headers
            .iter()
            .chain(&answer.trailers)
            .flat_map(|(_, value)| value);
        let bytes: Vec<u8> = parts.chain(&answer.body).copied().collect();
        secrets.extend(texts(&bytes, CANARY));
        recorder.answer(case, answer);
    }
    for request in requests() {
        secrets.extend(texts(&request, CANARY));
    }
    let count = secrets.len() + IN_TOKEN + 1;
    assert!(count >= 50, "{count} secrets: {secrets:?}");

    let mut config = Config::new(upstream.port());
    let formats = ["native", "ocsf", "ecs"];
    for form in &FORMS {
        for format in formats {
            config = config.listener(listener(form, format));
        }
    }
    let envoy = Envoy::start("audit-canaries", &config).unwrap_or_else(|error| panic!("{error}"));
    envoy.admin().post("/logging?wasm=debug");
    for form in &FORMS {
        for format in formats {
            let name = format!("{}-{format}", form.name);
            for request in requests() {
                let mut connection = Connection::open(envoy.port(&name));
                connection.send(&request);
                connection
                    .read_response("GET")
                    .unwrap_or_else(|| panic!("{name}: no answer to {}", request.escape_ascii()));
            }
        }
    }
    let all: Vec<&str> = vec![
        "l1sted-header",
        "l1sted-query",
        "l1sted-page",
        "l1sted-answer",
        "l1sted-location",
    ];
    let in_bodies = ["l1sted-body", "l1sted-sku", "l1sted-id"];
    let log = || envoy.log().into_bytes();
    for form in &FORMS {
        let expected: BTreeSet<String> = all
            .iter()
            .chain(in_bodies.iter().filter(|_| form.sees_bodies))
            .map(|&text| text.to_owned())
            .collect();
        for format in formats {
            let name = format!("{}-{format}", form.name);
            for kind in ["otlp", "webhook"] {
                let kinds = sinks(&name, format);
                if !kinds
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|sink| sink.get(kind).is_some())
                {
                    continue;
                }
                let case = sink(&name, kind);
                // The control: what is listed arrives, so secrets would.
                let batches = wait::until(&format!("the records of {name} by {kind}"), || {
                    let batches = recorder.requests(&case);
                    let bytes: Vec<u8> = batches
                        .iter()
                        .flat_map(|batch| batch.body.clone())
                        .collect();
                    let records = evidence_count(&bytes);
                    (texts(&bytes, LISTED) == expected && records >= requests().len())
                        .then_some(batches)
                });
                for batch in &batches {
                    assert_clean(&case, &batch.head);
                    assert_clean(&case, &batch.body);
                }
                let records = records::in_batches(&batches);
                check_known(&name, &records);
                records::keep(&records);
            }
        }
    }
    let records = records::in_log(&envoy.log());
    assert!(texts(&log(), LISTED).len() == all.len() + in_bodies.len());
    assert!(records::of_requests(&records).len() >= 8 * requests().len());
    assert_clean("the proxy's log", &log());
    for page in ["/stats", "/stats/prometheus", "/stats?format=json"] {
        let page = envoy.admin().get(page);
        assert!(page.text().contains("audit"), "the control");
        assert_clean("a metric", &page.body);
    }
    assert_eq!(envoy.admin().vm_reloads(), 0);
}

fn evidence_count(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    // Within OTLP the record is text.
    text.matches("ResponseComplete").count()
}

/// The hashed values are there, and the verified issuer.
fn check_known(name: &str, records: &[Value]) {
    let text: String = records.iter().map(Value::to_string).collect();
    assert!(text.contains("hmac-sha256:h1:"), "{name}");
    assert!(text.contains("https://id.example"), "{name}");
    assert!(text.contains("authentication.failed"), "{name}");
    assert!(text.contains("/users/{id}"), "{name}");
}

fn bodies_pass_as_they_are_however_long_they_are((): &()) {
    let upstream = Upstream::start().unwrap();
    let recorder = upstream.recorder();
    let form = &FORMS[1];
    let config = Config::new(upstream.port()).listener(listener(form, "native"));
    let envoy = Envoy::start("audit-bodies", &config).unwrap_or_else(|error| panic!("{error}"));
    let port = envoy.port("with-bodies-native");
    for (case, size) in [
        ("short", 100),
        ("at the bound", 2048 - 2),
        ("beyond it", 2049),
        ("long", 3_000_000),
    ] {
        let body = format!("\"{}\"", "x".repeat(size));
        recorder.answer(case, Answer::with_body("application/json", body.clone()));
        let request =
            Request::post("/orders", body.clone()).header("content-type", "application/json");
        let response = request.case(case).send(port);
        assert!(
            response.body == body.as_bytes(),
            "{case}: the response is another"
        );
        assert!(
            recorder.requests(case)[0].body == body.as_bytes(),
            "{case}: the request is another"
        );
    }
    let marks = wait::until("all records", || {
        let records = records::in_log(&envoy.log());
        let marks = records::of_requests(&records)
            .iter()
            .map(|record| record["redacted"].to_string())
            .collect::<Vec<_>>();
        (marks.len() == 4).then_some(marks)
    });
    let whole = r#"["request.body","response.body"]"#;
    let long = r#"["request.body.too_large","response.body.too_large"]"#;
    assert_eq!(marks, [whole, whole, long, long]);
}
