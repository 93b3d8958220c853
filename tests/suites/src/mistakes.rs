//! Settings with one mistake each, and the words that must name it.

use serde_json::{Value, json};

/// One mistake.
#[derive(Clone, Debug)]
pub struct Mistake {
    pub module: &'static str,
    pub settings: Value,
    /// Part of the message: the path and what is wrong.
    pub text: &'static str,
}

/// Kinds of mistake that only a running proxy can show to be refused. Each message is pinned by the validator's fixtures.
pub fn all() -> Vec<Mistake> {
    let of = |module, settings, text| Mistake {
        module,
        settings,
        text,
    };
    vec![
        of(
            "security_headers",
            json!({"presett": "api"}),
            "unknown key `presett`; did you mean `preset`?",
        ),
        of(
            "security_headers",
            json!({"preset": "apis"}),
            "preset: `apis` is not one of the allowed values; did you mean `api`?",
        ),
        of(
            "security_headers",
            json!({"preset": ["api"]}),
            "preset: found",
        ),
        of(
            "security_headers",
            json!({"mode": "shadows"}),
            "mode: `shadows` is not one of the allowed values; did you mean `shadow`?",
        ),
        of(
            "security_headers",
            json!({"profiles": {"a": {"preset": "wep"}}}),
            "profiles.a.preset: `wep`",
        ),
        of(
            "security_headers",
            json!({"profiles": {"a": {"routes": []}}}),
            "profiles.a.routes",
        ),
        of(
            "security_headers",
            json!({"profiles": {"login": {}}, "routes": [{"paths": [{"exact": "/"}], "profile": "logim"}]}),
            "there is no profile `logim`; did you mean `login`?",
        ),
        of(
            "request_tracing",
            json!({"unknown": 1}),
            "unknown key `unknown`",
        ),
        of(
            "portcullis",
            json!({"security-headers": {}}),
            "unknown key `security-headers`; did you mean `security_headers`?",
        ),
        of(
            "portcullis",
            json!({"security_headers": {"preset": 7}}),
            "security_headers.preset: found",
        ),
    ]
}
