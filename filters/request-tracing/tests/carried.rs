//! What a format says beside ids and decision goes on in that format.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A test that fails is to panic.

use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::{Bench, Fake};
use request_tracing::RequestTracing;
use serde_json::{Value, json};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What the upstream gets in a header, lines joined by `|`.
fn sent(settings: &Value, lines: &[(&str, &str)], name: &str) -> String {
    let mut fake = Fake::get("/");
    for (name, value) in lines {
        fake.request.add(name, value);
    }
    let bench = Bench::<Plugin<RequestTracing>>::load(settings).unwrap();
    let done = bench.exchange(fake, &[(":status", "200")]);
    let values: Vec<&[u8]> = done.request.get_all(name).collect();
    String::from_utf8(values.join(&b"|"[..])).unwrap()
}

/// `trust: internal`, and these formats read and written.
fn between(extract: &[&str], inject: &[&str]) -> Value {
    json!({"trust": "internal", "propagation": {"extract": extract, "inject": inject}})
}

const PRIORITY: &str = "x-datadog-sampling-priority";

#[test]
fn a_users_priority_of_datadog_is_kept_as_long_as_its_decision_is_followed() {
    let datadog = between(&["datadog"], &["datadog"]);
    let ask = |settings: &Value, priority: &str| {
        let lines = [("x-datadog-trace-id", "7"), ("x-datadog-parent-id", "8")];
        sent(
            settings,
            &[lines[0], lines[1], (PRIORITY, priority)],
            PRIORITY,
        )
    };
    for (given, expected) in [
        ("2", "2"),
        ("1", "1"),
        ("0", "0"),
        ("-1", "-1"),
        (" 2", "2"),
        // Beyond what Datadog defines.
        ("3", "1"),
        ("-2", "0"),
    ] {
        assert_eq!(ask(&datadog, given), expected, "{given}");
    }
    let mut own = datadog.clone();
    own["sampling"] = json!({"follow_parent": false});
    assert_eq!(ask(&own, "2"), "1", "our decision is no user's");
    own["sampling"]["root"] = json!("never");
    assert_eq!(ask(&own, "2"), "0");
    assert_eq!(ask(&own, "-1"), "0");
    assert_eq!(
        ask(&json!({"propagation": {"inject": ["datadog"]}}), "2"),
        "1",
        "at the edge"
    );
}

#[test]
fn a_users_priority_beside_another_format_is_kept_if_it_says_the_same() {
    let both = between(&["w3c", "datadog"], &["w3c", "datadog"]);
    let unsampled = TRACEPARENT.replace("-01", "-00");
    for (traceparent, given, expected) in [
        (TRACEPARENT, "2", "2"),
        (TRACEPARENT, "-1", "1"),
        (&unsampled, "2", "0"),
        (&unsampled, "-1", "-1"),
    ] {
        let lines = [("traceparent", traceparent), (PRIORITY, given)];
        assert_eq!(
            sent(&both, &lines, PRIORITY),
            expected,
            "{traceparent} {given}"
        );
    }
    let lines = [
        ("traceparent", TRACEPARENT),
        (PRIORITY, "2"),
        (PRIORITY, "2"),
    ];
    assert_eq!(sent(&both, &lines, PRIORITY), "1", "two lines say nothing");
}

const XRAY: &str = "x-amzn-trace-id";
const ROOT: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

/// `x-amzn-trace-id` as the upstream gets it, behind its three fields of ours.
fn behind_ours(settings: &Value, line: &str) -> String {
    let sent = sent(settings, &[(XRAY, line)], XRAY);
    let fields: Vec<&str> = sent.splitn(4, ';').collect();
    let names = ["Root=1-", "Parent=", "Sampled="];
    for (field, name) in fields.iter().zip(names) {
        assert!(field.starts_with(name), "{sent}");
    }
    fields.get(3).copied().unwrap_or_default().to_owned()
}

#[test]
fn lineage_and_self_of_x_ray_go_on_and_other_fields_do_not() {
    let xray = between(&["xray"], &["xray"]);
    for (behind, expected) in [
        (
            "Parent=53995c3f42cd8ad8;Sampled=0;Lineage=12326a9d:0",
            "Lineage=12326a9d:0",
        ),
        (
            "Lineage=255:a87bd80c:32767;Parent=53995c3f42cd8ad8",
            "Lineage=255:a87bd80c:32767",
        ),
        (
            "Lineage=a87bd80c:1|68fd508a:5",
            "Lineage=a87bd80c:1|68fd508a:5",
        ),
        (
            "Self=1-67891234-12456789abcdef012345678",
            "Self=1-67891234-12456789abcdef012345678",
        ),
        (
            "lineage= 12326a9d:0 ; SELF=1-a-b",
            "Lineage=12326a9d:0;Self=1-a-b",
        ),
        ("Lineage=1:2:3;Lineage=4:5:6", "Lineage=1:2:3"),
        ("CalledFrom=app;Sampled=1", ""),
        ("Lineage=", ""),
        ("Lineage=a b", ""),
        ("Lineage=a,b", ""),
        ("Lineage=\u{e9}", ""),
        ("Sampled=?", ""),
    ] {
        assert_eq!(
            behind_ours(&xray, &format!("{ROOT};{behind}")),
            expected,
            "{behind}"
        );
    }
    let longest = format!("Lineage={}", "a".repeat(128));
    assert_eq!(behind_ours(&xray, &format!("{ROOT};{longest}")), longest);
    assert_eq!(behind_ours(&xray, &format!("{ROOT};{longest}a")), "");
}

#[test]
fn lineage_goes_on_beside_another_format_and_not_from_those_who_are_not_trusted() {
    let lineage = format!("{ROOT};Lineage=12326a9d:0");
    let both = between(&["w3c", "xray"], &["w3c", "xray"]);
    let sent = sent(
        &both,
        &[("traceparent", TRACEPARENT), (XRAY, &lineage)],
        XRAY,
    );
    assert!(
        sent.starts_with("Root=1-0af76519-") && sent.ends_with(";Lineage=12326a9d:0"),
        "{sent}"
    );
    let edge = json!({"propagation": {"inject": ["xray"]}});
    assert_eq!(behind_ours(&edge, &lineage), "");
    // Without a root it is no tracing header, and a loop may still be one.
    assert_eq!(
        behind_ours(&both, "Lineage=12326a9d:0"),
        "Lineage=12326a9d:0"
    );
}

#[test]
fn two_lines_of_x_ray_say_nothing() {
    let line = format!("{ROOT};Lineage=12326a9d:0");
    let sent = sent(
        &between(&["xray"], &["xray"]),
        &[(XRAY, &line), (XRAY, &line)],
        XRAY,
    );
    assert!(!sent.contains("Lineage") && !sent.contains('|'), "{sent}");
}
