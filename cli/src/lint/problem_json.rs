//! What problem-json replies by itself passes no other plugin's response phase: as plugins of their own, security-headers
//! does not see these replies.

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::find::{Findings, Found};
use crate::registry::Bundle;

pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    let hardened = |scope| {
        let plugins = findings.plugins.iter();
        plugins
            .filter(|plugin| is(plugin, "security-headers"))
            .any(|plugin| scope == plugin.scope)
    };
    let plugins = findings.plugins.iter();
    plugins
        .filter(|plugin| is(plugin, "problem-json") && plugin.scope.is_some())
        .filter(|plugin| hardened(plugin.scope))
        .flat_map(bare_replies)
        .collect()
}

fn is(plugin: &Found, name: &str) -> bool {
    matches!(plugin.bundle, Bundle::One(entry) if entry.name == name)
}

/// The first profile whose replies carry no headers of security-headers.
fn bare_replies(plugin: &Found) -> Option<Diagnostic> {
    let settings = plugin.settings.value.as_ref()?;
    let profiles = settings.get("profiles").and_then(Value::as_object);
    let profiles = profiles.into_iter().flatten();
    let profiles = profiles.map(|(name, over)| (Some(name), Some(over)));
    let bare = |over: Option<&Value>| {
        let setting = |key| {
            let written = over.and_then(|over| over.get(key));
            written.or_else(|| settings.get(key)).cloned()
        };
        let replies = !matches!(&setting("empty"), Some(Value::String(word)) if word == "leave");
        let none = match setting("reply_headers") {
            None | Some(Value::Null | Value::Bool(false)) => true,
            Some(preset) => preset == "off",
        };
        let acts = !matches!(&setting("mode"), Some(Value::String(mode)) if mode == "off" || mode == "shadow")
            && setting("mode") != Some(Value::Bool(false));
        acts && replies && none
    };
    let (name, _) = std::iter::once((None, None))
        .chain(profiles)
        .find(|(_, over)| bare(*over))?;
    let whose = name.map_or(String::new(), |name| format!(" of the profile `{name}`"));
    let message = format!(
        "replies{whose} to errors without a body pass no other plugin, so they lack what security-headers adds"
    );
    let help = "write `reply_headers: api` (or `web`, as the preset of security-headers), or `empty: leave`";
    let warning = Diagnostic::new(plugin.file, plugin.place, Severity::Warning, message);
    Some(warning.help(help))
}
