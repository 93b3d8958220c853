//! problem-json and responses whose end is far, or never comes: streams pass as they are, errors without an end are answered
//! within the cap, and what breaks off in the middle is a problem as well.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_harness::config::cluster;
use portcullis_harness::upstream::{Answer, Break, End, Framing, Upstream};
use portcullis_harness::{
    Config, Connection, Ending, Envoy, Filter, Listener, Request, Response, Route, Template,
    artifacts, cases, suite, wait,
};
use portcullis_suites::errors::SECRET;
use portcullis_suites::piecemeal::{self, Wire};
use serde_json::{Value, json};

struct Shared {
    upstream: Upstream,
    by_hand: piecemeal::Upstream,
    envoy: Envoy,
}

/// Ways to run the filter, all of them over the net of the configuration that we ship.
const LISTENERS: [&str; 3] = ["separate", "hold", "chain"];

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            a_websocket_passes_byte_for_byte,
            each_event_passes_before_the_next_one_is_sent,
            an_error_without_an_end_is_answered_and_not_kept,
            an_error_that_breaks_off_is_a_problem_and_leaks_nothing,
            a_body_that_never_begins_is_a_problem_where_headers_wait,
            a_status_that_is_none_leaves_as_502,
            nothing_died,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let by_hand = piecemeal::Upstream::start();
    let tracing = || Filter::wasm("request_tracing", json!({}));
    let headers = || Filter::wasm("security_headers", json!({}));
    let hold = || {
        let settings = json!({"reply_headers": "api", "body": "hold"});
        Filter::wasm("problem_json", settings)
            .over(&json!({"allow_on_headers_stop_iteration": true}))
    };
    let chain = json!({"request_tracing": {}, "security_headers": {}, "problem_json": {}});
    let around = |listener: Listener| listener.filter(tracing()).filter(headers());
    let config = Config::new(upstream.port())
        .cluster(cluster("by_hand", by_hand.port()))
        .listener(listener("plain"))
        .listener(around(listener("separate")).filter(Filter::wasm(
            "problem_json",
            json!({"reply_headers": "api"}),
        )))
        .listener(around(listener("hold")).filter(hold()))
        .listener(listener("chain").filter(Filter::wasm("portcullis", chain)))
        .listener(around(without_net("no net")).filter(hold()));
    let envoy =
        Envoy::start("problem-json-streams", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared {
        upstream,
        by_hand,
        envoy,
    }
}

fn without_net(name: &str) -> Listener {
    Listener::new(name)
        .route(
            Route::prefix("/by-hand")
                .over(&json!({"route": {"cluster": "by_hand", "timeout": "0s"}})),
        )
        .route(Route::prefix("/"))
}

fn listener(name: &str) -> Listener {
    let mut shipped = Template::read(artifacts::root().join("envoy/envoy.yaml")).0;
    let manager = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config";
    let net = portcullis_harness::patch::at(&mut shipped, manager)["local_reply_config"].clone();
    assert!(net.is_object());
    without_net(name).hcm(&json!({"local_reply_config": net}))
}

fn a_websocket_passes_byte_for_byte(shared: &Shared) {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let upgrade = Request::get("/chat")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
    for name in LISTENERS {
        let mut connection = Connection::open(shared.envoy.port(name));
        let response = connection.exchange(&upgrade);
        assert_eq!(response.status, 101, "{name}: {response}");
        assert_eq!(response.header("upgrade").as_deref(), Some("websocket"));
        for piece in bytes.chunks(10_000) {
            connection.send(piece);
            assert!(connection.read_exactly(piece.len()) == piece, "{name}");
        }
    }
}

/// The next event is only sent once the last one has arrived: whoever buffers never gets it.
fn each_event_passes_before_the_next_one_is_sent(shared: &Shared) {
    for (name, status) in LISTENERS.iter().flat_map(|name| [(name, 200), (name, 503)]) {
        let mut client = Wire::client(shared.envoy.port(name), &Request::get("/by-hand"));
        let mut upstream = shared.by_hand.accept();
        let head = format!(
            "HTTP/1.1 {status} OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        );
        upstream.write(head.as_bytes());
        client.read_until(b"\r\n\r\n");
        let mut sent = Vec::new();
        for number in 0..200 {
            let event = format!("id: {number}\ndata: \u{e4}\n\n");
            upstream.write(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
            client.read_until(event.as_bytes());
            sent.extend(event.into_bytes());
        }
        upstream.write(b"0\r\n\r\n");
        client.read_until(b"\r\n0\r\n\r\n");
        assert!(client.unchunked() == sent, "{name} {status}");
    }
}

/// Far more than any buffer of Envoy's holds.
const FAR: usize = 48 << 20;

fn an_error_without_an_end_is_answered_and_not_kept(shared: &Shared) {
    for name in LISTENERS {
        for kind in ["text/html", "application/json"] {
            let what = format!("{kind} on {name}");
            let mut client = Wire::client(shared.envoy.port(name), &Request::get("/by-hand"));
            let mut upstream = shared.by_hand.accept();
            let head = format!(
                "HTTP/1.1 500 Oh\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            upstream.write(head.as_bytes());
            let before = shared.envoy.resident_bytes();
            let piece = [b"8000\r\n".as_slice(), &[b' '; 0x8000], b"\r\n"].concat();
            let written = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&written);
            let writing = std::thread::spawn(move || {
                upstream.write_for_ever(&piece, |more| {
                    counted.fetch_add(more, Ordering::Relaxed);
                });
            });
            client.read_until(b"}");
            let at = client.seen.iter().position(|byte| *byte == b'{').unwrap();
            let end = client.seen.iter().rposition(|byte| *byte == b'}').unwrap();
            let document: Value = serde_json::from_slice(&client.seen[at..=end]).unwrap();
            assert_eq!(document["status"], 500, "{what}");
            wait::until(&format!("{what}: the rest is drained"), || {
                (written.load(Ordering::Relaxed) > FAR).then_some(())
            });
            let grown = shared.envoy.resident_bytes().saturating_sub(before);
            assert!(grown < 8 << 20, "{what}: {grown} bytes");
            drop(client);
            // The client's end is the upstream's: nobody reads for nobody.
            writing.join().unwrap();
        }
    }
}

#[track_caller]
fn assert_problem(what: &str, response: &Response) {
    let kind = response.header("content-type");
    assert_eq!(
        kind.as_deref(),
        Some("application/problem+json"),
        "{what}: {response}"
    );
    let document = response.json();
    assert_eq!(document["status"], response.status, "{what}: {response}");
    for member in ["type", "title", "request_id"] {
        assert!(document[member].is_string(), "{what}: {member}\n{response}");
    }
}

fn an_error_that_breaks_off_is_a_problem_and_leaks_nothing(shared: &Shared) {
    let body =
        format!(r#"{{"error":{{"code":"{SECRET}","message":"{SECRET}","more":"{SECRET}"}}}}"#);
    let (mut held, mut cut) = (0, 0);
    for how in [Break::Fin, Break::Reset] {
        for kind in ["text/html", "application/json"] {
            for framing in [Framing::Length, Framing::Chunked] {
                let answer = Answer {
                    end: End::InBody(how),
                    framing,
                    ..Answer::with_body(kind, body.as_str()).status(500)
                };
                for name in [&LISTENERS[..], &["no net"]].concat() {
                    let case = format!("{how:?} {kind} {framing:?} on {name}");
                    shared.upstream.recorder().answer(&case, answer.clone());
                    let request = Request::get("/x").case(&case);
                    let response = request.send(shared.envoy.port(name));
                    assert!(response.status >= 500, "{case}: {response}");
                    assert!(!response.to_string().contains(SECRET), "{case}: {response}");
                    // While headers wait for the body, Envoy answers by itself, past all filters: only the net is left.
                    if name == "no net" && kind == "application/json" {
                        let kind = response.header("content-type");
                        assert_eq!(kind.as_deref(), Some("text/plain"), "{case}");
                        held += 1;
                        continue;
                    }
                    assert!(!response.to_string().contains("upstream connect"), "{case}");
                    // The headers have left before the body is read, and no filter is told that it ends here: the client
                    // sees that the response is cut off.
                    if name != "hold" && kind == "application/json" {
                        assert_eq!(response.status, 500, "{case}: {response}");
                        assert_ne!(response.ending, Ending::Complete, "{case}");
                        assert!(response.body.is_empty(), "{case}: {response}");
                        cut += 1;
                        continue;
                    }
                    assert_problem(&case, &response);
                }
            }
        }
    }
    assert_eq!((held, cut), (4, 8));
}

/// The upstream promises a length and is gone before the first byte: a document of that status would never come.
fn a_body_that_never_begins_is_a_problem_where_headers_wait(shared: &Shared) {
    for kind in ["text/html", "application/json"] {
        for framing in ["content-length: 100", "transfer-encoding: chunked"] {
            let what = format!("{kind} {framing}");
            let mut client = Wire::client(shared.envoy.port("hold"), &Request::get("/by-hand"));
            let mut upstream = shared.by_hand.accept();
            let head = format!("HTTP/1.1 500 Oh\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n");
            upstream.write(head.as_bytes());
            drop(upstream);
            client.read_until(b"}");
            let text = String::from_utf8_lossy(&client.seen).into_owned();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let document: Value = serde_json::from_str(body).unwrap();
            let status = document["status"].as_u64().unwrap();
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status} ")),
                "{what}: {text}"
            );
            assert!(status >= 502, "{what}: {text}");
            let kind = "content-type: application/problem+json";
            assert!(head.contains(kind), "{what}: {text}");
        }
    }
}

/// RFC 9110 §15: a status outside of 100 to 599 is invalid. What Envoy does not refuse by itself, the filter does.
fn a_status_that_is_none_leaves_as_502(shared: &Shared) {
    for status in [600, 700, 999] {
        for (kind, body) in [
            ("text/html", SECRET),
            ("application/json", "{}"),
            ("application/problem+json", "{}"),
            ("text/plain", ""),
        ] {
            let case = format!("{status} {kind}");
            let answer = Answer::with_body(kind, body).status(status);
            shared.upstream.recorder().answer(&case, answer);
            let request = Request::get("/x").case(&case);
            assert_eq!(request.send(shared.envoy.port("plain")).status, status);
            for name in LISTENERS {
                let response = request.send(shared.envoy.port(name));
                assert_eq!(response.status, 502, "{case} on {name}: {response}");
                assert_problem(&case, &response);
                assert_eq!(
                    response.json()["upstream_status"],
                    status,
                    "{case} on {name}"
                );
                let head = Request::new("HEAD", "/x").case(&case);
                assert_eq!(
                    head.send(shared.envoy.port(name)).status,
                    502,
                    "{case} on {name}"
                );
            }
        }
    }
    for line in [
        "099 Low",
        "000 Nothing",
        "1000 High",
        "20 Short",
        "abc Words",
    ] {
        for name in LISTENERS {
            let mut client = Wire::client(shared.envoy.port(name), &Request::get("/by-hand"));
            let mut upstream = shared.by_hand.accept();
            upstream.write(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n").as_bytes());
            client.read_until(b"}");
            let text = String::from_utf8_lossy(&client.seen).to_lowercase();
            assert!(text.starts_with("http/1.1 50"), "{line} on {name}: {text}");
            assert!(
                text.contains("application/problem+json"),
                "{line} on {name}: {text}"
            );
        }
    }
}

fn nothing_died(shared: &Shared) {
    assert_eq!(
        shared.envoy.admin().vm_reloads(),
        0,
        "{}",
        shared.envoy.log()
    );
}
