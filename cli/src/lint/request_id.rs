//! `request_id: {source: proxy}` where the proxy hands the client's id on: Envoy puts its own in place of the client's only
//! with `use_remote_address: true`, `generate_request_id` (the default) and without `preserve_external_request_id`.

use std::fmt;

use portcullis_kit::Filter;
use portcullis_kit::config::Path;
use request_tracing::RequestTracing;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::Pointer;
use crate::find::{Findings, Found, Scope, What};

/// Why a connection manager lets clients choose their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    NoRemoteAddress,
    NotGenerated,
    Preserved,
}

impl Reason {
    fn all(scope: Scope) -> Vec<Self> {
        [
            (!scope.ids.use_remote_address, Self::NoRemoteAddress),
            (!scope.ids.generate, Self::NotGenerated),
            (scope.ids.preserve_external, Self::Preserved),
        ]
        .into_iter()
        .filter_map(|(here, reason)| here.then_some(reason))
        .collect()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRemoteAddress => "write `use_remote_address: true` in the connection manager",
            Self::NotGenerated => "take `generate_request_id: false` out of the connection manager",
            Self::Preserved => {
                "take `preserve_external_request_id: true` out of the connection manager"
            }
        })
    }
}

pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (number, plugin) in findings.plugins.iter().enumerate() {
        let reasons = managers(findings, number, plugin)
            .map(Reason::all)
            .find(|reasons| !reasons.is_empty());
        if let Some(reasons) = reasons {
            found.extend(faults(plugin, &reasons));
        }
    }
    found
}

/// The connection managers a plugin runs in: the one it stands in, and those that name its resource.
fn managers<'a>(
    findings: &'a Findings,
    number: usize,
    plugin: &Found,
) -> impl Iterator<Item = Scope> + 'a {
    let named = move |what: &What| match what {
        What::Discovered(name) => findings.resources.get(name) == Some(&number),
        What::Ours(_) | What::Native(..) => false,
    };
    let elsewhere = findings
        .lists
        .iter()
        .filter(move |list| list.items.iter().any(|item| named(&item.what)));
    plugin
        .scope
        .into_iter()
        .chain(elsewhere.filter_map(|list| list.scope))
}

/// One mistake for each place that says `source: proxy`.
fn faults(plugin: &Found, reasons: &[Reason]) -> Vec<Diagnostic> {
    let Some(settings) = &plugin.settings.value else {
        return Vec::new();
    };
    let members = plugin.bundle.members(settings).into_iter();
    members
        .filter(|member| member.entry.name == <RequestTracing as Filter>::NAME)
        .flat_map(|member| {
            places(member.settings)
                .into_iter()
                .map(move |path| path.below(member.path.clone()))
        })
        .map(|path| {
            let span = plugin.settings.locate(&path, Pointer::Value);
            let message = "any client chooses its own request id here: the proxy hands it on as it came";
            let told = Diagnostic::new(plugin.file, span, Severity::Warning, message)
                .path(format!("{}, {path}", plugin.bundle.name()));
            reasons
                .iter()
                .fold(told, |told, reason| told.help(reason.to_string()))
                .help("or take `source: proxy` out: then only the ids of peers whom `trust` names are kept")
        })
        .collect()
}

/// Where the settings, at the top or in a profile, say `source: proxy`.
fn places(settings: &Value) -> Vec<Path> {
    let profiles = settings.get("profiles").and_then(Value::as_object);
    let profiles = profiles.into_iter().flatten().map(|(name, over)| {
        let path = Path::top().key("profiles").key(name.as_str());
        (path, over)
    });
    [(Path::top(), settings)]
        .into_iter()
        .chain(profiles)
        .filter(|(_, settings)| settings.pointer("/request_id/source") == Some(&"proxy".into()))
        .map(|(path, _)| Path::top().key("request_id").key("source").below(path))
        .collect()
}
