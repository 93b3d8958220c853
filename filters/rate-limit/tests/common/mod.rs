//! The filter behind a proxy in memory.
#![allow(dead_code, reason = "each test that includes this uses its share")]

use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::{Bench, Fake, Shared};
use rate_limit::RateLimit;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// 2026-11-21T08:00:00Z in nanoseconds.
pub const NOW: u64 = 1_795_248_000_000_000_000;
pub const SECOND: u64 = 1_000_000_000;

pub struct Proxy {
    pub bench: Bench<Plugin<RateLimit>>,
    pub shared: Shared,
    pub now: u64,
}

/// What came of one request.
pub struct Told {
    pub fake: Fake,
    pub admitted: bool,
}

impl Told {
    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.fake.response.get(name)?;
        Some(String::from_utf8(value.to_vec()).unwrap())
    }

    pub fn problem(&self) -> Value {
        serde_json::from_slice(&self.fake.replies[0].body).unwrap()
    }

    pub fn status(&self) -> Option<u16> {
        Some(self.fake.replies.first()?.status)
    }

    pub fn state(&self, key: &str) -> Option<String> {
        let value = self.fake.filter_state.get(key)?;
        Some(String::from_utf8(value.clone()).unwrap())
    }
}

pub fn hash(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Proxy {
    pub fn new(settings: Value) -> Self {
        Self::on(Shared::default(), settings)
    }

    pub fn on(shared: Shared, settings: Value) -> Self {
        let bench = Bench::load(&settings).unwrap_or_else(|error| panic!("{error}"));
        Self {
            bench,
            shared,
            now: NOW,
        }
    }

    pub fn send(&self, fake: Fake) -> Told {
        self.send_to(fake, &[(":status", "200")])
    }

    pub fn send_to(&self, mut fake: Fake, upstream: &[(&str, &str)]) -> Told {
        fake.now.set(self.now);
        fake.shared = self.shared.clone();
        let fake = self.bench.exchange(fake, upstream);
        let admitted = fake.replies.is_empty();
        Told { fake, admitted }
    }

    /// A request with an API key.
    pub fn key(&self, key: &str) -> Told {
        let mut fake = Fake::get("/v1/orders");
        fake.request.add("x-api-key", key.as_bytes());
        self.send(fake)
    }
}

pub fn by_key(over: Value) -> Value {
    let mut settings = json!({"identity": [{"header": {"name": "x-api-key", "hash": true}}, {"client_address": {}}]});
    for (key, value) in over.as_object().unwrap() {
        settings[key] = value.clone();
    }
    settings
}

/// One tier with these limits.
pub fn only(limits: Value) -> Value {
    by_key(json!({"plans": "none", "tier": {"default": "t"}, "tiers": {"t": {"limits": limits}}}))
}
