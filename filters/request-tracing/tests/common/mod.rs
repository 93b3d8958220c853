//! Requests through the filter, in memory.
#![allow(dead_code, reason = "each test file uses its own part")]

use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::{Bench, Fake};
use request_tracing::RequestTracing;

pub const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

pub const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub const OK: [(&str, &str); 1] = [(":status", "200")];

pub type Tracing = Plugin<RequestTracing>;

pub fn bench(settings: serde_json::Value) -> Bench<Tracing> {
    Bench::load(&settings).unwrap()
}

pub fn request(lines: &[(&str, &str)]) -> Fake {
    let mut fake = Fake::get("/orders?secret=1");
    for (name, value) in lines {
        fake.request.add(name, value);
    }
    fake
}

pub fn text<'a>(headers: &'a portcullis_kit::Headers, name: &str) -> &'a str {
    std::str::from_utf8(headers.get(name).unwrap_or(b"(absent)")).unwrap()
}
