//! What problem-json replies by itself passes no other plugin's response phase: as plugins of their own, security-headers
//! does not see these replies. And where it reads no request, only request-tracing tells it the request's id.

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::find::{Findings, Found};
use crate::registry::Bundle;

pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    let stands = |name: &'static str, scope| {
        let plugins = findings.plugins.iter();
        plugins
            .filter(|plugin| runs(plugin, name).is_some())
            .any(move |plugin| scope == plugin.scope)
    };
    let mut found = Vec::new();
    for plugin in &findings.plugins {
        if plugin.scope.is_none() {
            continue;
        }
        let alone = matches!(plugin.bundle, Bundle::One(_));
        if alone && stands("security-headers", plugin.scope) {
            found.extend(bare_replies(plugin));
        }
        if !stands("request-tracing", plugin.scope) {
            found.extend(nameless(plugin));
        }
    }
    found
}

/// The settings of the filter of that name, where the plugin runs it.
fn runs<'a>(plugin: &'a Found, name: &str) -> Option<&'a Value> {
    let settings = plugin.settings.value.as_ref()?;
    let mut members = plugin.bundle.members(settings).into_iter();
    let member = members.find(|member| member.entry.name == name)?;
    Some(member.settings)
}

/// The settings of problem-json in one profile, as far as they are looked at here.
struct Profile<'a> {
    top: &'a Value,
    over: Option<&'a Value>,
}

impl Profile<'_> {
    fn setting(&self, key: &str) -> Option<&Value> {
        let written = self.over.and_then(|over| over.get(key));
        written.or_else(|| self.top.get(key))
    }

    fn acts(&self) -> bool {
        let mode = self.setting("mode");
        !matches!(mode, Some(Value::String(mode)) if mode == "off" || mode == "shadow")
            && mode != Some(&Value::Bool(false))
    }
}

fn replies_bare(profile: &Profile<'_>) -> bool {
    let replies = !matches!(profile.setting("empty"), Some(Value::String(word)) if word == "leave");
    let none = match profile.setting("reply_headers") {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(preset) => preset == "off",
    };
    replies && none
}

/// Whether there is nothing to choose, so that no request is read.
fn reads_nothing(profile: &Profile<'_>) -> bool {
    let listed = |key| profile.setting(key).and_then(Value::as_array).map(Vec::len);
    listed("formats") == Some(1) && listed("languages").is_none_or(|languages| languages < 2)
}

/// The first profile that acts and of which that holds, as text behind what it is of.
fn first(plugin: &Found, holds: impl Fn(&Profile<'_>) -> bool) -> Option<String> {
    let top = runs(plugin, "problem-json")?;
    let profiles = top.get("profiles").and_then(Value::as_object);
    let profiles = profiles.into_iter().flatten();
    let profiles = profiles.map(|(name, over)| (Some(name), Some(over)));
    let (name, _) = std::iter::once((None, None))
        .chain(profiles)
        .find(|(_, over)| {
            let profile = Profile { top, over: *over };
            profile.acts() && holds(&profile)
        })?;
    Some(name.map_or(String::new(), |name| format!(" of the profile `{name}`")))
}

/// Replies that carry no headers of security-headers.
fn bare_replies(plugin: &Found) -> Option<Diagnostic> {
    let whose = first(plugin, replies_bare)?;
    let message = format!(
        "replies{whose} to errors without a body pass no other plugin, so they lack what security-headers adds"
    );
    let help = "write `reply_headers: api` (or `web`, as the preset of security-headers), or `empty: leave`";
    let warning = Diagnostic::new(plugin.file, plugin.place, Severity::Warning, message);
    Some(warning.help(help))
}

/// Documents that name no request.
fn nameless(plugin: &Found) -> Option<Diagnostic> {
    let whose = first(plugin, reads_nothing)?;
    let message = format!(
        "documents{whose} have neither `request_id` nor `instance`: with `formats: [json]` and one language no request is read"
    );
    let help = "put request-tracing before it: it tells the id; or offer a second format or language: then requests are read";
    let warning = Diagnostic::new(plugin.file, plugin.place, Severity::Warning, message);
    Some(warning.help(help))
}
