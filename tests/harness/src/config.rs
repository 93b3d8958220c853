//! An Envoy configuration out of a few typed parts.
//!
//! Everything can be refined by a JSON patch (see [`patch::merge`]); the defaults are those of the shipped
//! configuration where they matter to a filter.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::artifacts;
use crate::patch;
use crate::tls::Certificate;

/// The cluster that every [`Config`] has.
pub const UPSTREAM: &str = "upstream";

/// A whole configuration: listeners that share one process.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) listeners: Vec<Listener>,
    clusters: Vec<Value>,
    over: Value,
    pub(crate) concurrency: u32,
    pub(crate) live: bool,
}

impl Config {
    /// One cluster, `upstream`, on this port of the loopback.
    pub fn new(upstream: u16) -> Self {
        Self {
            listeners: Vec::new(),
            clusters: vec![cluster(UPSTREAM, upstream)],
            over: json!({}),
            concurrency: 1,
            live: false,
        }
    }

    pub fn listener(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// One more cluster; see [`cluster`].
    pub fn cluster(mut self, cluster: Value) -> Self {
        self.clusters.push(cluster);
        self
    }

    /// The number of workers; 1 by default.
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// Listeners come from a watched file, so that [`crate::Envoy::update`] can change them.
    pub fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// Merges into the bootstrap.
    pub fn over(mut self, over: &Value) -> Self {
        patch::merge(&mut self.over, over);
        self
    }

    /// The bootstrap; files that it names stand in `folder`.
    pub(crate) fn bootstrap(&self, folder: &Path) -> Value {
        let mut bootstrap = json!({
            "admin": {"address": socket_address(0)},
            "stats_config": {"stats_tags": []},
            "static_resources": {"clusters": self.clusters},
        });
        if self.live {
            bootstrap["node"] = json!({"id": "test", "cluster": "test"});
            bootstrap["dynamic_resources"] = json!({"lds_config": {
                "resource_api_version": "V3",
                "path_config_source": {
                    "path": folder.join("lds/listeners.json"),
                    "watched_directory": {"path": folder.join("lds")},
                },
            }});
        } else {
            bootstrap["static_resources"]["listeners"] = Value::Array(self.listeners(folder));
        }
        patch::merge(&mut bootstrap, &self.over);
        bootstrap
    }

    /// The listeners as a discovery response.
    pub(crate) fn discovery(&self, folder: &Path, version: u32) -> Value {
        let resources: Vec<Value> = self
            .listeners(folder)
            .into_iter()
            .map(|mut listener| {
                listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
                listener
            })
            .collect();
        json!({"version_info": version.to_string(), "resources": resources})
    }

    fn listeners(&self, folder: &Path) -> Vec<Value> {
        self.listeners
            .iter()
            .map(|listener| listener.to_value(folder))
            .collect()
    }
}

/// A cluster with one endpoint on the loopback. Nothing need listen there.
pub fn cluster(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(port)}}]}],
        },
    })
}

/// A cluster whose endpoint speaks cleartext HTTP/2, for gRPC.
pub fn http2_cluster(name: &str, port: u16) -> Value {
    let mut cluster = cluster(name, port);
    cluster["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        },
    });
    cluster
}

fn socket_address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

/// One listener on a free port. It speaks HTTP/1.1 and cleartext HTTP/2, allows WebSocket and CONNECT, and routes all
/// to [`UPSTREAM`] unless it has routes.
#[derive(Clone, Debug)]
pub struct Listener {
    pub(crate) name: String,
    filters: Vec<Filter>,
    routes: Vec<Route>,
    certificate: Option<Certificate>,
    hcm: Value,
    over: Value,
}

impl Listener {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            filters: Vec::new(),
            routes: Vec::new(),
            certificate: None,
            hcm: json!({}),
            over: json!({}),
        }
    }

    /// Adds an HTTP filter inside of those added before.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Adds a route after those added before.
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    pub fn tls(mut self, certificate: &Certificate) -> Self {
        self.certificate = Some(certificate.clone());
        self
    }

    /// Merges into the HTTP connection manager.
    pub fn hcm(mut self, over: &Value) -> Self {
        patch::merge(&mut self.hcm, over);
        self
    }

    /// Merges into the listener.
    pub fn over(mut self, over: &Value) -> Self {
        patch::merge(&mut self.over, over);
        self
    }

    fn to_value(&self, folder: &Path) -> Value {
        let mut hcm = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": self.name,
            "codec_type": "AUTO",
            "use_remote_address": true,
            "server_header_transformation": "PASS_THROUGH",
            "upgrade_configs": [{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}],
            "http2_protocol_options": {"allow_connect": true},
            "max_request_headers_kb": 256,
            "common_http_protocol_options": {"max_headers_count": 2000},
            "http_filters": self.filters(),
            "access_log": [access_log(folder, &self.name)],
            "route_config": {
                "name": self.name,
                "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": self.routes()}],
            },
        });
        patch::merge(&mut hcm, &self.hcm);
        let mut chain = json!({"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": hcm,
        }]});
        if let Some(certificate) = &self.certificate {
            chain["transport_socket"] = certificate.transport_socket();
        }
        let mut listener = json!({
            "name": self.name,
            "address": socket_address(0),
            "filter_chains": [chain],
        });
        patch::merge(&mut listener, &self.over);
        listener
    }

    fn filters(&self) -> Vec<Value> {
        let router = Filter::native(
            "envoy.filters.http.router",
            "envoy.extensions.filters.http.router.v3.Router",
            json!({}),
        );
        self.filters
            .iter()
            .chain([&router])
            .map(Filter::to_value)
            .collect()
    }

    fn routes(&self) -> Vec<Value> {
        if self.routes.is_empty() {
            return vec![
                Route::matching(json!({"connect_matcher": {}})).0,
                Route::prefix("/").0,
            ];
        }
        self.routes.iter().map(|route| route.0.clone()).collect()
    }
}

/// A JSON line per request in `access-<listener>.log`, with what filters publish.
fn access_log(folder: &Path, listener: &str) -> Value {
    json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": folder.join(format!("access-{listener}.log")),
            "log_format": {"json_format": {
                "case": "%REQ(X-CASE)%",
                "path": "%REQ(:PATH)%",
                "status": "%RESPONSE_CODE%",
                "details": "%RESPONSE_CODE_DETAILS%",
                "flags": "%RESPONSE_FLAGS%",
                "request_id": "%FILTER_STATE(wasm.portcullis.request_id:PLAIN)%",
                "stream_id": "%STREAM_ID%",
            }},
        },
    })
}

/// One HTTP filter.
#[derive(Clone, Debug)]
pub struct Filter {
    name: String,
    disabled: bool,
    config: FilterConfig,
}

#[derive(Clone, Debug)]
enum FilterConfig {
    Native(Value),
    Wasm(Wasm),
}

#[derive(Clone, Debug)]
struct Wasm {
    module: String,
    root_id: String,
    configuration: Value,
    environment: Map<String, Value>,
    over: Value,
}

impl Filter {
    /// One of our modules, named as its file: `security_headers`. The settings go as a `Struct`, as YAML users write
    /// them; name and `root_id` are the module's with `-`, and the failure policy is FAIL_RELOAD.
    pub fn wasm(module: &str, settings: Value) -> Self {
        Self {
            name: module.replace('_', "-"),
            disabled: false,
            config: FilterConfig::Wasm(Wasm {
                module: module.to_owned(),
                root_id: module.replace('_', "-"),
                configuration: structured(&settings),
                environment: Map::new(),
                over: json!({}),
            }),
        }
    }

    /// A filter of Envoy's own; `message` is its configuration's type.
    pub fn native(name: &str, message: &str, mut config: Value) -> Self {
        config["@type"] = format!("type.googleapis.com/{message}").into();
        Self {
            name: name.to_owned(),
            disabled: false,
            config: FilterConfig::Native(config),
        }
    }

    /// The same name in two filters of one listener is legal; per-route configuration goes by it.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Off unless a route turns it on by its own configuration.
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// The settings as this text instead of a `Struct`.
    pub fn text(self, settings: &str) -> Self {
        self.wasm_only(|wasm| {
            wasm.configuration = json!({
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": settings,
            });
        })
    }

    /// No settings at all.
    pub fn unconfigured(self) -> Self {
        self.wasm_only(|wasm| wasm.configuration = Value::Null)
    }

    pub fn root_id(self, root_id: &str) -> Self {
        self.wasm_only(|wasm| wasm.root_id = root_id.to_owned())
    }

    /// A variable that the module sees.
    pub fn environment(self, name: &str, value: &str) -> Self {
        self.wasm_only(|wasm| {
            wasm.environment.insert(name.to_owned(), value.into());
        })
    }

    /// Merges into the `PluginConfig`: another `vm_id`, another failure policy.
    pub fn over(self, over: &Value) -> Self {
        self.wasm_only(|wasm| patch::merge(&mut wasm.over, over))
    }

    fn wasm_only(mut self, change: impl FnOnce(&mut Wasm)) -> Self {
        if let FilterConfig::Wasm(wasm) = &mut self.config {
            change(wasm);
        }
        self
    }

    /// The entry of `http_filters`.
    pub fn to_value(&self) -> Value {
        let mut entry = json!({"name": self.name, "typed_config": self.typed_config()});
        if self.disabled {
            entry["disabled"] = true.into();
        }
        entry
    }

    /// The configuration alone, for a route's `filter_chain`.
    pub fn typed_config(&self) -> Value {
        match &self.config {
            FilterConfig::Native(config) => config.clone(),
            FilterConfig::Wasm(wasm) => wasm.to_value(&self.name),
        }
    }
}

impl Wasm {
    fn to_value(&self, name: &str) -> Value {
        let mut plugin = json!({
            "name": name,
            "root_id": self.root_id,
            "failure_policy": "FAIL_RELOAD",
            "vm_config": {
                "vm_id": "portcullis",
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": artifacts::module(&self.module)}},
            },
        });
        if !self.configuration.is_null() {
            plugin["configuration"] = self.configuration.clone();
        }
        if !self.environment.is_empty() {
            plugin["vm_config"]["environment_variables"] = json!({"key_values": self.environment});
        }
        patch::merge(&mut plugin, &self.over);
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": plugin,
        })
    }
}

/// Settings as a `google.protobuf.Struct`.
pub fn structured(settings: &Value) -> Value {
    json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": settings})
}

/// One route, to [`UPSTREAM`] by default.
#[derive(Clone, Debug)]
pub struct Route(Value);

impl Route {
    /// By any `RouteMatch`.
    pub fn matching(matcher: Value) -> Self {
        Self(json!({"match": matcher, "route": {"cluster": UPSTREAM}}))
    }

    pub fn prefix(prefix: &str) -> Self {
        Self::matching(json!({"prefix": prefix}))
    }

    pub fn path(path: &str) -> Self {
        Self::matching(json!({"path": path}))
    }

    /// To another cluster.
    pub fn cluster(mut self, cluster: &str) -> Self {
        self.0["route"] = json!({"cluster": cluster});
        self
    }

    /// Answered by Envoy itself.
    pub fn direct(mut self, status: u16, body: &str) -> Self {
        patch::merge(
            &mut self.0,
            &json!({
                "route": null,
                "direct_response": {"status": status, "body": {"inline_string": body}},
            }),
        );
        self
    }

    /// Metadata under `portcullis`: `{"profile": NAME}` or `{FILTER: NAME}`.
    pub fn profile(mut self, metadata: &Value) -> Self {
        self.0["metadata"] = json!({"filter_metadata": {"portcullis": metadata}});
        self
    }

    /// A filter's own configuration on this route.
    pub fn per_filter(mut self, filter: &str, typed_config: Value) -> Self {
        self.0["typed_per_filter_config"][filter] = typed_config;
        self
    }

    /// The filter is off (or on) on this route.
    pub fn disabled(self, filter: &str, disabled: bool) -> Self {
        let config = json!({
            "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
            "disabled": disabled,
        });
        self.per_filter(filter, config)
    }

    /// Merges into the route.
    pub fn over(mut self, over: &Value) -> Self {
        patch::merge(&mut self.0, over);
        self
    }
}
