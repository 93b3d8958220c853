//! The filter behind a proxy in memory.
#![allow(dead_code, reason = "each test that includes this uses its share")]

#[cfg(not(target_arch = "wasm32"))]
pub mod one_worker;
pub mod site;

use std::collections::BTreeMap;

use audit_log::AuditLog;
use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::{Bench, Fake};
use serde_json::{Value, json};

pub type Audit = Bench<Plugin<AuditLog>>;

pub const KEY: &str = "0123456789abcdef0123456789abcdef";

pub fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("AUDIT_KEY".to_owned(), KEY.to_owned()),
        ("SHORT".to_owned(), "short".to_owned()),
    ])
}

/// Without seals, unless the settings speak of them: what is sealed differs each time.
pub fn load(settings: &Value) -> Audit {
    let mut settings = settings.clone();
    if settings.get("chain").is_none() {
        settings["chain"] = json!({"sealed": false});
    }
    Bench::load_with(&settings, &environment()).unwrap_or_else(|error| panic!("{error}"))
}

pub fn refused(settings: &Value, text: &str) {
    match Audit::load_with(settings, &environment()) {
        Ok(_) => panic!("accepted: {settings}"),
        Err(error) => {
            let told = error.to_string();
            assert!(told.starts_with(text), "{settings}\n{told}\n{text}");
        }
    }
}

/// A request at its end, as Envoy tells of one that the upstream answered.
pub fn answered(target: &str, status: u16) -> Fake {
    let mut fake = Fake::get(target)
        .with_property("response.code_details", "via_upstream")
        .with_property("request.duration", 12_345_678_i64.to_le_bytes())
        .with_property("request.size", 0_i64.to_le_bytes())
        .with_property("response.size", 17_i64.to_le_bytes())
        .with_property("source.address", "203.0.113.77:4711")
        .with_property("upstream.address", "10.0.0.9:8080")
        .with_property("xds.route_name", "things");
    fake.request.add("user-agent", "curl/8.5");
    fake.response.add(":status", status.to_string());
    fake
}

/// Ends the request; what was recorded, as text and as a value.
pub fn end(audit: &Audit, mut fake: Fake) -> (Fake, Option<String>) {
    let mut stream = Default::default();
    audit.attach(&mut fake);
    audit.finish(&mut fake, &mut stream);
    let lines = fake.logs.take().into_iter().map(|(_, line)| line);
    let mut lines: Vec<String> = lines
        .filter(|line| parsed(line)["type"] == "request")
        .collect();
    assert!(lines.len() <= 1, "{lines:?}");
    (fake, lines.pop())
}

pub fn record(settings: &Value, fake: Fake) -> Value {
    let (_, line) = end(&load(settings), fake);
    parsed(&line.unwrap_or_else(|| panic!("nothing was recorded under {settings}")))
}

/// A record is canonical: what a JSON reader makes of it, written with sorted members, is the same text.
pub fn parsed(line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(value.to_string(), line);
    value
}
