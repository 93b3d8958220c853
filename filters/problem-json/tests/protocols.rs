//! What speaks a protocol with errors of its own is left alone, and nobody has anything else by naming such a protocol.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod passing;

use passing::{HTML, bench, get, pass, post};
use portcullis_kit::Flow;
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CONNECT: (&str, &str) = ("connect-protocol-version", "1");
const CONNECT_ERROR: &[u8] = br#"{"code":"not_found","message":"No such order."}"#;

#[test]
fn what_answers_in_its_own_way_is_left_alone() {
    for settings in [json!({}), json!({"formats": ["json"]})] {
        let bench = bench(settings);
        for kind in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc-web-text",
            "application/connect+json",
            "text/event-stream",
        ] {
            let headers = [(":status", "503"), ("content-type", kind)];
            let sent = pass(&bench, get(&[]), &headers, &[b"\0\0\0\0\x01x"]);
            assert_eq!(sent.body, b"\0\0\0\0\x01x", "{kind}");
            assert_eq!(sent.fake.response.len(), 2, "{kind}");
        }
    }
}

#[test]
fn naming_a_protocol_opens_nothing() {
    for settings in [
        json!({}),
        json!({"formats": ["json"]}),
        json!({"body": "hold"}),
    ] {
        let bench = bench(settings);
        for request in [
            ("content-type", "application/grpc"),
            ("content-type", "application/grpc-web+proto"),
            ("content-type", "application/grpcx"),
            ("te", "trailers"),
            ("x-grpc-web", "1"),
            ("upgrade", "websocket"),
            CONNECT,
        ] {
            for (kind, body) in [
                ("text/html", HTML),
                ("application/json", br#"{"message":"at com.acme.Db.run"}"#),
                (
                    "application/json",
                    br#"{"code":"internal","message":"x","stack":"com.acme.Db"}"#,
                ),
                ("application/grpcx", b"com.acme.Db"),
            ] {
                let headers = [(":status", "500"), ("content-type", kind)];
                let sent = pass(&bench, post(&[request]), &headers, &[body]);
                let text = String::from_utf8_lossy(&sent.body).into_owned();
                assert!(!text.contains("acme"), "{request:?} {kind}: {text}");
                assert_eq!(sent.json()["status"], 500, "{request:?} {kind}");
            }
        }
    }
}

#[test]
fn an_error_of_connect_reaches_its_client_as_it_came() {
    for settings in [
        json!({}),
        json!({"formats": ["json"]}),
        json!({"body": "hold"}),
    ] {
        let bench = bench(settings.clone());
        let headers = [(":status", "404"), ("content-type", "application/json")];
        let (first, rest) = CONNECT_ERROR.split_at(9);
        let sent = pass(&bench, post(&[CONNECT]), &headers, &[first, rest, b""]);
        assert_eq!(sent.body, CONNECT_ERROR, "{settings}");
        assert_eq!(sent.header("content-type"), Some("application/json"));
        let sent = pass(&bench, get(&[]), &headers, &[CONNECT_ERROR]);
        assert_eq!(sent.json()["status"], 404);
    }
}

#[test]
fn a_call_of_connect_with_an_empty_message_gets_its_error_as_well() {
    // An empty message of protobuf is no byte, and the request ends with its headers.
    let bench = bench(json!({"formats": ["json"]}));
    let headers = [(":status", "404"), ("content-type", "application/json")];
    let empty = [
        (":method", "PUT"),
        ("content-type", "application/proto"),
        CONNECT,
    ];
    let sent = pass(&bench, get(&empty), &headers, &[CONNECT_ERROR]);
    assert_eq!(sent.body, CONNECT_ERROR);
    assert_eq!(sent.header("content-type"), Some("application/json"));
}

/// Connect's own codes with texts that are nobody's business, by the status that they come with.
const OF_THE_INSIDE: &str = r#"{"code":"CODE","message":"pq: password authentication failed for user \"orders\"; SELECT * FROM users; /etc/passwd","details":["at com.acme.Foo(Foo.java:1)",{"password":"hunter2"},{"type":"google.rpc.ErrorInfo","value":"CghwYXNzd29yZBIHaHVudGVyMg"}]}"#;
const SECRETS: [&str; 8] = [
    "orders", "users", "passwd", "acme", "hunter2", "SELECT", "CghwYX", "pq:",
];

#[test]
fn an_error_of_connect_says_nothing_of_the_inside() {
    for settings in [
        json!({}),
        json!({"formats": ["json"]}),
        json!({"body": "hold"}),
    ] {
        let bench = bench(settings.clone());
        for (status, code) in [
            ("500", "internal"),
            ("503", "unavailable"),
            ("404", "not_found"),
            ("408", "canceled"),
        ] {
            let body = OF_THE_INSIDE.replace("CODE", code);
            let length = body.len().to_string();
            let headers = [
                (":status", status),
                ("content-type", "application/json"),
                ("content-length", &length),
            ];
            let sent = pass(&bench, post(&[CONNECT]), &headers, &[body.as_bytes()]);
            let what = format!("{settings} {status}: {}", sent.body.escape_ascii());
            for secret in SECRETS {
                let text = String::from_utf8_lossy(&sent.body);
                assert!(!text.contains(secret), "{secret} in {what}");
            }
            let error = sent.json();
            assert_eq!(error["code"], code, "{what}");
            assert!(error["message"].is_string(), "{what}");
            assert_eq!(error.as_object().unwrap().len(), 2, "{what}");
            assert_eq!(sent.header("content-type"), Some("application/json"));
            let told = sent.header("content-length");
            let exact = sent.body.len().to_string();
            assert!(told.is_none_or(|told| told == exact), "{told:?} {what}");
        }
    }
}

#[test]
fn a_code_that_does_not_belong_to_the_status_makes_no_error_of_connect() {
    let bench = bench(json!({"body": "hold"}));
    for (status, code) in [
        ("500", "not_found"),
        ("404", "internal"),
        ("502", "unavailable"),
    ] {
        let body = OF_THE_INSIDE.replace("CODE", code);
        let headers = [(":status", status), ("content-type", "application/json")];
        let sent = pass(&bench, post(&[CONNECT]), &headers, &[body.as_bytes()]);
        assert_eq!(sent.json()["status"].to_string(), status);
    }
}

#[test]
fn the_settings_can_let_a_servers_text_pass_to_a_client_of_connect() {
    let bench = bench(json!({"upstream": {"allow_server_text": ["unavailable"]}}));
    let headers = [(":status", "503"), ("content-type", "application/json")];
    let body = br#"{"code":"unavailable","message":"We are moving house until noon."}"#;
    let sent = pass(&bench, post(&[CONNECT]), &headers, &[body]);
    assert_eq!(sent.body, body);
}

#[test]
fn a_call_of_grpc_without_an_answer_stays_one() {
    // The host would make a status of our reply, with the document in `grpc-message`.
    let bench = bench(json!({}));
    let request = post(&[("content-type", "application/grpc")]);
    let sent = pass(&bench, request, &[(":status", "503")], &[]);
    assert_eq!(sent.flow, Flow::Continue);
    assert!(sent.fake.replies.is_empty());
}

#[test]
fn what_developers_see_in_headers_leaves_no_call_of_grpc_either() {
    let headers = [
        (":status", "401"),
        ("x-debug-exception", "com.acme.Db"),
        (
            "www-authenticate",
            "Bearer error_description=\"SELECT a FROM users at 10.0.0.5\"",
        ),
    ];
    let request = post(&[("content-type", "application/grpc")]);
    let sent = pass(&bench(json!({})), request, &headers, &[]);
    assert_eq!(sent.header("x-debug-exception"), None);
    let challenge = sent.header("www-authenticate").unwrap();
    assert!(!challenge.contains("10.0.0.5"), "{challenge}");
}
