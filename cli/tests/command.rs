//! What `portcullis check` does as a whole: exit status, several mistakes and files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::{err, folder, out, portcullis, status};
use std::fs;

#[test]
fn wrong_usage_is_told_apart_from_mistakes_by_status_2() {
    let folder = folder("usage");
    fs::write(folder.join("a.yaml"), "{}\n").unwrap();
    for arguments in [
        vec![],
        vec!["chek", "a.yaml"],
        vec!["check"],
        vec!["check", "--filtre", "security-headers", "a.yaml"],
        vec!["check", "--filter", "security_headers", "a.yaml"],
        vec!["check", "--filter"],
        vec!["check", "missing.yaml"],
        vec!["check", "."],
        vec!["schema"],
        vec!["schema", "nope"],
        vec!["schema", "portcullis", "more"],
        vec!["docs"],
        vec!["docs", "nope"],
        vec!["docs", "--write"],
        vec!["docs", "--check", "missing.md"],
        vec!["explain"],
        vec!["generate"],
        vec!["generate", "local-reply"],
        vec!["generate", "local-replies", "--write"],
        vec!["generate", "local-replies", "missing.yaml"],
    ] {
        let output = portcullis(&folder, &arguments);
        assert_eq!(status(&output), 2, "{arguments:?}");
        assert!(err(&output).starts_with("portcullis: "), "{arguments:?}");
        assert_eq!(out(&output), "", "{arguments:?}");
    }
    let help = portcullis(&folder, &["--help"]);
    assert_eq!(status(&help), 0);
    assert!(out(&help).contains("portcullis check"));
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_mistakes_of_the_others() {
    let folder = folder("unreadable");
    fs::write(folder.join("a.yaml"), "mod: shadow\n").unwrap();
    fs::write(folder.join("b.yaml"), b"mode: \xff\n").unwrap();
    let output = portcullis(
        &folder,
        &[
            "check",
            "--filter",
            "security-headers",
            "missing.yaml",
            "b.yaml",
            "a.yaml",
        ],
    );
    assert_eq!(status(&output), 2);
    assert_eq!(err(&output).lines().count(), 2, "{}", err(&output));
    assert!(out(&output).contains("a.yaml:1:1: error: unknown key `mod`"));
}

#[test]
fn every_mistake_that_is_certain_is_told_in_one_run() {
    let folder = folder("several");
    let text = "\
mod: shadow
profiles:
  login:
    mode: shadowy
  logout:
    nonsense: 1
    another: 2
  third: []
routes:
  - profile: logn
  - profile: login
    hosts: [\"a*b\"]
";

    fs::write(folder.join("a.yaml"), text).unwrap();
    let output = portcullis(
        &folder,
        &["check", "--filter", "security-headers", "a.yaml"],
    );
    assert_eq!(status(&output), 1);
    let out = out(&output);
    let told: Vec<&str> = out
        .lines()
        .filter(|line| line.contains(": error: "))
        .collect();
    assert_eq!(
        told,
        [
            "a.yaml:1:1: error: unknown key `mod`",
            "a.yaml:4:11: error: `shadowy` is not one of the allowed values",
            "a.yaml:6:5: error: unknown key `nonsense`",
            "a.yaml:7:5: error: unknown key `another`",
            "a.yaml:8:10: error: found a list, expected a map",
            "a.yaml:10:14: error: there is no profile `logn`",
        ]
    );
    assert!(out.ends_with("6 mistakes; 1 plugin in 1 file\n"), "{out}");
}

#[test]
fn cutting_a_mistake_out_never_makes_another_one() {
    let folder = folder("no-echo");
    for (text, mistakes) in [
        // The wrong profile stays defined for the route; a mode that is cut out is the default.
        (
            "mode: shadowy\nprofiles: {login: {mode: [1]}}\nroutes: [{profile: login, paths: [{exact: /login}]}]\n",
            2,
        ),
        // `endpoint` is missing only because it is misspelt.
        ("report_only: {endpont: /reports}\n", 1),
        // There would be a list to keep from, if its name were right.
        (
            "preset: \"off\"\nleaks: {list: owaspp, keep: [x-powered-by]}\n",
            1,
        ),
        // A rule that lost its only form is no second mistake.
        ("headers: {x-note: {set: [1]}}\n", 1),
    ] {
        fs::write(folder.join("a.yaml"), text).unwrap();
        let output = portcullis(
            &folder,
            &["check", "--filter", "security-headers", "a.yaml"],
        );
        let out = out(&output);
        assert_eq!(out.matches(": error: ").count(), mistakes, "{text}{out}");
    }
}

#[test]
fn a_route_in_one_file_may_name_a_profile_of_a_plugin_in_another() {
    let folder = folder("files");
    let routes = "\
resources:
  - \"@type\": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
    name: routes
    virtual_hosts:
      - name: api
        domains: [\"*\"]
        routes:
          - match: {prefix: /login}
            route: {cluster: api}
            metadata: {filter_metadata: {portcullis: {profile: login}}}
";

    let plugin = "\
resources:
  - \"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig
    name: headers
    typed_config:
      \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
      config:
        root_id: security-headers
        failure_policy: FAIL_RELOAD
        configuration:
          \"@type\": type.googleapis.com/google.protobuf.Struct
          value: {profiles: {login: {mode: shadow}}}
";
    fs::write(folder.join("routes.yaml"), routes).unwrap();
    fs::write(folder.join("plugin.yaml"), plugin).unwrap();
    let both = portcullis(&folder, &["check", "routes.yaml", "plugin.yaml"]);
    assert_eq!(
        (status(&both), out(&both).as_str()),
        (0, "no mistake; 1 plugin in 2 files\n")
    );
    let alone = portcullis(&folder, &["check", "routes.yaml"]);
    assert_eq!(status(&alone), 0);
    assert!(out(&alone).contains("warning: no plugin among these files can define"));
    let strict = portcullis(&folder, &["check", "--deny-warnings", "routes.yaml"]);
    assert_eq!(status(&strict), 1);
}

#[test]
fn the_order_of_filters_whose_configuration_is_another_resource_is_known_from_that_resource() {
    let folder = folder("discovery");
    let discovered = |name: &str| {
        format!(
            "            - name: {name}
              config_discovery:
                config_source: {{path_config_source: {{path: ecds.yaml}}, resource_api_version: V3}}
                type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]
"
        )
    };
    let listener = format!(
        "resources:
  - \"@type\": type.googleapis.com/envoy.config.listener.v3.Listener
    filter_chains:
      - filters:
        - name: envoy.filters.network.http_connection_manager
          typed_config:
            \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
            http_filters:
{}{}",
        discovered("one"),
        discovered("two")
    );
    let resource = |name: &str| {
        format!(
            "  - \"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig
    name: {name}
    typed_config:
      \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
      config: {{root_id: security-headers, failure_policy: FAIL_RELOAD}}
"
        )
    };
    let resources = format!("resources:\n{}{}", resource("one"), resource("two"));
    fs::write(folder.join("lds.yaml"), listener).unwrap();
    fs::write(folder.join("ecds.yaml"), resources).unwrap();
    let output = portcullis(&folder, &["check", "lds.yaml", "ecds.yaml"]);
    assert_eq!(status(&output), 1, "{}", out(&output));
    assert!(
        out(&output).contains("runs twice on each request"),
        "{}",
        out(&output)
    );
    assert!(out(&output).starts_with("lds.yaml:"), "{}", out(&output));
}

#[test]
fn a_json_file_with_camel_case_names_is_read_as_envoy_reads_it() {
    let folder = folder("json");
    let text = r#"{"resources": [{"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
 "name": "\ud83d\ude00", "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
 "config": {"rootId": "security-headers", "failurePolicy": "FAIL_RELOAD", "configuration": {
   "@type": "type.googleapis.com/google.protobuf.Struct", "value": {"mod": "shadow"}}}}}]}"#;
    fs::write(folder.join("a.json"), text).unwrap();
    let output = portcullis(&folder, &["check", "a.json"]);
    assert_eq!(status(&output), 1);
    assert!(
        out(&output).contains("a.json:4:69: error: unknown key `mod`"),
        "{}",
        out(&output)
    );
}
