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
