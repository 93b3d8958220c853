//! Istio's `WasmPlugin` (extensions.istio.io/v1alpha1).

use std::rc::Rc;

use super::{
    Document, Findings, Found, Identity, Recognised, Role, Settings, Variables, unknown_root_id,
};
use crate::document::Node;
use crate::lint;

/// Istio hands `pluginConfig` over as JSON text and `pluginName` as the `root_id`.
pub fn plugin(findings: &mut Findings, document: Document<'_>, resource: &Rc<Node>) {
    let Some(spec) = resource.get("spec") else {
        return;
    };
    let identity = Identity {
        root_id: spec.at(&["pluginName"]),
        name: resource.at(&["metadata", "name"]),
        module: spec.text_at(&["url"]),
    };
    let named = identity.root_id.or(identity.name);
    let place = named.map_or(spec.span, |name| name.span);
    let bundle = match identity.recognise() {
        Recognised::Foreign => return,
        Recognised::Ours(bundle) => bundle,
        Recognised::Unknown { module } => {
            let root_id = identity.root_id.and_then(Node::text).unwrap_or_default();
            findings.report(unknown_root_id(document, place, root_id, module));
            return;
        }
    };
    lint::failure::istio(findings, document, spec, place);
    let settings = match spec.entry("pluginConfig") {
        Some(entry) => Settings::of_tree(document, &entry.value, entry.key_span),
        None => Settings::none(place),
    };
    let mut environment = Variables::default();
    for variable in spec
        .at(&["vmConfig", "env"])
        .map(Node::items)
        .unwrap_or_default()
    {
        let name = variable.text_at(&["name"]).unwrap_or_default().to_owned();
        if variable.text_at(&["valueFrom"]) == Some("HOST") {
            environment.from_host.push(name);
        } else {
            let value = variable.text_at(&["value"]).unwrap_or_default();
            environment.set.insert(name, value.to_owned());
        }
    }
    findings.plugins.push(Found {
        file: document.file,
        bundle,
        module: identity.module(),
        place,
        settings,
        environment,
        // The resource has no field for it.
        may_pause: false,
        scope: None,
        role: Role::HttpFilter,
    });
}
