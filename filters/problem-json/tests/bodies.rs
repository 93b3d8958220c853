//! How a document gets the body's place: at its exact length, with trailers, beyond the cap, for HEAD, and with headers that are held.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod passing;

use passing::{HTML, ID, Sent, bench, get, pass};
use portcullis_kit::Flow;
use portcullis_kit::plugin::Stream;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn an_html_page_becomes_a_document_of_its_status_with_an_exact_length() {
    let bench = bench(json!({}));
    let response = [
        (":status", "500"),
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", "56"),
        ("etag", "\"1\""),
    ];
    let sent = pass(
        &bench,
        get(&[]),
        &response,
        &[&HTML[..10], &HTML[10..], b""],
    );
    assert_eq!(
        sent.json(),
        json!({
            "type": "about:blank",
            "title": "Internal Server Error",
            "status": 500,
            "detail": sent.json()["detail"],
            "instance": format!("urn:uuid:{ID}"),
            "request_id": ID,
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "category": "system",
            "retryable": false,
        })
    );
    assert_eq!(
        sent.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(
        sent.header("content-length"),
        Some(sent.body.len().to_string()).as_deref()
    );
    assert_eq!(sent.header("cache-control"), Some("no-store"));
    assert_eq!(sent.header("content-language"), Some("en"));
    assert_eq!(sent.header("vary"), Some("Accept, Sec-Fetch-Mode"));
    assert_eq!(sent.header("etag"), None);
    assert!(!String::from_utf8_lossy(&sent.body).contains("acme"));
    let count = "portcullis_problem-json_rewritten_total.source=status.profile=default";
    let counted = sent.fake.counts.borrow();
    assert!(
        counted
            .keys()
            .any(|name| name.replace('-', "_") == count.replace('-', "_")),
        "{counted:?}"
    );
}

#[test]
fn a_body_with_trailers_is_settled_when_they_come() {
    let bench = bench(json!({}));
    let mut fake = get(&[]);
    let mut stream = Stream::default();
    bench.request(&mut fake, &mut stream);
    fake.respond([(":status", "404"), ("content-type", "application/json")]);
    assert_eq!(bench.headers(&mut fake, &mut stream, false), Flow::Continue);
    assert_eq!(
        bench.body(&mut fake, &mut stream, br#"{"message":"no su"#, false),
        b""
    );
    assert_eq!(
        bench.body(&mut fake, &mut stream, br#"ch order"}"#, false),
        b""
    );
    let body = bench.trailers(&mut fake, &mut stream);
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(document["detail"], "no such order");
}

#[test]
fn a_body_beyond_the_cap_is_answered_at_the_cap() {
    let bench = bench(json!({"upstream": {"max_bytes": 1024}}));
    let mut fake = get(&[]);
    let mut stream = Stream::default();
    bench.request(&mut fake, &mut stream);
    fake.respond([(":status", "500"), ("content-type", "application/json")]);
    bench.headers(&mut fake, &mut stream, false);
    assert_eq!(
        bench.body(&mut fake, &mut stream, &[b' '; 1000], false),
        b""
    );
    let body = bench.body(&mut fake, &mut stream, &[b' '; 1000], false);
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap()["status"],
        500
    );
    for _ in 0..3 {
        assert_eq!(
            bench.body(&mut fake, &mut stream, &[b' '; 5000], false),
            b""
        );
    }
    assert_eq!(bench.body(&mut fake, &mut stream, b"", true), b"");
    // A length that is announced beyond it is not even waited for.
    let response = [
        (":status", "500"),
        ("content-type", "application/json"),
        ("content-length", "100000000"),
    ];
    let sent = pass(&bench, get(&[]), &response, &[b"{", b"}"]);
    assert_eq!(
        sent.header("content-length"),
        Some(sent.body.len().to_string()).as_deref()
    );
    assert_eq!(sent.json()["status"], 500);
}

#[test]
fn head_gets_the_headers_that_get_would_get_and_no_body() {
    let bench = bench(json!({}));
    let html = [
        (":status", "404"),
        ("content-type", "text/html"),
        ("content-length", "99"),
    ];
    let full = pass(&bench, get(&[]), &html, &[HTML]);
    let head = pass(&bench, get(&[(":method", "HEAD")]), &html, &[]);
    assert_eq!(head.flow, Flow::Continue);
    let lines = |sent: &Sent| {
        let lines = sent.fake.response.iter();
        let mut lines: Vec<_> = lines
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(&head), lines(&full));
    assert!(head.fake.replies.is_empty() && head.body.is_empty());
}

#[test]
fn held_headers_say_the_length_and_the_status_that_the_body_asks_for() {
    let bench = bench(json!({
        "body": "hold",
        "codes": {"quota": {"status": 429, "type": "https://a.example/quota", "title": "Quota used up"}},
    }));
    let response = [(":status", "400"), ("content-type", "application/json")];
    let mut fake = get(&[]);
    let mut stream = Stream::default();
    bench.request(&mut fake, &mut stream);
    fake.respond(response);
    assert_eq!(bench.headers(&mut fake, &mut stream, false), Flow::Pause);
    let body = bench.body(
        &mut fake,
        &mut stream,
        br#"{"code":"quota","message":"No more."}"#,
        true,
    );
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(document["status"], 429);
    assert_eq!(document["upstream_status"], 400);
    assert_eq!(document["type"], "https://a.example/quota");
    assert_eq!(document["title"], "Quota used up");
    assert_eq!(document["detail"], "No more.");
    assert_eq!(fake.response.get(":status"), Some(&b"429"[..]));
    assert_eq!(
        fake.response.get("content-length"),
        Some(body.len().to_string().as_bytes())
    );
}

#[test]
fn oauth_errors_keep_their_members_and_when_held_everything() {
    let body = br#"{"error":"invalid_grant","error_description":"The code has expired."}"#;
    let response = [(":status", "400"), ("content-type", "application/json")];
    let sent = pass(&bench(json!({})), get(&[]), &response, &[body]);
    assert_eq!(sent.json()["error"], "invalid_grant");
    assert_eq!(sent.json()["error_description"], "The code has expired.");
    assert_eq!(sent.json()["status"], 400);
    let sent = pass(
        &bench(json!({"body": "hold"})),
        get(&[]),
        &response,
        &[body],
    );
    assert_eq!(sent.body, body);
    assert_eq!(sent.fake.response.len(), 2);
    let merging = bench(json!({"upstream": {"oauth": "merge"}}));
    let sent = pass(&merging, get(&[]), &response, &[body]);
    assert_eq!(sent.json()["code"], "invalid_grant");
    assert_eq!(sent.json()["detail"], "The code has expired.");
}

#[test]
fn an_oauth_error_stays_as_it_is_only_where_nothing_in_it_would_be_redacted() {
    let bench = bench(json!({"body": "hold"}));
    for (status, body, stays) in [
        (
            "400",
            r#"{"error":"invalid_request","error_description":"The scope is unknown.","error_uri":"https://docs.example.com/errors#invalid_request","scope":"read write"}"#,
            true,
        ),
        (
            "400",
            r#"{"error":"invalid_grant","error_description":"AADSTS50126: Error validating credentials due to invalid username or password.\r\nTrace ID: 0f8fad5b-d9cb-469f-a165-70867728950e\r\nTimestamp: 2026-11-22 00:00:00Z","error_codes":[50126],"timestamp":"2026-11-22 00:00:00Z","trace_id":"0f8fad5b-d9cb-469f-a165-70867728950e","suberror":"bad_token","iss":"https://login.example.com/","state":"af0ifjsldkj"}"#,
            true,
        ),
        (
            "500",
            r#"{"error":"ledger_down","error_description":"Ledger worker seven is down"}"#,
            false,
        ),
        ("503", r#"{"error":"temporarily_unavailable"}"#, false),
        (
            "400",
            r#"{"error":"invalid_request","error_uri":"http://10.0.0.5:8080/debug?password=hunter2"}"#,
            false,
        ),
        (
            "400",
            r#"{"error":"invalid_request","claims":"SELECT * FROM users"}"#,
            false,
        ),
        (
            "400",
            r#"{"error":"invalid_request","error_description":"No.","state":"/etc/passwd"}"#,
            false,
        ),
        (
            "401",
            r#"{"error":"invalid_token","scope":"bob@example.com"}"#,
            false,
        ),
    ] {
        let headers = [(":status", status), ("content-type", "application/json")];
        let sent = pass(&bench, get(&[]), &headers, &[body.as_bytes()]);
        assert_eq!(sent.body == body.as_bytes(), stays, "{body}");
        if !stays {
            let text = String::from_utf8_lossy(&sent.body);
            for secret in ["seven", "10.0.0.5", "hunter2", "users", "passwd", "bob@"] {
                assert!(!text.contains(secret), "{text}");
            }
            assert_eq!(sent.json()["status"].to_string(), status);
        }
    }
}

#[test]
fn headers_are_held_until_the_first_bytes_whatever_length_is_announced() {
    let bench = bench(json!({"body": "hold"}));
    let mut fake = get(&[]);
    let mut stream = Stream::default();
    bench.request(&mut fake, &mut stream);
    fake.respond([
        (":status", "500"),
        ("content-type", "text/html"),
        ("content-length", "56"),
    ]);
    assert_eq!(bench.headers(&mut fake, &mut stream, false), Flow::Pause);
    assert_eq!(fake.response.get("content-length"), Some(&b"56"[..]));
    let body = bench.body(&mut fake, &mut stream, &HTML[..10], false);
    let length = body.len().to_string();
    assert_eq!(fake.response.get("content-length"), Some(length.as_bytes()));
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(document["status"], 500);
    let rest = bench.body(&mut fake, &mut stream, &HTML[10..], true);
    assert!(rest.is_empty());
}
