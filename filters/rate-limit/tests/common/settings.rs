//! Settings, and what is said of those that are wrong.
#![allow(dead_code, reason = "each test that includes this uses its share")]

use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::Bench;
use rate_limit::RateLimit;
use serde_json::{Value, json};

pub fn load(settings: &Value) -> Result<Bench<Plugin<RateLimit>>, portcullis_kit::ConfigError> {
    Bench::load(settings)
}

pub fn hash(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// One own tier with these limits.
pub fn limits(limits: Value) -> Value {
    json!({"plans": "none", "tier": {"default": "t"}, "tiers": {"t": {"limits": limits}}})
}

/// A limit with these settings beside the least that one needs.
pub fn limit(over: Value) -> Value {
    let mut limit = json!({"name": "a", "count": 10, "window": "1m"});
    for (key, value) in over.as_object().unwrap() {
        limit[key] = value.clone();
    }
    limits(json!([limit]))
}

pub fn refused(settings: &Value, expected: &str) {
    match load(settings) {
        Ok(_) => panic!("{settings} is taken, and should tell: {expected}"),
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.starts_with(expected),
                "{settings}\n tells:     {text}\n and not: {expected}"
            );
        }
    }
}
