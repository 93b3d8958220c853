//! A filter that holds a message at its headers needs the host's leave, or the response hangs for ever.

use crate::diagnostic::{Diagnostic, Severity};
use crate::find::Findings;

pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    let plugins = findings.plugins.iter().filter(|plugin| !plugin.may_pause);
    plugins
        .filter_map(|plugin| {
            let settings = plugin.settings.value.as_ref()?;
            let members = plugin.bundle.members(settings);
            let pausing = members.iter().find(|member| (member.entry.pauses)(member.settings))?;
            let message = format!(
                "`{}` holds messages at their headers with these settings, and the host is not told: they hang for ever",
                pausing.entry.name
            );
            let help = "write `allow_on_headers_stop_iteration: true` beside `vm_config`; Istio's WasmPlugin and Envoy Gateway's policy cannot";
            Some(Diagnostic::new(plugin.file, plugin.place, Severity::Error, message).help(help))
        })
        .collect()
}
