//! What the tests of the filters' modules share.

#![allow(dead_code)] // Each test program uses its part.
#![allow(clippy::unwrap_used, clippy::panic)] // A test may fail by panic.

use portcullis_host::{Form, Module, Plugin, Response, Script, dist};
use serde_json::Value;

/// The modules of the filters, each with the `root_id` of its first plugin and settings that use much of it.
pub fn modules() -> [(&'static str, &'static str, Value); 3] {
    let tracing = serde_json::json!({
        "trust": "internal",
        "propagation": {"extract": ["w3c", "b3", "b3_multi", "xray", "datadog"], "inject": ["w3c", "b3", "xray", "datadog"]},
        "sampling": {"root": {"ratio": 0.5}, "max_per_second": 1_000_000},
        "server_timing": {"trace": "all", "app": "all"},
        "response_time": true,
        "profiles": {"quiet": {"response_time": false}},
        "routes": [{"profile": "quiet", "paths": [{"prefix": "/quiet"}]}],
    });
    let security = serde_json::json!({
        "preset": "web-nonce",
        "csrf": {"mode": "enforce", "trusted_origins": ["https://app.example.com"]},
        "cors": {"allowed_origins": ["https://app.example.com"]},
        "report_only": {"endpoint": "https://reports.example.com/csp"},
        "clear_site_data": ["cookies"],
        "profiles": {"public": {"preset": "api"}},
        "routes": [{"profile": "public", "paths": [{"prefix": "/public"}]}],
    });
    let chain = serde_json::json!({"request_tracing": tracing, "security_headers": security});
    [
        ("request_tracing", "request-tracing", tracing),
        ("security_headers", "security-headers", security),
        ("portcullis", "portcullis", chain),
    ]
}

/// A plugin of a module in `dist/`.
pub fn load(module: &str, root_id: &str, settings: &Value) -> Plugin {
    load_as(Form::Struct, module, root_id, settings)
}

pub fn load_as(form: Form, module: &str, root_id: &str, settings: &Value) -> Plugin {
    let start = Module::load(&dist(module)).start().root_id(root_id);
    let loaded = start.configuration(&form.encode(settings)).load();
    loaded.unwrap_or_else(|refused| panic!("{module}: {refused}"))
}

/// A request as a listener hands it over, and an answer as an upstream gives it.
pub fn typical() -> Script {
    Script::get("/v1/orders/42?expand=lines")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0",
        )
        .header("accept", "application/json, text/plain, */*")
        .header("accept-encoding", "gzip, br")
        .header("authorization", "Bearer 0123456789abcdef0123456789abcdef")
        .header("x-forwarded-for", "203.0.113.7")
        .header("x-forwarded-proto", "https")
        .header("x-request-id", "5f0c1d6e-8a3b-4c57-9f0e-2f4f9f6d1a11")
        .property(&["source", "address"], "203.0.113.7:51234")
        .tls()
        .respond(json(200))
}

pub fn json(status: u16) -> Response {
    Response::new(status)
        .header("content-type", "application/json")
        .header("content-length", "13")
        .header("server", "upstream")
        .header("x-envoy-upstream-service-time", "3")
        .chunk(r#"{"id": "42" }"#)
}
