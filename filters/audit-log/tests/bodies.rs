//! What is recorded of bodies: listed values, and nothing else.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use audit_log::AuditLog;
use common::{answered, environment, load, parsed, refused};
use portcullis_kit::chain::Bundle as _;
use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::{Bench, Fake};
use portcullis_kit::{Callbacks, Flow};
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn settings() -> Value {
    json!({
        "rules": [{"level": "none", "paths": [{"exact": "/quiet"}]}, {"level": "body"}],
        "hmac_key": {"id": "k1", "secret": {"env": "AUDIT_KEY"}},
        "bodies": {
            "request": [
                {"pointer": "/order/id"},
                {"pointer": "/items/*/sku"},
                {"pointer": "/items/0/count"},
                {"pointer": "/a~1b/m~0n"},
                {"pointer": "/email", "value": "hashed"},
            ],
            "response": [{"pointer": "/id"}],
            "max_bytes": 512,
            "max_recorded_bytes": 128,
        },
    })
}

/// One exchange of these bodies in pieces; what was recorded, and whether the response went through unchanged.
fn exchange(settings: &Value, mut fake: Fake, request: &[&str], response: &[&str]) -> Value {
    let audit = load(settings);
    let mut stream = Default::default();
    let pieces: Vec<&[u8]> = request.iter().map(|piece| piece.as_bytes()).collect();
    let flow = audit.request_with_body(&mut fake, &mut stream, &pieces);
    assert_eq!(flow, Flow::Continue);
    let flow = audit.headers(&mut fake, &mut stream, response.is_empty());
    assert_eq!(flow, Flow::Continue);
    for (at, piece) in response.iter().enumerate() {
        let ends = at + 1 == response.len();
        let sent = audit.body(&mut fake, &mut stream, piece.as_bytes(), ends);
        assert_eq!(sent, piece.as_bytes(), "a piece waits for nothing");
    }
    audit.finish(&mut fake, &mut stream);
    let logs = fake.logs.take();
    let records = logs.iter().map(|(_, line)| parsed(line));
    let mut records = records.filter(|record| record["type"] == "request");
    records.next().unwrap()
}

fn json_request(target: &str) -> Fake {
    let mut fake = answered(target, 200);
    fake.request.set(":method", "POST");
    fake.request
        .add("content-type", "application/json; charset=utf-8");
    fake.response.add("content-type", "application/json");
    fake
}

#[test]
fn listed_values_are_recorded_and_their_neighbours_are_not() {
    let request = [
        r#"{"order":{"id":"A-1","card":"4111"},"items":[{"sku":"#,
        r#""x","count":2,"note":"n"},{"sku":"y","count":3}],"a/b":{"m~n":true},"em"#,
        r#"ail":"a@example.com"}"#,
    ];
    let record = exchange(
        &settings(),
        json_request("/orders"),
        &request,
        &[r#"{"id":12.5}"#],
    );
    let body = &record["request"]["body"];
    let hash = body["/email"][0]
        .as_str()
        .unwrap_or_else(|| panic!("{record}"));
    assert!(hash.starts_with("hmac-sha256:k1:"), "{hash}");
    assert_eq!(
        *body,
        json!({
            "/a~1b/m~0n": ["true"],
            "/email": [hash],
            "/items/*/sku": ["x", "y"],
            "/items/0/count": ["2"],
            "/order/id": ["A-1"],
        })
    );
    assert_eq!(record["response"]["body"], json!({"/id": ["12.5"]}));
    assert_eq!(
        record["redacted"],
        json!(["request.body"]),
        "the response is whole"
    );
    for secret in ["4111", "a@example", "\"n\""] {
        assert!(!record.to_string().contains(secret), "{secret}: {record}");
    }
}

#[test]
fn a_listed_object_is_not_recorded_for_what_is_in_it() {
    let body = r#"{"order":{"id":{"iban":"DE00"}},"items":[{"sku":["z"]}],"email":null}"#;
    let record = exchange(&settings(), json_request("/"), &[body], &[]);
    let recorded = record["request"]["body"].as_object().unwrap();
    assert_eq!(recorded.keys().collect::<Vec<_>>(), ["/email"]);
    assert_eq!(record["redacted"], json!(["request.body"]));
}

#[test]
fn a_body_that_is_not_read_is_marked() {
    let long = format!(r#"{{"order":{{"id":"{}"}}}}"#, "x".repeat(600));
    let with = |name: &str, value: &str| {
        let mut fake = json_request("/");
        fake.request.set(name, value);
        fake
    };
    let id = r#"{"order":{"id":"A-1"}}"#;
    for (fake, pieces, mark) in [
        (json_request("/"), vec![long.as_str()], "too_large"),
        (
            json_request("/"),
            vec![&long[..300], &long[300..]],
            "too_large",
        ),
        (with("content-length", "513"), vec![id], "too_large"),
        (with("content-encoding", "gzip"), vec![id], "encoded"),
        (with("content-type", "text/plain"), vec![id], "not_json"),
        (json_request("/"), vec![&id[..9]], "unreadable"),
        (
            json_request("/"),
            vec![r#"{"order":{"id":1,"id":2}}"#],
            "unreadable",
        ),
        (json_request("/"), vec![id, "{}"], "unreadable"),
    ] {
        let record = exchange(&settings(), fake, &pieces, &[]);
        let mark = format!("request.body.{mark}");
        assert_eq!(record["redacted"], json!([mark]), "{pieces:?}");
        assert!(record["request"].get("body").is_none());
    }
    let encoded = with("content-encoding", "identity");
    let record = exchange(&settings(), encoded, &[id], &[]);
    assert_eq!(
        record["request"]["body"]["/order/id"][0], "A-1",
        "the control"
    );
    assert!(record.get("redacted").is_none());
}

#[test]
fn what_is_recorded_of_a_body_is_bounded() {
    let items: Vec<Value> = (0..20)
        .map(|at| json!({"sku": format!("number-{at:03}")}))
        .collect();
    let body = json!({"items": items}).to_string();
    let mut settings = settings();
    settings["bodies"]["max_bytes"] = 4096.into();
    let record = exchange(&settings, json_request("/"), &[&body], &[]);
    let skus = record["request"]["body"]["/items/*/sku"]
        .as_array()
        .unwrap();
    let bytes: usize = skus.iter().map(|sku| sku.as_str().unwrap().len()).sum();
    assert!((1..=128).contains(&bytes), "{bytes}");
    assert_eq!(record["redacted"], json!(["request.body"]));
    let long = json!({"order": {"id": "é".repeat(800)}}).to_string();
    settings["bodies"]["max_recorded_bytes"] = 65_536.into();
    let record = exchange(&settings, json_request("/"), &[&long], &[]);
    let id = record["request"]["body"]["/order/id"][0].as_str().unwrap();
    assert_eq!(id, "é".repeat(512), "1024 bytes of one value");
    assert_eq!(record["redacted"], json!(["request.body"]));
}

#[test]
fn bodies_of_requests_that_no_rule_may_record_are_not_read() {
    let mut settings = settings();
    settings["rules"] = json!([
        {"level": "none", "paths": [{"exact": "/quiet"}]},
        {"level": "metadata", "methods": ["GET"], "statuses": ["2xx"]},
        {"level": "body", "statuses": ["2xx"]},
        {"level": "metadata"},
    ]);
    let reads = |method: &str, target: &str, status: u16| {
        let audit = load(&settings);
        let mut fake = json_request(target);
        fake.request.set(":method", method);
        fake.response.set(":status", status.to_string());
        let mut stream = Default::default();
        audit.request_with_body(&mut fake, &mut stream, &[b"{\"order\":{\"id\":7}}"]);
        // The headers, and the body.
        let wanted = fake.byte_reads.get() == 2;
        audit.finish(&mut fake, &mut stream);
        let logs = fake.logs.take();
        let records: Vec<Value> = logs.iter().map(|(_, line)| parsed(line)).collect();
        let body = records.last().map(|record| &record["request"]["body"]);
        (wanted, body == Some(&json!({"/order/id": ["7"]})))
    };
    assert_eq!(reads("POST", "/", 200), (true, true));
    assert_eq!(
        reads("POST", "/", 404),
        (true, false),
        "its end decides that it is not"
    );
    assert_eq!(reads("POST", "/quiet", 200), (false, false));
    assert_eq!(
        reads("GET", "/", 200),
        (true, false),
        "an earlier rule may yet match"
    );
}

#[test]
fn where_the_filter_was_not_asked_the_record_says_so() {
    let audit = load(&settings());
    let mut fake = json_request("/");
    audit.attach(&mut fake);
    fake.phase = portcullis_kit::testing::Phase::Finished;
    audit.bundle().log_access(&mut fake);
    let logs = fake.logs.take();
    let record = parsed(&logs.last().unwrap().1);
    assert_eq!(record["redacted"], json!(["bodies.unseen"]));
}

#[test]
fn a_module_that_is_told_of_no_bodies_refuses_to_record_them_and_costs_responses_no_callback() {
    type Alone = Plugin<AuditLog<false>>;
    let refused = Bench::<Alone>::load_with(&settings(), &environment());
    let told = refused.err().unwrap().to_string();
    assert!(told.starts_with("rules[1].level: audit_log.wasm"), "{told}");
    // Those of the request are where it may have to wait.
    for callback in [Callbacks::RESPONSE_HEADERS, Callbacks::RESPONSE_BODY] {
        assert!(!Alone::CALLBACKS.contains(callback));
        assert!(Plugin::<AuditLog>::CALLBACKS.contains(callback));
    }
}

#[test]
fn places_in_bodies_are_right_used_and_no_secrets() {
    let of = |bodies: Value| json!({"rules": [{"level": "body"}], "bodies": bodies});
    let pointer = |text: &str| of(json!({"request": [{"pointer": text}]}));
    for (settings, text) in [
        (
            json!({"bodies": {"request": [{"pointer": "/a"}]}}),
            "bodies: no rule has `level: body`",
        ),
        (
            json!({"rules": [{"level": "body"}]}),
            "rules[0].level: no values are listed",
        ),
        (
            of(json!({"max_bytes": 100})),
            "rules[0].level: no values are listed",
        ),
        (
            of(json!({"response": [{"pointer": "/a"}], "max_bytes": 63})),
            "bodies.max_bytes: 64 to",
        ),
        (
            of(json!({"response": [{"pointer": "/a"}], "max_recorded_bytes": 65_537})),
            "bodies.max_recorded_bytes: 64 to",
        ),
        (
            of(json!({"response": [{"pointer": "/a", "value": "hashed"}]})),
            "bodies.response[0].value: a hash without a key",
        ),
        (
            of(json!({"request": [{"pointer": "/a/*/b"}, {"pointer": "/a/7/b"}]})),
            "bodies.request[1].pointer: this name is in the list",
        ),
        (
            pointer("/user/Password"),
            "bodies.request[0].pointer: a member `Password` holds a secret",
        ),
        (
            pointer("/tokens/0"),
            "bodies.request[0].pointer: a member `tokens`",
        ),
    ] {
        refused(&settings, text);
    }
    for wrong in [
        "", "/", "a", "$.a", "/a//b", "/a/", "/a~2", "/a~", "/\u{e9}", "/a\"", "/a\\b",
    ] {
        refused(
            &pointer(wrong),
            "bodies.request[0].pointer: not a JSON pointer",
        );
    }
    for right in ["/a", "/*", "/a b/~0~1/0", "/items/*/a-b"] {
        load(&pointer(right));
    }
}
