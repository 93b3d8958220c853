//! Clients behind Envoy's api_key_auth: who authenticates by a key counts for that key, however it is sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::upstream::Upstream;
use portcullis_harness::{Config, Envoy, Filter, Listener, Request, cases, suite};
use portcullis_kit::identity::Identity;
use portcullis_suites::plans;
use serde_json::{Value, json};

const HEADER: &str = "x-api-key";
/// Each test has a key of its own: what the others counted is not its client's.
const KEYS: [&str; 7] = [
    "key-twice",
    "key-after",
    "key-first",
    "key-tier",
    "key-bearer",
    "key-listed",
    "key-forwarded",
];

struct Shared {
    envoy: Envoy,
    _upstream: Upstream,
}

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            a_key_that_is_sent_twice_is_no_way_around_its_limit,
            a_key_that_is_sent_twice_is_no_way_around_its_tier,
            a_key_with_and_without_its_scheme_is_one_client,
            the_client_that_api_key_auth_names_is_one_wherever_its_key_stands,
            a_password_with_and_without_padding_is_one_client,
        ],
    )
}

/// Envoy's own filter, with all keys; each names a client as itself with `client-` before it.
fn api_key_auth(sources: Value, forwarding: Value) -> Filter {
    let credentials: Vec<Value> = KEYS
        .iter()
        .map(|key| json!({"key": key, "client": format!("client-{key}")}))
        .collect();
    let mut config = json!({"credentials": credentials, "key_sources": sources});
    if !forwarding.is_null() {
        config["forwarding"] = forwarding;
    }
    Filter::native(
        "envoy.filters.http.api_key_auth",
        "envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
        config,
    )
}

/// Two a minute for each client; a client without a key has an address, and as many.
fn limited(namespace: &str, identity: Value, change: &Value) -> Filter {
    let mut settings = plans::settings(&json!([{"name": "minute", "count": 2, "window": "1m"}]));
    settings["namespace"] = namespace.into();
    settings["identity"] = json!([identity, {"client_address": {}}]);
    for (key, value) in change.as_object().unwrap() {
        settings[key] = value.clone();
    }
    Filter::wasm("rate_limit", settings)
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let hash = |key: &str| {
        let identity = Identity {
            bytes: key.into(),
            ..Identity::unknown()
        };
        let digest = identity.hash();
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let key = json!({"header": {"name": HEADER, "hash": true}});
    let listed = json!({"header": {"name": HEADER, "hash": true, "listed_only": true}});
    let one = json!({"tiers": {
        "t": {"limits": [{"name": "minute", "count": 2, "window": "1m"}]},
        "one": {"limits": [{"name": "minute", "count": 1, "window": "1m"}]},
    }});
    let mut tier = one.clone();
    tier["tier"] = json!({"default": "t", "from": [
        {"api_keys": {"header": HEADER, "keys": {hash("key-tier"): "one"}}},
    ]});
    let mut keys = one.clone();
    keys["tier"] = json!({"default": "t", "from": [
        {"api_keys": {"header": HEADER, "keys": {hash("key-listed"): "one"}}},
    ]});
    let by = |header: &str| api_key_auth(json!([{"header": header}]), Value::Null);
    let listener =
        |name: &str, auth: Filter, limit: Filter| Listener::new(name).filter(auth).filter(limit);
    let anywhere = api_key_auth(
        json!([{"header": HEADER}, {"query": "key"}, {"cookie": "key"}]),
        json!({"header": "x-client", "hide_credentials": true}),
    );
    // The password is `test1`.
    let basic = Filter::native(
        "envoy.filters.http.basic_auth",
        "envoy.extensions.filters.http.basic_auth.v3.BasicAuth",
        json!({"users": {"inline_string": "user1:{SHA}tESsBmE/yNY3lb6a0L6vVQEZNqw="}}),
    );
    let named = json!({"header": {"name": "x-client", "trusted": true}});
    let bearer = json!({"header": {"name": "authorization", "hash": true}});
    let config = Config::new(upstream.port())
        .listener(listener(
            "keys",
            by(HEADER),
            limited("keys", key.clone(), &json!({})),
        ))
        .listener(listener("tiers", by(HEADER), limited("tiers", key, &tier)))
        .listener(listener(
            "listed",
            by(HEADER),
            limited("listed", listed, &keys),
        ))
        .listener(listener(
            "bearers",
            by("authorization"),
            limited("bearers", bearer.clone(), &json!({})),
        ))
        .listener(listener(
            "passwords",
            basic,
            limited("passwords", bearer, &json!({})),
        ))
        .listener(listener(
            "anywhere",
            anywhere,
            limited("anywhere", named, &json!({})),
        ));
    let envoy = Envoy::start("rate-limit-keys", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared {
        envoy,
        _upstream: upstream,
    }
}

impl Shared {
    /// What becomes of a request with these lines.
    fn status(&self, listener: &str, lines: &[(&str, &str)]) -> u16 {
        self.to(listener, "/text", lines)
    }

    fn to(&self, listener: &str, target: &str, lines: &[(&str, &str)]) -> u16 {
        let request = lines
            .iter()
            .fold(Request::get(target), |request, (name, value)| {
                request.header(*name, *value)
            });
        request.send(self.envoy.port(listener)).status
    }
}

fn a_key_that_is_sent_twice_is_no_way_around_its_limit(shared: &Shared) {
    let status = |lines: &[&str]| {
        let lines: Vec<_> = lines.iter().map(|value| (HEADER, *value)).collect();
        shared.status("keys", &lines)
    };
    for (key, lines) in [
        ("key-twice", ["key-twice", "key-twice"]),
        ("key-first", ["key-first", "foo"]),
    ] {
        assert_eq!([(); 3].map(|()| status(&[key])), [200, 200, 429], "{key}");
        assert_eq!([(); 3].map(|()| status(&lines)), [400; 3], "{lines:?}");
    }
    // api_key_auth looks at the first line.
    assert_eq!(status(&["foo", "key-after"]), 401);
    let lines = [(HEADER, "key-after"), (HEADER, "foo")];
    let request = lines
        .iter()
        .fold(Request::get("/text"), |request, (name, value)| {
            request.header(*name, *value)
        });
    let refused = request.send(shared.envoy.port("keys"));
    assert_eq!(refused.json()["status"], 400, "{refused}");
    let detail = refused.json()["detail"].to_string();
    assert!(detail.contains(HEADER), "{refused}");
    assert!(!detail.contains("key-after"), "{refused}");
    assert_eq!(
        [(); 3].map(|()| status(&["key-after"])),
        [200, 200, 429],
        "what was refused counts nowhere"
    );
}

fn a_key_that_is_sent_twice_is_no_way_around_its_tier(shared: &Shared) {
    let twice = [(HEADER, "key-tier"); 2];
    assert_eq!(shared.status("tiers", &twice), 400);
    assert_eq!(
        [(); 2].map(|()| shared.status("tiers", &twice[..1])),
        [200, 429]
    );
    assert_eq!(shared.status("tiers", &twice), 400);
}

/// api_key_auth takes `Bearer KEY` for `KEY`, in whatever header.
fn a_key_with_and_without_its_scheme_is_one_client(shared: &Shared) {
    let bearers = |value: &str| shared.status("bearers", &[("authorization", value)]);
    assert_eq!(bearers("Bearer key-bearer"), 200);
    assert_eq!(bearers("key-bearer"), 200);
    assert_eq!(bearers("Bearer key-bearer"), 429);
    assert_eq!(bearers("key-bearer"), 429);
    // A listed key is listed in both spellings.
    let listed = |value: &str| shared.status("listed", &[(HEADER, value)]);
    assert_eq!(listed("key-listed"), 200);
    assert_eq!(listed("Bearer key-listed"), 429);
}

fn the_client_that_api_key_auth_names_is_one_wherever_its_key_stands(shared: &Shared) {
    let key = "key-forwarded";
    let to = |target: &str, lines: &[(&str, &str)]| shared.to("anywhere", target, lines);
    assert_eq!(to("/text", &[(HEADER, key)]), 200);
    assert_eq!(to("/text?key=key-forwarded", &[]), 200);
    assert_eq!(to("/text", &[("cookie", "key=key-forwarded")]), 429);
    let forged = [(HEADER, key), ("x-client", "other"), ("x-client", "more")];
    assert_eq!(to("/text", &forged), 429, "the client's own is removed");
    assert_eq!(to("/text", &[(HEADER, key), (HEADER, key)]), 429);
}

/// basic_auth takes base64 with and without its `=`.
fn a_password_with_and_without_padding_is_one_client(shared: &Shared) {
    let status = |value: &str| shared.status("passwords", &[("authorization", value)]);
    assert_eq!(status("Basic dXNlcjE6dGVzdDE="), 200);
    assert_eq!(status("Basic dXNlcjE6dGVzdDE"), 200);
    assert_eq!(status("Basic dXNlcjE6dGVzdDE="), 429);
    assert_eq!(status("Basic dXNlcjE6dGVzdDE"), 429);
    assert_eq!(status("Basic dXNlcjE6dGVzdDI="), 401, "another password");
}
