//! What clients see of rate-limit on a real Envoy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Response, Route, cases, http2, suite,
};
use portcullis_suites::plans::{self, Clients, KEY};
use portcullis_suites::standing::{field, members};
use serde_json::{Value, json};

const PROBLEM: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
/// HS256 tokens of issuer `test` that do not expire in our time, by this key. Their claims: `sub` user-1 and `plan` gold;
/// user-2 and lead, which is no tier; user-3 and no plan.
const JWKS: &str = r#"{"keys":[{"kty":"oct","kid":"k","alg":"HS256","k":"cG9ydGN1bGxpcy10ZXN0LWtleS1vZi0zMi1ieXRlcyE"}]}"#;
const GOLD: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsifQ.eyJpc3MiOiJ0ZXN0Iiwic3ViIjoidXNlci0xIiwicGxhbiI6ImdvbGQiLCJleHAiOjQxMDI0NDQ4MDB9.nNfXZc10vr46WjAvvu0UqbJ81JOjtffMNzEWqtPCFGQ";
const LEAD: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsifQ.eyJpc3MiOiJ0ZXN0Iiwic3ViIjoidXNlci0yIiwicGxhbiI6ImxlYWQiLCJleHAiOjQxMDI0NDQ4MDB9.PBkCvz8RA769zHFR1QzTLQfrwLQPKuEox-5pcLLEscs";
const PLAIN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsifQ.eyJpc3MiOiJ0ZXN0Iiwic3ViIjoidXNlci0zIiwiZXhwIjo0MTAyNDQ0ODAwfQ.RzxWwUNWEGcfNGfB4MptKbkmUoQbvQJRsSHdA7jZsxs";

struct Shared {
    envoy: Envoy,
    _upstream: Upstream,
}

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            every_response_says_where_the_client_stands,
            the_headers_of_each_style_say_the_same,
            a_refusal_is_a_problem_that_says_what_would_help,
            a_grpc_client_is_refused_in_its_own_terms,
            a_refused_head_has_no_body,
            a_preflight_is_never_limited,
            retry_after_is_honest,
            verified_claims_tell_identity_and_tier,
            a_redirect_that_envoy_follows_itself_counts_each_time_it_passes,
        ],
    )
}

fn jwt_authn() -> Filter {
    Filter::native(
        "envoy.filters.http.jwt_authn",
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        json!({
            "providers": {"test": {
                "issuer": "test",
                "local_jwks": {"inline_string": JWKS},
                "payload_in_metadata": "payload",
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "test"}}],
        }),
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let styles = json!({"headers": {
        "x_ratelimit": "delta", "x_ratelimit_window": "epoch", "partition_key": true,
    }});
    let envoys = json!({"headers": {"ietf": false, "envoy": true}});
    let seconds =
        json!({"tiers": {"t": {"limits": [{"name": "moment", "count": 1, "window": "2s"}]}}});
    let claims = json!({
        "identity": [{"jwt_claim": {"path": ["payload", "sub"]}}],
        "tier": {"from": [{"jwt_claim": {"path": ["payload", "plan"]}}], "default": "t", "unknown": "deny"},
    });
    let listener =
        |name: &str, change: &Value| Listener::new(name).filter(plans::filter(name, change));
    let config = Config::new(upstream.port())
        .listener(listener("main", &json!({})))
        .listener(listener("styles", &styles))
        .listener(listener("envoys", &envoys))
        .listener(listener("seconds", &seconds))
        .listener(
            listener("redirects", &json!({}))
                .route(
                    Route::prefix("/status")
                        .over(&json!({"route": {"internal_redirect_policy": {}}})),
                )
                .route(Route::prefix("/")),
        )
        .listener(
            Listener::new("claims")
                .filter(jwt_authn())
                .filter(plans::filter("claims", &claims)),
        );
    let envoy = Envoy::start("rate-limit", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared {
        envoy,
        _upstream: upstream,
    }
}

impl Clients for Shared {
    fn port(&self, listener: &str) -> u16 {
        self.envoy.port(listener)
    }
}

fn every_response_says_where_the_client_stands(shared: &Shared) {
    let targets = [
        ("/text", 200, 2),
        ("/status/404", 404, 1),
        ("/status/503", 503, 0),
        ("/text", 429, 0),
    ];
    for (target, status, left) in targets {
        let response = shared.send("main", "stands", Request::get(target));
        assert_eq!(response.status, status, "{response}");
        let policy = field(&response, "ratelimit-policy");
        assert_eq!(
            policy["minute"],
            [("q".to_owned(), 3), ("w".to_owned(), 60)].into()
        );
        assert_eq!(
            policy["day"],
            [("q".to_owned(), 100), ("w".to_owned(), 86_400)].into()
        );
        assert_eq!(policy.len(), 2);
        let stands = field(&response, "ratelimit");
        assert_eq!(stands["minute"]["r"], left, "{response}");
        assert_eq!(
            stands["day"]["r"],
            97 + left,
            "a refused request counts on no limit: {response}"
        );
        // A request counts for the window and up to a tenth more.
        assert!((1..=66).contains(&stands["minute"]["t"]), "{response}");
        assert!((1..=86_400).contains(&stands["day"]["t"]), "{response}");
        assert_eq!(response.header("retry-after").is_some(), status == 429);
    }
}

fn the_headers_of_each_style_say_the_same(shared: &Shared) {
    let number = |response: &Response, name: &str| -> i64 {
        let value = response
            .header(name)
            .unwrap_or_else(|| panic!("no {name}:\n{response}"));
        value.parse().unwrap_or_else(|_| panic!("{name}: {value}"))
    };
    let response = shared.get("styles", "styles");
    let stands = field(&response, "ratelimit");
    assert_eq!(number(&response, "x-ratelimit-limit"), 3);
    assert_eq!(
        number(&response, "x-ratelimit-remaining"),
        stands["minute"]["r"]
    );
    assert_eq!(
        number(&response, "x-ratelimit-reset"),
        stands["minute"]["t"]
    );
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64;
    for (name, limit) in [("minute", 3), ("day", 100)] {
        assert_eq!(
            number(&response, &format!("x-ratelimit-limit-{name}")),
            limit
        );
        assert_eq!(
            number(&response, &format!("x-ratelimit-remaining-{name}")),
            limit - 1
        );
        let reset = number(&response, &format!("x-ratelimit-reset-{name}"));
        assert!((reset - now - stands[name]["t"]).abs() <= 5, "{response}");
    }
    // A byte sequence, the same for the same client only, and not its key.
    let partition = |client: &str| {
        let response = shared.get("styles", client);
        let value = response.header("ratelimit").unwrap();
        assert_eq!(members(&value)["minute"]["pk"], -1, "{value}");
        let (_, key) = value.split_once(";pk=:").unwrap();
        key.split_once(':').unwrap().0.to_owned()
    };
    assert_eq!(partition("styles"), partition("styles"));
    assert_ne!(partition("styles"), partition("other styles"));

    let response = shared.get("envoys", "envoys");
    assert!(response.lines("ratelimit").is_empty(), "{response}");
    assert_eq!(
        response.header("x-ratelimit-limit").as_deref(),
        Some("3, 3;w=60;name=\"minute\", 100;w=86400;name=\"day\"")
    );
    assert_eq!(number(&response, "x-ratelimit-remaining"), 2);
    assert!((1..=66).contains(&number(&response, "x-ratelimit-reset")));
}

fn a_refusal_is_a_problem_that_says_what_would_help(shared: &Shared) {
    shared.spent("main", "refused");
    let response = shared.get("main", "refused");
    assert_eq!(response.status, 429);
    assert_eq!(
        response.header("content-type").as_deref(),
        Some("application/problem+json")
    );
    let problem = response.json();
    assert_eq!(problem["type"], PROBLEM);
    assert_eq!(problem["status"], 429);
    assert_eq!(problem["title"], "Quota exceeded");
    assert_eq!(problem["violated-policies"], json!(["minute"]));
    assert_eq!(problem["tier"], "t");
    assert_eq!(
        problem["upgrade"],
        json!({"tier": "gold", "limits": [{"policy": "minute", "quota": 9, "window": 60}], "url": plans::URL})
    );
    let retry = response.header("retry-after").unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("\"minute\"") && detail.contains(&format!("{retry} second")),
        "{detail}"
    );
    let reset = field(&response, "ratelimit")["minute"]["t"];
    assert!(retry.parse::<i64>().unwrap() >= reset.max(1), "{response}");
}

fn a_grpc_client_is_refused_in_its_own_terms(shared: &Shared) {
    shared.spent("main", "grpc");
    let call = Request::post("/pkg.Service/Method", [0; 5])
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header(KEY, "grpc");
    let response = http2::send(shared.envoy.port("main"), &call);
    assert_eq!(response.status, 200, "{response}");
    assert_eq!(
        response.header("grpc-status").as_deref(),
        Some("8"),
        "{response}"
    );
    let message = response.header("grpc-message").unwrap();
    assert!(
        message.starts_with("Limit \"minute\" of plan \"t\" is used up"),
        "{message}"
    );
    assert!(response.body.is_empty(), "{response}");
    assert_eq!(field(&response, "ratelimit")["minute"]["r"], 0);
}

fn a_refused_head_has_no_body(shared: &Shared) {
    shared.spent("main", "head");
    let request = Request::new("HEAD", "/text").header(KEY, "head");
    let mut connection = Connection::open(shared.envoy.port("main"));
    let response = connection.exchange(&request);
    assert_eq!(response.status, 429);
    assert!(response.header("retry-after").is_some(), "{response}");
    // Bytes of a body would stand in the way of the next answer.
    assert_eq!(connection.exchange(&request).status, 429);
}

fn a_preflight_is_never_limited(shared: &Shared) {
    shared.spent("main", "preflight");
    let preflight = || {
        Request::new("OPTIONS", "/text")
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "PUT")
    };
    let response = shared.send("main", "preflight", preflight());
    assert_eq!(response.status, 200, "{response}");
    assert!(response.lines("ratelimit").is_empty(), "{response}");
    let plain = shared.send("main", "preflight", Request::new("OPTIONS", "/text"));
    assert_eq!(plain.status, 429, "an OPTIONS that is no preflight counts");
}

/// The one test whose subject is time: it waits as a client does.
fn retry_after_is_honest(shared: &Shared) {
    let wait_until = |at: Instant| thread::sleep(at.saturating_duration_since(Instant::now()));
    // A machine that stands still for long makes an attempt void.
    for attempt in 0..5 {
        let client = format!("waits {attempt}");
        let get = || (shared.get("seconds", &client), Instant::now());
        let began = Instant::now();
        assert_eq!(get().0.status, 200);
        // The request leaves the window two to 2.2 seconds after it was counted, so from here it takes 1.3 to 1.5.
        wait_until(began + Duration::from_millis(700));
        let asked = Instant::now();
        let (refused, _) = get();
        assert_eq!(refused.status, 429);
        let retry: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        wait_until(asked + Duration::from_secs(retry - 1));
        let (early, early_at) = get();
        wait_until(Instant::now().max(asked + Duration::from_secs(retry)));
        let (late, _) = get();
        assert_eq!(late.status, 200, "{retry} s after {refused}");
        if early_at < began + Duration::from_secs(2) {
            assert_eq!(early.status, 429, "{} s after {refused}", retry - 1);
            assert_eq!(retry, 2);
            return;
        }
    }
    panic!("the machine is too slow to tell seconds apart");
}

fn verified_claims_tell_identity_and_tier(shared: &Shared) {
    let call = |token: &str| {
        let bearer = format!("Bearer {token}");
        let request = Request::get("/text").header("authorization", bearer);
        request.send(shared.envoy.port("claims"))
    };
    let quota = |response: &Response| field(response, "ratelimit-policy")["minute"]["q"];
    let gold = call(GOLD);
    assert_eq!((gold.status, quota(&gold)), (200, 9), "{gold}");
    let plain = call(PLAIN);
    assert_eq!((plain.status, quota(&plain)), (200, 3), "{plain}");
    assert_eq!(
        field(&call(GOLD), "ratelimit")["minute"]["r"],
        7,
        "each has a count of its own"
    );
    assert_eq!(field(&call(PLAIN), "ratelimit")["minute"]["r"], 1);
    let lead = call(LEAD);
    assert_eq!(lead.status, 403, "`unknown: deny`: {lead}");
    assert_eq!(call("x.y.z").status, 401, "Envoy did verify");
}

/// `docs/rate-limit.md` says so: the filters run again for the new target, and see another request.
fn a_redirect_that_envoy_follows_itself_counts_each_time_it_passes(shared: &Shared) {
    let target = "/status/302?header=location:http://api.example.com/text";
    let followed = shared.send("redirects", "redirected", Request::get(target));
    assert_eq!(followed.status, 200, "{followed}");
    assert_eq!(followed.text(), "hello\n");
    let stands = field(&followed, "ratelimit");
    assert_eq!(
        (stands["minute"]["r"], stands["day"]["r"]),
        (1, 98),
        "{followed}"
    );
    // One is left, which the first passing takes.
    let refused = shared.send("redirects", "redirected", Request::get(target));
    assert_eq!(refused.status, 429, "{refused}");
}
