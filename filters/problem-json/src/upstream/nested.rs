//! Errors within a member `error`: Google, Stripe, Microsoft, Elasticsearch and the many that do as these.

use serde_json::{Map, Value};

use super::{Detail, Place, Said, code, details, shapes, text};

/// Reads `{"error": {…}}`.
pub fn read(members: &Map<String, Value>) -> Option<Said> {
    let error = members.get("error")?.as_object()?;
    let has = |name: &str| error.contains_key(name);
    let shape = if has("status") && has("code") {
        "google"
    } else if has("param") || has("doc_url") || has("request_log_url") || has("decline_code") {
        "stripe"
    } else if has("root_cause") {
        "elasticsearch"
    } else {
        "error-object"
    };
    let mut said = Said::new(shape);
    said.message = ["message", "reason", "description", "detail", "msg"]
        .iter()
        .find_map(|name| error.get(*name).and_then(text));
    said.code = ["code", "status", "type", "error_code"]
        .iter()
        .find_map(|name| error.get(*name).and_then(code));
    if let Some(parameter) = error.get("param").and_then(text) {
        said.add(Detail {
            place: Some(Place::Parameter(parameter)),
            ..Detail::default()
        });
    }
    if let Some(Value::Array(items)) = error.get("details") {
        for item in items {
            match item.get("@type").and_then(Value::as_str) {
                Some(kind) => google_detail(&mut said, kind, item),
                None => details::list(&mut said, std::slice::from_ref(item)),
            }
        }
    }
    for name in ["errors", "issues"] {
        details::any(&mut said, error.get(name));
    }
    // Rails: `{"error": {"name": ["is too short"]}}`.
    if said.message.is_none() && said.code.is_none() && shapes::are_fields(error) {
        details::map(&mut said, "", error, 4);
    }
    details::leave_echo(&mut said);
    Some(said)
}

/// Messages of `google.rpc` in `details`: those that are for the client. `DebugInfo`, `Help`, `ResourceInfo`,
/// `RequestInfo` and the metadata of `ErrorInfo` are for others.
fn google_detail(said: &mut Said, kind: &str, item: &Value) {
    match kind.rsplit('.').next() {
        Some("ErrorInfo") => {
            if let Some(reason) = item.get("reason").and_then(code) {
                said.code = Some(reason);
            }
        }
        Some("BadRequest") => details::any(said, item.get("fieldViolations")),
        Some("RetryInfo") => {
            said.retry_after_s = item
                .get("retryDelay")
                .and_then(Value::as_str)
                .and_then(seconds);
        }
        _ => {}
    }
}

/// `30s`, `1.5s`: whole seconds, rounded up.
fn seconds(delay: &str) -> Option<u32> {
    let (whole, fraction) = match delay.strip_suffix('s')?.split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (delay.strip_suffix('s')?, ""),
    };
    let seconds: u32 = whole.parse().ok()?;
    Some(seconds.saturating_add(u32::from(fraction.bytes().any(|digit| digit != b'0'))))
}
