//! An Envoy configuration out of a few typed parts.
//!
//! Everything can be refined by a JSON patch (see [`patch::merge`]); the defaults are those of the shipped
//! configuration where they matter to a filter.

use std::path::Path;

use serde_json::{Value, json};

use crate::patch;
use crate::tls::Certificate;

mod filter;
mod route;

pub use filter::{Filter, structured};
pub use route::Route;

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

/// A cluster with one endpoint on the loopback. Nothing need listen there. As many and as long response headers pass as
/// a test may want.
pub fn cluster(name: &str, port: u16) -> Value {
    with_protocol(name, port, &json!({"http_protocol_options": {}}))
}

/// A cluster whose endpoint speaks cleartext HTTP/2, for gRPC.
pub fn http2_cluster(name: &str, port: u16) -> Value {
    with_protocol(name, port, &json!({"http2_protocol_options": {}}))
}

fn with_protocol(name: &str, port: u16, protocol: &Value) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(port)}}]}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"max_headers_count": 2000, "max_response_headers_kb": 256},
                "explicit_http_config": protocol,
            },
        },
    })
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
    access_loggers: Vec<Filter>,
    line: Option<String>,
    logs_access: bool,
    routes: Vec<Route>,
    transport_socket: Option<Value>,
    hcm: Value,
    over: Value,
}

impl Listener {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            filters: Vec::new(),
            access_loggers: Vec::new(),
            line: None,
            logs_access: true,
            routes: Vec::new(),
            transport_socket: None,
            hcm: json!({}),
            over: json!({}),
        }
    }

    /// Adds an HTTP filter inside of those added before.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Adds a module of ours as an access logger, beside the file that every listener has.
    pub fn access_logger(mut self, filter: Filter) -> Self {
        self.access_loggers.push(filter);
        self
    }

    /// Without the file that every listener has, to be quick.
    pub fn without_access_log(mut self) -> Self {
        self.logs_access = false;
        self
    }

    /// Adds an access log of such lines, as Envoy formats them, in `lines-<listener>.log`; what is empty is not written.
    pub fn access_log_line(mut self, format: &str) -> Self {
        self.line = Some(format.to_owned());
        self
    }

    /// Adds a route after those added before.
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    pub fn tls(mut self, certificate: &Certificate) -> Self {
        self.transport_socket = Some(certificate.transport_socket());
        self
    }

    /// TLS where clients may show this very certificate.
    pub fn mutual_tls(mut self, certificate: &Certificate) -> Self {
        self.transport_socket = Some(certificate.mutual_transport_socket());
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
        let mut access_logs = Vec::new();
        if self.logs_access {
            access_logs.push(access_log(folder, &self.name));
        }
        access_logs.extend(self.line.iter().map(|format| {
            file_log(
                &folder.join(format!("lines-{}.log", self.name)),
                &json!({"omit_empty_values": true, "text_format_source": {"inline_string": format}}),
            )
        }));
        access_logs.extend(self.access_loggers.iter().map(Filter::to_access_logger));
        let mut hcm = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": self.name,
            "codec_type": "AUTO",
            "use_remote_address": true,
            "server_header_transformation": "PASS_THROUGH",
            // A client that waits for the end of a broken response waits so long.
            "delayed_close_timeout": "0.05s",
            "upgrade_configs": [{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}],
            "http2_protocol_options": {"allow_connect": true},
            "max_request_headers_kb": 256,
            "common_http_protocol_options": {"max_headers_count": 2000},
            "http_filters": self.filters(),
            "access_log": access_logs,
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
        if let Some(socket) = &self.transport_socket {
            chain["transport_socket"] = socket.clone();
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
    file_log(
        &folder.join(format!("access-{listener}.log")),
        &json!({"json_format": {
            "case": "%REQ(X-CASE)%",
            "path": "%REQ(:PATH)%",
            "status": "%RESPONSE_CODE%",
            "details": "%RESPONSE_CODE_DETAILS%",
            "flags": "%RESPONSE_FLAGS%",
            "request_id": "%FILTER_STATE(wasm.portcullis.request_id:PLAIN)%",
            "stream_id": "%STREAM_ID%",
        }}),
    )
}

fn file_log(path: &Path, format: &Value) -> Value {
    json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": format,
        },
    })
}
