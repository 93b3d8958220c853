//! Settings of rate-limit that work, and most likely do not do what they were written for.

use ::rate_limit::{RateLimit, Settings, preset, settings::Identity, settings::TierSource};
use portcullis_kit::Filter;
use portcullis_kit::config::{Path, from_value, merge};
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::Pointer;
use crate::find::{Findings, Found};

pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    findings.plugins.iter().flat_map(plugin).collect()
}

fn plugin(plugin: &Found) -> Vec<Diagnostic> {
    let Some(settings) = &plugin.settings.value else {
        return Vec::new();
    };
    let members = plugin.bundle.members(settings).into_iter();
    let mut found = Vec::new();
    for member in members.filter(|member| member.entry.name == <RateLimit as Filter>::NAME) {
        for profile in profiles(member.settings) {
            let here = profile.path.clone().below(member.path.clone());
            found.extend(untrusted(plugin, &here, profile.over, &profile.merged));
            found.extend(resource(plugin, &here, profile.over, &profile.merged));
            let idle = super::clients::idle(&profile).into_iter();
            found.extend(idle.map(|(path, message, help)| {
                warning(plugin, path.below(here.clone()), message.to_owned()).help(help)
            }));
        }
    }
    found
}

/// The settings at the top, or of a profile.
pub struct Profile<'a> {
    pub path: Path,
    pub is_top: bool,
    /// What is written for it alone.
    pub over: &'a Value,
    pub merged: Settings,
}

/// The settings at the top and of each profile; those that cannot be read are told of elsewhere.
pub fn profiles(settings: &Value) -> Vec<Profile<'_>> {
    let own = |value: &Value| {
        let mut value = value.clone();
        for key in ["mode", "profiles", "routes"] {
            value.as_object_mut()?.remove(key);
        }
        Some(value)
    };
    let Some(base) = own(settings) else {
        return Vec::new();
    };
    let named = settings.get("profiles").and_then(Value::as_object);
    let named = named.into_iter().flatten().map(|(name, over)| {
        let path = Path::top().key("profiles").key(name.as_str());
        (path, false, over)
    });
    [(Path::top(), true, settings)]
        .into_iter()
        .chain(named)
        .filter_map(|(path, is_top, over)| {
            let merged = from_value(&merge(&base, &own(over)?)).ok()?;
            Some(Profile {
                path,
                is_top,
                over,
                merged,
            })
        })
        .collect()
}

/// Headers that would tell a tier and are not believed. One that is believed elsewhere is refused.
fn untrusted(plugin: &Found, here: &Path, over: &Value, merged: &Settings) -> Vec<Diagnostic> {
    if over.get("tier").and_then(|tier| tier.get("from")).is_none() {
        return Vec::new();
    }
    let by_tier = merged.tier.from.iter().filter_map(|source| match source {
        TierSource::Header(header) if header.trusted => Some(&header.name),
        TierSource::ApiKeys(keys) => Some(&keys.header),
        _ => None,
    });
    let by_identity = merged.identity.iter().filter_map(|source| match source {
        Identity::Header(header) => Some(&header.name),
        _ => None,
    });
    let believed: Vec<&String> = by_tier.chain(by_identity).collect();
    let sources = merged.tier.from.iter().enumerate();
    sources
        .filter_map(|(at, source)| match source {
            TierSource::Header(header) if !header.trusted => Some((at, &header.name)),
            _ => None,
        })
        .filter(|(_, name)| !believed.iter().any(|other| other.eq_ignore_ascii_case(name)))
        .map(|(at, name)| {
            let path = Path::top().key("tier").key("from").index(at);
            let path = path.key("header").key("name").below(here.clone());
            let message = format!("any client can send `{name}`, so it tells no tier and is removed from requests");
            let help = "if an earlier filter sets it and removes the client's own, write `trusted: true`; else take it out";
            warning(plugin, path, message).help(help)
        })
        .collect()
}

/// A resource that no limit names.
fn resource(plugin: &Found, here: &Path, over: &Value, merged: &Settings) -> Option<Diagnostic> {
    over.get("resource")?;
    let standard = preset::tiers(merged.plans);
    let replaced = |name: &String| {
        merged
            .tiers
            .keys()
            .any(|own| own.eq_ignore_ascii_case(name))
    };
    let standard = standard.iter().filter(|(name, _)| !replaced(name));
    let limits = standard
        .chain(&merged.tiers)
        .flat_map(|(_, tier)| &tier.limits);
    let mut named: Vec<&str> = limits
        .filter_map(|limit| limit.resource.as_deref())
        .collect();
    named.sort_unstable();
    named.dedup();
    let resource = merged.resource.as_str();
    if named.contains(&resource) || resource == Settings::default().resource {
        return None;
    }
    let message = format!("no limit has `resource: {resource}`: these requests count as others do");
    let path = Path::top().key("resource").below(here.clone());
    Some(warning(plugin, path, message).advise(resource, &named))
}

pub fn warning(plugin: &Found, path: Path, message: String) -> Diagnostic {
    let span = plugin.settings.locate(&path, Pointer::Value);
    Diagnostic::new(plugin.file, span, Severity::Warning, message)
        .path(format!("{}, {path}", plugin.bundle.name()))
}
