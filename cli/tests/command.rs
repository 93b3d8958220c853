//! What the command does as a whole: exit status, several mistakes and files, docs in files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of this test's own.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn portcullis(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

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

#[test]
fn docs_are_renewed_in_place_and_drift_is_found() {
    let folder = folder("docs");
    let page = folder.join("page.md");
    fs::write(
        &page,
        "# Page\n\n<!-- options:security-headers -->\nSTALE\n<!-- /options -->\nafter\n",
    )
    .unwrap();
    let drifted = portcullis(&folder, &["docs", "--check", "page.md"]);
    assert_eq!(status(&drifted), 1);
    assert!(out(&drifted).contains("portcullis docs --write page.md"));
    assert_eq!(
        status(&portcullis(&folder, &["docs", "--write", "page.md"])),
        0
    );
    let written = fs::read_to_string(&page).unwrap();
    let table = out(&portcullis(&folder, &["docs", "security-headers"]));
    assert!(written.contains(&table) && table.contains("| `mode` |") && !written.contains("STALE"));
    assert!(written.starts_with("# Page\n") && written.ends_with("after\n"));
    assert_eq!(
        status(&portcullis(&folder, &["docs", "--check", "page.md"])),
        0
    );
    fs::write(folder.join("bare.md"), "# Bare\n").unwrap();
    assert_eq!(
        status(&portcullis(&folder, &["docs", "--check", "bare.md"])),
        2
    );
}

/// Settings that say something of every part of an explanation.
const LIMITED: &str = "\
identity:
  - header: {name: x-api-key, hash: true}
  - client_address: {}
tier:
  from: [{jwt_claim: {path: [payload, plan]}}, {header: {name: x-plan}}]
  unknown: deny
exempt: {paths: [{exact: /healthz}]}
profiles:
  chat: {resource: ai, cost: 2}
  watched: {mode: shadow}
routes:
  - {profile: chat, paths: [{prefix: /v1/chat}]}
";

#[test]
fn a_request_is_explained_by_running_it() {
    let folder = folder("explain");
    fs::write(folder.join("limits.yaml"), LIMITED).unwrap();
    let explain = |more: &[&str]| {
        let mut arguments = vec![
            "explain",
            "--filter",
            "rate-limit",
            "--config",
            "limits.yaml",
        ];
        arguments.extend(["--at", "1795248000"]);
        arguments.extend(more);
        let output = portcullis(&folder, &arguments);
        assert_eq!(status(&output), 0, "{more:?}: {}", err(&output));
        out(&output)
    };
    assert_eq!(
        explain(&[
            "--request",
            "GET /v1/orders",
            "-H",
            "X-Api-Key: k",
            "-H",
            "x-plan: gold"
        ]),
        "\
limits.yaml:1: rate-limit
  profile   default
  removed   x-plan: any client could send it
  identity  the header x-api-key (identity[0])
            hash f980b4a03e6b60280e9a8208f663285680d0a8939e66d0ecaa3e3dfd30d5d775
  tier      free, by tier.default, because nothing in tier.from tells one
  limits    minute: 10 in any 1m
            hour: 100 in any 1h
            day: 1000 a day, from midnight UTC
            ai: not of this request, only of resource ai
  decision  allowed, if nothing was counted for this client before
  response  ratelimit-policy: \"minute\";q=10;w=60, \"hour\";q=100;w=3600, \"day\";q=1000;w=86400
            ratelimit: \"minute\";r=9;t=66, \"hour\";r=99;t=3960, \"day\";r=999;t=57600
"
    );
    let claim = |plan| {
        let plan = format!("payload.plan={plan}");
        explain(&[
            "--request",
            "POST /v1/chat/x",
            "--address",
            "203.0.113.7",
            "--claim",
            &plan,
        ])
    };
    let chat = claim("Starter");
    for line in [
        "  profile   chat\n",
        "  identity  the address 203.0.113.7 (identity[1])\n",
        "  tier      starter, by the claim payload.plan\n",
        "            ai: 100 a day, from midnight UTC; only requests of resource ai; this request counts 2\n",
        "\"minute\";r=28;t=66, ",
    ] {
        assert!(chat.contains(line), "{line}\n{chat}");
    }
    let unknown = claim("iron");
    for line in [
        "  tier      unknown by the claim payload.plan; tier.unknown is deny\n",
        "  decision  refused with 403\n",
    ] {
        assert!(unknown.contains(line), "{line}\n{unknown}");
    }
    let exempt = explain(&["--request", "GET /healthz?x=1"]);
    assert!(exempt.contains("  exempt    the path is one of exempt.paths\n  decision  exempt\n"));
    let shadow = explain(&["--request", "GET /", "--profile", "watched"]);
    assert!(
        shadow.contains("mode shadow") && !shadow.contains("response"),
        "{shadow}"
    );
}

#[test]
fn what_cannot_be_explained_is_told_like_a_check() {
    let folder = folder("explain-mistakes");
    fs::write(folder.join("bad.yaml"), "cost: 0\n").unwrap();
    fs::write(folder.join("good.yaml"), "{}\n").unwrap();
    let explain = |more: &[&str]| portcullis(&folder, &[&["explain"], more].concat());
    let asked = ["--request", "GET /"];
    let bad = explain(
        &[
            &["--filter", "rate-limit", "--config", "bad.yaml"],
            &asked[..],
        ]
        .concat(),
    );
    assert_eq!(status(&bad), 1);
    assert!(out(&bad).starts_with("bad.yaml:1:7: error: a request that costs nothing"));
    for arguments in [
        vec!["--config", "good.yaml", "--filter", "rate-limit"],
        vec!["--request", "GET /"],
        vec!["--config", "missing.yaml", "--request", "GET /"],
        vec![
            "--config",
            "good.yaml",
            "--filter",
            "request-tracing",
            "--request",
            "GET /",
        ],
        vec![
            "--config",
            "good.yaml",
            "--filter",
            "rate-limit",
            "--request",
            "/",
        ],
        vec![
            "--config",
            "good.yaml",
            "--filter",
            "rate-limit",
            "--request",
            "GET /",
            "-H",
            "x",
        ],
        vec![
            "--config",
            "good.yaml",
            "--filter",
            "rate-limit",
            "--request",
            "GET /",
            "--at",
            "noon",
        ],
    ] {
        let output = explain(&arguments);
        assert_eq!(status(&output), 2, "{arguments:?}");
        assert!(err(&output).starts_with("portcullis: "), "{arguments:?}");
        assert_eq!(out(&output), "", "{arguments:?}");
    }
}

#[test]
fn local_replies_are_printed_renewed_in_place_and_compared() {
    let folder = folder("local-replies");
    let defaults = portcullis(&folder, &["generate", "local-replies"]);
    assert_eq!(status(&defaults), 0);
    assert!(out(&defaults).starts_with("# local-replies:problem-json\n"));
    assert!(out(&defaults).ends_with("# /local-replies\n"));

    fs::write(
        folder.join("own.yaml"),
        "types: {\"404\": \"urn:gone:100%25\"}\n",
    )
    .unwrap();
    let own = portcullis(
        &folder,
        &[
            "generate",
            "local-replies",
            "--filter",
            "problem-json",
            "own.yaml",
        ],
    );
    assert!(
        out(&own).contains("type: \"urn:gone:100%%25\""),
        "{}",
        out(&own)
    );
    let bare = portcullis(
        &folder,
        &["generate", "local-replies", "--write", "own.yaml"],
    );
    assert_eq!(
        (status(&bare), out(&bare).contains("nothing was checked")),
        (1, true)
    );

    let fine = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fine/problem-json.yaml");
    let text = fs::read_to_string(fine).unwrap();
    let printed = |name: &str, text: &str, argument: &str| {
        fs::write(folder.join(name), text).unwrap();
        portcullis(&folder, &["generate", "local-replies", argument, name])
    };
    let check = printed("fine.yaml", &text, "--check");
    assert_eq!((status(&check), out(&check)), (0, String::new()));

    let changed = text.replace("[de, en]", "[en, de]");
    let check = printed("changed.yaml", &changed, "--check");
    assert_eq!(status(&check), 1);
    assert!(out(&check).contains("run `portcullis generate local-replies --write changed.yaml`"));
    assert_eq!(status(&printed("changed.yaml", &changed, "--write")), 0);
    let renewed = fs::read_to_string(folder.join("changed.yaml")).unwrap();
    assert!(text.contains("Nicht gefunden") && !renewed.contains("Nicht gefunden"));
    assert!(renewed.contains("title: \"Not Found\""));
    let check = portcullis(
        &folder,
        &["generate", "local-replies", "--check", "changed.yaml"],
    );
    assert_eq!(status(&check), 0);

    let unmarked = text.replace("# local-replies:problem-json", "# by hand");
    let refused = printed("unmarked.yaml", &unmarked, "--write");
    assert_eq!(status(&refused), 2);
    assert!(
        err(&refused)
            .starts_with("portcullis: unmarked.yaml: holds no `# local-replies:problem-json`;"),
        "{}",
        err(&refused)
    );
}

#[test]
fn render_prints_what_check_reads() {
    let folder = folder("render");
    let base = "static_resources: {listeners: [{name: edge, port: 1}], clusters: []}\n";
    let overlay = "static_resources: {listeners: [{name: edge, port: 2}]}\n";
    let typo = "static_resources: {listeners: [{name: egde, port: 2}]}\n";
    for (name, text) in [
        ("base.yaml", base),
        ("overlay.yaml", overlay),
        ("typo.yaml", typo),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    let rendered = portcullis(&folder, &["render", "base.yaml", "overlay.yaml"]);
    assert_eq!(status(&rendered), 0, "{}", err(&rendered));
    let value: serde_json::Value = serde_json::from_str(&out(&rendered)).unwrap();
    assert_eq!(value["static_resources"]["listeners"][0]["port"], 2);
    let refused = portcullis(&folder, &["render", "base.yaml", "typo.yaml"]);
    assert_eq!((status(&refused), out(&refused).as_str()), (2, ""));
    let complaint = err(&refused);
    let place = "typo.yaml: static_resources.listeners[egde]";
    assert!(complaint.contains(place), "{complaint}");
    assert_eq!(status(&portcullis(&folder, &["render"])), 2);
    assert_eq!(status(&portcullis(&folder, &["render", "nowhere.yaml"])), 2);
}
