//! The two JSON Schemas every document is held to: the RFC's own and our strict one.

use serde_json::Value;

const SCHEMAS: [(&str, &str); 2] = [
    ("RFC 9457", include_str!("rfc9457.json")),
    ("strict", include_str!("strict.json")),
];

/// Fails where the text is no JSON or breaks a schema.
pub fn assert_valid(text: &str) {
    let document: Value = serde_json::from_str(text).unwrap();
    for (name, schema) in SCHEMAS {
        let schema: Value = serde_json::from_str(schema).unwrap();
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        let mistakes: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| error.to_string())
            .collect();
        assert!(mistakes.is_empty(), "{name}: {mistakes:?} in {text}");
    }
}
