//! Bodies that audit-log is to record where it sees none: as an access logger, and in the module that is told of none.

use portcullis_kit::config::Path;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::Pointer;
use crate::find::{Findings, Found, Role};
use crate::registry::Bundle;

const FILTER: &str = "audit-log";

pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    findings.plugins.iter().filter_map(one).collect()
}

fn one(plugin: &Found) -> Option<Diagnostic> {
    let alone = matches!(plugin.module, Some(Bundle::One(entry)) if entry.name == FILTER);
    let (message, help) = match plugin.role {
        Role::AccessLogger => (
            "an access logger sees no bodies, so none is recorded",
            "write `level: headers`, or make audit-log an HTTP filter of `portcullis.wasm`",
        ),
        Role::HttpFilter if alone => (
            "`audit_log.wasm` is told of no bodies and refuses this",
            "load `portcullis.wasm`, with `root_id: audit-log` if this filter is to run alone",
        ),
        Role::HttpFilter => return None,
    };
    let settings = plugin.settings.value.as_ref()?;
    let members = plugin.bundle.members(settings);
    let member = members.iter().find(|member| member.entry.name == FILTER)?;
    let path = rule(member.settings, &member.path)?;
    let span = plugin.settings.locate(&path, Pointer::Value);
    Some(
        Diagnostic::new(plugin.file, span, Severity::Error, message.to_owned())
            .path(format!("{}, {path}", plugin.bundle.name()))
            .help(help),
    )
}

/// Where the first rule with `level: body` says so, at the top or in a profile.
fn rule(settings: &Value, path: &Path) -> Option<Path> {
    let own = settings.get("rules").and_then(Value::as_array);
    let is_body = |rule: &Value| rule.get("level").and_then(Value::as_str) == Some("body");
    if let Some(at) = own.and_then(|rules| rules.iter().position(is_body)) {
        return Some(path.clone().key("rules").index(at).key("level"));
    }
    let profiles = settings.get("profiles").and_then(Value::as_object)?;
    let path = path.clone().key("profiles");
    profiles
        .iter()
        .find_map(|(name, profile)| rule(profile, &path.clone().key(name.as_str())))
}
