//! The net under problem-json: what the proxy answers by itself has the documents of the settings.

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::{Dialect, to_value};
use crate::find::{Findings, Manager};
use crate::local_replies::{self, Missing};

const RENEW: &str = "run `portcullis generate local-replies --write FILE`, which renews what stands between its two comments";

pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    let managers = findings.managers.iter();
    managers
        .filter_map(|manager| of_manager(findings, manager))
        .collect()
}

fn of_manager(findings: &Findings, manager: &Manager) -> Option<Diagnostic> {
    let text = match local_replies::of_manager(findings, manager) {
        Ok(text) => text,
        // Two of them in one list are another mistake.
        Err(Missing::Plugin | Missing::Ambiguous) => return None,
    };
    let file = manager.scope.file;
    let warning = |span, message: &str| Diagnostic::new(file, span, Severity::Warning, message);
    let Some(config) = manager.node.field_entry("local_reply_config") else {
        let filters = manager.node.field_entry("http_filters");
        let place = filters.map_or(manager.node.span, |entry| entry.key_span);
        let message = "what Envoy answers before problem-json, or without it, leaves as Envoy's own text: there is no `local_reply_config`";
        return Some(warning(place, message).help(
            "write the output of `portcullis generate local-replies FILE` beside `http_filters`",
        ));
    };
    let items = config.value.at(&["mappers"]);
    let items = items.map(|list| list.items()).unwrap_or_default();
    let mut written = items.iter().enumerate();
    let mut next = 0_usize;
    for wanted in local_replies::mappers_of(&text) {
        let same = written.find(|(_, node)| to_value(node, Dialect::Envoy) == wanted);
        if let Some((at, _)) = same {
            next = at.saturating_add(1);
            continue;
        }
        let Some(node) = items.get(next) else {
            let message = format!(
                "`local_reply_config` is not in step with problem-json: it ends before the mapper for {}",
                subject(&wanted)
            );
            return Some(warning(config.key_span, &message).help(RENEW));
        };
        let found = to_value(node, Dialect::Envoy);
        let mut difference = Difference::of(&found, &wanted);
        difference.path = format!("mappers[{next}]{}", difference.path);
        let message =
            format!("`local_reply_config` is not in step with problem-json: {difference}");
        return Some(warning(node.span, &message).help(RENEW));
    }
    None
}

/// What a mapper is for, in a few words.
fn subject(mapper: &Value) -> String {
    let title = mapper.pointer("/body_format_override/json_format/title");
    match title.and_then(Value::as_str) {
        Some(title) => format!("`{title}`"),
        None => "gRPC and what filters answer".to_owned(),
    }
}

/// The first difference between what is written and what is wanted.
struct Difference {
    path: String,
    found: Option<Value>,
    wanted: Option<Value>,
}

impl Difference {
    fn of(found: &Value, wanted: &Value) -> Self {
        let deeper = match (found, wanted) {
            (Value::Object(found), Value::Object(wanted)) => {
                let keys = wanted.keys().chain(found.keys());
                Self::first(keys.map(|key| (format!(".{key}"), found.get(key), wanted.get(key))))
            }
            (Value::Array(found), Value::Array(wanted)) => {
                let length = found.len().max(wanted.len());
                Self::first(
                    (0..length).map(|at| (format!("[{at}]"), found.get(at), wanted.get(at))),
                )
            }
            _ => None,
        };
        deeper.unwrap_or_else(|| Self {
            path: String::new(),
            found: Some(found.clone()),
            wanted: Some(wanted.clone()),
        })
    }

    fn first<'a>(
        mut pairs: impl Iterator<Item = (String, Option<&'a Value>, Option<&'a Value>)>,
    ) -> Option<Self> {
        let (name, found, wanted) = pairs.find(|(_, found, wanted)| found != wanted)?;
        Some(match (found, wanted) {
            (Some(found), Some(wanted)) => {
                let mut inner = Self::of(found, wanted);
                inner.path = format!("{name}{}", inner.path);
                inner
            }
            (found, wanted) => Self {
                path: name,
                found: found.cloned(),
                wanted: wanted.cloned(),
            },
        })
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            path,
            found,
            wanted,
        } = self;
        match (found, wanted) {
            (Some(found), Some(wanted)) => {
                write!(f, "`{path}` is {found} and the settings give {wanted}")
            }
            (None, Some(wanted)) => write!(f, "`{path}` is missing and the settings give {wanted}"),
            (Some(found), None) => write!(f, "`{path}` is {found} and the settings give none"),
            (None, None) => write!(f, "`{path}` differs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_difference_is_told_by_its_way_and_both_values() {
        let told = |found: Value, wanted: Value| Difference::of(&found, &wanted).to_string();
        assert_eq!(
            told(json!({"a": [1, {"b": "x"}]}), json!({"a": [1, {"b": "y"}]})),
            "`.a[1].b` is \"x\" and the settings give \"y\""
        );
        assert_eq!(
            told(json!({"a": 1}), json!({"a": 1, "b": 2})),
            "`.b` is missing and the settings give 2"
        );
        assert_eq!(
            told(json!({"a": 1, "b": 2}), json!({"a": 1})),
            "`.b` is 2 and the settings give none"
        );
    }
}
