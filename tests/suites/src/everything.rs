//! Settings that turn on as much as there is.

use serde_json::{Value, json};

/// For security-headers.
pub fn security_headers() -> Value {
    json!({"preset": "web-nonce"})
}

/// For request-tracing.
pub fn request_tracing() -> Value {
    json!({})
}
