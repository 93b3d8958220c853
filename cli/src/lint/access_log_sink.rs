//! The sink `access_log`: an access log of the same connection manager has to read it, as text and of every request, and
//! an access logger has nothing to write it into.

use portcullis_kit::config::Path;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::{Node, Pointer};
use crate::find::{Findings, Found, Role};

const FILTER: &str = "audit-log";
/// What a format names, up to the way in which it is written.
const STATE: &str = "%FILTER_STATE(wasm.portcullis.audit";
const PLAIN: &str = "%FILTER_STATE(wasm.portcullis.audit:PLAIN";

pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    let plugins = findings.plugins.iter();
    plugins.filter_map(|plugin| one(findings, plugin)).collect()
}

fn one(findings: &Findings, plugin: &Found) -> Option<Diagnostic> {
    let path = sink(plugin)?;
    let (severity, message, help) = match plugin.role {
        Role::AccessLogger => (
            Severity::Error,
            "an access logger comes too late to write into another access log, so no record is written",
            "make audit-log an HTTP filter, or name another sink",
        ),
        Role::HttpFilter => {
            // Where the connection manager stands elsewhere, nobody knows.
            let scope = plugin.scope?;
            let managers = findings.managers.iter();
            let manager = managers
                .into_iter()
                .find(|manager| manager.scope == scope)?;
            let (message, help) = unread(&manager.node)?;
            (Severity::Warning, message, help)
        }
    };
    let span = plugin.settings.locate(&path, Pointer::Name);
    Some(
        Diagnostic::new(plugin.file, span, severity, message.to_owned())
            .path(format!("{}, {path}", plugin.bundle.name()))
            .help(help),
    )
}

/// Where the settings name the sink.
fn sink(plugin: &Found) -> Option<Path> {
    let settings = plugin.settings.value.as_ref()?;
    let members = plugin.bundle.members(settings);
    let member = members.iter().find(|member| member.entry.name == FILTER)?;
    let sinks = member.settings.get("sinks").and_then(Value::as_array)?;
    let named = |sink: &Value| sink.get("access_log").is_some();
    let at = sinks.iter().position(named)?;
    let path = member.path.clone().key("sinks").index(at);
    Some(path.key("access_log"))
}

/// Why the connection manager's access logs do not have all records; `None` if one has.
fn unread(manager: &Node) -> Option<(&'static str, &'static str)> {
    let logs = manager.field("access_log");
    let logs = logs.map(|logs| logs.items()).unwrap_or_default();
    let reading = || logs.iter().filter(|log| names(log, STATE));
    if reading().next().is_none() {
        return Some((
            "no access log of this connection manager reads the records, so they go nowhere",
            "name `%FILTER_STATE(wasm.portcullis.audit:PLAIN)%` in the format of one",
        ));
    }
    let mut plain = reading().filter(|log| names(log, PLAIN)).peekable();
    if plain.peek().is_none() {
        return Some((
            "the access log writes records as bytes in Base64, which `portcullis audit` does not read",
            "name `%FILTER_STATE(wasm.portcullis.audit:PLAIN)%` in its format",
        ));
    }
    // Envoy's own default is an empty one, which lets all pass.
    let is_filtered = |log: &Node| log.field("filter").is_some();
    if plain.all(|log| is_filtered(log)) {
        return Some((
            "the access log that reads the records has a filter: what it leaves out is missing from the chain",
            "take the filter out, and say in audit-log's `rules` what is not recorded",
        ));
    }
    None
}

/// Whether a text below the node contains that one.
fn names(node: &Node, text: &str) -> bool {
    node.text().is_some_and(|own| own.contains(text))
        || node.items().iter().any(|item| names(item, text))
        || node.entries().iter().any(|entry| names(&entry.value, text))
}
