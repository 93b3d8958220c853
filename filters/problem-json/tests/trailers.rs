//! Responses that end with trailers: with a body, and with nothing but headers before them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod passing;

use passing::{Filter, HTML, bench, get};
use portcullis_kit::plugin::Stream;
use portcullis_kit::testing::{Bench, Fake};
use portcullis_kit::{Flow, Headers};
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// What came of a response with trailers.
struct Ended {
    fake: Fake,
    body: Vec<u8>,
}

impl Ended {
    fn header(&self, name: &str) -> Option<String> {
        let value = self.fake.response.get(name)?;
        Some(String::from_utf8(value.to_vec()).unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn counted(&self, what: &str) -> u64 {
        let counts = self.fake.counts.borrow();
        let named = counts.iter().filter(|(name, _)| name.contains(what));
        named.map(|(_, count)| count).sum()
    }
}

fn end_with_trailers(bench: &Bench<Filter>, response: &[(&str, &str)], pieces: &[&[u8]]) -> Ended {
    let mut fake = get(&[]);
    let mut stream = Stream::default();
    bench.request(&mut fake, &mut stream);
    fake.respond(response.iter().copied());
    fake.response_trailers = Headers::from_lines([
        ("x-stack", "at com.acme.Db.run(Db.java:7)"),
        ("grpc-message", "hunter2"),
    ]);
    bench.headers(&mut fake, &mut stream, false);
    let mut body = Vec::new();
    for piece in pieces {
        body.extend(bench.body(&mut fake, &mut stream, piece, false));
    }
    body.extend(bench.trailers(&mut fake, &mut stream));
    Ended { fake, body }
}

const KINDS: [&str; 4] = [
    "text/html",
    "application/json",
    "application/xml",
    "text/plain",
];

#[test]
fn without_a_body_no_length_is_promised_and_nothing_is_written() {
    for settings in [json!({}), json!({"formats": ["json"]})] {
        let bench = bench(settings);
        for kind in KINDS {
            let response = [(":status", "500"), ("content-type", kind)];
            let ended = end_with_trailers(&bench, &response, &[]);
            assert_eq!(ended.header("content-length"), None, "{kind}");
            assert_eq!(ended.fake.refused.get(), 0, "{kind}");
            assert!(ended.body.is_empty() && ended.fake.replies.is_empty());
            assert!(ended.fake.response_trailers.is_empty(), "{kind}");
            assert_eq!(ended.counted("rewritten"), 0, "{kind}");
            assert_eq!(ended.counted("reason=empty"), 1, "{kind}");
        }
    }
}

#[test]
fn headers_that_wait_are_replied_to_when_there_is_no_body() {
    let bench = bench(json!({"body": "hold"}));
    for kind in KINDS {
        let response = [
            (":status", "503"),
            ("content-type", kind),
            ("retry-after", "7"),
        ];
        let ended = end_with_trailers(&bench, &response, &[]);
        assert_eq!(ended.fake.replies.len(), 1, "{kind}");
        assert_eq!(ended.fake.refused.get(), 0, "{kind}");
        let reply = &ended.fake.replies[0];
        assert_eq!(reply.status, 503);
        assert_eq!(reply.headers.get("retry-after"), Some(&b"7"[..]));
        assert_eq!(ended.json()["status"], 503, "{kind}");
        assert_eq!(ended.counted("source=empty"), 1, "{kind}");
    }
    let leaving = Bench::<Filter>::load(&json!({"body": "hold", "empty": "leave"})).unwrap();
    for kind in KINDS {
        let response = [(":status", "503"), ("content-type", kind)];
        let ended = end_with_trailers(&leaving, &response, &[]);
        assert_eq!(ended.fake.response.len(), 2, "{kind}");
        assert!(ended.fake.replies.is_empty() && ended.body.is_empty());
        assert_eq!(ended.counted("reason=empty"), 1, "{kind}");
    }
}

#[test]
fn held_headers_say_the_exact_length_of_whatever_has_no_length() {
    let bench = bench(json!({"body": "hold"}));
    for kind in KINDS {
        let mut fake = get(&[]);
        let mut stream = Stream::default();
        bench.request(&mut fake, &mut stream);
        fake.respond([(":status", "500"), ("content-type", kind)]);
        assert_eq!(bench.headers(&mut fake, &mut stream, false), Flow::Pause);
        let body = bench.body(&mut fake, &mut stream, HTML, true);
        let length = fake.response.get("content-length").unwrap();
        assert_eq!(length, body.len().to_string().as_bytes(), "{kind}");
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap()["status"],
            500
        );
    }
}

#[test]
fn trailers_of_a_rewritten_error_do_not_leave() {
    let ways = [
        json!({}),
        json!({"body": "hold"}),
        json!({"upstream": {"json": "drop"}}),
    ];
    for settings in ways {
        let bench = bench(settings.clone());
        for kind in KINDS {
            for pieces in [&[HTML][..], &[b"{\"message\":", b"\"Not here.\"}"], &[b""]] {
                let response = [(":status", "404"), ("content-type", kind)];
                let ended = end_with_trailers(&bench, &response, pieces);
                let what = format!("{settings} {kind}");
                assert!(ended.fake.response_trailers.is_empty(), "{what}");
                assert_eq!(ended.fake.refused.get(), 0, "{what}");
                assert_eq!(ended.json()["status"], 404, "{what}");
            }
        }
    }
}

#[test]
fn trailers_of_an_error_that_keeps_its_body_go_as_well() {
    let enriching = bench(json!({"upstream": {"problem": "enrich"}}));
    let response = [
        (":status", "422"),
        ("content-type", "application/problem+json"),
    ];
    let ended = end_with_trailers(&enriching, &response, &[b"{\"title\":\"T\"}"]);
    assert!(ended.json()["request_id"].is_string());
    assert!(ended.fake.response_trailers.is_empty());
    // It has its ids already.
    let whole: &[u8] = br#"{"request_id":"mine","trace_id":"t"}"#;
    let ended = end_with_trailers(&enriching, &response, &[whole]);
    assert_eq!(ended.body, whole);
    assert!(ended.fake.response_trailers.is_empty());
    // There is nothing to add them to.
    let ended = end_with_trailers(&enriching, &response, &[]);
    assert!(ended.body.is_empty() && ended.fake.refused.get() == 0);
    assert!(ended.fake.response_trailers.is_empty());
    // Longer than is read.
    let long = [b"{\"title\":\"", [b'x'; 70_000].as_slice(), b"\"}"].concat();
    let ended = end_with_trailers(&enriching, &response, &[&long, b""]);
    assert_eq!(ended.body, long);
    assert!(ended.fake.response_trailers.is_empty());

    let keeping = bench(json!({}));
    let ended = end_with_trailers(&keeping, &response, &[whole]);
    assert_eq!(ended.body, whole);
    assert!(ended.fake.response_trailers.is_empty());

    let leaving = bench(json!({"body": "hold", "empty": "leave"}));
    let page = [(":status", "503"), ("content-type", "text/html")];
    let ended = end_with_trailers(&leaving, &page, &[]);
    assert!(ended.fake.response_trailers.is_empty() && ended.fake.replies.is_empty());
    let oauth: &[u8] = br#"{"error":"invalid_grant","error_description":"The code has expired."}"#;
    let json = [(":status", "400"), ("content-type", "application/json")];
    let ended = end_with_trailers(&leaving, &json, &[oauth]);
    assert_eq!(ended.body, oauth);
    assert!(ended.fake.response_trailers.is_empty());
}

#[test]
fn trailers_of_what_is_no_error_and_of_protocols_that_need_them_stay() {
    let keeping = bench(json!({}));
    let success = [(":status", "200"), ("content-type", "text/html")];
    let ended = end_with_trailers(&keeping, &success, &[HTML]);
    assert_eq!(ended.body, HTML);
    assert_eq!(ended.fake.response_trailers.len(), 2);
    for kind in ["application/grpc", "application/connect+proto"] {
        let response = [(":status", "503"), ("content-type", kind)];
        let ended = end_with_trailers(&keeping, &response, &[b"\0\0\0\0\x01x"]);
        assert_eq!(ended.fake.response_trailers.len(), 2, "{kind}");
    }
}

#[test]
fn in_shadow_trailers_stay() {
    let bench = bench(json!({"mode": "shadow"}));
    for pieces in [&[HTML][..], &[]] {
        let response = [(":status", "500"), ("content-type", "text/html")];
        let ended = end_with_trailers(&bench, &response, pieces);
        assert_eq!(ended.fake.response_trailers.len(), 2);
        assert_eq!(ended.body, pieces.concat());
    }
}
