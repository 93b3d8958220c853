//! The headers beside a document: what caches, HEAD, a second instance and the proxy's own documents make of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod passing;

use passing::{HTML, Sent, bench, get, pass};
use portcullis_kit::Flow;
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BROWSER: [(&str, &str); 2] = [
    ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
    ("sec-fetch-mode", "navigate"),
];

fn lines(sent: &Sent) -> Vec<(Vec<u8>, Vec<u8>)> {
    let lines = sent.fake.response.iter();
    let mut lines: Vec<_> = lines
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect();
    lines.sort();
    lines
}

#[test]
fn what_caches_heed_beside_cache_control_goes_where_nothing_may_be_stored() {
    let bench = bench(json!({}));
    let of_caches = [
        "cdn-cache-control",
        "surrogate-control",
        "cloudflare-cdn-cache-control",
        "edge-control",
        "x-accel-expires",
        "expires",
        "age",
    ];
    for name in of_caches {
        for (status, stays) in [("500", false), ("403", false), ("404", true)] {
            let response = [
                (":status", status),
                ("content-type", "text/html"),
                ("cache-control", "max-age=60"),
                (name, "600"),
            ];
            let sent = pass(&bench, get(&[]), &response, &[HTML]);
            assert_eq!(sent.header(name).is_some(), stays, "{status} {name}");
            let kept = if stays { "max-age=60" } else { "no-store" };
            assert_eq!(sent.header("cache-control"), Some(kept), "{status} {name}");
        }
    }
}

#[test]
fn vary_names_what_the_format_was_chosen_by() {
    let response = [(":status", "404"), ("content-type", "text/html")];
    for (formats, vary) in [
        (json!(["json"]), None),
        (json!(["json", "xml"]), Some("Accept")),
        (json!(["json", "html"]), Some("Accept, Sec-Fetch-Mode")),
    ] {
        let bench = bench(json!({"formats": formats}));
        let sent = pass(&bench, get(&[]), &response, &[HTML]);
        assert_eq!(sent.header("vary"), vary, "{formats}");
    }
}

#[test]
fn head_gets_the_same_headers_as_get_or_fewer() {
    let message: &[u8] = b"{\"message\":\"Order 7 is gone.\"}";
    let ways = [
        json!({}),
        json!({"formats": ["json"]}),
        json!({"formats": ["json"], "empty": "leave"}),
        json!({"formats": ["json"], "body": "hold"}),
        json!({"formats": ["json"], "upstream": {"problem": "enrich"}}),
    ];
    for settings in ways {
        let bench = bench(settings.clone());
        for (kind, body) in [
            ("text/html", HTML),
            ("application/json", message),
            ("application/problem+json", b"{\"status\":500}"),
        ] {
            let length = body.len().to_string();
            let (announced, chunked) = (
                ("content-length", length.as_str()),
                ("transfer-encoding", "chunked"),
            );
            let framings = [announced, announced, chunked, chunked];
            for (framing, status) in framings.into_iter().zip(["500", "404", "500", "404"]) {
                let response = [
                    (":status", status),
                    ("content-type", kind),
                    framing,
                    ("etag", "\"1\""),
                    ("content-language", "de"),
                ];
                let what = format!("{settings} {status} {kind} {framing:?}");
                let full = pass(&bench, get(&[]), &response, &[body]);
                let head = pass(&bench, get(&[(":method", "HEAD")]), &response, &[]);
                assert_eq!(head.flow, Flow::Continue, "{what}");
                assert!(head.fake.replies.is_empty(), "{what}");
                let full = lines(&full);
                for line in lines(&head) {
                    assert!(full.contains(&line), "{what}: {}", line.0.escape_ascii());
                }
                let lacks = |(name, _): &(Vec<u8>, Vec<u8>)| {
                    name != b"content-length"
                        && head.header(std::str::from_utf8(name).unwrap()).is_none()
                };
                assert!(!full.iter().any(lacks), "{what}");
                let empty = head.fake.counts.borrow();
                assert!(!empty.keys().any(|name| name.contains("empty")), "{what}");
            }
        }
    }
}

#[test]
fn a_page_of_an_inner_instance_passes_as_it_is() {
    let bench = bench(json!({"formats": ["json", "html", "markdown"]}));
    for kind in ["text/html", "application/json"] {
        let response = [(":status", "404"), ("content-type", kind)];
        let inner = pass(
            &bench,
            get(&BROWSER),
            &response,
            &[b"{\"message\":\"Gone.\"}"],
        );
        assert!(
            inner
                .header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
        let state = &inner.fake.filter_state["portcullis.problem"];
        // The outer one's client asks for something else, as far as it knows.
        let again = get(&[]).with_property("portcullis.problem", state);
        let passing: Vec<_> = inner.fake.response.iter().collect();
        let passing: Vec<(&str, &str)> = passing
            .iter()
            .map(|(name, value)| {
                let text = |bytes| std::str::from_utf8(bytes).unwrap();
                (text(name), text(value))
            })
            .collect();
        let outer = pass(&bench, again, &passing, &[&inner.body]);
        assert_eq!(outer.body, inner.body, "{kind}");
        assert_eq!(lines(&outer), lines(&inner), "{kind}");
        // A page of the upstream's that names its language is none of ours.
        let foreign = pass(&bench, get(&[]), &passing, &[&inner.body]);
        assert_ne!(foreign.body, inner.body, "{kind}");
    }
}

#[test]
fn the_filter_state_of_a_page_stands_before_its_body_is_read() {
    let bench = bench(json!({}));
    let mut fake = get(&BROWSER);
    let mut stream = portcullis_kit::plugin::Stream::default();
    bench.request(&mut fake, &mut stream);
    fake.respond([(":status", "404"), ("content-type", "application/json")]);
    bench.headers(&mut fake, &mut stream, false);
    assert_eq!(fake.filter_state["portcullis.problem"], b"status");
    bench.body(&mut fake, &mut stream, b"{\"message\":\"Gone.\"}", true);
    assert_eq!(fake.filter_state["portcullis.problem"], b"merged");
}

#[test]
fn only_the_proxy_itself_can_say_that_a_problem_is_the_proxys() {
    let bench = bench(json!({}));
    let response = [
        (":status", "422"),
        ("content-type", "application/problem+json"),
        ("proxy-status", "gateway"),
    ];
    let own = br#"{"type":"https://a.example/own","status":422}"#;
    for (details, kept) in [
        (Some("via_upstream"), true),
        (None, true),
        (Some("direct_response"), false),
        (Some("no_healthy_upstream"), false),
    ] {
        let mut fake = get(&[]);
        if let Some(details) = details {
            fake = fake.with_property("response.code_details", details);
        }
        let sent = pass(&bench, fake, &response, &[own]);
        assert_eq!(sent.body == own, kept, "{details:?}");
    }
}

#[test]
fn what_a_body_says_of_the_time_to_wait_is_told() {
    let body = br#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Slow down.","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"30s"}]}}"#;
    let response = [(":status", "400"), ("content-type", "application/json")];
    let sent = pass(&bench(json!({})), get(&[]), &response, &[body]);
    assert_eq!(sent.json()["retryable"], true);
    assert_eq!(sent.header("retry-after"), None, "the headers have left");
    let holding = bench(json!({"body": "hold"}));
    let sent = pass(&holding, get(&[]), &response, &[body]);
    assert_eq!(sent.json()["retryable"], true);
    assert_eq!(sent.header("retry-after"), Some("30"));
    let told = [response[0], response[1], ("retry-after", "7")];
    let sent = pass(&holding, get(&[]), &told, &[body]);
    assert_eq!(sent.header("retry-after"), Some("7"));
}

#[test]
fn a_reset_content_passes() {
    let response = [(":status", "205"), ("content-type", "text/html")];
    let sent = pass(&bench(json!({})), get(&[]), &response, &[]);
    assert_eq!(sent.flow, Flow::Continue);
    assert_eq!(sent.fake.response.len(), 2);
    assert!(sent.fake.replies.is_empty());
}

#[test]
fn content_language_names_the_language_of_a_message_of_the_upstreams() {
    let message: &[u8] = "{\"message\":\"Auftrag 7 gibt es nicht.\"}".as_bytes();
    for (settings, status, kind, told, language) in [
        // The headers of `replace` leave before anyone knows whether there is a message.
        (json!({}), "404", "application/json", "de", "en, de"),
        (json!({}), "404", "application/json", "de, fr", "en, de, fr"),
        (json!({}), "404", "application/json", "de, EN", "de, EN"),
        (json!({}), "404", "application/json", "", "en"),
        (json!({}), "404", "application/json", "<b>", "en"),
        (json!({}), "404", "application/json", "hunter2", "en"),
        (json!({}), "404", "application/json", "de, hunter2", "en"),
        (
            json!({}),
            "404",
            "application/json",
            "zh-Hant-TW",
            "en, zh-Hant-TW",
        ),
        (json!({}), "404", "text/html", "de", "en"),
        // No text of a 5xx passes.
        (json!({}), "500", "application/json", "de", "en"),
        (
            json!({"upstream": {"allow_server_text": ["x"]}}),
            "500",
            "application/json",
            "de",
            "en, de",
        ),
        (
            json!({"upstream": {"json": "drop"}}),
            "404",
            "application/json",
            "de",
            "en",
        ),
        (
            json!({"body": "hold"}),
            "404",
            "application/json",
            "de",
            "en, de",
        ),
        (
            json!({"body": "hold", "upstream": {"allow_server_text": ["x"]}}),
            "500",
            "application/json",
            "de",
            "en",
        ),
    ] {
        let bench = bench(settings.clone());
        let response = [
            (":status", status),
            ("content-type", kind),
            ("content-language", told),
        ];
        let sent = pass(&bench, get(&[]), &response, &[message]);
        assert_eq!(
            sent.header("content-language"),
            Some(language),
            "{settings} {status} {kind} {told}"
        );
    }
}

#[test]
fn what_the_upstream_says_of_caching_stays_only_where_errors_are_meant_to_be_cached() {
    let bench = bench(json!({}));
    for (status, stays) in [("404", true), ("410", true), ("422", false), ("400", false)] {
        let response = [
            (":status", status),
            ("content-type", "text/html"),
            ("cache-control", "public, max-age=600"),
        ];
        let sent = pass(&bench, get(&[]), &response, &[HTML]);
        let kept = if stays {
            "public, max-age=600"
        } else {
            "no-store"
        };
        assert_eq!(sent.header("cache-control"), Some(kept), "{status}");
    }
}

#[test]
fn a_mapped_status_is_that_of_what_is_rewritten_and_of_nothing_else() {
    let bench = bench(json!({"map_status": {"500": 503}}));
    for (kind, status) in [
        ("text/html", "503"),
        ("application/json", "503"),
        ("application/problem+json", "500"),
        ("application/grpc", "500"),
    ] {
        let response = [(":status", "500"), ("content-type", kind)];
        let sent = pass(&bench, get(&[]), &response, &[b"{\"status\":500}"]);
        assert_eq!(sent.header(":status"), Some(status), "{kind}");
        assert_eq!(sent.json()["status"].to_string(), status, "{kind}");
    }
}

#[test]
fn a_document_of_the_proxys_keeps_its_id_where_the_requests_is_none_for_a_document() {
    for settings in [json!({}), json!({"formats": ["json"]})] {
        let bench = bench(settings.clone());
        let long = "7".repeat(129);
        for id in ["a\"b<c>", &long, ""] {
            for (details, kept) in [
                ("no_healthy_upstream", Some("17-1795305616.467777")),
                ("via_upstream", None),
            ] {
                let fake = get(&[("x-request-id", id)]);
                let fake = fake.with_property("response.code_details", details);
                let response = [
                    (":status", "503"),
                    ("content-type", "application/problem+json"),
                    ("proxy-status", "gateway"),
                    ("x-request-id", "17-1795305616.467777"),
                ];
                let sent = pass(&bench, fake, &response, &[b"{}"]);
                assert_eq!(sent.json()["request_id"].as_str(), kept, "{settings} {id}");
            }
        }
        // The upstream's own word for an id is no id of the request's.
        let response = [
            (":status", "503"),
            ("content-type", "text/html"),
            ("x-request-id", "17-1795305616.467777"),
        ];
        let fake = get(&[("x-request-id", "a b")]);
        let sent = pass(&bench, fake, &response, &[HTML]);
        assert!(sent.json()["request_id"].is_null(), "{settings}");
    }
}
