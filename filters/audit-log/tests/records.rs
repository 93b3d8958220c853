//! What is recorded of requests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::{answered, end, load, parsed, record};
use portcullis_kit::testing::Fake;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// `hmac_key` under the environment of the tests.
fn keyed(mut settings: Value) -> Value {
    settings["hmac_key"] = json!({"id": "k1", "secret": {"env": "AUDIT_KEY"}});
    settings
}

fn hashed(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.strip_prefix("hmac-sha256:k1:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[test]
fn a_record_tells_who_did_what_when_and_how_it_ended() {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut fake = answered("/things/7?page=2", 200);
    fake.request.add("x-request-id", "r-1");
    fake.request.add("traceparent", trace);
    fake.now.set(1_795_248_000_000_001_000);
    assert_eq!(
        record(&json!({}), fake),
        json!({
            "action": {"host": "api.example.com", "method": "GET", "path": "/things/7", "scheme": "http"},
            "actor": {"kind": "anonymous"},
            "category": "access",
            "client": {"address": "203.0.113.0/24", "user_agent": "curl/8.5"},
            "duration_us": 12345,
            "outcome": "success",
            "redacted": ["query"],
            "request": {"bytes": 0, "id": "r-1"},
            "response": {"bytes": 17, "details": "via_upstream", "status": 200},
            "route": "things",
            "schema": "portcullis.audit/v1",
            "stage": "ResponseComplete",
            "time": "2026-11-21T08:00:00.000001Z",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "type": "request",
            "upstream": "10.0.0.9:8080",
        })
    );
}

#[test]
fn the_first_rule_that_matches_says_how_much_is_recorded() {
    let rules = json!([
        {"level": "none", "paths": [{"prefix": "/healthz"}]},
        {"level": "headers", "methods": ["POST", "DELETE"], "statuses": ["2xx"]},
        {"level": "metadata", "statuses": ["4xx", "503", "none"]},
        {"level": "metadata", "routes": ["admin"]},
        {"level": "metadata", "tiers": ["enterprise"]},
        {"level": "metadata", "flags": ["DC"]},
        {"level": "metadata", "headers": ["X-Audit"]},
    ]);
    let audit = load(&json!({"rules": rules, "headers": {"request": [{"name": "content-type"}]}}));
    let level = |fake: Fake| match end(&audit, fake).1 {
        None => "none",
        Some(line) if parsed(&line)["request"].get("headers").is_some() => "headers",
        Some(_) => "metadata",
    };
    let post = |status| {
        let mut fake = answered("/things", status);
        fake.request.set(":method", "POST");
        fake.request.add("content-type", "text/plain");
        fake
    };
    let with_header = |name: &str| {
        let mut fake = answered("/things", 200);
        fake.request.add(name, "1");
        fake
    };
    let client_left = || {
        answered("/things", 200)
            .with_property("response.code_details", "downstream_remote_disconnect")
            .with_property("response.flags", (1_i64 << 14).to_le_bytes())
    };
    let without_answer = || {
        let mut fake = answered("/things", 200);
        fake.response.remove(":status");
        fake
    };
    let of = |property: &str, value: &str| answered("/things", 200).with_property(property, value);
    let in_tier =
        |tier: &str| of("portcullis.ratelimit", "allowed").with_property("portcullis.tier", tier);
    for (what, fake, expected) in [
        ("an exempt path", answered("/healthz/live", 500), "none"),
        ("a path beside it", answered("/healthzz", 404), "metadata"),
        ("a write", post(201), "headers"),
        ("a write that failed", post(404), "metadata"),
        ("another class", answered("/things", 500), "none"),
        ("a listed code", answered("/things", 503), "metadata"),
        ("no answer", without_answer(), "metadata"),
        ("a route", of("xds.route_name", "admin"), "metadata"),
        ("a tier", in_tier("enterprise"), "metadata"),
        ("another tier", in_tier("free"), "none"),
        ("a flag", client_left(), "metadata"),
        ("a header", with_header("x-audit"), "metadata"),
        ("another header", with_header("x-audits"), "none"),
    ] {
        assert_eq!(level(fake), expected, "{what}");
    }
}

#[test]
fn what_other_filters_decided_is_recorded() {
    let mut fake = answered("/things", 429)
        .with_property("portcullis.tier", "free")
        .with_property("portcullis.ratelimit", "denied:minute")
        .with_property("response.code_details", "rate_limit_quota_exceeded")
        .with_property("response.flags", 0_i64.to_le_bytes());
    fake.facts.request_id = Some("from-the-chain".into());
    fake.facts.trace_id = Some("0af7651916cd43dd8448eb211c80319c".into());
    let record = record(&json!({}), fake);
    assert_eq!(
        record["actor"],
        json!({"kind": "anonymous", "tier": "free"})
    );
    assert_eq!(record["rate_limit"], "denied:minute");
    assert_eq!(record["request"]["id"], "from-the-chain");
    assert_eq!(record["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    let ending = [&record["outcome"], &record["category"], &record["event"]];
    assert_eq!(ending, ["denied", "rate_limit", "rate_limit.denied"]);
}

#[test]
fn what_csrf_protection_found_is_asked_for_where_it_looks() {
    let of = |method: &str| {
        let mut fake = answered("/things", 403).with_property("portcullis.csrf", "refused_origin");
        fake.request.set(":method", method);
        record(&json!({}), fake)
    };
    for method in ["POST", "PUT", "PATCH", "DELETE", "get", "PROPFIND"] {
        assert_eq!(of(method)["category"], "csrf", "{method}");
    }
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(of(method)["category"], "authorization", "{method}");
    }
}

#[test]
fn the_flags_of_a_response_stand_by_their_short_names() {
    let flags = (1_i64 << 5 | 1 << 15).to_le_bytes();
    let fake = answered("/things", 503)
        .with_property(
            "response.code_details",
            "upstream_reset_before_response_started",
        )
        .with_property("response.flags", flags);
    let record = record(&json!({}), fake);
    assert_eq!(record["response"]["flags"], json!(["UF", "URX"]));
    assert_eq!(record["category"], "upstream");
}

#[test]
fn an_identity_is_recorded_as_the_hash_that_rate_limit_knows_it_by() {
    let settings = json!({"identity": [{"header": {"name": "x-api-key", "hash": true}}]});
    let with_key = || {
        let mut fake = answered("/", 200);
        fake.request.add("x-api-key", "5c1f9d0e");
        fake
    };
    let plain = record(&settings, with_key());
    // printf %s header:x-api-key:5c1f9d0e | sha256sum
    let hash = "sha256:41a9bd85e65a939a0dbdb05e84cd17c16c5282094059df71477c06a6287bd572";
    assert_eq!(plain["actor"], json!({"id": hash, "kind": "identified"}));
    let keyed = record(&keyed(settings.clone()), with_key());
    assert!(hashed(&keyed["actor"]["id"]), "{keyed}");
    assert_eq!(
        record(&settings, answered("/", 200))["actor"],
        json!({"kind": "anonymous"})
    );
}

#[test]
fn an_identity_stays_who_it_is_in_every_form_of_its_key() {
    let actor = |header: serde_json::Value, lines: &[&str]| {
        let mut fake = answered("/", 200);
        for line in lines {
            fake.request.add("x-api-key", line.as_bytes());
        }
        record(&json!({"identity": [{"header": header}]}), fake)["actor"].clone()
    };
    let credential = json!({"name": "x-api-key", "hash": true});
    let of_key = actor(credential.clone(), &["5c1f9d0e"]);
    assert_eq!(of_key["kind"], "identified");
    // rate-limit refuses what comes in two lines; where it does not stand, nobody hides by them.
    for lines in [
        &["Bearer 5c1f9d0e"][..],
        &["5c1f9d0e", "5c1f9d0e"],
        &["5c1f9d0e", "other"],
        &["bearer 5c1f9d0e", "other"],
    ] {
        assert_eq!(actor(credential.clone(), lines), of_key, "{lines:?}");
    }
    assert_eq!(actor(credential, &["", "5c1f9d0e"])["kind"], "anonymous");
    // Which of two an earlier filter set, nobody knows.
    let trusted = json!({"name": "x-api-key", "trusted": true});
    assert_eq!(actor(trusted, &["alice", "bob"])["kind"], "anonymous");
}

#[test]
fn a_verified_token_gives_subject_and_issuer() {
    let claims = || {
        answered("/", 200)
            .with_property(
                "metadata.filter_metadata.envoy.filters.http.jwt_authn.payload.sub",
                "alice",
            )
            .with_property(
                "metadata.filter_metadata.envoy.filters.http.jwt_authn.payload.iss",
                "https://id.example",
            )
    };
    let settings = json!({"jwt": {"payload_in_metadata": "payload"}});
    let actor = |settings: &Value| record(settings, claims())["actor"].clone();
    assert_eq!(
        actor(&settings),
        json!({"issuer": "https://id.example", "kind": "identified", "subject": "alice"})
    );
    let hidden = keyed(json!({"jwt": {"payload_in_metadata": "payload", "subject": "hashed"}}));
    assert!(hashed(&actor(&hidden)["subject"]));
}

#[test]
fn an_address_is_recorded_as_the_settings_say() {
    let shown = |settings: Value, address: &str| {
        let fake = answered("/", 200).with_property("source.address", address);
        record(&settings, fake)["client"]["address"].clone()
    };
    let as_ = |how: &str| json!({"client_address": how});
    for (how, address, expected) in [
        ("truncated", "203.0.113.77:1", "203.0.113.0/24"),
        ("truncated", "[2001:db8:1:2::3]:1", "2001:db8:1::/48"),
        ("full", "[2001:db8:1:2::3]:1", "2001:db8:1:2::3"),
    ] {
        assert_eq!(shown(as_(how), address), expected);
    }
    assert!(hashed(&shown(keyed(as_("hashed")), "203.0.113.77:1")));
    assert_eq!(shown(as_("off"), "203.0.113.77:1"), Value::Null);
}

#[test]
fn a_path_is_recorded_as_its_template_or_not_at_all() {
    let action = |path: Value, target: &str| {
        let record = record(&json!({"path": path}), answered(target, 200));
        (
            record["action"]["template"].clone(),
            record["action"]["path"].clone(),
            record["redacted"].clone(),
        )
    };
    let templates = json!({"templates": ["/users/{id}", "/files/{rest...}"]});
    let null = Value::Null;
    assert_eq!(
        action(templates.clone(), "/users/7"),
        (json!("/users/{id}"), null.clone(), null.clone())
    );
    assert_eq!(
        action(templates.clone(), "/other?x"),
        (null.clone(), json!("/other"), json!(["query"]))
    );
    let mut strict = templates;
    strict["unmatched"] = "omit".into();
    assert_eq!(
        action(strict, "/reset/s3cret"),
        (null.clone(), null, json!(["path"]))
    );
}

#[test]
fn only_listed_parameters_of_a_query_are_recorded() {
    let settings =
        keyed(json!({"query": [{"name": "page"}, {"name": "email", "value": "hashed"}]}));
    let query = |target: &str| {
        let record = record(&settings, answered(target, 200));
        (
            record["action"]["query"].clone(),
            record["redacted"].clone(),
        )
    };
    let (shown, redacted) = query("/x?page=2&secret=hunter2&page=3&p%61ge=4");
    assert_eq!(
        (shown, redacted),
        (json!({"page": ["2", "3"]}), json!(["query"]))
    );
    let (shown, redacted) = query("/x?email=a%40b.example&page");
    assert!(hashed(&shown["email"][0]), "{shown}");
    assert_eq!((&shown["page"], &redacted), (&json!([""]), &Value::Null));
}

#[test]
fn only_listed_headers_are_recorded_and_only_where_a_rule_says_so() {
    let settings = keyed(json!({
        "rules": [{"level": "headers", "methods": ["GET"]}, {"level": "metadata"}],
        "headers": {
            "request": [{"name": "Accept"}, {"name": "x-tenant", "value": "hashed"}, {"name": "referer"}],
            "response": [{"name": "content-type"}],
        },
    }));
    let mut fake = answered("/x", 200);
    for (name, value) in [
        ("accept", "text/html"),
        ("accept", "*/*"),
        ("x-tenant", "acme"),
        ("referer", "https://a.example/p?token=hunter2"),
        ("x-other", "hunter2"),
        ("authorization", "Bearer hunter2"),
    ] {
        fake.request.add(name, value);
    }
    fake.response.add("content-type", "text/html");
    fake.response.add("set-cookie", "sid=hunter2");
    let (_, line) = end(&load(&settings), fake);
    let line = line.unwrap();
    assert!(
        !line.contains("hunter2") && !line.contains("acme"),
        "{line}"
    );
    let record = parsed(&line);
    let headers = &record["request"]["headers"];
    assert_eq!(headers["accept"], json!(["text/html", "*/*"]));
    assert_eq!(headers["referer"], json!(["https://a.example/p"]));
    assert!(hashed(&headers["x-tenant"][0]));
    assert_eq!(
        record["response"]["headers"],
        json!({"content-type": ["text/html"]})
    );
}

#[test]
fn what_a_client_sends_cannot_break_a_record() {
    let settings = json!({
        "rules": [{"level": "headers"}],
        "headers": {"request": [{"name": "x-note"}]},
    });
    let mut fake = answered("/\"},\"outcome\":\"success\u{1}", 404);
    fake.request
        .set(":authority", b"user:hunter2@api.example.com\xff");
    fake.request.set("user-agent", [b'u'; 300]);
    fake.request.add("x-note", b"a\xffb\r\n\"\\");
    let record = record(&settings, fake);
    assert_eq!(record["action"]["path"], "/\"},\"outcome\":\"success\u{1}");
    assert_eq!(record["action"]["host"], "api.example.com\\xff");
    assert_eq!(record["outcome"], "failure");
    assert_eq!(record["client"]["user_agent"].as_str().unwrap().len(), 256);
    assert_eq!(record["redacted"], json!(["user_agent"]));
    assert_eq!(
        record["request"]["headers"]["x-note"],
        json!(["a\\xffb\r\n\"\\"])
    );
}

#[test]
fn an_id_that_breaks_the_rules_is_not_recorded() {
    for (header, value) in [
        ("x-request-id", "a b"),
        ("x-request-id", ""),
        (
            "traceparent",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        ),
        ("traceparent", "00-0af7"),
    ] {
        let mut fake = answered("/", 200);
        fake.request.add(header, value);
        let record = record(&json!({}), fake);
        let ids = [&record["request"]["id"], &record["trace_id"]];
        assert_eq!(ids, [&Value::Null, &Value::Null], "{header}: {value}");
    }
}

#[test]
fn what_is_omitted_is_not_even_asked_for() {
    let omit = json!([
        "request_bytes",
        "response_bytes",
        "upstream",
        "route",
        "user_agent"
    ]);
    let reads = |settings: &Value| {
        let (fake, line) = end(&load(settings), answered("/", 200));
        (fake.byte_reads.get(), parsed(&line.unwrap()))
    };
    let (all, _) = reads(&json!({}));
    let (few, record) = reads(&json!({"omit": omit, "client_address": "off"}));
    assert_eq!((all, few), (9, 4));
    for missing in [
        "/request/bytes",
        "/response/bytes",
        "/upstream",
        "/route",
        "/client/user_agent",
        "/client/address",
    ] {
        assert_eq!(record.pointer(missing), None, "{missing}");
    }
}

#[test]
fn records_are_counted_by_their_outcome_and_what_is_left_out_is_counted_too() {
    let audit =
        load(&json!({"rules": [{"level": "none", "methods": ["HEAD"]}, {"level": "metadata"}]}));
    let count = |fake: Fake, name: &str| {
        let (fake, _) = end(&audit, fake);
        assert_eq!(fake.counts.borrow().len(), 1);
        fake.count(name)
    };
    for (status, outcome) in [
        (200, "success"),
        (403, "denied"),
        (500, "failure"),
        (0, "aborted"),
    ] {
        let name = format!("portcullis_audit_log_records_total.outcome={outcome}.profile=default");
        assert_eq!(count(answered("/", status), &name), 1);
    }
    let mut head = answered("/", 200);
    head.request.set(":method", "HEAD");
    assert_eq!(
        count(head, "portcullis_audit_log_skipped_total.profile=default"),
        1
    );
}

#[test]
fn a_request_of_which_the_host_knows_nothing_still_has_its_record() {
    let record = record(&json!({}), Fake::default());
    assert_eq!(record["outcome"], "aborted");
    assert_eq!(record["action"], json!({}));
    assert_eq!(record["response"], json!({}));
}

#[test]
fn ids_that_were_malformed_are_an_event_known_in_the_chain_and_asked_for_elsewhere() {
    use portcullis_kit::exchange::MalformedIds;
    let state = |value: &str| answered("/", 200).with_property("portcullis.malformed_ids", value);
    let in_chain = |malformed, fake: Fake| {
        let mut fake = fake;
        fake.facts.request_id = Some("r-1".into());
        fake.facts.malformed = malformed;
        fake
    };
    let event = |settings: Value, fake| record(&settings, fake)["event"].clone();
    assert_eq!(event(json!({}), answered("/", 200)), Value::Null);
    assert_eq!(
        event(json!({}), state("trace_context")),
        "trace_context.malformed"
    );
    assert_eq!(
        event(json!({}), state("request_id,trace_context")),
        "request_id.malformed"
    );
    assert_eq!(
        event(json!({"omit": ["malformed_ids"]}), state("request_id")),
        Value::Null
    );
    let known = in_chain(Some(MalformedIds::RequestId), answered("/", 200));
    assert_eq!(event(json!({}), known), "request_id.malformed");
    let not_asked = in_chain(None, state("request_id"));
    assert_eq!(event(json!({}), not_asked), Value::Null);
}
