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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Span;
    use crate::find::{Found, Role, Settings, Variables};
    use crate::registry::{Bundle, Entry};
    use serde_json::{Value, json};

    /// No filter of ours pauses yet; the lint reads what a filter declares of its settings.
    static HOLDER: Entry = Entry::declared("holder", |settings| {
        settings.get("hold") == Some(&Value::Bool(true))
    });

    fn found(settings: Value, may_pause: bool) -> usize {
        let mut findings = Findings::default();
        findings.plugins.push(Found {
            file: 0,
            bundle: Bundle::One(&HOLDER),
            module: None,
            place: Span::default(),
            settings: Settings {
                value: Some(settings),
                tree: None,
                outside: Span::default(),
            },
            environment: Variables::default(),
            may_pause,
            scope: None,
            role: Role::HttpFilter,
        });
        check(&findings).len()
    }

    #[test]
    fn only_settings_that_hold_messages_need_the_hosts_leave() {
        assert_eq!(found(json!({"hold": true}), false), 1);
        assert_eq!(found(json!({"hold": true}), true), 0);
        assert_eq!(found(json!({"hold": false}), false), 0);
    }
}
