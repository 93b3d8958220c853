//! Profiles that routes name in their metadata: a name that no plugin defines is passed over at run time, so the
//! request silently gets the default.

use std::collections::BTreeSet;

use portcullis_kit::plugin::DEFAULT;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::find::{Findings, Found, NamedProfile};
use crate::registry::FILTERS;

pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    findings
        .profiles
        .iter()
        .filter_map(|named| one(findings, named))
        .collect()
}

fn one(findings: &Findings, named: &NamedProfile) -> Option<Diagnostic> {
    let fault =
        |severity, message: String| Diagnostic::new(named.file, named.place, severity, message);
    if let Some(filter) = &named.filter {
        let known: Vec<&str> = FILTERS
            .iter()
            .map(|entry| entry.name)
            .chain(["profile"])
            .collect();
        if !known.contains(&filter.as_str()) {
            let message = format!("`{filter}` is no filter; the metadata does nothing");
            return Some(fault(Severity::Error, message).advise(filter, &known));
        }
    }
    let reachable = reachable(findings, named);
    if reachable.is_empty() {
        let message = format!(
            "no plugin among these files can define the profile `{}`",
            named.profile
        );
        let help = "give the file with the plugins as well";
        return Some(fault(Severity::Warning, message).help(help));
    }
    let defined: BTreeSet<&str> = reachable
        .iter()
        .flat_map(|plugin| defined(plugin, named.filter.as_deref()))
        .chain([DEFAULT])
        .collect();
    if defined.contains(named.profile.as_str()) {
        return None;
    }
    let by = match &named.filter {
        Some(filter) => format!("plugin of `{filter}`"),
        None => "plugin".to_owned(),
    };
    let message = format!(
        "no {by} defines the profile `{}`; requests get the default",
        named.profile
    );
    let defined: Vec<&str> = defined.into_iter().collect();
    Some(fault(Severity::Error, message).advise(&named.profile, &defined))
}

/// The plugins that requests of this route pass: those of its connection manager, or all where it has none of its own
/// or takes some from elsewhere.
fn reachable<'a>(findings: &'a Findings, named: &NamedProfile) -> Vec<&'a Found> {
    let runs = |plugin: &&Found| match &named.filter {
        None => true,
        Some(filter) => members(plugin).iter().any(|(name, _)| name == filter),
    };
    let all = || findings.plugins.iter().filter(runs);
    let own: Vec<&Found> = all().filter(|plugin| plugin.scope == named.scope).collect();
    let closed = named
        .scope
        .is_some_and(|scope| !findings.open_scopes.contains(&scope));
    if closed && !own.is_empty() {
        own
    } else {
        all().collect()
    }
}

fn members(plugin: &Found) -> Vec<(&'static str, &Value)> {
    let settings = plugin.settings.value.as_ref().unwrap_or(&Value::Null);
    let members = plugin.bundle.members(settings);
    members
        .into_iter()
        .map(|member| (member.entry.name, member.settings))
        .collect()
}

fn defined<'a>(plugin: &'a Found, filter: Option<&str>) -> Vec<&'a str> {
    members(plugin)
        .into_iter()
        .filter(|(name, _)| filter.is_none_or(|filter| filter == *name))
        .filter_map(|(_, settings)| settings.get("profiles")?.as_object())
        .flat_map(|profiles| profiles.keys().map(String::as_str))
        .collect()
}
