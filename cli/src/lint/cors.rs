//! A native CORS policy that gives every origin the user's credentials.

use regex_lite::Regex;

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::Node;
use crate::find::Findings;

/// Origins that no list would name. A matcher that takes all of them takes any.
const STRANGERS: [&str; 3] = [
    "https://stranger.example",
    "https://another-one.invalid",
    "https://127.0.0.1:8443",
];

/// `envoy.extensions.filters.http.cors.v3.CorsPolicy`, and the older one of virtual hosts and routes.
pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for policy in &findings.cors {
        if !policy.node.is_true(&["allow_credentials"]) {
            continue;
        }
        let matchers = policy.node.at(&["allow_origin_string_match"]);
        for matcher in matchers.map(Node::items).unwrap_or_default() {
            let Some(entry) = matcher
                .entries()
                .iter()
                .find(|entry| takes_any(&entry.key, &entry.value))
            else {
                continue;
            };
            let place = if entry.value.text().is_some() {
                entry.value.span
            } else {
                entry.key_span
            };
            let message = "this CORS policy gives every origin the user's credentials";
            found.push(Diagnostic::new(policy.file, place, Severity::Error, message).help(
                "name the origins that may read answers, such as `exact: https://app.example.com`, or drop allow_credentials",
            ));
        }
    }
    found
}

/// Whether a `StringMatcher` takes any origin.
fn takes_any(kind: &str, value: &Node) -> bool {
    let text = value.text().unwrap_or_default();
    match kind {
        // Envoy asks each matcher about `*` before it asks about the origin.
        "exact" => text == "*",
        "prefix" => STRANGERS.iter().all(|origin| origin.starts_with(text)),
        "suffix" => STRANGERS.iter().all(|origin| origin.ends_with(text)),
        "contains" => STRANGERS.iter().all(|origin| origin.contains(text)),
        "safe_regex" | "safeRegex" => {
            let pattern = format!("^(?:{})$", value.text_at(&["regex"]).unwrap_or_default());
            Regex::new(&pattern)
                .is_ok_and(|regex| STRANGERS.iter().all(|origin| regex.is_match(origin)))
        }
        _ => false,
    }
}
