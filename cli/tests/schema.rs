//! The schemas take what the code takes, and refuse every key that the code refuses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use portcullis_cli::check::settings;
use portcullis_cli::document::Source;
use portcullis_cli::registry::Bundle;
use portcullis_cli::schema::schema;
use portcullis_kit::config::{ConfigError, Mistake};
use serde_json::{Value, json};

fn validators() -> BTreeMap<&'static str, Validator> {
    let names = Bundle::names().into_iter();
    names
        .map(|name| {
            let schema = schema(Bundle::of_root_id(name).unwrap());
            assert!(jsonschema::meta::is_valid(&schema), "{name}");
            assert_eq!(
                schema["$schema"],
                "https://json-schema.org/draft/2020-12/schema"
            );
            assert_eq!(schema["additionalProperties"], false);
            (name, jsonschema::draft202012::new(&schema).unwrap())
        })
        .collect()
}

/// Every settings value in the fixtures and in the shipped configuration.
fn examples() -> Vec<(Bundle, Value)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["fixtures", "fixtures/fine", "../envoy", "../envoy/examples"] {
        let Ok(entries) = fs::read_dir(here.join(folder)) else {
            continue;
        };
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files.retain(|path| {
        path.extension()
            .is_some_and(|ending| ending == "yaml" || ending == "json")
    });
    files.sort();
    let mut found = Vec::new();
    for path in files {
        let expected = fs::read_to_string(path.with_extension("expected")).unwrap_or_default();
        let words = expected
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let filter = words.skip_while(|word| *word != "--filter").nth(1);
        let source = Source {
            name: path.to_str().unwrap().to_owned(),
            text: fs::read_to_string(&path).unwrap(),
        };
        found.extend(settings(&[source], filter.and_then(Bundle::of_root_id)));
    }
    found
}

fn load(bundle: Bundle, settings: &Value) -> Result<(), ConfigError> {
    bundle.load(
        settings,
        &BTreeMap::from([("SECRET".to_owned(), "0123456789abcdef".repeat(4))]),
    )
}

/// What is told of one value. `Some(text)` where schema and code differ in what matters.
fn difference(validator: &Validator, bundle: Bundle, settings: &Value) -> Option<String> {
    let valid = validator.is_valid(settings);
    match load(bundle, settings) {
        Ok(()) if !valid => {
            let why = validator
                .iter_errors(settings)
                .map(|error| format!("{error} at {}", error.instance_path()));
            let why = why.collect::<Vec<_>>().join("; ");
            Some(format!(
                "{}: the code takes, the schema refuses {settings}: {why}",
                bundle.name()
            ))
        }
        Err(error) => match &error.mistake {
            Mistake::UnknownKey { key, .. } if valid => Some(format!(
                "{}: the schema takes the key `{key}` at {} of {settings}",
                bundle.name(),
                error.path
            )),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn every_example_is_valid_and_every_unknown_key_is_not() {
    let validators = validators();
    let examples = examples();
    let accepted = examples
        .iter()
        .filter(|(bundle, value)| load(*bundle, value).is_ok())
        .count();
    let unknown = examples.iter().filter(|(bundle, value)| {
        let refused = load(*bundle, value).err();
        refused.is_some_and(|error| matches!(error.mistake, Mistake::UnknownKey { .. }))
    });
    assert!(
        accepted > 10 && unknown.count() > 5,
        "{accepted} of {}",
        examples.len()
    );
    let wrong: Vec<String> = examples
        .iter()
        .filter_map(|(bundle, value)| difference(&validators[bundle.name()], *bundle, value))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every way to change one value, or to add one key.
fn changed(value: &Value) -> Vec<Value> {
    let mut out: Vec<Value> = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(3.5),
        json!(-1),
        json!("text"),
        json!("0.25"),
        json!("off"),
        json!([]),
        json!({}),
        json!(["text"]),
        json!({"unknown": 1}),
    ]
    .into();
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                for change in changed(item) {
                    let mut copy = items.clone();
                    copy[at] = change;
                    out.push(copy.into());
                }
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                for change in changed(item) {
                    let mut copy = map.clone();
                    copy.insert(key.clone(), change);
                    out.push(copy.into());
                }
                let mut without = map.clone();
                without.remove(key);
                out.push(without.into());
            }
            let mut copy = map.clone();
            copy.insert("unknown".to_owned(), json!(1));
            out.push(copy.into());
        }
        _ => {}
    }
    out
}

#[test]
fn whatever_is_changed_in_an_example_schema_and_code_agree() {
    let validators = validators();
    let mut accepted = 0;
    let mut wrong = Vec::new();
    for (bundle, value) in examples() {
        if load(bundle, &value).is_err() {
            continue;
        }
        for change in changed(&value) {
            accepted += usize::from(load(bundle, &change).is_ok());
            wrong.extend(difference(&validators[bundle.name()], bundle, &change));
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(accepted > 100, "{accepted}");
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_schema_of_records_is_one_and_takes_no_member_that_it_does_not_name() {
    use portcullis_cli::schema::AUDIT_RECORD_SCHEMA;
    let schema: Value = serde_json::from_str(AUDIT_RECORD_SCHEMA).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    let judge = jsonschema::draft202012::new(&schema).unwrap();
    let start = json!({
        "category": "bundle", "event": "bundle.start", "schema": "portcullis.audit/v1",
        "time": "2026-11-21T08:00:00.000001Z", "type": "bundle", "version": "0.1.0",
    });
    assert!(judge.is_valid(&start));
    for (name, value) in [
        ("secret", json!("s")),
        ("type", json!("request")),
        ("records", json!(1)),
        ("event", json!("bundle.settings_loaded")),
    ] {
        let mut wrong = start.clone();
        wrong[name] = value;
        assert!(!judge.is_valid(&wrong), "{wrong}");
    }
}
