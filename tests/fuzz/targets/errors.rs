//! Any status, headers, type and body of an upstream, in any pieces, with trailers or without: a document comes of it that is
//! JSON, says the status that is sent, and is all that is sent, as long as the headers promise; or the response stays as it is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_kit::plugin::{Plugin, Stream};
use portcullis_kit::testing::{Bench, Fake};
use portcullis_kit::{Flow, Headers};
use problem_json::ProblemJson;
use serde_json::{Value, json};

const TYPES: [&str; 8] = [
    "application/json",
    "application/xml",
    "text/html",
    "application/problem+json",
    "application/vnd.api+json",
    "application/x-amz-json-1.1",
    "application/graphql-response+json",
    "",
];

/// Each bit of one byte of the input adds one.
const HEADERS: [(&str, &str); 8] = [
    ("etag", "\"1\""),
    ("content-encoding", "gzip"),
    ("retry-after", "7"),
    ("proxy-status", "gateway"),
    ("link", "</a.css>; rel=preload, </b>; rel=next"),
    ("vary", "Origin"),
    ("cdn-cache-control", "max-age=60"),
    ("content-language", "fr"),
];

thread_local! {
    static BENCHES: [Bench<Plugin<ProblemJson>>; 5] = [
        json!({"formats": ["json"], "upstream": {"max_bytes": 1024}}),
        json!({"formats": ["json"], "upstream": {"oauth": "merge", "allow_server_text": ["x"]}}),
        json!({"formats": ["json"], "body": "hold", "redact": {"patterns": ["[0-9]+"]}}),
        json!({"upstream": {"problem": "enrich", "max_bytes": 1024}}),
        json!({"body": "hold", "upstream": {"problem": "enrich"}}),
    ]
    .map(|settings| Bench::load(&settings).expect("these settings are right"));
}

fuzz_target!(|bytes: &[u8]| {
    let Some(([which, status, kind, headers, how, cut], body)) = bytes.split_first_chunk() else {
        return;
    };
    let status = 400 + u16::from(*status) % 200;
    let kind = TYPES[usize::from(*kind) % TYPES.len()];
    let (announced, trailers, bodiless) = (how & 1 != 0, how & 2 != 0, how & 4 != 0);
    let body = if bodiless { &[][..] } else { body };
    let mut lines = vec![
        (":status", status.to_string()),
        ("content-type", kind.to_owned()),
    ];
    let bits = (0..8).filter(|bit| headers & (1 << bit) != 0);
    lines.extend(bits.map(|bit: usize| (HEADERS[bit].0, HEADERS[bit].1.to_owned())));
    if announced {
        lines.push(("content-length", body.len().to_string()));
    }
    BENCHES.with(|benches| {
        let bench = &benches[usize::from(*which) % benches.len()];
        let mut fake = Fake::get("/");
        let mut stream = Stream::default();
        bench.request(&mut fake, &mut stream);
        fake.respond(lines.iter().map(|(name, value)| (name, value)));
        fake.response_trailers = Headers::from_lines([("x-stack", "at com.acme.Db")]);
        let pieces: Vec<&[u8]> = body.chunks(usize::from(*cut).max(1)).collect();
        let ends = pieces.is_empty() && !trailers;
        let flow = bench.headers(&mut fake, &mut stream, ends);
        let mut sent = Vec::new();
        if flow == Flow::Replied {
            sent.append(&mut fake.body);
        }
        for (at, piece) in pieces.iter().enumerate() {
            let last = at + 1 == pieces.len() && !trailers;
            sent.extend(bench.body(&mut fake, &mut stream, piece, last));
        }
        if trailers {
            sent.extend(bench.trailers(&mut fake, &mut stream));
        }
        assert_eq!(
            fake.refused.get(),
            0,
            "nothing is asked that a host refuses"
        );
        let ours = fake.response.get("content-type") == Some(b"application/problem+json");
        if !ours || (kind == TYPES[3] && fake.filter_state.is_empty()) {
            assert_eq!(sent, body);
            return;
        }
        assert!(!trailers || fake.replies.len() == 1 || fake.response_trailers.is_empty());
        if let Some(length) = fake.response.get("content-length") {
            assert_eq!(length, sent.len().to_string().as_bytes());
        }
        // Headers have left that nothing can follow.
        if sent.is_empty() && trailers && body.is_empty() && fake.replies.is_empty() {
            return;
        }
        let document: Value = serde_json::from_slice(&sent).expect("a document is JSON");
        if kind == TYPES[3] {
            return;
        }
        let sent_status = fake
            .response
            .get(":status")
            .and_then(|status| std::str::from_utf8(status).ok()?.parse::<u16>().ok());
        assert_eq!(document["status"].as_u64(), sent_status.map(u64::from));
        assert!(document["type"].is_string() && document["title"].is_string());
    });
});
