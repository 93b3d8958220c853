//! Any status, type and body of an upstream: a document comes of it that is JSON, says the status that is sent, and is all
//! that is sent; or the response stays as it is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_kit::Flow;
use portcullis_kit::plugin::{Plugin, Stream};
use portcullis_kit::testing::{Bench, Fake};
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

thread_local! {
    static BENCHES: [Bench<Plugin<ProblemJson>>; 3] = [
        json!({"formats": ["json"], "upstream": {"max_bytes": 1024}}),
        json!({"formats": ["json"], "upstream": {"oauth": "merge", "allow_server_text": ["x"]}}),
        json!({"formats": ["json"], "body": "hold", "redact": {"patterns": ["[0-9]+"]}}),
    ]
    .map(|settings| Bench::load(&settings).expect("these settings are right"));
}

fuzz_target!(|bytes: &[u8]| {
    let Some(([which, status, kind, cut], body)) = bytes.split_first_chunk() else {
        return;
    };
    let status = 400 + u16::from(*status) % 200;
    let kind = TYPES[usize::from(*kind) % TYPES.len()];
    BENCHES.with(|benches| {
        let bench = &benches[usize::from(*which) % benches.len()];
        let mut fake = Fake::get("/");
        let mut stream = Stream::default();
        bench.request(&mut fake, &mut stream);
        fake.respond([
            (":status", status.to_string()),
            ("content-type", kind.to_owned()),
        ]);
        let held = bench.headers(&mut fake, &mut stream, false) == Flow::Pause;
        let (first, rest) = body.split_at(usize::from(*cut).min(body.len()));
        let mut sent = bench.body(&mut fake, &mut stream, first, false);
        sent.extend(bench.body(&mut fake, &mut stream, rest, true));
        if fake.response.get("content-type") != Some(b"application/problem+json")
            || kind == TYPES[3]
        {
            assert_eq!(sent, body);
            return;
        }
        let document: Value = serde_json::from_slice(&sent).expect("a document is JSON");
        let sent_status = fake
            .response
            .get(":status")
            .and_then(|status| std::str::from_utf8(status).ok()?.parse::<u16>().ok());
        assert_eq!(document["status"].as_u64(), sent_status.map(u64::from));
        assert!(document["type"].is_string() && document["title"].is_string());
        if held {
            let length = fake.response.get("content-length").map(<[u8]>::to_vec);
            assert_eq!(length, Some(sent.len().to_string().into_bytes()));
        }
    });
});
