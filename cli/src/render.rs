//! `portcullis render`: a configuration with overlays laid over it, for environments that differ in little.
//!
//! 1. Maps merge key by key; `null` takes a key out (RFC 7396).
//! 2. Lists whose items all have a `name` merge item by item. An item of a name that is not there is refused, unless it says
//!    `$patch: add` (at the end) or `$before: NAME`; `$patch: delete` takes one out.
//! 3. Everything else is replaced.
//!
//! Envoy's own `--config-yaml` cannot do this: it appends to lists, and listeners, filters and routes are lists.

use std::fmt;

use serde_json::{Map, Value};

use crate::document::{Dialect, Source, Span, read_all, to_value};

const PATCH: &str = "$patch";
const BEFORE: &str = "$before";

/// Why there is no result.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The file is no YAML, or says something twice.
    Unreadable {
        file: String,
        span: Span,
        fault: String,
    },
    /// It has not exactly one document.
    Documents { file: String, number: usize },
    /// An overlay cannot be laid over what is there.
    Misfit {
        file: String,
        path: String,
        why: Misfit,
    },
}

/// What is wrong at one place of an overlay.
#[derive(Debug, PartialEq, Eq)]
pub enum Misfit {
    Unknown { name: String, known: Vec<String> },
    Known(String),
    NowhereBefore { name: String, known: Vec<String> },
    Twice(String),
    Directive(String),
    NotHere(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, span, fault } => {
                let start = span.start;
                write!(f, "{file}:{}:{}: {fault}", start.line, start.column)
            }
            Self::Documents { file, number } => write!(
                f,
                "{file}: {number} documents; a configuration, and an overlay, is one"
            ),
            Self::Misfit { file, path, why } => write!(f, "{file}: {path}: {why}"),
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_there = |known: &[String]| known.join(", ");
        match self {
            Self::Unknown { name, known } => write!(
                f,
                "nothing has the name `{name}` here; {} have one. To add it, write `$patch: add` or `$before: NAME`",
                is_there(known)
            ),
            Self::Known(name) => write!(
                f,
                "there is an item `{name}` already; take `$patch: add` or `$before` out to change it"
            ),
            Self::NowhereBefore { name, known } => write!(
                f,
                "`$before: {name}`: nothing has this name here; {} have one",
                is_there(known)
            ),
            Self::Twice(name) => write!(
                f,
                "two items have the name `{name}`, so they cannot be told apart"
            ),
            Self::Directive(text) => write!(
                f,
                "`$patch: {text}` is not known; `add` and `delete` are, and `null` in place of a key's value takes the key out"
            ),
            Self::NotHere(key) => write!(
                f,
                "`{key}` is for items of a list whose items all have a name"
            ),
        }
    }
}

/// The first file with the others laid over it, one after the other.
pub fn render(sources: &[Source]) -> Result<Value, Refusal> {
    let mut result = Value::Null;
    for (number, source) in sources.iter().enumerate() {
        let read = value(source)?;
        if number == 0 {
            result = read;
            continue;
        }
        let mut path = Vec::new();
        lay_over(&mut result, &read, &mut path).map_err(|why| Refusal::Misfit {
            file: source.name.clone(),
            path: path.concat(),
            why,
        })?;
    }
    Ok(result)
}

fn value(source: &Source) -> Result<Value, Refusal> {
    let (documents, faults) = read_all(&source.text);
    if let Some(fault) = faults.first() {
        return Err(Refusal::Unreadable {
            file: source.name.clone(),
            span: fault.span,
            fault: fault.kind.to_string(),
        });
    }
    let dialect = if source.name.ends_with(".json") {
        Dialect::Json
    } else {
        Dialect::Envoy
    };
    match documents.as_slice() {
        [root] => Ok(to_value(root, dialect)),
        several => Err(Refusal::Documents {
            file: source.name.clone(),
            number: several.len(),
        }),
    }
}

/// `path` says, after an error, where it is.
fn lay_over(value: &mut Value, over: &Value, path: &mut Vec<String>) -> Result<(), Misfit> {
    match over {
        Value::Object(over) => {
            if !value.is_object() {
                *value = Value::Object(Map::new());
            }
            if let Value::Object(map) = value {
                return merge_maps(map, over, path);
            }
            Ok(())
        }
        Value::Array(over) => merge_lists(value, over, path),
        _ => {
            *value = over.clone();
            Ok(())
        }
    }
}

fn merge_maps(
    map: &mut Map<String, Value>,
    over: &Map<String, Value>,
    path: &mut Vec<String>,
) -> Result<(), Misfit> {
    for (key, over) in over {
        for directive in [PATCH, BEFORE] {
            if key == directive {
                return Err(Misfit::NotHere(directive));
            }
        }
        if over.is_null() {
            map.remove(key);
            continue;
        }
        path.push(if path.is_empty() {
            key.clone()
        } else {
            format!(".{key}")
        });
        lay_over(map.entry(key.clone()).or_insert(Value::Null), over, path)?;
        path.pop();
    }
    Ok(())
}

fn merge_lists(value: &mut Value, over: &[Value], path: &mut Vec<String>) -> Result<(), Misfit> {
    let named = |list: &[Value]| !list.is_empty() && list.iter().all(|item| name(item).is_some());
    let list = match value {
        Value::Array(list) if named(list) && named(over) => list,
        _ => {
            let mut fresh = Vec::with_capacity(over.len());
            for (number, item) in over.iter().enumerate() {
                path.push(format!("[{number}]"));
                let mut made = Value::Null;
                lay_over(&mut made, item, path)?;
                fresh.push(made);
                path.pop();
            }
            *value = Value::Array(fresh);
            return Ok(());
        }
    };
    for item in over {
        let (Some(name), Value::Object(item)) = (name(item), item) else {
            continue;
        };
        path.push(format!("[{name}]"));
        merge_item(list, name, item.clone(), path)?;
        path.pop();
    }
    Ok(())
}

fn merge_item(
    list: &mut Vec<Value>,
    name: &str,
    mut item: Map<String, Value>,
    path: &mut Vec<String>,
) -> Result<(), Misfit> {
    let patch = item.remove(PATCH);
    let before = item.remove(BEFORE);
    let mut places = places(list, name);
    let place = places.next();
    if places.next().is_some() {
        return Err(Misfit::Twice(name.to_owned()));
    }
    drop(places);
    let known = |list: &[Value]| {
        list.iter()
            .filter_map(self::name)
            .map(str::to_owned)
            .collect()
    };
    let patch = patch.as_ref().map(text);
    match (patch.as_deref(), before, place) {
        (Some("delete"), None, Some(place)) => {
            list.remove(place);
            Ok(())
        }
        (None, None, Some(place)) => match list.get_mut(place) {
            Some(there) => lay_over(there, &Value::Object(item), path),
            None => Ok(()),
        },
        (Some("add") | None, None | Some(_), Some(_)) => Err(Misfit::Known(name.to_owned())),
        (Some("delete") | None, None, None) => Err(Misfit::Unknown {
            name: name.to_owned(),
            known: known(list),
        }),
        (Some("add"), None, None) => {
            let mut made = Value::Null;
            lay_over(&mut made, &Value::Object(item), path)?;
            list.push(made);
            Ok(())
        }
        (Some("add") | None, Some(before), None) => {
            let before = text(&before);
            let Some(place) = self::places(list, &before).next() else {
                return Err(Misfit::NowhereBefore {
                    name: before,
                    known: known(list),
                });
            };
            let mut made = Value::Null;
            lay_over(&mut made, &Value::Object(item), path)?;
            list.insert(place, made);
            Ok(())
        }
        (Some("delete"), Some(_), _) => Err(Misfit::NotHere(BEFORE)),
        (Some(other), ..) => Err(Misfit::Directive(other.to_owned())),
    }
}

fn places(list: &[Value], wanted: &str) -> impl Iterator<Item = usize> {
    let found = list.iter().enumerate();
    found
        .filter(move |(_, item)| name(item) == Some(wanted))
        .map(|(place, _)| place)
}

fn name(item: &Value) -> Option<&str> {
    item.as_object()?.get("name")?.as_str()
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BASE: &str = "
admin: {port: 1, log: x}
listeners:
  - name: edge
    filters:
      - {name: tracing, settings: {slow_ms: 1000, spans: {cluster: collector}}}
      - {name: router}
  - {name: redirect}
plain: [1, 2, 3]
";

    fn laid_over(overlays: &[&str]) -> Result<Value, String> {
        let mut sources = vec![BASE];
        sources.extend(overlays);
        let sources: Vec<Source> = sources
            .iter()
            .enumerate()
            .map(|(number, text)| Source {
                name: format!("{number}.yaml"),
                text: (*text).to_owned(),
            })
            .collect();
        render(&sources).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn maps_merge_null_removes_and_plain_lists_are_replaced() {
        let result = laid_over(&["admin: {port: 2, log: null, new: {a: 1, b: null}}\nplain: [9]"]);
        let result = result.unwrap();
        assert_eq!(result["admin"], json!({"port": 2, "new": {"a": 1}}));
        assert_eq!(result["plain"], json!([9]));
        assert_eq!(result["listeners"][1], json!({"name": "redirect"}));
    }

    #[test]
    fn items_of_a_list_are_found_by_their_names_at_any_depth() {
        let overlay = "listeners: [{name: edge, filters: [{name: tracing, settings: {slow_ms: 5, spans: null}}]}]";
        let result = laid_over(&[overlay]).unwrap();
        let wanted = json!([{"name": "tracing", "settings": {"slow_ms": 5}}, {"name": "router"}]);
        assert_eq!(result["listeners"][0]["filters"], wanted);
        assert_eq!(result["listeners"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn items_are_added_in_their_place_and_taken_out() {
        let overlay = "listeners: [{name: redirect, $patch: delete}, {name: more, $patch: add},
            {name: edge, filters: [{name: jwt, $before: router}]}]";
        let result = laid_over(&[overlay]).unwrap();
        let names = |list: &Value| -> Vec<String> {
            let items = list.as_array().unwrap().iter();
            items
                .map(|item| item["name"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names(&result["listeners"]), ["edge", "more"]);
        let filters = &result["listeners"][0]["filters"];
        assert_eq!(names(filters), ["tracing", "jwt", "router"]);
        assert_eq!(filters[1], json!({"name": "jwt"}));
        assert_eq!(result["listeners"][1], json!({"name": "more"}));
    }

    #[test]
    fn overlays_are_laid_one_over_the_other() {
        let result = laid_over(&["admin: {port: 2}", "admin: {port: 3, log: z}"]).unwrap();
        assert_eq!(result["admin"], json!({"port": 3, "log": "z"}));
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place_and_the_way_out() {
        for (overlay, wanted) in [
            (
                "listeners: [{name: egde}]",
                "1.yaml: listeners[egde]: nothing has the name `egde` here; edge, redirect have one. To add it, write `$patch: add` or `$before: NAME`",
            ),
            (
                "listeners: [{name: egde, $patch: delete}]",
                "1.yaml: listeners[egde]: nothing has the name",
            ),
            (
                "listeners: [{name: edge, $patch: add}]",
                "1.yaml: listeners[edge]: there is an item `edge` already",
            ),
            (
                "listeners: [{name: edge, $before: redirect}]",
                "1.yaml: listeners[edge]: there is an item `edge` already",
            ),
            (
                "listeners: [{name: new, $before: nobody}]",
                "1.yaml: listeners[new]: `$before: nobody`: nothing has this name here; edge, redirect have one",
            ),
            (
                "listeners: [{name: edge, $patch: drop}]",
                "1.yaml: listeners[edge]: `$patch: drop` is not known",
            ),
            (
                "listeners: [{name: edge, $patch: delete, $before: x}]",
                "1.yaml: listeners[edge]: `$before` is for items",
            ),
            (
                "listeners: [{name: edge, filters: [{name: x}]}]",
                "1.yaml: listeners[edge].filters[x]: nothing has the name `x` here; tracing, router",
            ),
            (
                "admin: {$patch: delete}",
                "1.yaml: admin: `$patch` is for items",
            ),
            (
                "plain: [{$patch: add}]",
                "1.yaml: plain[0]: `$patch` is for items",
            ),
            ("a: 1\na: 2", "1.yaml:2:1: "),
            ("a: 1\n---\nb: 2", "1.yaml: 2 documents"),
        ] {
            let refusal = laid_over(&[overlay]).unwrap_err();
            assert!(refusal.starts_with(wanted), "{overlay}: {refusal}");
        }
    }

    #[test]
    fn two_items_of_one_name_are_not_told_apart() {
        let twice = "listeners: [{name: redirect, filters: [{name: a}, {name: a}]}]";
        let change = "listeners: [{name: redirect, filters: [{name: a, x: 1}]}]";
        let refusal = laid_over(&[twice, change]).unwrap_err();
        assert!(refusal.contains("two items have the name `a`"), "{refusal}");
    }
}
