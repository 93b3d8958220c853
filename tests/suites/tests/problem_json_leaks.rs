//! Nothing of the secrets that upstreams let slip into their errors leaves the proxy: not in any shape of body, in no
//! format, whichever way the body gets its place; nor what stands in headers of the body, in trailers, or in Envoy's own
//! account of a failure.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::config::{cluster, http2_cluster};
use portcullis_harness::upstream::{Answer, Break, End, Framing, Upstream};
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Route, cases, http2, suite,
};
use serde_json::{Value, json};

#[allow(
    dead_code,
    reason = "the texts that may stay are for the test of redaction alone"
)]
#[path = "../../../filters/problem-json/tests/texts/mod.rs"]
mod texts;

#[allow(
    dead_code,
    reason = "the texts that may stay are for the test of redaction alone"
)]
#[path = "../../../filters/problem-json/tests/messages/mod.rs"]
mod messages;

use messages::LEAKS;
use texts::SECRETS;

struct Shared {
    upstream: Upstream,
    envoy: Envoy,
}

/// Ways to run the filter beside the two in which the body gets its place.
const WAYS: [&str; 3] = ["merged oauth", "held, merged oauth", "allowed"];

fn main() -> ExitCode {
    suite::run(
        start,
        cases![
            no_shape_of_a_body_lets_a_secret_out,
            no_format_lets_a_secret_out,
            secrets_in_headers_of_the_body_go_with_it,
            secrets_in_trailers_stay_inside,
            envoys_account_of_a_failure_stays_inside,
            no_everyday_message_lets_the_inside_out,
            no_name_of_a_field_lets_the_inside_out,
            no_header_for_developers_leaves,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let all = json!(["json", "xml", "html", "markdown"]);
    let allowing = json!({"allow_server_text": ["known"]});
    let settings = |name: &str| -> Value {
        match name {
            "hold" => json!({"formats": all, "body": "hold", "upstream": allowing}),
            "merged oauth" => {
                json!({"upstream": {"oauth": "merge", "allow_server_text": ["known"]}})
            }
            "held, merged oauth" => json!({"body": "hold", "upstream": {"oauth": "merge"}}),
            "enriched" => {
                json!({"upstream": {"problem": "enrich", "allow_server_text": ["known"]}})
            }
            // All that a secret stands in matches the pattern.
            "allowed" => json!({
                "redact": {"mode": "allow_list", "patterns": ["(.|\\n)+"]},
                "upstream": allowing,
            }),
            _ => json!({"formats": all, "upstream": allowing}),
        }
    };
    let config = Config::new(upstream.port())
        .cluster(http2_cluster("http2", upstream.port()))
        .cluster(cluster("dead", 1));
    let config =
        ["replace", "hold", "enriched"]
            .iter()
            .chain(&WAYS)
            .fold(config, |config, name| {
                let holds = settings(name)["body"] == "hold";
                let filter = Filter::wasm("problem_json", settings(name))
                    .over(&json!({"allow_on_headers_stop_iteration": holds}));
                let listener = Listener::new(name)
                    .route(Route::prefix("/h2").cluster("http2"))
                    .route(Route::prefix("/dead").cluster("dead"))
                    .route(Route::prefix("/late").over(&json!({"route": {"timeout": "1s"}})))
                    .route(Route::prefix("/"))
                    .filter(filter);
                config.listener(listener)
            });
    let envoy =
        Envoy::start("problem-json-leaks", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared { upstream, envoy }
}

/// The shapes in which a text can come: the type, and the body.
fn shapes(text: &str) -> Vec<(&'static str, String)> {
    let json = |value: serde_json::Value| ("application/json", value.to_string());
    vec![
        json(json!({"error": {"code": "known", "message": text}})),
        json(json!({"error": text})),
        json(json!({"message": text, "code": "known"})),
        json(json!({"errors": [{"title": text, "detail": text, "source": {"pointer": "/a"}}]})),
        json(json!({"detail": [{"loc": ["body", "name"], "msg": text, "type": "value_error"}]})),
        json(json!({"name": [text], "non_field_errors": [text]})),
        json(json!({"error": "invalid_grant", "error_description": text})),
        json(json!({"__type": "com.acme#Wrong", "message": text})),
        json(
            json!({"timestamp": "2026", "status": 400, "error": "Bad Request", "message": text, "trace": text, "path": text}),
        ),
        json(
            json!({"error": {"code": 400, "message": text, "status": "INVALID", "details": [{"reason": text}]}}),
        ),
        (
            "application/vnd.api+json",
            json!({"errors": [{"detail": text, "meta": {"at": text}}]}).to_string(),
        ),
        (
            "application/xml",
            format!(
                "<Error><Code>Wrong</Code><Message>{text}</Message><HostId>{text}</HostId></Error>"
            ),
        ),
        (
            "text/html",
            format!("<html><body><pre>{text}</pre></body></html>"),
        ),
        ("text/plain", text.to_owned()),
    ]
}

impl Shared {
    /// The id that Envoy made up for the last request of `case`: random, so it may hold a short secret by chance.
    fn recorded_id(&self, case: &str) -> String {
        let requests = self.upstream.recorder().requests(case);
        let id = requests.last().unwrap().header("x-request-id").unwrap();
        String::from_utf8(id.to_vec()).unwrap()
    }

    #[track_caller]
    fn assert_silent(
        &self,
        connection: &mut Connection,
        case: &str,
        answer: Answer,
        accept: &str,
        parts: &[&str],
    ) {
        self.upstream.recorder().answer(case, answer);
        let request = Request::get("/x").case(case).header("accept", accept);
        let response = connection.exchange(&request);
        assert!(response.status >= 400, "{case}: {response}");
        let id = self.recorded_id(case);
        let whole = format!("{response}").replace(&id, "");
        let varies = ["date:", "content-length:", "x-envoy-upstream-service-time:"];
        let whole: String = whole
            .lines()
            .filter(|line| !varies.iter().any(|name| line.starts_with(name)))
            .collect();
        for part in parts {
            assert!(!whole.contains(part), "{case}: {part:?} in {response}");
        }
    }
}

fn no_shape_of_a_body_lets_a_secret_out(shared: &Shared) {
    assert!(SECRETS.len() >= 60);
    for listener in ["replace", "hold"].iter().chain(&WAYS) {
        let mut connection = Connection::open(shared.envoy.port(listener));
        // The others differ in what they make of a client's error.
        let statuses: &[u16] = if WAYS.contains(listener) {
            &[400]
        } else {
            &[400, 500]
        };
        for (text, parts) in SECRETS {
            for (at, (kind, body)) in shapes(text).into_iter().enumerate() {
                for &status in statuses {
                    let case = format!("{listener} {status} {at} {text}");
                    let case: String = case.chars().filter(char::is_ascii_alphanumeric).collect();
                    let answer = Answer::with_body(kind, body.clone()).status(status);
                    shared.assert_silent(&mut connection, &case, answer, "*/*", parts);
                }
            }
        }
    }
}

fn no_format_lets_a_secret_out(shared: &Shared) {
    let formats = [
        ("application/problem+xml", "application/problem+xml"),
        ("text/html", "text/html; charset=utf-8"),
        ("text/markdown", "text/markdown; charset=utf-8"),
    ];
    let mut connection = Connection::open(shared.envoy.port("replace"));
    for (accept, kind) in formats {
        for (number, (text, parts)) in SECRETS.iter().enumerate() {
            let case = format!("{} {number}", accept.replace('/', " "));
            let body = json!({"error": {"code": "known", "message": text}}).to_string();
            let answer = Answer::with_body("application/json", body).status(400);
            shared.assert_silent(&mut connection, &case, answer.clone(), accept, parts);
        }
        let case = format!("the type of {}", accept.replace('/', " "));
        let answer = Answer::with_body("text/plain", "x").status(400);
        shared.upstream.recorder().answer(&case, answer);
        let request = Request::get("/x").case(&case).header("accept", accept);
        let response = connection.exchange(&request);
        assert_eq!(
            response.header("content-type").as_deref(),
            Some(kind),
            "{response}"
        );
    }
}

fn secrets_in_headers_of_the_body_go_with_it(shared: &Shared) {
    let mut connection = Connection::open(shared.envoy.port("replace"));
    for (number, name) in [
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-location",
        "content-range",
        "content-digest",
        "content-md5",
        "digest",
        "repr-digest",
        "accept-ranges",
        "last-modified",
        "refresh",
        "etag",
        "trailer",
    ]
    .into_iter()
    .enumerate()
    {
        let case = format!("header {number}");
        let answer = Answer::with_body("text/html", "x")
            .status(500)
            .header(name, "/srv/app/secret-7f3a");
        shared.assert_silent(&mut connection, &case, answer, "*/*", &["7f3a"]);
    }
}

fn secrets_in_trailers_stay_inside(shared: &Shared) {
    for (number, (text, parts)) in SECRETS.iter().enumerate() {
        // No header can hold these.
        let line: String = text
            .chars()
            .map(|sign| if sign.is_control() { ' ' } else { sign })
            .collect();
        let bodies = [
            ("text/html", "<html>"),
            ("application/json", "{\"message\":\"It is gone.\"}"),
            ("application/json", ""),
        ];
        let (kind, body) = bodies[number % bodies.len()];
        for name in ["replace", "hold", "enriched"] {
            let case = format!("trailer {number} on {name}");
            let answer = Answer {
                framing: Framing::Chunked,
                trailers: vec![(b"x-stack".to_vec(), line.clone().into_bytes())],
                ..Answer::with_body(kind, body).status(500)
            };
            shared.upstream.recorder().answer(&case, answer);
            let request = Request::get("/h2").case(&case);
            let response = http2::send(shared.envoy.port(name), &request);
            let id = shared.recorded_id(&case);
            assert!(response.trailers.is_empty(), "{case}: {response}");
            let whole = format!("{response}").replace(&id, "");
            let varies = ["date:", "content-length:", "x-envoy-upstream-service-time:"];
            for part in *parts {
                let there = whole.lines().any(|line| {
                    line.contains(part) && !varies.iter().any(|name| line.starts_with(name))
                });
                assert!(!there, "{case}: {part:?} in {response}");
            }
        }
    }
}

/// Its words, its flags, and the address and the reason that it knows.
fn envoys_account_of_a_failure_stays_inside(shared: &Shared) {
    let broken = |end| Answer {
        end,
        ..Answer::with_body("text/html", "x").status(500)
    };
    for (case, path, answer) in [
        ("refused", "/dead", Answer::default()),
        ("reset", "/x", broken(End::BeforeHead(Break::Reset))),
        ("closed", "/x", broken(End::BeforeHead(Break::Fin))),
        (
            "late",
            "/late",
            Answer {
                delay: std::time::Duration::from_secs(3),
                ..Answer::default()
            },
        ),
    ] {
        shared.upstream.recorder().answer(case, answer);
        for name in ["replace", "hold", "enriched"] {
            let request = Request::get(path).case(case);
            let response = request.send(shared.envoy.port(name));
            assert!(response.status >= 500, "{case} on {name}: {response}");
            assert_eq!(
                response.json()["status"],
                response.status,
                "{case} on {name}"
            );
            let whole = format!("{response}").to_lowercase();
            for part in [
                "upstream connect",
                "upstream request timeout",
                "disconnect/reset",
                "delayed_connect",
                "connection refused",
                "remote_connection",
                "connection_termination",
                "response_timeout",
                "127.0.0.1",
                "transport failure",
            ] {
                assert!(
                    !whole.contains(part),
                    "{case} on {name}: {part:?} in {response}"
                );
            }
        }
    }
}

fn no_everyday_message_lets_the_inside_out(shared: &Shared) {
    let mut connection = Connection::open(shared.envoy.port("replace"));
    for (number, (text, parts)) in LEAKS.iter().enumerate() {
        for (at, body) in [
            json!({"message": text}),
            json!({"errors": [{"detail": text}]}),
            json!({"error": "invalid_grant", "error_description": text}),
        ]
        .into_iter()
        .enumerate()
        {
            let case = format!("everyday {number} {at}");
            let answer = Answer::with_body("application/json", body.to_string()).status(400);
            shared.assert_silent(&mut connection, &case, answer, "*/*", parts);
        }
    }
}

fn no_name_of_a_field_lets_the_inside_out(shared: &Shared) {
    let mut connection = Connection::open(shared.envoy.port("replace"));
    for (number, (name, part)) in [
        ("C:\\inetpub\\wwwroot\\web.config", "inetpub"),
        ("SELECT * FROM users WHERE id = 1", "users"),
        ("secret hunter2x9", "hunter2x9"),
        ("see /etc/passwd", "passwd"),
        ("john.doe%40example.com", "john"),
    ]
    .into_iter()
    .enumerate()
    {
        let case = format!("field {number}");
        let body = json!({"errors": {name: ["is odd"]}}).to_string();
        let answer = Answer::with_body("application/json", body).status(422);
        shared.assert_silent(&mut connection, &case, answer, "*/*", &[part]);
    }
}

fn no_header_for_developers_leaves(shared: &Shared) {
    let names = [
        "x-debug-exception",
        "x-debug-exception-file",
        "x-error-message",
        "x-exception",
        "x-amzn-errortype",
        "warning",
        "www-authenticate",
    ];
    let value = "Bearer error_description=\"SELECT qzx FROM tokens\"";
    let mut connection = Connection::open(shared.envoy.port("replace"));
    for kind in ["text/html", "application/json", "application/problem+json"] {
        for name in names {
            let case = format!("{kind} {name}").replace('/', " ");
            let answer = Answer::with_body(kind, "{}")
                .status(500)
                .header(name, value);
            shared.assert_silent(&mut connection, &case, answer, "*/*", &["qzx"]);
        }
    }
}
