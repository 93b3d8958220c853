//! Settings per route, by each of the ways there are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::suite::{self, LeftOut};
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Envoy, Filter, Listener, Request, Response, Route, Version, cases,
};
use serde_json::{Value, json};

struct Shared {
    _upstream: Upstream,
    envoy: Envoy,
}

/// What a response shows of the profile that its request got.
#[derive(Debug, PartialEq, Eq)]
enum Preset {
    Api,
    Web,
    None,
}

fn preset(response: &Response) -> Preset {
    match response.header("content-security-policy") {
        None => Preset::None,
        Some(policy) if policy.contains("sandbox") => Preset::Api,
        Some(_) => Preset::Web,
    }
}

fn main() -> ExitCode {
    suite::run_without(
        &left_out(),
        start,
        cases![
            route_metadata_names_the_profile,
            the_filters_own_key_in_route_metadata_goes_before_the_common_one,
            a_name_in_route_metadata_that_is_no_profile_is_passed_over,
            the_plugins_own_routes_choose_by_path,
            the_plugins_own_routes_choose_by_host_method_and_header,
            the_first_entry_that_matches_wins,
            route_metadata_goes_before_the_plugins_own_routes,
            a_profile_that_is_off_changes_nothing,
            filter_config_turns_a_filter_off_on_a_route,
            filter_config_turns_a_filter_on_where_it_is_off_by_default,
            a_filter_chain_on_a_route_holds_the_module_with_other_settings,
            a_chain_takes_the_profile_of_each_filter,
        ],
    )
}

fn left_out() -> Vec<LeftOut> {
    let version = Version::of_envoy();
    let lacks = LeftOut {
        case: "a_filter_chain_on_a_route_holds_the_module_with_other_settings",
        why: format!("Envoy {version} has no envoy.filters.http.filter_chain"),
    };
    Vec::from_iter((version < Version::WITH_FILTER_CHAIN).then_some(lacks))
}

fn settings() -> Value {
    json!({
        "preset": "api",
        "profiles": {"pages": {"preset": "web"}, "none": {"mode": "off"}},
        "routes": [
            {"paths": [{"exact": "/exact"}], "profile": "pages"},
            {"paths": [{"prefix": "/prefix"}], "profile": "pages"},
            {"paths": [{"template": "/users/{id}/page"}], "profile": "pages"},
            {"paths": [{"template": "/files/{rest...}"}], "profile": "pages"},
            {"hosts": ["www.example.com", "*.pages.example"], "profile": "pages"},
            {"paths": [{"prefix": "/both"}], "methods": ["POST", "PUT"], "headers": [{"name": "x-kind", "exact": "page"}], "profile": "pages"},
            {"headers": [{"name": "x-any"}], "profile": "none"},
            {"paths": [{"prefix": "/order"}], "methods": ["GET"], "profile": "none"},
            {"paths": [{"prefix": "/order"}], "profile": "pages"},
        ],
    })
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let metadata = |path: &str, metadata: Value| Route::prefix(path).profile(&metadata);
    let all_in_one = json!({
        "security_headers": settings(),
        "request_tracing": {"profiles": {"none": {"mode": "off"}}},
    });
    let config = Config::new(upstream.port())
        .listener(
            Listener::new("metadata")
                .filter(Filter::wasm("security_headers", settings()))
                .route(metadata("/common", json!({"profile": "pages"})))
                .route(metadata(
                    "/own",
                    json!({"profile": "none", "security-headers": "pages"}),
                ))
                .route(metadata("/unknown", json!({"profile": "nobody"})))
                .route(metadata(
                    "/other",
                    json!({"profile": "pages", "security-headers": "nobody"}),
                ))
                .route(metadata("/exact", json!({"profile": "none"})))
                .route(metadata("/prefix", json!({"profile": "nobody"})))
                .route(metadata(
                    "/number",
                    json!({"profile": 7, "x": {"y": [1, true]}}),
                ))
                .route(Route::prefix("/")),
        )
        .listener(
            Listener::new("switched")
                .filter(Filter::wasm("security_headers", json!({})))
                .route(Route::prefix("/off").without("security-headers"))
                .route(Route::prefix("/")),
        )
        .listener(
            Listener::new("opt-in")
                .filter(Filter::wasm("security_headers", json!({})).disabled())
                .route(Route::prefix("/on").with("security-headers"))
                .route(Route::prefix("/")),
        )
        .listener(
            Listener::new("all")
                .filter(Filter::wasm("portcullis", all_in_one))
                .route(metadata("/both", json!({"profile": "none"})))
                .route(metadata("/one", json!({"request-tracing": "none"})))
                .route(Route::prefix("/"))
                .hcm(&json!({"generate_request_id": false})),
        );
    let config = match left_out().is_empty() {
        true => config.listener(chained()),
        false => config,
    };
    let envoy = Envoy::start("routes", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared {
        _upstream: upstream,
        envoy,
    }
}

/// A listener with Envoy's filter that holds others, and a route with some.
fn chained() -> Listener {
    let per_route = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.filter_chain.v3.FilterChainConfigPerRoute",
        "filter_chain": {"filters": [
            Filter::wasm("security_headers", json!({"preset": "web"})).to_value(),
        ]},
    });
    Listener::new("chained")
        .filter(Filter::native(
            "filter_chain",
            "envoy.extensions.filters.http.filter_chain.v3.FilterChainConfig",
            json!({}),
        ))
        .route(Route::prefix("/page").per_filter("filter_chain", per_route))
        .route(Route::prefix("/"))
}

impl Shared {
    #[track_caller]
    fn on(&self, listener: &str, request: &Request) -> Preset {
        let response = request.send(self.envoy.port(listener));
        assert_eq!(response.status, 200, "{response}");
        preset(&response)
    }

    #[track_caller]
    fn get(&self, listener: &str, path: &str) -> Preset {
        self.on(listener, &Request::get(path))
    }
}

fn route_metadata_names_the_profile(shared: &Shared) {
    assert_eq!(shared.get("metadata", "/"), Preset::Api);
    assert_eq!(shared.get("metadata", "/common"), Preset::Web);
}

fn the_filters_own_key_in_route_metadata_goes_before_the_common_one(shared: &Shared) {
    assert_eq!(shared.get("metadata", "/own"), Preset::Web);
}

fn a_name_in_route_metadata_that_is_no_profile_is_passed_over(shared: &Shared) {
    assert_eq!(shared.get("metadata", "/unknown"), Preset::Api);
    assert_eq!(shared.get("metadata", "/other"), Preset::Web);
    assert_eq!(shared.get("metadata", "/prefix"), Preset::Web);
    assert_eq!(shared.get("metadata", "/number"), Preset::Api);
}

fn the_plugins_own_routes_choose_by_path(shared: &Shared) {
    for path in [
        "/exact?query",
        "/prefix",
        "/prefix/more",
        "/users/42/page",
        "/files/a/b/c",
    ] {
        let listener = if path.starts_with("/exact") {
            "all"
        } else {
            "metadata"
        };
        assert_eq!(shared.get(listener, path), Preset::Web, "{path}");
    }
    for path in [
        "/exact/more",
        "/prefixed",
        "/users/42",
        "/users/4/2/page",
        "/users//page",
    ] {
        assert_eq!(shared.get("all", path), Preset::Api, "{path}");
    }
}

fn the_plugins_own_routes_choose_by_host_method_and_header(shared: &Shared) {
    let host = |host: &str| shared.on("metadata", &Request::get("/").header("host", host));
    assert_eq!(host("WWW.example.com:8080"), Preset::Web);
    assert_eq!(host("a.pages.example"), Preset::Web);
    assert_eq!(host("pages.example"), Preset::Api);
    let both = |method: &str, kind: &str| {
        shared.on(
            "metadata",
            &Request::new(method, "/both")
                .header("x-kind", kind)
                .header("content-length", "0"),
        )
    };
    assert_eq!(both("PUT", "page"), Preset::Web);
    assert_eq!(both("PUT", "pages"), Preset::Api);
    assert_eq!(both("PATCH", "page"), Preset::Api);
    assert_eq!(
        shared.on("metadata", &Request::get("/").header("x-any", "\u{ff}")),
        Preset::None
    );
}

fn the_first_entry_that_matches_wins(shared: &Shared) {
    assert_eq!(shared.get("metadata", "/order"), Preset::None);
    assert_eq!(
        shared.on("metadata", &Request::new("DELETE", "/order")),
        Preset::Web
    );
}

fn route_metadata_goes_before_the_plugins_own_routes(shared: &Shared) {
    assert_eq!(shared.get("metadata", "/exact"), Preset::None);
}

fn a_profile_that_is_off_changes_nothing(shared: &Shared) {
    let response = Request::get("/leaky")
        .header("x-any", "1")
        .send(shared.envoy.port("metadata"));
    assert_eq!(response.header("x-powered-by").as_deref(), Some("Rust"));
    let names: Vec<_> = response
        .headers
        .iter()
        .map(|(name, _)| name.as_slice())
        .collect();
    assert!(
        !names.contains(&b"x-frame-options".as_slice()),
        "{response}"
    );
}

fn filter_config_turns_a_filter_off_on_a_route(shared: &Shared) {
    assert_eq!(shared.get("switched", "/off"), Preset::None);
    assert_eq!(shared.get("switched", "/"), Preset::Api);
}

fn filter_config_turns_a_filter_on_where_it_is_off_by_default(shared: &Shared) {
    assert_eq!(shared.get("opt-in", "/on"), Preset::Api);
    assert_eq!(shared.get("opt-in", "/"), Preset::None);
}

fn a_filter_chain_on_a_route_holds_the_module_with_other_settings(shared: &Shared) {
    assert_eq!(shared.get("chained", "/page"), Preset::Web);
    assert_eq!(shared.get("chained", "/"), Preset::None);
}

fn a_chain_takes_the_profile_of_each_filter(shared: &Shared) {
    let get = |path: &str| {
        let response = Request::get(path).send(shared.envoy.port("all"));
        (preset(&response), response.header("x-request-id").is_some())
    };
    assert_eq!(get("/"), (Preset::Api, true));
    assert_eq!(get("/both"), (Preset::None, false));
    assert_eq!(get("/one"), (Preset::Api, false));
    assert_eq!(get("/exact"), (Preset::Web, true));
}
