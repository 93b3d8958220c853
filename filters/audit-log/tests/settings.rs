//! Settings that cannot be meant, and what the user is told; settings that are right.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::{load, refused};
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn a_rule_that_is_never_asked_is_refused() {
    let all = "rules[0]: this rule matches every request";
    let hidden = "rules[1]: `rules[0]` matches all that this rule matches";
    for (rules, text) in [
        (json!([]), "rules: the list is empty"),
        (
            json!([{"level": "metadata"}, {"level": "none", "methods": ["GET"]}]),
            all,
        ),
        (
            json!([{"level": "none", "methods": ["GET", "HEAD"]}, {"level": "metadata", "methods": ["GET"], "statuses": ["404"]}]),
            hidden,
        ),
        (
            json!([{"level": "none", "statuses": ["4xx"]}, {"level": "metadata", "statuses": ["404", "403"]}]),
            hidden,
        ),
        (
            json!([{"level": "none", "paths": [{"prefix": "/v1"}]}, {"level": "metadata", "paths": [{"exact": "/v1/a"}, {"prefix": "/v1/b"}]}]),
            hidden,
        ),
        (
            json!([{"level": "none", "flags": ["DC", "UF"]}, {"level": "metadata", "flags": ["UF"]}]),
            hidden,
        ),
        (
            json!([{"level": "none", "headers": ["x-a"]}, {"level": "metadata", "headers": ["X-A"]}]),
            hidden,
        ),
        (
            json!([{"level": "none", "tiers": ["a"]}, {"level": "metadata", "tiers": ["a"], "routes": ["r"]}]),
            hidden,
        ),
    ] {
        refused(&json!({"rules": rules}), text);
    }
    for reached in [
        json!([{"level": "none", "methods": ["GET"]}, {"level": "metadata", "methods": ["GET", "POST"]}]),
        json!([{"level": "none", "paths": [{"prefix": "/v1"}]}, {"level": "metadata", "paths": [{"exact": "/v10"}]}]),
        json!([{"level": "none", "statuses": ["404"]}, {"level": "metadata", "statuses": ["4xx"]}]),
        json!([{"level": "none", "statuses": ["none"]}, {"level": "metadata", "statuses": ["5xx"]}]),
        json!([{"level": "none", "flags": ["DC"]}, {"level": "metadata", "flags": ["DC", "UF"]}]),
        json!([{"level": "none", "methods": ["GET"], "tiers": ["a"]}, {"level": "metadata", "methods": ["GET"]}]),
        json!([{"level": "none", "methods": ["GET"]}, {"level": "metadata"}]),
    ] {
        load(&json!({"rules": reached}));
    }
}

#[test]
fn what_a_rule_names_is_there() {
    for (rule, text) in [
        (json!({}), "rules[0]: `level` is missing"),
        (
            json!({"methods": ["get"]}),
            "rules[0].methods[0]: not a method",
        ),
        (
            json!({"statuses": ["6xx"]}),
            "rules[0].statuses[0]: `6xx` is no status",
        ),
        (
            json!({"statuses": ["099"]}),
            "rules[0].statuses[0]: `099` is no status",
        ),
        (
            json!({"statuses": ["+404"]}),
            "rules[0].statuses[0]: `+404` is no status",
        ),
        (
            json!({"flags": ["UFX"]}),
            "rules[0].flags[0]: `UFX` is no response flag; did you mean",
        ),
        (
            json!({"routes": [""]}),
            "rules[0].routes[0]: the name is empty",
        ),
        (
            json!({"tiers": [""]}),
            "rules[0].tiers[0]: the name is empty",
        ),
        (
            json!({"headers": ["x y"]}),
            "rules[0].headers[0]: not a header name",
        ),
        (
            json!({"paths": [{"prefix": "v1"}]}),
            "rules[0].paths[0].prefix: a path starts with",
        ),
    ] {
        let mut rule = rule;
        if !rule.as_object().unwrap().is_empty() {
            rule["level"] = "metadata".into();
        }
        refused(&json!({"rules": [rule]}), text);
    }
}

#[test]
fn what_carries_credentials_is_not_listed() {
    let headers = |list: &str, name: &str, value: &str| {
        json!({
            "rules": [{"level": "headers"}],
            "hmac_key": {"id": "k", "secret": {"env": "AUDIT_KEY"}},
            "headers": {list: [{"name": name, "value": value}]},
        })
    };
    for name in [
        "authorization",
        "Cookie",
        "set-cookie",
        "x-api-key",
        "x-csrf-token",
    ] {
        for (list, value) in [("request", "plain"), ("response", "hashed")] {
            let text = format!(
                "headers.{list}[0].name: `{}` carries credentials",
                name.to_lowercase()
            );
            refused(&headers(list, name, value), &text);
        }
    }
    for name in ["access_token", "code", "password"] {
        let text = format!("query[0].name: a parameter `{name}` carries a secret");
        refused(&json!({"query": [{"name": name}]}), &text);
    }
}

#[test]
fn lists_are_used_and_say_each_name_once() {
    let headers = json!({"request": [{"name": "accept"}]});
    for (settings, text) in [
        (
            json!({"headers": headers}),
            "headers: no rule has `level: headers`",
        ),
        (
            json!({"rules": [{"level": "headers"}]}),
            "rules[0].level: no headers are listed",
        ),
        (
            json!({"rules": [{"level": "headers"}], "headers": {"request": [{"name": "a"}, {"name": "A"}]}}),
            "headers.request[1].name: this name is in the list already",
        ),
        (
            json!({"rules": [{"level": "headers"}], "headers": {"response": [{"name": "a b"}]}}),
            "headers.response[0].name: not a header name",
        ),
        (
            json!({"query": [{"name": "a&b"}]}),
            "query[0].name: a parameter's name has",
        ),
        (
            json!({"query": [{"name": "a"}, {"name": "a"}]}),
            "query[1].name: this name is in the list",
        ),
        (
            json!({"omit": ["route", "route"]}),
            "omit[1]: this part is in the list already",
        ),
        (
            json!({"path": {"templates": ["users"]}}),
            "path.templates[0]: not a path template",
        ),
        (
            json!({"path": {"templates": ["/a", "/a"]}}),
            "path.templates[1]: this name is in the list",
        ),
        (
            json!({"path": {"unmatched": "omit"}}),
            "path.unmatched: with no `templates`",
        ),
        (json!({"sinks": []}), "sinks: the list is empty"),
        (
            json!({"sinks": [{"log": {}}, {"log": {}}]}),
            "sinks[1]: there is a sink of this kind",
        ),
    ] {
        refused(&settings, text);
    }
}

#[test]
fn a_hash_has_a_key_and_a_key_has_a_use() {
    let key = |id: &str, env: &str| json!({"id": id, "secret": {"env": env}});
    let with = |key: Value| json!({"client_address": "hashed", "hmac_key": key});
    for (settings, text) in [
        (
            json!({"client_address": "hashed"}),
            "client_address: a hash without a key",
        ),
        (
            json!({"query": [{"name": "a", "value": "hashed"}]}),
            "query[0].value: a hash without a key",
        ),
        (
            json!({"jwt": {"payload_in_metadata": "p", "subject": "hashed"}}),
            "jwt.subject: a hash without a key",
        ),
        (
            json!({"hmac_key": key("k", "AUDIT_KEY")}),
            "hmac_key: nothing is hashed with it",
        ),
        (with(key("k 1", "AUDIT_KEY")), "hmac_key.id: a key id has"),
        (
            with(key("k", "NOWHERE")),
            "hmac_key.secret.env: the environment variable `NOWHERE`",
        ),
        (
            with(key("k", "SHORT")),
            "hmac_key.secret: the key has 5 bytes and needs 32",
        ),
    ] {
        refused(&settings, text);
    }
    load(&with(key("k", "AUDIT_KEY")));
    load(
        &json!({"identity": [{"header": {"name": "x-key", "hash": true}}], "hmac_key": key("k", "AUDIT_KEY")}),
    );
}

#[test]
fn an_identity_is_a_clients_and_not_an_addresss() {
    for (settings, text) in [
        (
            json!({"identity": [{"client_address": {}}]}),
            "identity[0]: an address alone",
        ),
        (
            json!({"identity": [{"header": {"name": "x-key"}}]}),
            "identity[0].header: any client can send this header",
        ),
        (
            json!({"identity": [{"header": {"name": "x-key", "hash": true, "listed_only": true}}]}),
            "identity[0].header.listed_only: audit-log lists no keys",
        ),
        (
            json!({"jwt": {"payload_in_metadata": ""}}),
            "jwt.payload_in_metadata: the name is empty",
        ),
    ] {
        refused(&settings, text);
    }
}

#[test]
fn a_stage_is_left_out_only_where_it_is_recorded_and_another_one_is_left() {
    let rules = |rule: Value, over: &Value| {
        let mut settings = json!({"rules": [rule, {"level": "metadata"}]});
        for (key, value) in over.as_object().unwrap() {
            settings[key] = value.clone();
        }
        settings
    };
    let waits = json!({"fail_closed": {}});
    let (received, complete) = ("RequestReceived", "ResponseComplete");
    for (rule, over, text) in [
        (
            json!({"level": "none", "methods": ["GET"], "omit_stages": [received]}),
            &waits,
            "rules[0].omit_stages[0]: a rule with `level: none`",
        ),
        (
            json!({"level": "metadata", "methods": ["GET"], "omit_stages": [received, complete]}),
            &waits,
            "rules[0].omit_stages[1]: with this the rule records nothing",
        ),
        (
            json!({"level": "metadata", "methods": ["GET"], "omit_stages": [received, received]}),
            &waits,
            "rules[0].omit_stages[1]: this part is in the list already",
        ),
        (
            json!({"level": "metadata", "statuses": ["5xx"], "omit_stages": [received]}),
            &waits,
            "rules[0].omit_stages[0]: `statuses`, `flags` and `tiers` are known at the end only, so at RequestReceived",
        ),
        (
            json!({"level": "metadata", "flags": ["UF"], "omit_stages": [complete]}),
            &waits,
            "rules[0].omit_stages[0]: `statuses`, `flags` and `tiers` are known at the end only, so with this",
        ),
        (
            json!({"level": "metadata", "methods": ["GET"], "omit_stages": [complete]}),
            &json!({}),
            "rules[0].omit_stages[0]: without `fail_closed` there is no other stage",
        ),
        (
            json!({"level": "metadata", "methods": ["GET"], "omit_stages": [received]}),
            &json!({"profiles": {"a": {"client_address": "off"}}}),
            "rules[0].omit_stages: RequestReceived is recorded only where",
        ),
        (
            json!({"level": "metadata", "methods": ["GET"], "omit_stages": ["ResponseStarted"]}),
            &waits,
            "rules[0].omit_stages[0]: ",
        ),
    ] {
        refused(&rules(rule, over), text);
    }
    for (rule, over) in [
        (
            json!({"level": "metadata", "methods": ["GET"], "omit_stages": [complete]}),
            &waits,
        ),
        (
            json!({"level": "metadata", "methods": ["GET"], "omit_stages": [received]}),
            &json!({"profiles": {"a": {"fail_closed": {}}}}),
        ),
    ] {
        load(&rules(rule, over));
    }
}

#[test]
fn requests_wait_only_where_a_record_is_made_and_can_be_acknowledged() {
    for (settings, text) in [
        (
            json!({"fail_closed": {}, "rules": [{"level": "metadata", "statuses": ["5xx"]}]}),
            "fail_closed: no rule records anything before a request goes on",
        ),
        (
            json!({"fail_closed": {}, "rules": [{"level": "none"}]}),
            "fail_closed: no rule records anything before a request goes on",
        ),
        (
            json!({"fail_closed": {"exempt": [{"exact": "/a"}, {"prefix": "/"}]}}),
            "fail_closed.exempt[1]: this exempts every request",
        ),
        (
            json!({"fail_closed": {"exempt": [{"exact": "a"}]}}),
            "fail_closed.exempt[0].exact: a path starts with `/`",
        ),
        (
            json!({"fail_closed": {"timeout_ms": 49}}),
            "fail_closed.timeout_ms: 49",
        ),
        (
            json!({"fail_closed": {"max_waiting": 0}}),
            "fail_closed.max_waiting: 0",
        ),
        (
            json!({"sinks": [{"log": {}}, {"webhook": {"cluster": "a"}}], "delivery": {"queue": {"overflow": "deny"}}}),
            "delivery.queue.overflow: the proxy's log takes every record",
        ),
    ] {
        refused(&settings, text);
    }
    load(&json!({"fail_closed": {}, "profiles": {"open": {"fail_closed": null}}}));
    load(
        &json!({"sinks": [{"webhook": {"cluster": "a"}}], "delivery": {"queue": {"overflow": "deny"}}}),
    );
}
