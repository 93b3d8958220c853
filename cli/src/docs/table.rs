//! Rows of options.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::registry::{Bundle, FILTERS};
use crate::schema::{Parts, definition, parts};

/// No type of settings is nested deeper.
const MAX_DEPTH: usize = 8;

/// The table of a plugin's options.
pub fn table(bundle: Bundle) -> String {
    let mut out = String::from("| Option | Value | Meaning |\n| --- | --- | --- |\n");
    let rows = match bundle {
        Bundle::One(entry) => {
            let parts = parts(entry);
            let mut rows = rows(&parts, &parts.own);
            rows.extend(self::rows(&parts, &parts.shared));
            rows
        }
        Bundle::Chain => FILTERS
            .iter()
            .map(|entry| Row {
                option: entry.key(),
                value: "map".to_owned(),
                meaning: format!("The settings of {}, with its own `mode`, `profiles` and `routes`. Without it the filter does not run.", entry.name),
            })
            .collect(),
    };
    for Row {
        option,
        value,
        meaning,
    } in rows
    {
        // Writing to a String does not fail.
        let _ = writeln!(
            out,
            "| `{option}` | {} | {} |",
            cell(&value),
            cell(&meaning)
        );
    }
    out
}

struct Row {
    option: String,
    value: String,
    meaning: String,
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn rows(parts: &Parts, schema: &Value) -> Vec<Row> {
    let mut walk = Walk {
        definitions: &parts.definitions,
        rows: Vec::new(),
    };
    walk.below("", schema, 0);
    walk.rows
}

struct Walk<'a> {
    definitions: &'a Map<String, Value>,
    rows: Vec<Row>,
}

impl<'a> Walk<'a> {
    /// The options of a map, each with those below it.
    fn below(&mut self, prefix: &str, schema: &'a Value, depth: usize) {
        let schema = self.plain(schema);
        if depth > MAX_DEPTH {
            return;
        }
        if let Some(items) = schema.get("items") {
            return self.below(&format!("{prefix}[]"), items, depth + 1);
        }
        if let Some(values @ Value::Object(_)) = schema.get("additionalProperties") {
            return self.below(&format!("{prefix}.NAME"), values, depth + 1);
        }
        for (name, value) in properties(schema) {
            let option = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            self.rows.push(Row {
                option: option.clone(),
                value: self.value(value, depth),
                meaning: self.meaning(value),
            });
            self.below(&option, value, depth + 1);
        }
        // What stands below the names of a choice, such as `merge: {policy: …}`.
        for choice in choices(schema) {
            for (name, value) in properties(choice) {
                if !properties(self.plain(value)).is_empty() {
                    self.below(&format!("{prefix}.{name}"), value, depth + 1);
                }
            }
        }
    }

    /// The schema itself, behind references and `or null`.
    fn plain(&self, schema: &'a Value) -> &'a Value {
        let mut here = schema;
        for _ in 0..MAX_DEPTH {
            let target = here
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(definition);
            if let Some(found) = target.and_then(|name| self.definitions.get(name)) {
                here = found;
                continue;
            }
            match here
                .get("anyOf")
                .and_then(Value::as_array)
                .map(Vec::as_slice)
            {
                Some([one, null]) if is_null(null) => here = one,
                _ => break,
            }
        }
        here
    }

    fn value(&self, schema: &'a Value, depth: usize) -> String {
        let schema = self.plain(schema);
        if depth > MAX_DEPTH {
            return "…".to_owned();
        }
        if let Some(words) = words(schema) {
            return words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(", ");
        }
        let named: Vec<String> = choices(schema)
            .into_iter()
            .flat_map(|choice| self.choice(choice, depth))
            .collect();
        if !named.is_empty() {
            return named.join(", ");
        }
        match kind(schema) {
            "string" => "string".to_owned(),
            "boolean" => "`true`, `false`".to_owned(),
            "integer" => match bounds(schema).as_str() {
                "" => "whole number".to_owned(),
                bounds => format!("whole number{bounds}"),
            },
            "number" => format!("number{}", bounds(schema)),
            "array" => match schema.get("items") {
                Some(items) => format!("list of {}", self.value(items, depth + 1)),
                None => "list".to_owned(),
            },
            "object" => match schema.get("additionalProperties") {
                Some(values @ Value::Object(_)) => {
                    format!("map of names to {}", self.value(values, depth + 1))
                }
                _ => "map".to_owned(),
            },
            other => other.to_owned(),
        }
    }

    /// One of the forms that a choice takes: words, or a map of one key.
    fn choice(&self, choice: &'a Value, depth: usize) -> Vec<String> {
        let choice = self.plain(choice);
        if let Some(words) = words(choice) {
            return words.iter().map(|word| format!("`{word}`")).collect();
        }
        let keys = properties(choice).into_iter();
        let keys: Vec<String> = keys
            .map(|(name, value)| format!("`{name}:` {}", self.value(value, depth + 1)))
            .collect();
        if keys.is_empty() {
            vec![self.value(choice, depth + 1)]
        } else {
            keys
        }
    }

    /// The schema itself, or that of what a list or map holds.
    fn held(&self, schema: &'a Value) -> &'a Value {
        let schema = self.plain(schema);
        let held = schema
            .get("items")
            .or_else(|| schema.get("additionalProperties"));
        match held {
            Some(held @ Value::Object(_)) => self.plain(held),
            _ => schema,
        }
    }

    fn meaning(&self, schema: &'a Value) -> String {
        let described = |schema: &'a Value| schema.get("description").and_then(Value::as_str);
        let mut text = described(schema)
            .or_else(|| described(self.plain(schema)))
            .unwrap_or_default()
            .to_owned();
        for choice in choices(self.held(schema)) {
            let name = match (words(choice).as_deref(), properties(choice).first()) {
                (Some([word]), _) => word.clone(),
                (None, Some((name, _))) => (*name).clone(),
                _ => continue,
            };
            if let Some(meaning) = described(choice) {
                let _ = write!(text, "<br>`{name}`: {meaning}");
            }
        }
        text
    }
}

fn is_null(schema: &Value) -> bool {
    kind(schema) == "null"
}

fn properties(schema: &Value) -> Vec<(&String, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().collect()
}

fn choices(schema: &Value) -> Vec<&Value> {
    let choices = schema.get("oneOf").or_else(|| schema.get("anyOf"));
    choices
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .collect()
}

/// The words of an enumeration, without null.
fn words(schema: &Value) -> Option<Vec<String>> {
    let one = schema
        .get("const")
        .and_then(Value::as_str)
        .map(|word| vec![word.to_owned()]);
    let several = schema.get("enum").and_then(Value::as_array).map(|words| {
        words
            .iter()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    });
    one.or(several)
}

/// The type, without null.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or("null"),
        _ => "any",
    }
}

fn bounds(schema: &Value) -> String {
    let bound = |name| schema.get(name).filter(|bound: &&Value| bound.is_number());
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) if *least != 0 => format!(", {least} or more"),
        (None, Some(most)) => format!(", at most {most}"),
        _ => String::new(),
    }
}
