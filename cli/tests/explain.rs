//! `portcullis explain`: what is made of one request, and what cannot be explained.
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
fn a_header_in_several_lines_is_explained_as_what_it_is() {
    let folder = folder("explain-lines");
    fs::write(folder.join("limits.yaml"), LIMITED).unwrap();
    let arguments =
        "explain --filter rate-limit --config limits.yaml -H x-api-key:k -H x-api-key:k";
    let mut arguments: Vec<&str> = arguments.split(' ').collect();
    arguments.extend(["--request", "GET /v1/orders"]);
    let output = portcullis(&folder, &arguments);
    assert_eq!(status(&output), 0, "{}", err(&output));
    let text = out(&output);
    assert!(
        text.contains("  identity  ambiguous: the header x-api-key stands in several lines\n  decision  refused with 400\n"),
        "{text}"
    );
}
