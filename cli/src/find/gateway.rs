//! Envoy Gateway's `EnvoyExtensionPolicy` (gateway.envoyproxy.io/v1alpha1).

use std::rc::Rc;

use super::{
    Document, FilterList, Findings, Found, Identity, Item, Recognised, Role, Settings, Variables,
    What, strings, unknown_root_id,
};
use crate::document::Node;
use crate::lint;

/// The gateway hands `config` over as JSON text, and runs the list's filters in its order.
pub fn policy(findings: &mut Findings, document: Document<'_>, resource: &Rc<Node>) {
    let mut list = FilterList {
        file: document.file,
        scope: None,
        items: Vec::new(),
    };
    for wasm in resource
        .at(&["spec", "wasm"])
        .map(Node::items)
        .unwrap_or_default()
    {
        if let Some(number) = plugin(findings, document, wasm) {
            let place = findings
                .plugins
                .get(number)
                .map_or(wasm.span, |plugin| plugin.place);
            list.items.push(Item {
                place,
                what: What::Ours(number),
            });
        }
    }
    findings.lists.push(list);
}

fn plugin(findings: &mut Findings, document: Document<'_>, wasm: &Rc<Node>) -> Option<usize> {
    let identity = Identity {
        root_id: wasm.at(&["rootID"]),
        name: wasm.at(&["name"]),
        module: wasm
            .text_at(&["code", "http", "url"])
            .or_else(|| wasm.text_at(&["code", "image", "url"])),
    };
    let named = identity.root_id.or(identity.name);
    let place = named.map_or(wasm.span, |name| name.span);
    let bundle = match identity.recognise() {
        Recognised::Foreign => return None,
        Recognised::Ours(bundle) => bundle,
        Recognised::Unknown { module } => {
            let root_id = identity.root_id.and_then(Node::text).unwrap_or_default();
            findings.report(unknown_root_id(document, place, root_id, module));
            return None;
        }
    };
    lint::failure::gateway(findings, document, wasm, place);
    let settings = match wasm.entry("config") {
        Some(entry) => Settings::of_tree(document, &entry.value, entry.key_span),
        None => Settings::none(place),
    };
    findings.plugins.push(Found {
        file: document.file,
        bundle,
        module: identity.module(),
        place,
        settings,
        environment: Variables {
            from_host: strings(wasm.at(&["env", "hostKeys"])),
            ..Variables::default()
        },
        // The resource has no field for it.
        may_pause: false,
        scope: None,
        role: Role::HttpFilter,
    });
    findings.plugins.len().checked_sub(1)
}
