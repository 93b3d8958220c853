//! One request and its response through the filter, in memory.
#![allow(dead_code, reason = "each test uses its part")]

use portcullis_kit::Flow;
use portcullis_kit::plugin::{Plugin, Stream};
use portcullis_kit::testing::{Bench, Fake};
use problem_json::ProblemJson;
use serde_json::Value;

pub type Filter = Plugin<ProblemJson>;

pub const ID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

pub fn bench(settings: Value) -> Bench<Filter> {
    Bench::load(&settings).unwrap()
}

pub fn get(headers: &[(&str, &str)]) -> Fake {
    request("GET", headers)
}

/// A request with a body.
pub fn post(headers: &[(&str, &str)]) -> Fake {
    request("POST", headers)
}

fn request(method: &str, headers: &[(&str, &str)]) -> Fake {
    let base = [
        (":method", method),
        (":path", "/orders/7?token=secret"),
        (":authority", "api.example.com"),
        ("x-request-id", ID),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ];
    let own = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    Fake::request(
        base.into_iter()
            .filter(|(name, _)| !own.contains(name))
            .chain(headers.iter().copied()),
    )
}

/// What the client gets: headers in the fake, and the body.
pub struct Sent {
    pub fake: Fake,
    pub flow: Flow,
    pub body: Vec<u8>,
}

impl Sent {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.fake
            .response
            .get(name)
            .map(|value| std::str::from_utf8(value).unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}", self.body.escape_ascii()))
    }
}

pub fn pass(
    bench: &Bench<Filter>,
    mut fake: Fake,
    response: &[(&str, &str)],
    pieces: &[&[u8]],
) -> Sent {
    let mut stream = Stream::default();
    let body: &[&[u8]] = match fake.request.get(":method") {
        Some(b"POST") => &[b"{}"],
        _ => &[],
    };
    let flow = bench.request_with_body(&mut fake, &mut stream, body);
    assert_eq!(flow, Flow::Continue);
    fake.respond(response.iter().copied());
    let flow = bench.headers(&mut fake, &mut stream, pieces.is_empty());
    let mut body = Vec::new();
    if flow == Flow::Replied {
        body.append(&mut fake.body);
    } else {
        for (at, piece) in pieces.iter().enumerate() {
            let ends = at + 1 == pieces.len();
            body.extend(bench.body(&mut fake, &mut stream, piece, ends));
        }
    }
    Sent { fake, flow, body }
}

pub const HTML: &[u8] = b"<html><body>at com.acme.Db.run(Db.java:7)</body></html>";
