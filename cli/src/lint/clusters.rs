//! A sink's `cluster` that the proxy does not have: every delivery fails, and what is to be delivered is dropped in the end.

use portcullis_kit::config::Path;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::Pointer;
use crate::find::{Bootstrap, Findings, Found};

pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for plugin in &findings.plugins {
        let mut own = findings
            .bootstraps
            .iter()
            .filter(|bootstrap| bootstrap.file == plugin.file);
        // Where some clusters come from a server, or none of the files is a bootstrap, nobody knows.
        if let (Some(bootstrap), None) = (own.next(), own.next())
            && !bootstrap.is_open
            && let Some(settings) = &plugin.settings.value
        {
            walk(settings, &Path::top(), &mut |path, cluster| {
                if !bootstrap.clusters.iter().any(|known| known == cluster) {
                    found.push(fault(plugin, bootstrap, path, cluster));
                }
            });
        }
    }
    found
}

/// Calls back for each text under the key `cluster`, wherever in the settings it stands.
fn walk(value: &Value, path: &Path, tell: &mut impl FnMut(&Path, &str)) {
    match value {
        Value::Object(map) => {
            for (key, member) in map {
                let path = path.clone().key(key.as_str());
                match member {
                    Value::String(cluster) if key == "cluster" => tell(&path, cluster),
                    member => walk(member, &path, tell),
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &path.clone().index(at), tell);
            }
        }
        _ => {}
    }
}

fn fault(plugin: &Found, bootstrap: &Bootstrap, path: &Path, cluster: &str) -> Diagnostic {
    let span = plugin.settings.locate(path, Pointer::Value);
    let message = format!("the proxy has no cluster `{cluster}`, so nothing can be delivered");
    let known: Vec<&str> = bootstrap.clusters.iter().map(String::as_str).collect();
    Diagnostic::new(plugin.file, span, Severity::Error, message)
        .path(format!("{}, {path}", plugin.bundle.name()))
        .advise(cluster, &known)
        .help("define it in `static_resources.clusters`")
}
