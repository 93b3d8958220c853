//! Runs requests through the plugin in memory.
#![allow(dead_code, reason = "each test file uses its own part")]

use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::{Bench, Fake};
use security_headers::SecurityHeaders;
use serde_json::Value;

pub use serde_json::json;

pub type Loaded = Bench<Plugin<SecurityHeaders>>;

pub fn load(settings: Value) -> Loaded {
    Bench::load(&settings).unwrap_or_else(|error| panic!("{settings}: {error}"))
}

pub fn refuse(settings: Value) -> String {
    match Loaded::load(&settings) {
        Ok(_) => panic!("not refused: {settings}"),
        Err(error) => error.to_string(),
    }
}

/// A request of a TLS client.
pub fn over_tls() -> Fake {
    Fake::get("/").with_property("connection.tls_version", "TLSv1.3")
}

/// The response of an upstream that sends these headers, as the client gets it.
pub fn answer(settings: Value, request: Fake, upstream: &[(&str, &str)]) -> Fake {
    load(settings).exchange(request, upstream)
}

/// All values of one response header.
pub fn all(fake: &Fake, name: &str) -> Vec<String> {
    fake.response
        .get_all(name)
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// The value of a response header that is there at most once.
pub fn one(fake: &Fake, name: &str) -> Option<String> {
    let mut values = all(fake, name);
    assert!(values.len() < 2, "{name}: {values:?}");
    values.pop()
}
