//! The configuration that we ship, as it is: only what differs between machines is replaced.

use std::net::TcpListener;
use std::path::Path;

use portcullis_harness::tls::Certificate;
use portcullis_harness::{Connection, Envoy, Request, Response, Template, artifacts, patch};
use serde_json::{Value, json};

/// The listener's `HttpConnectionManager`, which all suites ask for.
pub const CONNECTION_MANAGER: &str =
    "static_resources.listeners[0].filter_chains[0].filters[0].typed_config";

/// A file of `envoy/` that serves on free ports of the loopback, with the modules of `dist/` and every upstream on this port.
/// Certificates are the test's own.
#[track_caller]
pub fn template(file: &str, upstream: u16, certificate: &Certificate) -> Template {
    with(
        Template::read(artifacts::root().join("envoy").join(file)),
        upstream,
        certificate,
    )
}

/// The same with a configuration that stands somewhere else.
#[track_caller]
pub fn with(template: Template, upstream: u16, certificate: &Certificate) -> Template {
    let admin = free_port();
    let mut template = with_modules(template)
        .set("admin.address.socket_address.port_value", admin)
        .each("environment_variables", |variables| {
            *variables = json!({"key_values": {
                "AUDIT_HASH_KEY": "a key of the tests, long enough to be one",
                "AUDIT_CHAIN_KEY": "another key of the tests, long enough too",
            }});
        });
    for listener in list(&mut template.0, "listeners") {
        listener["address"] = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
        for chain in listener["filter_chains"].as_array_mut().unwrap() {
            if chain["transport_socket"].is_object() {
                let mine = certificate.transport_socket();
                let context = &mut chain["transport_socket"]["typed_config"]["common_tls_context"];
                patch::merge(
                    context,
                    &json!({"tls_certificate_sds_secret_configs": null}),
                );
                context["tls_certificates"] =
                    mine["typed_config"]["common_tls_context"]["tls_certificates"].clone();
            }
        }
    }
    for cluster in list(&mut template.0, "clusters") {
        let port = if cluster["name"] == "admin" {
            admin
        } else {
            upstream
        };
        set_endpoints(cluster, &[port]);
    }
    template
}

/// The same modules, wherever `dist/` is.
pub fn with_modules(template: Template) -> Template {
    template.each("filename", |path| {
        if let Some(name) = path.as_str().and_then(|path| path.strip_suffix(".wasm")) {
            let name = Path::new(name).file_name().unwrap().to_str().unwrap();
            *path = artifacts::module(name).to_str().unwrap().into();
        }
    })
}

/// Takes out what costs time to start, for what is not about the filters.
pub fn without_modules(template: &mut Template) {
    let filters = &mut patch::at(&mut template.0, CONNECTION_MANAGER)["http_filters"];
    let filters = filters.as_array_mut().unwrap();
    filters.retain(|filter| {
        !filter["typed_config"]["@type"]
            .as_str()
            .unwrap()
            .ends_with(".Wasm")
    });
}

/// The admin interface cannot choose: the listener `metrics` has to know its port.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Puts another upstream behind a cluster.
#[track_caller]
pub fn behind(template: &mut Template, cluster: &str, port: u16) {
    behind_all(template, cluster, &[port]);
}

/// Puts several hosts behind a cluster.
#[track_caller]
pub fn behind_all(template: &mut Template, cluster: &str, ports: &[u16]) {
    let mut clusters = list(&mut template.0, "clusters").iter_mut();
    let cluster = clusters.find(|found| found["name"] == cluster);
    set_endpoints(cluster.expect("a cluster of this name"), ports);
}

fn set_endpoints(cluster: &mut Value, ports: &[u16]) {
    let endpoint = |port: &u16| {
        let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
        json!({"endpoint": {"address": address}})
    };
    let endpoints: Vec<Value> = ports.iter().map(endpoint).collect();
    cluster["load_assignment"]["endpoints"] = json!([{"lb_endpoints": endpoints}]);
}

/// A list of `static_resources`; empty where there is none.
fn list<'a>(bootstrap: &'a mut Value, name: &str) -> &'a mut [Value] {
    match &mut bootstrap["static_resources"][name] {
        Value::Array(list) => list,
        _ => &mut [],
    }
}

/// A running Envoy with a listener `edge` that speaks TLS.
#[derive(Debug)]
pub struct Edge {
    pub envoy: Envoy,
    pub certificate: Certificate,
}

impl Edge {
    /// Starts Envoy with that configuration.
    #[track_caller]
    pub fn start(name: &str, template: &Template, certificate: Certificate) -> Self {
        let envoy = Envoy::start_template(name, template, 2);
        Self {
            envoy: envoy.unwrap_or_else(|error| panic!("{name}: {error}")),
            certificate,
        }
    }

    #[track_caller]
    pub fn open(&self) -> Connection {
        Connection::open_tls(self.envoy.port("edge"), &self.certificate)
    }

    /// Sends it on a connection of its own. No VM may end of it.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        let response = self.open().exchange(request);
        assert_eq!(self.envoy.admin().vm_reloads(), 0);
        response
    }
}
