//! Which errors are rewritten, which pass, and what the document takes from them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod passing;

use passing::{HTML, ID, bench, get, pass, post};
use portcullis_kit::Flow;
use portcullis_kit::testing::Bench;
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn success_and_redirects_pass_untouched_with_one_read_in_the_response() {
    let bench = bench(json!({}));
    for status in ["200", "204", "206", "301", "304", "101", "399"] {
        let response = [
            (":status", status),
            ("content-type", "text/html"),
            ("etag", "x"),
        ];
        let sent = pass(&bench, get(&[]), &response, &[b"a", b"b"]);
        assert_eq!(sent.body, b"ab", "{status}");
        assert_eq!(sent.fake.response.len(), 3, "{status}");
        assert_eq!(sent.fake.byte_reads.get(), 2, "{status}");
    }
}

#[test]
fn with_json_alone_a_request_is_not_read() {
    let bench = bench(json!({"formats": ["json"]}));
    let sent = pass(
        &bench,
        get(&[("accept", "*/*")]),
        &[(":status", "200")],
        &[b"a"],
    );
    assert_eq!(sent.fake.byte_reads.get(), 1);
    let sent = pass(
        &bench,
        post(&[("te", "trailers")]),
        &[(":status", "200")],
        &[b"a"],
    );
    assert_eq!(sent.fake.byte_reads.get(), 3);
}

#[test]
fn json_of_a_known_shape_gives_code_and_message_of_a_4xx_and_only_the_code_of_a_5xx() {
    let bench = bench(json!({}));
    let body = br#"{"error":{"code":"card_declined","message":"Your card was declined."}}"#;
    let kind = ("content-type", "application/json");
    let sent = pass(
        &bench,
        get(&[]),
        &[(":status", "402"), kind],
        &[&body[..9], &body[9..]],
    );
    let document = sent.json();
    assert_eq!(document["detail"], "Your card was declined.");
    assert_eq!(document["code"], "card_declined");
    assert_eq!(document["title"], "Payment Required");
    assert_eq!(sent.header("content-length"), None);

    let sent = pass(&bench, get(&[]), &[(":status", "500"), kind], &[body]);
    let document = sent.json();
    assert_ne!(document["detail"], "Your card was declined.");
    assert_eq!(document["code"], "card_declined");

    let allowing =
        Bench::load(&json!({"upstream": {"allow_server_text": ["card_declined"]}})).unwrap();
    let sent = pass(&allowing, get(&[]), &[(":status", "500"), kind], &[body]);
    assert_eq!(sent.json()["detail"], "Your card was declined.");
}

#[test]
fn the_code_of_aws_may_stand_in_a_header() {
    let response = [
        (":status", "400"),
        ("content-type", "application/x-amz-json-1.1"),
        (
            "x-amzn-errortype",
            "ThrottlingException:http://internal.amazon.com/coral/",
        ),
    ];
    let sent = pass(
        &bench(json!({})),
        get(&[]),
        &response,
        &[br#"{"message":"Slow down."}"#],
    );
    assert_eq!(sent.json()["code"], "ThrottlingException");
    assert_eq!(sent.json()["detail"], "Slow down.");
}

#[test]
fn a_problem_passes_byte_for_byte() {
    let bench = bench(json!({}));
    let body = br#"{ "type" : "https://a.example/x", "big": 12345678901234567890.10 }"#;
    for kind in [
        "application/problem+json",
        "Application/Problem+JSON; charset=utf-8",
        "application/problem+xml",
    ] {
        let response = [(":status", "422"), ("content-type", kind), ("etag", "e")];
        let sent = pass(&bench, get(&[]), &response, &[body]);
        assert_eq!(sent.body, body, "{kind}");
        assert_eq!(sent.fake.response.len(), 3, "{kind}");
    }
}

#[test]
fn enriching_adds_the_ids_that_a_problem_lacks_and_changes_no_other_byte() {
    let bench = bench(json!({"upstream": {"problem": "enrich", "max_bytes": 1024}}));
    let response = [
        (":status", "422"),
        ("content-type", "application/problem+json"),
        ("content-length", "66"),
        ("etag", "e"),
    ];
    let body = br#"{ "type" : "https://a.example/x", "big": 12345678901234567890.10 }"#;
    let sent = pass(&bench, get(&[]), &response, &[&body[..20], &body[20..]]);
    let kept = &body[..body.len() - 1];
    assert!(sent.body.starts_with(kept), "{}", sent.body.escape_ascii());
    assert_eq!(sent.json()["request_id"], ID);
    assert_eq!(sent.json()["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(sent.header("content-length"), None);
    assert_eq!(sent.header("etag"), None);

    // It has one already, or is none, or is longer than is read: not a byte changes.
    let long = [b"{\"a\":\"".as_slice(), &[b'x'; 2000], b"\"}"].concat();
    for body in [
        &br#"{"request_id":"mine","trace_id":"t"}"#[..],
        b"not json",
        b"[1]",
        &long,
    ] {
        let response = [
            (":status", "422"),
            ("content-type", "application/problem+json"),
        ];
        let (first, rest) = body.split_at(body.len().min(5));
        let sent = pass(&bench, get(&[]), &response, &[first, rest, b""]);
        assert_eq!(sent.body, body);
    }
    let sent = pass(&bench, get(&[]), &response, &[b"{}"]);
    assert_eq!(sent.json()["request_id"], ID);
}

#[test]
fn what_is_configured_by_status_shows() {
    let bench = bench(json!({
        "statuses": ["4xx", 503],
        "map_status": {"503": 500},
        "types": {"404": "https://a.example/missing"},
        "categories": {"404": "external"},
        "retryable": {"404": true},
        "languages": ["en", "de", "fr"],
        "texts": {"fr": {"404": {"title": "Introuvable"}}},
        "instance": {"prefix": "https://a.example/errors/"},
        "timestamp": true,
    }));
    let html = ("content-type", "text/html");
    let french = get(&[("accept-language", "fr-CA, en;q=0.5")]);
    let sent = pass(&bench, french, &[(":status", "404"), html], &[HTML]);
    let document = sent.json();
    assert_eq!(document["type"], "https://a.example/missing");
    assert_eq!(document["category"], "external");
    assert_eq!(document["retryable"], true);
    assert_eq!(document["title"], "Introuvable");
    assert_eq!(
        document["instance"],
        format!("https://a.example/errors/{ID}")
    );
    assert_eq!(document["timestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(sent.header("content-language"), Some("fr"));
    assert_eq!(
        sent.header("vary"),
        Some("Accept, Sec-Fetch-Mode, Accept-Language")
    );
    let sent = pass(&bench, get(&[]), &[(":status", "503"), html], &[HTML]);
    assert_eq!(sent.header(":status"), Some("500"));
    assert_eq!(sent.json()["upstream_status"], 503);
    let sent = pass(&bench, get(&[]), &[(":status", "502"), html], &[HTML]);
    assert_eq!(sent.body, HTML);
}

#[test]
fn a_browser_that_navigates_gets_a_page() {
    let bench = bench(json!({}));
    let browser = get(&[
        (
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ),
        ("sec-fetch-mode", "navigate"),
    ]);
    let response = [(":status", "404"), ("content-type", "application/json")];
    let sent = pass(
        &bench,
        browser,
        &response,
        &[b"{\"message\":\"<script>x\"}"],
    );
    let page = String::from_utf8(sent.body).unwrap();
    assert!(
        page.starts_with("<!doctype html>") || page.starts_with("<!DOCTYPE html>"),
        "{page}"
    );
    assert!(!page.contains("<script>x"));
    let kind = sent.fake.response.get("content-type").unwrap();
    assert_eq!(kind, b"text/html; charset=utf-8");
}

#[test]
fn shadow_counts_and_changes_nothing() {
    let bench = bench(json!({"mode": "shadow"}));
    let response = [(":status", "500"), ("content-type", "application/json")];
    let sent = pass(&bench, get(&[]), &response, &[b"{\"message\":", b"\"x\"}"]);
    assert_eq!(sent.body, b"{\"message\":\"x\"}");
    assert_eq!(sent.fake.response.len(), 2);
    assert!(sent.fake.counts.borrow().values().sum::<u64>() > 0);
    let sent = pass(&bench, get(&[]), &[(":status", "404")], &[]);
    assert_eq!(sent.flow, Flow::Continue);
    assert!(sent.fake.replies.is_empty());
}

#[test]
fn the_net_of_the_proxy_is_written_anew() {
    let bench = bench(json!({}));
    let response = [
        (":status", "503"),
        ("content-type", "application/problem+json"),
        ("proxy-status", "gateway"),
    ];
    let xml = get(&[("accept", "application/xml")])
        .with_property("response.code_details", "route_not_found");
    let sent = pass(&bench, xml, &response, &[b"{\"status\":503}"]);
    assert_eq!(sent.header("content-type"), Some("application/problem+xml"));
    assert!(sent.body.starts_with(b"<?xml"));
}
