//! The filter over requests in memory: which errors are rewritten, how the document gets the body's place, and what the
//! headers beside it say.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod passing;

use passing::{Filter, HTML, ID, Sent, bench, get, pass};
use portcullis_kit::Flow;
use portcullis_kit::plugin::Stream;
use portcullis_kit::testing::Bench;
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
    assert_eq!(sent.header("vary"), Some("Accept"));
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
        get(&[("te", "trailers")]),
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
    assert_eq!(sent.header("vary"), Some("Accept, Accept-Language"));
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
    let xml = get(&[("accept", "application/xml")]);
    let sent = pass(&bench, xml, &response, &[b"{\"status\":503}"]);
    assert_eq!(sent.header("content-type"), Some("application/problem+xml"));
    assert!(sent.body.starts_with(b"<?xml"));
}

#[test]
fn settings_that_cannot_be_meant_are_refused_with_their_path() {
    for (settings, path, text) in [
        (json!({"statuses": []}), "statuses", "the list is empty"),
        (
            json!({"statuses": ["3xx"]}),
            "statuses[0]",
            "`3xx` is no error status",
        ),
        (
            json!({"statuses": ["4xx"], "types": {"500": "a:b"}}),
            "types.500",
            "500 is not among `statuses`",
        ),
        (
            json!({"types": {"404": "/missing"}}),
            "types.404",
            "no absolute URI",
        ),
        (
            json!({"map_status": {"503": 200}}),
            "map_status.503",
            "200 cannot be sent",
        ),
        (
            json!({"codes": {"x": {"status": 409}}}),
            "codes.x.status",
            "`body: hold`",
        ),
        (
            json!({"formats": ["xml"]}),
            "formats",
            "`json` has to be among them",
        ),
        (json!({"formats": ["json", "json"]}), "formats[1]", "twice"),
        (
            json!({"languages": ["fr"]}),
            "languages[0]",
            "no texts in `fr`",
        ),
        (
            json!({"texts": {"fr": {}}}),
            "texts.fr",
            "not among `languages`",
        ),
        (
            json!({"upstream": {"max_bytes": 10}}),
            "upstream.max_bytes",
            "between 1024",
        ),
        (
            json!({"redact": {"kinds": ["emial"]}}),
            "redact.kinds[0]",
            "emial",
        ),
        (
            json!({"redact": {"patterns": ["("]}}),
            "redact.patterns[0]",
            "",
        ),
        (
            json!({"redact": {"mode": "allow_list"}}),
            "redact.mode",
            "no text would pass",
        ),
        (
            json!({"remove_headers": ["retry-after"]}),
            "remove_headers[0]",
            "clients need this header",
        ),
        (
            json!({"empty": "leave", "reply_headers": "api"}),
            "reply_headers",
            "no replies",
        ),
        (
            json!({"reply_headers": "web-nonce"}),
            "reply_headers",
            "`web`",
        ),
        (
            json!({"instance": {"prefix": "x y"}}),
            "instance.prefix",
            "no absolute URI",
        ),
    ] {
        let error = Bench::<Filter>::load(&settings).err().unwrap().to_string();
        assert!(
            error.starts_with(&format!("{path}: ")) && error.contains(text),
            "{settings}: {error}"
        );
    }
}
