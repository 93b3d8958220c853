//! What a file holds that concerns us: plugins, lists of filters, profiles that routes name, CORS policies.

mod envoy;
mod gateway;
mod istio;
mod settings;

use std::collections::BTreeMap;
use std::rc::Rc;

use portcullis_kit::config::Environment;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::{Dialect, Node, Source, Span};
use crate::finding::Check;
use crate::registry::Bundle;

pub use settings::Settings;

/// A plugin of ours.
#[derive(Debug)]
pub struct Found {
    pub file: usize,
    pub bundle: Bundle,
    /// What its module's name says that it is, where it has one.
    pub module: Option<Bundle>,
    /// Where it is named.
    pub place: Span,
    pub settings: Settings,
    pub environment: Variables,
    /// Whether the host lets it hold a message at its headers.
    pub may_pause: bool,
    /// The connection manager it stands in.
    pub scope: Option<Scope>,
    pub role: Role,
}

/// What a plugin is to the proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    #[default]
    HttpFilter,
    AccessLogger,
}

/// A connection manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    pub file: usize,
    pub number: usize,
    pub ids: RequestIds,
}

/// What a connection manager does about `x-request-id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestIds {
    /// Only then it knows which requests come from outside.
    pub use_remote_address: bool,
    /// Whether it makes ids at all.
    pub generate: bool,
    /// Whether it keeps the ids of requests from outside.
    pub preserve_external: bool,
}

/// A connection manager as it is written.
#[derive(Debug)]
pub struct Manager {
    pub scope: Scope,
    pub node: Rc<Node>,
}

/// The environment of a plugin's VM.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// `key_values`: what the configuration sets.
    pub set: BTreeMap<String, String>,
    /// `host_env_keys`: taken from the host, of which nothing is known here.
    pub from_host: Vec<String>,
    /// Nothing is known of the environment at all.
    pub unknown: bool,
}

/// Stands for a value that only the host knows.
const PLACEHOLDER: &str = "placeholder-0123456789abcdef0123456789abcdef0123456789abcdef";

impl Environment for Variables {
    fn variable(&self, name: &str) -> Option<String> {
        let known = self.set.get(name).cloned();
        let assumed = self.unknown || self.from_host.iter().any(|key| key == name);
        known.or_else(|| assumed.then(|| PLACEHOLDER.to_owned()))
    }
}

/// A list of HTTP filters, in their order.
#[derive(Debug, Default)]
pub struct FilterList {
    pub file: usize,
    /// The connection manager it belongs to.
    pub scope: Option<Scope>,
    pub items: Vec<Item>,
}

#[derive(Debug)]
pub struct Item {
    pub place: Span,
    pub what: What,
}

/// What stands in a list of filters.
#[derive(Debug)]
pub enum What {
    /// A plugin, by its number in [`Findings::plugins`].
    Ours(usize),
    /// A filter whose configuration is another resource, by that one's name.
    Discovered(String),
    /// A native filter, by the type of its configuration without package (`Cors`), and that configuration.
    Native(String, Rc<Node>),
}

/// A profile that a route's metadata names.
#[derive(Debug)]
pub struct NamedProfile {
    pub file: usize,
    pub place: Span,
    pub scope: Option<Scope>,
    /// The filter it is meant for; `None` for `profile:`, which is for all.
    pub filter: Option<String>,
    pub profile: String,
}

/// A native CORS policy.
#[derive(Debug)]
pub struct CorsPolicy {
    pub file: usize,
    pub node: Rc<Node>,
}

/// The clusters of a bootstrap.
#[derive(Debug)]
pub struct Bootstrap {
    pub file: usize,
    pub clusters: Vec<String>,
    /// Whether more of them come from a server (CDS).
    pub is_open: bool,
}

/// What all the files hold.
#[derive(Debug, Default)]
pub struct Findings {
    pub plugins: Vec<Found>,
    pub lists: Vec<FilterList>,
    pub profiles: Vec<NamedProfile>,
    pub cors: Vec<CorsPolicy>,
    /// Configurations that are resources of their own, by name.
    pub resources: BTreeMap<String, usize>,
    pub managers: Vec<Manager>,
    pub bootstraps: Vec<Bootstrap>,
    /// Connection managers some of whose filters stand elsewhere.
    pub open_scopes: Vec<Scope>,
    pub diagnostics: Vec<Diagnostic>,
    scopes: usize,
}

/// One document of a file.
#[derive(Clone, Copy)]
pub struct Document<'a> {
    pub file: usize,
    pub source: &'a Source,
    pub root: &'a Rc<Node>,
    pub dialect: Dialect,
}

impl Findings {
    /// Adds what a document holds.
    pub fn add(&mut self, document: Document<'_>) {
        let dialect = match document.dialect {
            Dialect::Json => Dialect::Json,
            _ if document.is_kubernetes() => Dialect::Kubernetes,
            _ => Dialect::Envoy,
        };
        let document = Document {
            dialect,
            ..document
        };
        envoy::walk(self, document, document.root, None);
    }

    /// Adds a bare settings file.
    pub fn add_settings(&mut self, document: Document<'_>, bundle: Bundle) {
        let settings =
            Settings::of_tree(document, document.root, Span::at(document.root.span.start));
        self.plugins.push(Found {
            file: document.file,
            bundle,
            module: None,
            place: Span::at(document.root.span.start),
            settings,
            environment: Variables {
                unknown: true,
                ..Variables::default()
            },
            may_pause: true,
            scope: None,
            role: Role::HttpFilter,
        });
    }

    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }
}

impl Document<'_> {
    pub fn is_kubernetes(&self) -> bool {
        self.root.get("apiVersion").is_some() && self.root.get("kind").is_some()
    }

    pub fn error(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.file, span, Severity::Error, message)
    }

    pub fn warning(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.file, span, Severity::Warning, message)
    }
}

/// Which plugin is meant, by what a host is told: the `root_id`, the plugin's name, where the module lies.
///
/// The host picks by `root_id`; without one, a module's first plugin runs. A name alone means nothing to the host, but
/// says what the user meant.
struct Identity<'a> {
    root_id: Option<&'a Node>,
    name: Option<&'a Node>,
    module: Option<&'a str>,
}

enum Recognised {
    Ours(Bundle),
    /// Our module, and a `root_id` that it does not have.
    Unknown {
        module: Bundle,
    },
    Foreign,
}

impl Identity<'_> {
    fn module(&self) -> Option<Bundle> {
        self.module.and_then(Bundle::of_module)
    }

    fn recognise(&self) -> Recognised {
        let root_id = self.root_id.and_then(Node::text).unwrap_or_default();
        let module = self.module();
        match (Bundle::of_root_id(root_id), module) {
            (Some(bundle), None) => Recognised::Ours(bundle),
            (Some(bundle), Some(module)) if module.hosts(bundle) => Recognised::Ours(bundle),
            (None, Some(module)) if root_id.is_empty() => Recognised::Ours(module),
            (_, Some(module)) => Recognised::Unknown { module },
            (None, None) if root_id.is_empty() => {
                let name = self.name.and_then(Node::text).unwrap_or_default();
                match Bundle::of_root_id(name) {
                    Some(bundle) => Recognised::Ours(bundle),
                    None => Recognised::Foreign,
                }
            }
            (None, None) => Recognised::Foreign,
        }
    }
}

/// Says that a module has no plugin of that `root_id`.
fn unknown_root_id(
    document: Document<'_>,
    place: Span,
    root_id: &str,
    module: Bundle,
) -> Diagnostic {
    let file = module.name().replace('-', "_");
    let message =
        format!("`{file}.wasm` has no plugin of root_id `{root_id}` and refuses its configuration");
    let names = Bundle::names();
    let hosted = |name: &&str| Bundle::of_root_id(name).is_some_and(|bundle| module.hosts(bundle));
    let allowed: Vec<&str> = names.into_iter().filter(hosted).collect();
    document
        .error(place, message)
        .of(Check::RootId)
        .advise(root_id, &allowed)
}

/// The strings of a list.
fn strings(node: Option<&Node>) -> Vec<String> {
    let items = node.map(Node::items).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| item.text().map(str::to_owned))
        .collect()
}

/// No settings at all.
fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_what_the_plugin_sets_or_a_stand_in_for_what_only_the_host_knows() {
        let variables = Variables {
            set: BTreeMap::from([("SET".to_owned(), "value".to_owned())]),
            from_host: vec!["HOST".to_owned()],
            unknown: false,
        };
        assert_eq!(variables.variable("SET").as_deref(), Some("value"));
        assert_eq!(variables.variable("HOST").as_deref(), Some(PLACEHOLDER));
        assert_eq!(variables.variable("NEITHER"), None);
        let bare = Variables {
            unknown: true,
            ..Variables::default()
        };
        assert_eq!(bare.variable("ANY").as_deref(), Some(PLACEHOLDER));
    }

    #[test]
    fn a_plugin_is_known_by_root_id_by_name_and_by_the_file_of_its_module() {
        for (module, name) in [
            ("dist/security_headers.wasm", Some("security-headers")),
            (
                "https://files.example/x/security-headers.wasm?v=1",
                Some("security-headers"),
            ),
            (
                "oci://registry.example:5000/org/security-headers:1.0",
                Some("security-headers"),
            ),
            (
                "registry.example/security-headers@sha256:00",
                Some("security-headers"),
            ),
            ("file:///opt/portcullis.wasm", Some("portcullis")),
            ("dist/other.wasm", None),
            ("", None),
        ] {
            assert_eq!(
                Bundle::of_module(module).map(Bundle::name),
                name,
                "{module}"
            );
        }
    }
}
