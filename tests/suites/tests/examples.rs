//! The examples and overlays that we ship: each serves, and shows what it is for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::{Command, ExitCode};

use portcullis_harness::suite::{self, LeftOut};
use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Response, Template, Version, artifacts,
    cases, template, wait,
};
use portcullis_suites::hardened::assert_hardened;
use portcullis_suites::shipped::{self, Edge};
use serde_json::{Value, json};

struct Shared {
    upstream: Upstream,
}

fn main() -> ExitCode {
    suite::run_without(
        &left_out(),
        || Shared {
            upstream: Upstream::start().unwrap(),
        },
        cases![
            settings_as_json_text_are_settings,
            all_filters_as_one_plugin_make_documents_of_errors_and_records,
            an_audit_trail_in_the_access_log_is_intact,
            a_route_has_settings_of_its_own_in_each_of_the_ways,
            a_route_brings_a_plugin_along,
            a_verified_claim_is_the_tier,
            an_api_key_is_the_tier,
            a_sidecar_continues_what_the_edge_began,
            what_istio_and_envoy_gateway_hand_over_is_loaded,
            development_records_and_traces_everything,
            staging_refuses_nobody_for_a_limit,
            production_sends_clients_to_the_ports_they_know,
        ],
    )
}

fn left_out() -> Vec<LeftOut> {
    let version = Version::of_envoy();
    let lacks = LeftOut {
        case: "a_route_brings_a_plugin_along",
        why: format!("Envoy {version} has no envoy.filters.http.filter_chain"),
    };
    Vec::from_iter((version < Version::WITH_FILTER_CHAIN).then_some(lacks))
}

impl Shared {
    /// Starts Envoy with an example.
    #[track_caller]
    fn example(&self, file: &str) -> Example {
        self.example_with(file, |template| template)
    }

    /// The same with a change.
    #[track_caller]
    fn example_with(&self, file: &str, change: impl FnOnce(Template) -> Template) -> Example {
        let file = format!("examples/{file}");
        let template = change(shipped::template(
            &file,
            self.upstream.port(),
            &Certificate::new(),
        ));
        let name = file.replace(['/', '.'], "-");
        Example(
            Envoy::start_template(&name, &template, 2)
                .unwrap_or_else(|error| panic!("{file}: {error}")),
        )
    }

    /// Starts Envoy with the shipped configuration and an overlay.
    #[track_caller]
    fn overlay(&self, name: &str) -> Edge {
        let rendered = portcullis()
            .args(["render", "envoy/envoy.yaml"])
            .arg(format!("envoy/overlays/{name}.yaml"))
            .current_dir(artifacts::root())
            .output();
        let rendered = rendered.expect("dist/bin/portcullis; run `make build`");
        assert!(rendered.status.success(), "{rendered:?}");
        let template = Template(serde_json::from_slice(&rendered.stdout).unwrap());
        let certificate = Certificate::new();
        let template = shipped::with(template, self.upstream.port(), &certificate);
        Edge::start(&format!("overlay-{name}"), &template, certificate)
    }
}

/// The command.
fn portcullis() -> Command {
    let dist = std::env::var_os("PORTCULLIS_DIST").expect("PORTCULLIS_DIST names dist/");
    Command::new(std::path::Path::new(&dist).join("bin/portcullis"))
}

/// An example that serves plain HTTP.
struct Example(Envoy);

impl Example {
    #[track_caller]
    fn send(&self, request: &Request) -> Response {
        let listeners = self.0.admin().listeners();
        let response = request.send(*listeners.values().next().unwrap());
        assert_eq!(self.0.admin().vm_reloads(), 0);
        response
    }

    #[track_caller]
    fn get(&self, target: &str) -> Response {
        self.send(&Request::get(target))
    }
}

#[track_caller]
fn policy(response: &Response) -> String {
    response
        .header("content-security-policy")
        .unwrap_or_default()
}

fn settings_as_json_text_are_settings(shared: &Shared) {
    let response = shared.example("json-settings.yaml").get("/text");
    assert_eq!(response.status, 200);
    assert!(
        policy(&response).contains("form-action 'self'"),
        "{response}"
    );
}

fn all_filters_as_one_plugin_make_documents_of_errors_and_records(shared: &Shared) {
    let example = shared.example("one-plugin.yaml");
    // Of the upstream with a body and without, and of Envoy before any filter.
    let with_body = example.get("/status/404");
    let without = example.get("/text?status=404&body=");
    let mut connection = Connection::open(example.0.port("edge"));
    connection.send(b"GET / HTTP/1.1\r\n\r\n");
    let malformed = connection.read_response("GET").unwrap();
    for (response, status) in [(with_body, 404), (without, 404), (malformed, 400)] {
        assert_eq!(response.status, status, "{response}");
        let kind = response.header("content-type");
        assert_eq!(
            kind.as_deref(),
            Some("application/problem+json"),
            "{response}"
        );
        let document = response.json();
        assert_eq!(document["status"], status, "{response}");
        assert_eq!(
            document["request_id"].as_str(),
            response.header("x-request-id").as_deref()
        );
        assert_hardened(&response);
    }
    let page = Request::get("/web/page?status=404")
        .header("accept", "text/html")
        .header("sec-fetch-mode", "navigate");
    let page = example.send(&page);
    let kind = page.header("content-type");
    assert_eq!(kind.as_deref(), Some("text/html; charset=utf-8"), "{page}");
    let id = page.header("x-request-id").unwrap();
    wait::until("the record in Envoy's log", || {
        let log = example.0.log();
        let mut lines = log.lines();
        let found = lines.find(|line| line.contains("\"chain\":") && line.contains(&id));
        found.map(|_| ())
    });
}

fn an_audit_trail_in_the_access_log_is_intact(shared: &Shared) {
    let example = shared.example("audit-trail.yaml");
    let statuses =
        ["/text", "/status/500", "/healthz", "/text"].map(|target| example.get(target).status);
    assert_eq!(statuses, [200, 500, 200, 200]);
    let records = wait::until("the records of all but /healthz", || {
        let records = example.0.output();
        let requests = records.iter().filter(|record| record["type"] == "request");
        (requests.count() == 3).then_some(records)
    });
    let folder = artifacts::Artifacts::create("audit-trail").unwrap();
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    std::fs::write(folder.file("audit.ndjson"), lines).unwrap();
    let verdict = portcullis()
        .args(["audit", "verify"])
        .arg(folder.file("audit.ndjson"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verdict.stdout);
    assert!(
        verdict.status.success() && said.starts_with("intact"),
        "{said}"
    );
}

fn a_route_has_settings_of_its_own_in_each_of_the_ways(shared: &Shared) {
    let example = shared.example_with("per-route.yaml", without_filter_chains);
    assert!(policy(&example.get("/text")).contains("sandbox"));
    // By metadata, for all plugins and for one.
    let web = policy(&example.get("/web/page"));
    assert!(web.contains("'self'") && !web.contains("sandbox"), "{web}");
    assert_eq!(policy(&example.get("/beta/page")), "");
    // By the plugin's own list.
    let account = Request::get("/account").header("host", "www.example.com");
    assert!(!policy(&example.send(&account)).contains("sandbox"));
    let logout = example.send(&Request::post("/account/logout", ""));
    assert!(logout.header("clear-site-data").is_some(), "{logout}");
    // By Envoy: switched off.
    assert_eq!(policy(&example.get("/raw/page")), "");
}

/// What an older Envoy refuses is not there.
fn without_filter_chains(template: Template) -> Template {
    let mut template = template;
    let manager = &mut template.0["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
        [0]["typed_config"];
    let filters = manager["http_filters"].as_array_mut().unwrap();
    filters.retain(|filter| filter["name"] != "more");
    let routes = manager["route_config"]["virtual_hosts"][0]["routes"].as_array_mut();
    for route in routes.unwrap() {
        if let Some(own) = route["typed_per_filter_config"].as_object_mut() {
            own.remove("more");
        }
    }
    template
}

fn a_route_brings_a_plugin_along(shared: &Shared) {
    let example = shared.example("per-route.yaml");
    assert_eq!(policy(&example.get("/raw/page")), "");
    let reports = example.get("/reports/page");
    assert!(reports.header("reporting-endpoints").is_some(), "{reports}");
}

/// How many requests a minute the client is told it has.
#[track_caller]
fn quota(response: &Response) -> String {
    let policy = response.header("ratelimit-policy").unwrap_or_default();
    let minute = policy
        .split(", ")
        .find(|limit| limit.starts_with("\"minute\""));
    minute.unwrap_or_else(|| panic!("{response}")).to_owned()
}

fn a_verified_claim_is_the_tier(shared: &Shared) {
    let example = shared.example("jwt-tiers.yaml");
    let file = artifacts::root().join("envoy/examples/jwt-tiers.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let token = |who: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("# {who}, ")));
        line.unwrap().rsplit_once(' ').unwrap().1.to_owned()
    };
    let call = |token: &str| {
        let request = Request::get("/json").header("authorization", format!("Bearer {token}"));
        example.send(&request)
    };
    for (who, wanted) in [
        ("alice", "\"minute\";q=10;w=60"),
        ("bob", "\"minute\";q=100;w=60"),
        ("carol", "\"minute\";q=10;w=60"),
    ] {
        let response = call(&token(who));
        assert_eq!(response.status, 200, "{who}: {response}");
        assert_eq!(quota(&response), wanted, "{who}");
    }
    for _ in 0..9 {
        assert_eq!(call(&token("alice")).status, 200);
    }
    let refused = call(&token("alice"));
    assert_eq!(
        (refused.status, &refused.json()["tier"]),
        (429, &json!("free"))
    );
    assert_eq!(
        call(&token("carol")).status,
        200,
        "another subject, another count"
    );
    // Nobody, and bob's claims under alice's seal.
    let (alice, bob) = (token("alice"), token("bob"));
    let seal = alice.rsplit_once('.').unwrap().1;
    let forged = format!("{}.{seal}", bob.rsplit_once('.').unwrap().0);
    for response in [example.get("/json"), call(&forged)] {
        assert_eq!(response.status, 401, "{response}");
        assert_hardened(&response);
    }
}

fn an_api_key_is_the_tier(shared: &Shared) {
    let example = shared.example("api-key-tiers.yaml");
    let call =
        |key: &str, target: &str| example.send(&Request::get(target).header("x-api-key", key));
    assert_eq!(quota(&call("demo-free", "/json")), "\"minute\";q=10;w=60");
    let partner = call("demo-professional", "/json");
    let policy = partner.header("ratelimit-policy").unwrap();
    assert_eq!(policy, "\"second\";q=50;w=1, \"day\";q=100000;w=86400");
    // One client, whatever keys it makes up; a report costs five.
    for made_up in ["a", "b"] {
        assert_eq!(call(made_up, "/reports/1").status, 200);
    }
    let refused = call("c", "/json");
    assert_eq!(
        (refused.status, &refused.json()["tier"]),
        (429, &json!("anonymous"))
    );
    assert_eq!(call("demo-free", "/json").status, 200);
}

fn a_sidecar_continues_what_the_edge_began(shared: &Shared) {
    let example = shared.example("sidecar.yaml");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = Request::get("/status/500")
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
        .header("baggage", "tenant=7")
        .header("x-request-id", "made-at-the-edge")
        .header("x-caller", "orders")
        .header("x-caller-tier", "batch")
        .case("sidecar");
    let response = example.send(&request);
    assert_eq!(response.status, 500);
    assert_eq!(
        response.json()["request_id"],
        "made-at-the-edge",
        "{response}"
    );
    let limits = response.header("ratelimit-policy");
    assert_eq!(limits.as_deref(), Some("\"second\";q=20;w=1"));
    let received = shared.upstream.recorder().requests("sidecar").remove(0);
    let text = |name: &str| String::from_utf8(received.header(name).unwrap().to_vec()).unwrap();
    assert_eq!(text("traceparent").get(3..35), Some(trace));
    assert_eq!(text("baggage"), "tenant=7");
    assert_eq!(text("x-request-id"), "made-at-the-edge");
}

/// These cannot run here; their settings can.
fn what_istio_and_envoy_gateway_hand_over_is_loaded(shared: &Shared) {
    let read = |name: &str| {
        let file = artifacts::root()
            .join("envoy/examples/kubernetes")
            .join(name);
        template::yaml(&std::fs::read_to_string(file).unwrap()).unwrap()
    };
    let istio = read("istio.yaml");
    let gateway = read("envoy-gateway.yaml");
    let secrets: Vec<&Value> = istio["spec"]["vmConfig"]["env"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    let variables: serde_json::Map<String, Value> = secrets
        .iter()
        .map(|secret| {
            let name = secret["name"].as_str().unwrap().to_owned();
            (name, json!("a key of the tests, long enough to be one"))
        })
        .collect();
    let chain = Filter::wasm("portcullis", istio["spec"]["pluginConfig"].clone()).over(&json!({
        "vm_config": {"environment_variables": {"key_values": variables}},
    }));
    let mut listener = Listener::new("gateway");
    for plugin in gateway["spec"]["wasm"].as_array().unwrap() {
        let module = plugin["rootID"].as_str().unwrap().replace('-', "_");
        listener = listener.filter(Filter::wasm(&module, plugin["config"].clone()));
    }
    let config = Config::new(shared.upstream.port())
        .listener(Listener::new("istio").filter(chain))
        .listener(listener);
    let envoy = Envoy::start("kubernetes", &config).unwrap_or_else(|error| panic!("{error}"));
    for name in ["istio", "gateway"] {
        let response = Request::get("/text").send(envoy.port(name));
        assert_eq!(response.status, 200, "{name}");
        assert_hardened(&response);
        assert!(response.header("ratelimit").is_some(), "{name}: {response}");
    }
    let page = Request::get("/text").header("host", "www.example.com");
    let page = page.send(envoy.port("istio"));
    assert!(!policy(&page).contains("sandbox"), "{page}");
    assert_eq!(envoy.admin().vm_reloads(), 0);
}

fn development_records_and_traces_everything(shared: &Shared) {
    let edge = shared.overlay("dev");
    let response = edge.send(&Request::get("/text").case("overlay dev"));
    assert_eq!(response.status, 200);
    let id = response.header("x-request-id").unwrap();
    wait::until("the record in Envoy's log", || {
        let log = edge.envoy.log();
        let mut lines = log.lines();
        lines
            .find(|line| line.contains("wasm log audit-log") && line.contains(&id))
            .map(|_| ())
    });
    let received = shared.upstream.recorder().requests("overlay dev").remove(0);
    let parent = received.header("traceparent").unwrap();
    let flags = parent
        .last()
        .and_then(|digit| char::from(*digit).to_digit(16));
    assert_eq!(flags.map(|flags| flags & 1), Some(1), "sampled");
}

fn staging_refuses_nobody_for_a_limit(shared: &Shared) {
    let edge = shared.overlay("staging");
    for _ in 0..11 {
        let request = Request::get("/json").header("x-api-key", "demo-free");
        assert_eq!(edge.send(&request).status, 200);
    }
    // What it would have done is counted.
    let denied = edge.envoy.admin().stats("shadow_denied_total.*tier=free");
    assert_eq!(denied.values().sum::<u64>(), 1, "{denied:?}");
}

fn production_sends_clients_to_the_ports_they_know(shared: &Shared) {
    let edge = shared.overlay("production");
    let request = Request::get("/a").header("host", "api.example.com");
    let response = request.send(edge.envoy.port("redirect"));
    assert_eq!(
        response.header("location").as_deref(),
        Some("https://api.example.com/a")
    );
    let served = edge.send(&Request::get("/text"));
    assert_eq!(served.status, 200);
    assert_hardened(&served);
}
