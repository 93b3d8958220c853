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
