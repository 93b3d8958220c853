//! `portcullis generate local-replies`: the proxy's own error documents, from the settings of problem-json.
//!
//! Envoy answers some requests before any filter sees them, and others where the upstream cannot. Its
//! `local_reply_config` gives those answers the same documents. It is written between two comments, so that it can be
//! renewed in place and compared with the settings.

mod mappers;
mod region;

use std::cell::RefCell;
use std::fmt;

use portcullis_kit::config::{ConfigError, Environment};
use portcullis_kit::filter::{Filter, Mode};
use portcullis_kit::metrics::NoMetrics;
use portcullis_kit::plugin::Plugin;
use problem_json::ProblemJson;
use serde_json::Value;

pub use region::{Drift, renew};

use crate::document::{Dialect, Source, read_all, to_value};
use crate::find::{Findings, Found, Manager};

/// The first line of what is written.
pub const START: &str = "# local-replies:problem-json";
/// The last one.
pub const END: &str = "# /local-replies";

/// Why there is nothing to write.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    /// No plugin runs problem-json.
    Plugin,
    /// Several do, and say different things.
    Ambiguous,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plugin => {
                "no plugin runs problem-json; for a file that holds nothing but settings, add --filter problem-json"
            }
            Self::Ambiguous => {
                "plugins of problem-json differ in what they say; give the file of one, or write between comments in each connection manager with --write"
            }
        })
    }
}

/// The `local_reply_config` of these settings of problem-json, between its two comments; `None` in a mode in which the filter
/// changes nothing.
///
/// # Errors
/// The mistake for which the plugin would refuse the settings.
pub fn text(
    settings: &Value,
    environment: &dyn Environment,
) -> Result<Option<String>, ConfigError> {
    let plugin = Plugin::<ProblemJson>::load(settings, environment, &RefCell::new(NoMetrics))?;
    Ok(plugin.default_profile().and_then(|(mode, profile)| {
        (mode == Mode::Enforce).then(|| format!("{START}\n{}{END}\n", mappers::config(profile)))
    }))
}

/// That of a plugin, if it runs problem-json and has no mistake; those are told elsewhere.
pub fn of_plugin(plugin: &Found) -> Option<String> {
    let settings = plugin.settings.value.as_ref()?;
    let members = plugin.bundle.members(settings);
    let member = members
        .into_iter()
        .find(|member| member.entry.name == ProblemJson::NAME)?;
    text(member.settings, &plugin.environment).ok().flatten()
}

/// The one of all plugins that were found.
pub fn of_all(findings: &Findings) -> Result<String, Missing> {
    only(findings.plugins.iter())
}

/// The one that belongs to a connection manager: of its own plugins, else of those that stand in no other.
pub fn of_manager(findings: &Findings, manager: &Manager) -> Result<String, Missing> {
    let within = |scope| {
        let plugins = findings.plugins.iter();
        only(plugins.filter(move |plugin| plugin.scope == scope))
    };
    match within(Some(manager.scope)) {
        Err(Missing::Plugin) if findings.open_scopes.contains(&manager.scope) => within(None),
        found => found,
    }
}

fn only<'a>(plugins: impl Iterator<Item = &'a Found>) -> Result<String, Missing> {
    let mut texts: Vec<String> = plugins.filter_map(of_plugin).collect();
    texts.dedup();
    match texts.len() {
        0 => Err(Missing::Plugin),
        1 => texts.pop().ok_or(Missing::Plugin),
        _ => Err(Missing::Ambiguous),
    }
}

/// A file with each `local_reply_config` between comments made anew by the settings beside it.
pub fn renew_file(findings: &Findings, file: usize, source: &Source) -> Result<String, Drift> {
    renew(&source.text, |line| {
        let around = findings.managers.iter().filter(|manager| {
            let span = manager.node.span;
            manager.scope.file == file && (span.start.line..=span.end.line).contains(&line)
        });
        // The innermost one begins last.
        match around.max_by_key(|manager| manager.node.span.start) {
            Some(manager) => of_manager(findings, manager),
            None => of_all(findings),
        }
    })
}

/// The mappers of a text that this module wrote.
pub fn mappers_of(text: &str) -> Vec<Value> {
    let (documents, _) = read_all(text);
    let config = documents.first();
    let config = config.and_then(|root| root.at(&["local_reply_config", "mappers"]));
    let items = config.map(|list| list.items()).unwrap_or_default();
    items
        .iter()
        .map(|item| to_value(item, Dialect::Envoy))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::Variables;
    use serde_json::json;

    #[test]
    fn whatever_the_settings_cover_is_written_as_yaml_without_a_fault() {
        for (settings, count) in [
            (json!({}), 30),
            (json!({"statuses": ["404"]}), 3),
            (json!({"statuses": ["503"]}), 4),
            (json!({"statuses": ["400"]}), 4),
            (json!({"statuses": ["5xx"]}), 11),
            (
                json!({"statuses": ["402"], "types": {"402": "urn:pay:100%25"}}),
                3,
            ),
            (
                json!({"texts": {"en": {"404": {"title": "a \"b\" \u{e9} %REQ(X)%\n"}}}}),
                30,
            ),
        ] {
            let text = text(&settings, &Variables::default()).unwrap().unwrap();
            let (_, faults) = read_all(&text);
            assert!(faults.is_empty(), "{faults:?} in {text}");
            assert_eq!(mappers_of(&text).len(), count, "{settings}:\n{text}");
        }
    }

    #[test]
    fn a_filter_that_changes_nothing_has_no_local_replies() {
        for mode in ["shadow", "off"] {
            let text = text(&json!({"mode": mode}), &Variables::default());
            assert_eq!(text.unwrap(), None);
        }
    }
}
