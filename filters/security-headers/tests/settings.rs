//! Settings that cannot be meant, and what the user is told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{json, load, refuse};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn every_mistake_is_refused_with_its_path_and_advice() {
    let web_nonce = |rest: serde_json::Value| {
        let mut settings = json!({"preset": "web-nonce"});
        settings
            .as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        settings
    };
    for (settings, text) in [
        (
            json!({"presett": "api"}),
            "the top level: unknown key `presett`; did you mean `preset`?",
        ),
        (
            json!({"preset": "webnonce"}),
            "preset: `webnonce` is not one of the allowed values; did you mean `web-nonce`?",
        ),
        (
            json!({"headers": {"x y": "remove"}}),
            "headers.x y: this is no header name",
        ),
        (
            json!({"headers": {":status": "remove"}}),
            "headers.:status: this is no header name",
        ),
        (
            json!({"headers": {"x-a": {"sett": "1"}}}),
            "headers.x-a: `sett` is not one of the allowed values; did you mean `set`?",
        ),
        (
            json!({"headers": {"x-a": {"set": "a\r\nb: c"}}}),
            "headers.x-a.set: '\\r' cannot stand",
        ),
        (
            json!({"headers": {"x-a": {"set": ""}}}),
            "headers.x-a.set: the value is empty",
        ),
        (
            json!({"headers": {"x-a": {"set": "1"}, "X-A": "remove"}}),
            "headers: `x-a` is given twice",
        ),
        (
            json!({"headers": {"x-frame-options": {"set": "ALLOWALL"}}}),
            "headers.x-frame-options.set: `ALLOWALL` is not one of the allowed values; allowed: DENY, SAMEORIGIN",
        ),
        (
            json!({"headers": {"x-frame-options": {"append": "DENY"}}}),
            "headers.x-frame-options.append: this header has one value",
        ),
        (
            json!({"headers": {"Content-Security-Policy": "remove"}}),
            "headers.Content-Security-Policy: this header has settings of its own; write them under `csp`",
        ),
        (
            json!({"headers": {"strict-transport-security": "off"}}),
            "write them under `hsts`",
        ),
        (
            json!({"headers": {"set-cookie": "remove"}}),
            "write them under `cookies`",
        ),
        (
            json!({"headers": {"access-control-allow-origin": {"set": "*"}}}),
            "headers.access-control-allow-origin: CORS headers are the business of",
        ),
        (
            json!({"headers": {"content-length": "remove"}}),
            "headers.content-length: this header says how the message is sent",
        ),
        (
            json!({"headers": {"vary": {"set": "accept"}}}),
            "headers.vary: a cache that misses",
        ),
        (
            json!({"headers": {"vary": {"append": "a b"}}}),
            "headers.vary.append: this is no header name",
        ),
        (
            json!({"csp": {"set": "default-src self"}}),
            "csp.set: `self` without quotes",
        ),
        (
            json!({"csp": {"merge": "defaultsrc 'self'"}}),
            "csp.merge: `defaultsrc` is not one of the allowed values; did you mean `default-src`?",
        ),
        (
            json!({"csp": {"append": "x"}}),
            "csp: `append` is not one of the allowed values",
        ),
        (
            web_nonce(json!({"csp": {"set": "default-src 'self'"}})),
            "csp.set: preset web-nonce needs",
        ),
        (
            web_nonce(json!({"headers": {"cache-control": {"set": "public"}}})),
            "headers.cache-control: a nonce must not be served twice",
        ),
        (
            web_nonce(json!({"headers": {"cache-control": "off"}})),
            "headers.cache-control: a nonce",
        ),
        (
            web_nonce(json!({"headers": {"cdn-cache-control": {"default": "x"}}})),
            "headers.cdn-cache-control: a nonce",
        ),
        (
            json!({"hsts": {"preload": true, "max_age": 31_535_999}}),
            "hsts.preload: the preload list demands a max_age of at least 31536000",
        ),
        (
            json!({"hsts": {"preload": true, "include_subdomains": false}}),
            "hsts.preload: the preload list demands `include_subdomains: true`",
        ),
        (
            json!({"hsts": {"max_age": -1}}),
            "hsts.max_age: -1 is out of range",
        ),
        (
            json!({"report_only": {}}),
            "report_only: `endpoint` is missing",
        ),
        (
            json!({"report_only": {"endpoint": "http://r"}}),
            "report_only.endpoint: browsers report to `https://` URLs only",
        ),
        (
            json!({"report_only": {"endpoint": "/r", "name": "A"}}),
            "report_only.name: an endpoint's name",
        ),
        (
            json!({"report_only": {"endpoint": "/r", "policies": ["coop", "coop"]}}),
            "report_only.policies[1]: `coop` is given twice",
        ),
        (
            json!({"report_only": {"endpoint": "/r", "policies": []}}),
            "report_only: there is no such policy",
        ),
        (
            json!({"report_only": {"endpoint": "/r", "policies": ["coop", "csp"]}, "csp": "off"}),
            "report_only.policies[1]: there is no such policy",
        ),
        (
            json!({"report_only": {"endpoint": "/r"}, "preset": "off"}),
            "report_only: there is no such policy",
        ),
        (
            json!({"report_only": {"endpoint": "/r"}, "csp": {"set": "sandbox"}}),
            "csp.set: there is no such policy",
        ),
        (
            json!({"leaks": {"keep": ["x-own"]}}),
            "leaks.keep[0]: this name is not on the list",
        ),
        (
            json!({"leaks": {"list": "off", "keep": ["server"]}}),
            "leaks.keep[0]: no list is applied",
        ),
        (
            json!({"leaks": {"keep": ["server"], "remove": ["Server"]}}),
            "leaks.remove[0]: this name stands under `keep`",
        ),
        (
            json!({"leaks": {"remove": ["x-a"]}, "headers": {"x-a": {"set": "1"}}}),
            "leaks.remove[0]: this name also stands under `headers`",
        ),
        (
            json!({"leaks": {"remove": ["set-cookie"]}}),
            "leaks.remove[0]: this header has settings of its own",
        ),
        (
            json!({"leaks": {"remove": ["connection"]}}),
            "leaks.remove[0]: this header says how",
        ),
        (
            json!({"leaks": {"remove": ["vary"]}}),
            "leaks.remove[0]: a cache that misses",
        ),
        (
            json!({"leaks": {"remove": ["access-control-allow-origin"]}}),
            "leaks.remove[0]: CORS headers",
        ),
        (
            json!({"cookies": {"secure": {"only": []}}}),
            "cookies.secure.only: the list is empty",
        ),
        (
            json!({"cookies": {"http_only": {"except": ["a", "a b"]}}}),
            "cookies.http_only.except[1]: this is no cookie name",
        ),
        (
            json!({"cookies": {"same_site": {"only": ["a", "a"]}}}),
            "cookies.same_site.only[1]: `a` is given twice",
        ),
        (
            json!({"clear_site_data": ["all", "cache"]}),
            "clear_site_data[0]: `all` includes the others",
        ),
        (
            json!({"clear_site_data": ["cache", "cache"]}),
            "clear_site_data[1]: `\"cache\"` is given twice",
        ),
        (
            json!({"clear_site_data": ["cookie"]}),
            "clear_site_data[0]: `cookie` is not one of the allowed values; did you mean `cookies`?",
        ),
        (
            json!({"csrf": {"trusted_origins": ["https://*.example.com"]}}),
            "csrf.trusted_origins[0]: `*` is no origin",
        ),
        (
            json!({"csrf": {"trusted_origins": ["https://a.example", "https://A.example:443"]}}),
            "csrf.trusted_origins[1]: `https://a.example` is given twice",
        ),
        (
            json!({"csrf": {"mode": "off", "trusted_origins": ["a.example"]}}),
            "csrf.trusted_origins[0]: an origin starts with its scheme",
        ),
        (
            json!({"cors": {"allowed_origins": ["null"]}}),
            "cors.allowed_origins[0]: `null` is what every",
        ),
        (
            json!({"cors": {"allowed_origins": ["https://a.example/"]}}),
            "cors.allowed_origins[0]: an origin ends after",
        ),
        (
            json!({"profiles": {"x": {"hsts": {"preload": true, "max_age": 1}}}}),
            "profiles.x.hsts.preload: the preload list",
        ),
    ] {
        let found = refuse(settings.clone());
        assert!(
            found.contains(text),
            "{settings}\n  found    {found}\n  expected {text}"
        );
    }
}

#[test]
fn settings_that_can_be_meant_load() {
    for settings in [
        json!({}),
        json!({"preset": "web", "hsts": {"preload": true}}),
        json!({"preset": "web-nonce", "csp": "off"}),
        json!({"preset": "web-nonce", "csp": {"merge": "img-src 'self'"}}),
        json!({"preset": "web-nonce", "headers": {"cache-control": {"set": "no-store"}}}),
        json!({"preset": "web-nonce", "report_only": {"endpoint": "/r", "policies": ["csp"]}}),
        json!({"headers": {"cross-origin-opener-policy": {"set": "same-origin; report-to=\"x\""}}, "report_only": {"endpoint": "/r"}}),
        json!({"csrf": {"trusted_origins": ["https://a.example"]}, "profiles": {"open": {"csrf": {"mode": "off"}}}}),
        json!({"csp": {"set": "sandbox"}, "profiles": {"x": {"csp": {"set": null, "merge": "img-src *"}}}}),
        json!({"leaks": {"remove": ["server", "x-own", "X-Own"]}}),
    ] {
        load(settings);
    }
}
