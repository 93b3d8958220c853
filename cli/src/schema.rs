//! `portcullis schema`: JSON Schema (draft 2020-12) of what a plugin takes, from the types it reads.

use portcullis_kit::Mode;
use portcullis_kit::routes::Route;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::registry::{Bundle, CHAIN, Entry, FILTERS};

/// The name that asks for [`AUDIT_RECORD_SCHEMA`].
pub const AUDIT_RECORD: &str = "audit-record";

/// The schema of audit-log's own form of records. Written by hand: what writes records is no type that says it.
pub const AUDIT_RECORD_SCHEMA: &str = include_str!("../../docs/audit-record.schema.json");

/// Where definitions stand.
const DEFS: &str = "#/$defs/";

/// The schema of all the settings of a plugin.
pub fn schema(bundle: Bundle) -> Value {
    let mut schema = Draft::new().plugin(bundle);
    relax(&mut schema);
    schema
}

/// The schema of one filter's own settings, of what all filters share, and the definitions both refer to: for the docs.
pub struct Parts {
    pub own: Value,
    pub shared: Value,
    pub definitions: Map<String, Value>,
}

pub fn parts(entry: &Entry) -> Parts {
    let mut draft = Draft::new();
    let own = draft.own(entry);
    let shared = json!({"type": "object", "properties": draft.shared(None)});
    Parts {
        own,
        shared,
        definitions: draft.definitions(),
    }
}

struct Draft {
    generator: SchemaGenerator,
    /// Definitions made here: settings as a profile may give them.
    overrides: Map<String, Value>,
}

impl Draft {
    fn new() -> Self {
        Self {
            generator: SchemaSettings::draft2020_12().into_generator(),
            overrides: Map::new(),
        }
    }

    fn definitions(&self) -> Map<String, Value> {
        let mut all = self.generator.definitions().clone();
        all.extend(self.overrides.clone());
        all
    }

    fn plugin(mut self, bundle: Bundle) -> Value {
        let (title, mut root) = match bundle {
            Bundle::One(entry) => (entry.name, self.filter(entry)),
            Bundle::Chain => (CHAIN, self.chain()),
        };
        if let Some(root) = root.as_object_mut() {
            root.insert(
                "$schema".into(),
                "https://json-schema.org/draft/2020-12/schema".into(),
            );
            root.insert("title".into(), format!("Settings of {title}").into());
            root.insert("$defs".into(), Value::Object(self.definitions()));
        }
        root
    }

    fn chain(&mut self) -> Value {
        let members = FILTERS
            .iter()
            .map(|entry| (entry.key(), self.filter(entry)));
        let members: Map<String, Value> = members.collect();
        json!({
            "description": "The settings of each filter that is to run.",
            "type": "object",
            "properties": members,
            "additionalProperties": false,
        })
    }

    /// One filter with what all filters share.
    fn filter(&mut self, entry: &Entry) -> Value {
        let mut own = self.own(entry);
        let mode = self.mode();
        let mut profile = own.clone();
        add(&mut profile, Map::from_iter([("mode".to_owned(), mode)]));
        let profile = self.partial(&profile);
        let shared = self.shared(Some(profile));
        add(&mut own, shared);
        own
    }

    fn own(&mut self, entry: &Entry) -> Value {
        let schema = entry.schema(&mut self.generator).to_value();
        match schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(definition)
        {
            Some(name) => self
                .generator
                .definitions()
                .get(name)
                .cloned()
                .unwrap_or(schema),
            None => schema,
        }
    }

    fn mode(&mut self) -> Value {
        let mut mode = self.generator.subschema_for::<Mode>().to_value();
        if let Some(mode) = mode.as_object_mut() {
            let text = "What the filter does with its decisions. Default: `enforce`.";
            mode.insert("description".into(), text.into());
        }
        mode
    }

    /// What the kit reads for every filter.
    fn shared(&mut self, profile: Option<Value>) -> Map<String, Value> {
        let routes = self.generator.subschema_for::<Vec<Route>>().to_value();
        let routes = with(
            routes,
            "Which profile a request gets, where its route's metadata names none: the first entry that matches.",
        );
        let profiles = json!({
            "description": "Variations by name, each laid over the settings at the top: maps merge, lists replace, `null` removes.",
            "type": ["object", "null"],
            "propertyNames": {"pattern": "^[A-Za-z0-9_-]{1,64}$", "not": {"const": "default"}},
            "additionalProperties": profile.unwrap_or_else(|| json!({"type": "object"})),
        });
        Map::from_iter([
            ("mode".to_owned(), self.mode()),
            ("profiles".to_owned(), profiles),
            ("routes".to_owned(), nullable(routes)),
        ])
    }

    /// The schema of a value that is laid over another one: nothing is required, and `null` removes.
    fn partial(&mut self, schema: &Value) -> Value {
        let Value::Object(schema) = schema else {
            return schema.clone();
        };
        let mut out = Map::new();
        for (keyword, value) in schema {
            match (keyword.as_str(), value) {
                ("required", _) => {}
                ("$ref", Value::String(target)) => {
                    out.insert(keyword.clone(), self.override_of(target).into());
                }
                ("properties", Value::Object(properties)) => {
                    let properties = properties.iter();
                    let properties = properties
                        .map(|(name, value)| (name.clone(), nullable(self.partial(value))));
                    let properties: Map<String, Value> = properties.collect();
                    out.insert(keyword.clone(), properties.into());
                }
                ("additionalProperties", Value::Object(_)) => {
                    out.insert(keyword.clone(), nullable(self.partial(value)));
                }
                ("oneOf" | "anyOf", Value::Array(choices)) => {
                    out.insert("anyOf".into(), self.partial_choices(choices).into());
                }
                _ => {
                    out.insert(keyword.clone(), value.clone());
                }
            }
        }
        Value::Object(out)
    }

    /// `{set: …}` may be laid over `{merge: …}` by `{merge: null, set: …}`, so the forms of one key are one map here.
    fn partial_choices(&mut self, choices: &[Value]) -> Vec<Value> {
        let mut forms = Map::new();
        let mut out = Vec::new();
        for choice in choices {
            match self.partial(choice) {
                Value::Object(mut map) if map.get("properties").is_some_and(Value::is_object) => {
                    if let Some(Value::Object(properties)) = map.remove("properties") {
                        forms.extend(properties);
                    }
                }
                other => out.push(other),
            }
        }
        if !forms.is_empty() {
            out.push(json!({"type": "object", "properties": forms, "additionalProperties": false}));
        }
        out
    }

    fn override_of(&mut self, target: &str) -> String {
        let Some(name) = definition(target) else {
            return target.to_owned();
        };
        let partial = format!("{name}Override");
        if !self.overrides.contains_key(&partial) {
            // Entered first, so that a type that holds itself ends.
            self.overrides.insert(partial.clone(), Value::Null);
            let whole = self
                .generator
                .definitions()
                .get(name)
                .cloned()
                .unwrap_or_default();
            let made = self.partial(&whole);
            self.overrides.insert(partial.clone(), made);
        }
        format!("{DEFS}{partial}")
    }
}

/// The name in a reference to a definition.
pub fn definition(reference: &str) -> Option<&str> {
    reference.strip_prefix(DEFS)
}

fn add(schema: &mut Value, more: Map<String, Value>) {
    if let Some(schema) = schema.as_object_mut() {
        let properties = schema.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.extend(more);
        }
    }
}

fn with(mut schema: Value, description: &str) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".into(), description.into());
    }
    schema
}

/// The schema, or null. The description stays outside, where editors look for it.
fn nullable(mut schema: Value) -> Value {
    let description = schema
        .as_object_mut()
        .and_then(|map| map.remove("description"));
    let mut out = json!({"anyOf": [schema, {"type": "null"}]});
    if let (Some(description), Some(out)) = (description, out.as_object_mut()) {
        out.insert("description".into(), description);
    }
    out
}

/// What the code takes beside what the types say: a bare `off` that YAML made a boolean, and numbers that Envoy's YAML
/// reader made strings.
fn relax(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(relax),
        Value::Object(map) => {
            relax_words(map);
            relax_numbers(map);
            map.values_mut().for_each(relax);
        }
        _ => {}
    }
}

fn relax_words(map: &mut Map<String, Value>) {
    let words = match (map.get("const"), map.get("enum")) {
        (Some(Value::String(word)), _) => vec![Value::from(word.as_str())],
        (_, Some(Value::Array(words))) => words.clone(),
        _ => return,
    };
    let mut taken = words.clone();
    for word in &words {
        match word.as_str() {
            Some("off" | "no") => taken.push(false.into()),
            Some("on" | "yes") => taken.push(true.into()),
            _ => {}
        }
    }
    if taken.len() > words.len() {
        map.remove("const");
        map.remove("type");
        map.insert("enum".into(), taken.into());
    }
}

fn relax_numbers(map: &mut Map<String, Value>) {
    let Some(kind) = map.get_mut("type") else {
        return;
    };
    let kinds = match kind {
        Value::String(one) => vec![Value::from(one.as_str())],
        Value::Array(several) => several.clone(),
        _ => return,
    };
    let numeric = |kind: &Value| matches!(kind.as_str(), Some("integer" | "number"));
    if kinds.iter().any(numeric) {
        let text = [Value::from("string")];
        *kind = kinds.into_iter().chain(text).collect::<Vec<_>>().into();
        map.insert(
            "pattern".into(),
            r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$".into(),
        );
    }
}
