//! Which form an error has on a real Envoy: the route's profile and what the client accepts decide.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::process::ExitCode;

use portcullis_harness::upstream::Upstream;
use portcullis_harness::{Config, Envoy, Filter, Listener, Request, Response, Route, cases, suite};
use serde_json::{Value, json};

struct Shared {
    _upstream: Upstream,
    envoy: Envoy,
}

fn main() -> ExitCode {
    suite::run(start, cases![each_route_has_its_profile])
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let settings = json!({
        "formats": ["json"],
        "profiles": {
            "pages": {"formats": ["json", "html", "markdown"], "languages": ["en", "de"]},
            "kept": {"mode": "off"},
        },
    });
    let profiled = |prefix: &str, profile: Value| {
        Route::prefix(prefix)
            .over(&json!({"route": {"prefix_rewrite": "/"}}))
            .profile(&profile)
    };
    let config = Config::new(upstream.port())
        .listener(
            Listener::new("separate")
                .route(Route::prefix("/"))
                .filter(Filter::wasm(
                    "problem_json",
                    json!({"reply_headers": "api"}),
                )),
        )
        .listener(
            Listener::new("profiles")
                .route(profiled("/pages/", json!({"profile": "pages"})))
                .route(profiled("/kept/", json!({"problem-json": "kept"})))
                .route(Route::prefix("/"))
                .filter(Filter::wasm("problem_json", settings)),
        );
    let envoy =
        Envoy::start("problem-json-profiles", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared {
        _upstream: upstream,
        envoy,
    }
}

fn each_route_has_its_profile(shared: &Shared) {
    let port = shared.envoy.port("profiles");
    let browser = |target: &str| {
        Request::get(target)
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("accept-language", "de-AT, en;q=0.5")
            .header("sec-fetch-mode", "navigate")
            .send(port)
    };
    let kind = |response: &Response| response.header("content-type").unwrap_or_default();
    let page = browser("/pages/status/404");
    assert_eq!(kind(&page), "text/html; charset=utf-8", "{page}");
    assert_eq!(page.header("content-language").as_deref(), Some("de"));
    assert!(page.text().contains("Nicht gefunden"), "{page}");
    let json = browser("/status/404");
    assert_eq!(kind(&json), "application/problem+json");
    assert_eq!(json.header("vary"), None);
    let kept = browser("/kept/status/404");
    assert!(!kind(&kept).contains("problem"), "{kept}");
    for (accept, expected) in [
        ("*/*", "application/problem+json"),
        ("application/json", "application/problem+json"),
        ("application/xml", "application/problem+json"),
        ("text/markdown", "text/markdown; charset=utf-8"),
        ("text/html;q=0", "application/problem+json"),
        ("application/vnd.x+json", "application/problem+json"),
        ("nonsense", "application/problem+json"),
    ] {
        let response = Request::get("/pages/status/500")
            .header("accept", accept)
            .send(port);
        assert_eq!(kind(&response), expected, "{accept}: {response}");
    }
    let port = shared.envoy.port("separate");
    let xml = Request::get("/status/500")
        .header("accept", "application/xml")
        .send(port);
    assert_eq!(kind(&xml), "application/problem+xml", "{xml}");
    assert!(xml.text().contains("urn:ietf:rfc:7807"));
}
