//! What the settings make of an upstream's error codes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod passing;

use passing::{bench, get, pass};
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BODY: &[u8] = br#"{"code":"throttled","message":"Slow down."}"#;

fn with_status(upstream: u16, sent: u16, more: &[(&str, &str)]) -> serde_json::Value {
    let bench = bench(json!({"body": "hold", "codes": {"throttled": {"status": sent}}}));
    let upstream = upstream.to_string();
    let mut headers = vec![
        (":status", upstream.as_str()),
        ("content-type", "application/json"),
    ];
    headers.extend(more);
    pass(&bench, get(&[]), &headers, &[BODY]).json()
}

#[test]
fn a_status_that_a_code_asks_for_decides_what_is_said_of_the_error() {
    let document = with_status(400, 429, &[]);
    assert_eq!(document["retryable"], true);
    assert_eq!(document["category"], "user");
    let document = with_status(400, 503, &[]);
    assert_eq!(document["retryable"], true);
    assert_eq!(document["category"], "external");
    let document = with_status(503, 409, &[]);
    assert_eq!(document["retryable"], false);
    assert_eq!(document["category"], "user");
    let document = with_status(503, 409, &[("retry-after", "7")]);
    assert_eq!(document["retryable"], true);
}
