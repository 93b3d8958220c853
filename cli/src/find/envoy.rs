//! Envoy's own resources. Everything is found by its `@type`, wherever it stands: in a bootstrap, a listener, a list of
//! `resources`, a filter chain, a route's `typed_per_filter_config`.

use std::rc::Rc;

use super::{
    Bootstrap, CorsPolicy, Document, FilterList, Findings, Found, Identity, Item, Manager,
    NamedProfile, Recognised, RequestIds, Role, Scope, Settings, Variables, What, gateway, istio,
    strings, unknown_root_id,
};
use crate::document::{Node, Span};
use crate::finding::Check;
use crate::lint;

/// The types whose `config` is a wasm plugin that can be one of ours.
const PLUGINS: [&str; 2] = ["envoy.extensions.filters.http.wasm.v3.Wasm", ACCESS_LOGGER];
const ACCESS_LOGGER: &str = "envoy.extensions.access_loggers.wasm.v3.WasmAccessLog";
/// The namespace of route metadata that the plugins read.
const METADATA: &str = "portcullis";

/// Looks at a node and all below it.
pub fn walk(
    findings: &mut Findings,
    document: Document<'_>,
    node: &Rc<Node>,
    scope: Option<Scope>,
) {
    for item in node.items() {
        walk(findings, document, item, scope);
    }
    if !node.is_map() {
        return;
    }
    match node.get("kind").and_then(|kind| kind.text()) {
        Some("WasmPlugin") => return istio::plugin(findings, document, node),
        Some("EnvoyExtensionPolicy") => return gateway::policy(findings, document, node),
        _ => {}
    }
    let (kind, message) = typed(node);
    if PLUGINS.contains(&kind) {
        if let Some(config) = message.field("config") {
            let role = match kind {
                ACCESS_LOGGER => Role::AccessLogger,
                _ => Role::HttpFilter,
            };
            plugin(findings, document, config, scope, role);
        }
        return;
    }
    let scope = if kind.ends_with(".HttpConnectionManager") {
        let scope = findings.new_scope(document, message);
        let node = Rc::clone(message);
        findings.managers.push(Manager { scope, node });
        Some(scope)
    } else {
        scope
    };
    if node.field("allow_origin_string_match").is_some() {
        findings.cors.push(CorsPolicy {
            file: document.file,
            node: Rc::clone(node),
        });
    }
    if let Some(resources) = node.field("static_resources") {
        findings
            .bootstraps
            .push(bootstrap(document, node, resources));
    }
    named_profiles(findings, document, node, scope);
    for entry in node.entries() {
        let before = findings.plugins.len();
        let resource = kind.ends_with(".TypedExtensionConfig")
            && matches!(entry.key.as_str(), "typed_config" | "typedConfig");
        if matches!(
            entry.key.as_str(),
            "http_filters" | "httpFilters" | "filters"
        ) {
            filters(findings, document, &entry.value, scope);
        } else {
            walk(findings, document, &entry.value, scope);
        }
        if let (true, Some(name)) = (
            resource && findings.plugins.len() > before,
            node.text_at(&["name"]),
        ) {
            findings.resources.insert(name.to_owned(), before);
        }
    }
}

impl Findings {
    fn new_scope(&mut self, document: Document<'_>, manager: &Node) -> Scope {
        self.scopes = self.scopes.saturating_add(1);
        Scope {
            file: document.file,
            number: self.scopes,
            ids: RequestIds {
                use_remote_address: manager.is_true(&["use_remote_address"]),
                generate: !manager.is_false(&["generate_request_id"]),
                preserve_external: manager.is_true(&["preserve_external_request_id"]),
            },
        }
    }
}

fn bootstrap(document: Document<'_>, node: &Node, resources: &Node) -> Bootstrap {
    let clusters = resources.field("clusters");
    let clusters = clusters.map(|list| list.items()).unwrap_or_default();
    let name = |cluster: &Rc<Node>| cluster.text_at(&["name"]).map(str::to_owned);
    Bootstrap {
        file: document.file,
        clusters: clusters.iter().filter_map(name).collect(),
        is_open: node.at(&["dynamic_resources", "cds_config"]).is_some(),
    }
}

/// The type of a message and where its fields stand: itself, or the `value` of a TypedStruct.
fn typed(node: &Rc<Node>) -> (&str, &Rc<Node>) {
    let kind = type_name(node.get("@type"));
    if kind.ends_with(".TypedStruct") {
        return (
            type_name(node.field("type_url")),
            node.field("value").unwrap_or(node),
        );
    }
    (kind, node)
}

/// `envoy.….Wasm` of `type.googleapis.com/envoy.….Wasm`.
fn type_name(url: Option<&Rc<Node>>) -> &str {
    let url = url.and_then(|url| url.text());
    url.and_then(|url| url.rsplit('/').next())
        .unwrap_or_default()
}

/// A list of HTTP filters, or of network filters, which holds none of ours itself.
fn filters(findings: &mut Findings, document: Document<'_>, list: &Rc<Node>, scope: Option<Scope>) {
    let mut found = FilterList {
        file: document.file,
        scope,
        items: Vec::new(),
    };
    for item in list.items() {
        let before = findings.plugins.len();
        walk(findings, document, item, scope);
        // A disabled filter runs only where a route asks for it.
        if item.is_true(&["disabled"]) {
            continue;
        }
        let name = item.field_entry("name");
        let place = name.map_or(item.span, |name| name.value.span);
        let own = item.field("typed_config").map(typed);
        let what = match own {
            Some((kind, _)) if PLUGINS.contains(&kind) => match findings.plugins.get(before) {
                Some(_) => What::Ours(before),
                None => continue,
            },
            Some((kind, config)) => What::Native(kind.to_owned(), Rc::clone(config)),
            None if item.field("config_discovery").is_some() => {
                findings.open_scopes.extend(scope);
                What::Discovered(item.text_at(&["name"]).unwrap_or_default().to_owned())
            }
            None => continue,
        };
        let place = match what {
            What::Ours(number) => findings
                .plugins
                .get(number)
                .map_or(place, |plugin| plugin.place),
            _ => place,
        };
        found.items.push(Item { place, what });
    }
    findings.lists.push(found);
}

/// `envoy.extensions.wasm.v3.PluginConfig`.
fn plugin(
    findings: &mut Findings,
    document: Document<'_>,
    config: &Rc<Node>,
    scope: Option<Scope>,
    role: Role,
) {
    let code = config.at(&["vm_config", "code"]);
    let module = code.and_then(|code| {
        code.text_at(&["local", "filename"])
            .or_else(|| code.text_at(&["remote", "http_uri", "uri"]))
    });
    let identity = Identity {
        root_id: config.at(&["root_id"]),
        name: config.at(&["name"]),
        module,
    };
    let named = identity.root_id.or(identity.name);
    let place = named.map_or_else(|| first_key(config), |name| name.span);
    let bundle = match identity.recognise() {
        Recognised::Foreign => return,
        Recognised::Ours(bundle) => bundle,
        Recognised::Unknown { module } => {
            let root_id = identity.root_id.and_then(Node::text).unwrap_or_default();
            findings.report(unknown_root_id(document, place, root_id, module));
            return;
        }
    };
    lint::failure::envoy(findings, document, config, place);
    let settings = configuration(findings, document, config, place);
    let variables = |key| config.at(&["vm_config", "environment_variables", key]);
    let set = variables("key_values")
        .map(Node::entries)
        .unwrap_or_default();
    findings.plugins.push(Found {
        file: document.file,
        bundle,
        module: identity.module(),
        place,
        settings,
        environment: Variables {
            set: set
                .iter()
                .map(|entry| {
                    (
                        entry.key.clone(),
                        entry.value.text().unwrap_or_default().to_owned(),
                    )
                })
                .collect(),
            from_host: strings(variables("host_env_keys")),
            unknown: false,
        },
        may_pause: config.is_true(&["allow_on_headers_stop_iteration"]),
        scope,
        role,
    });
}

/// The settings in a `google.protobuf.Any`.
fn configuration(
    findings: &mut Findings,
    document: Document<'_>,
    config: &Node,
    place: Span,
) -> Settings {
    let Some(entry) = config.field_entry("configuration") else {
        return Settings::none(place);
    };
    let any = &entry.value;
    let value = any.entry("value");
    let unread = |span| Settings {
        value: None,
        tree: None,
        outside: span,
    };
    match type_name(any.get("@type")) {
        "google.protobuf.Struct" => match value {
            Some(value) => Settings::of_tree(document, &value.value, value.key_span),
            None => {
                if let Some(stray) = any.entries().iter().find(|entry| entry.key != "@type") {
                    let message = format!(
                        "`{}` stands beside the Struct's `value`, not below it",
                        stray.key
                    );
                    let help = "write the settings below `value:`";
                    findings.report(
                        document
                            .error(stray.key_span, message)
                            .of(Check::Settings)
                            .help(help),
                    );
                    return unread(entry.key_span);
                }
                Settings::none(entry.key_span)
            }
        },
        "google.protobuf.StringValue" => match value {
            None => Settings::none(entry.key_span),
            Some(value) => match Settings::of_text(document, &value.value, value.key_span) {
                Ok(settings) => settings,
                Err(diagnostic) => {
                    findings.report(diagnostic);
                    unread(value.key_span)
                }
            },
        },
        other => {
            let message = if other.is_empty() {
                "the configuration has no `@type`".to_owned()
            } else {
                format!("a configuration of type `{other}` is neither of the two that plugins read")
            };
            let help = "allowed: type.googleapis.com/google.protobuf.Struct, type.googleapis.com/google.protobuf.StringValue";
            findings.report(
                document
                    .error(entry.key_span, message)
                    .of(Check::Settings)
                    .help(help),
            );
            unread(entry.key_span)
        }
    }
}

fn first_key(node: &Node) -> Span {
    node.entries()
        .first()
        .map_or(node.span, |entry| entry.key_span)
}

/// `metadata: {filter_metadata: {portcullis: {…}}}`, which plugins read of routes only.
fn named_profiles(
    findings: &mut Findings,
    document: Document<'_>,
    node: &Node,
    scope: Option<Scope>,
) {
    let Some(ours) = node
        .at(&["metadata", "filter_metadata"])
        .and_then(|all| all.entry(METADATA))
    else {
        return;
    };
    if node.get("match").is_none() {
        let message = "plugins read this metadata of routes only; here it does nothing";
        findings.report(
            document
                .warning(ours.key_span, message)
                .of(Check::Profiles)
                .help("move it to the routes"),
        );
        return;
    }
    for entry in ours.value.entries() {
        let Some(profile) = entry.value.text() else {
            findings.report(
                document
                    .error(entry.key_span, "a profile is named by a string")
                    .of(Check::Profiles),
            );
            continue;
        };
        findings.profiles.push(NamedProfile {
            file: document.file,
            place: if entry.key == "profile" || super::Bundle::of_root_id(&entry.key).is_some() {
                entry.value.span
            } else {
                entry.key_span
            },
            scope,
            filter: (entry.key != "profile").then(|| entry.key.clone()),
            profile: profile.to_owned(),
        });
    }
}
