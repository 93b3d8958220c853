//! Settings that turn on as much as there is.

use serde_json::{Value, json};

/// For security-headers.
pub fn security_headers() -> Value {
    json!({
        "preset": "web-nonce",
        "headers": {
            "x-app": {"set": "portcullis"},
            "vary": {"append": "Accept-Encoding"},
            "x-removed": "remove",
        },
        "csp": {"merge": "script-src 'nonce-{nonce}'; frame-ancestors 'none'"},
        "hsts": {"when": "always", "upstream": "replace"},
        "leaks": {"remove": ["x-build"]},
        "cookies": {},
        "clear_site_data": ["cache"],
        "csrf": {"trusted_origins": ["https://partner.example"]},
        "cors": {"allowed_origins": ["https://app.example.com"]},
        "report_only": {"endpoint": "/reports", "policies": ["coop", "coep"]},
    })
}

/// For request-tracing.
pub fn request_tracing() -> Value {
    let formats = json!(["w3c", "b3", "b3_multi", "xray", "datadog"]);
    json!({
        "trust": "internal",
        "request_id": {"source": "trusted"},
        "propagation": {"extract": formats, "inject": formats},
        "baggage": {"allow": ["k", "a"]},
        "sampling": {"root": {"ratio": 0.5}, "max_per_second": 10},
        "server_timing": {"trace": "all", "app": "all"},
        "response_time": true,
        "slow_ms": 1,
    })
}
