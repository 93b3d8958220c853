//! What a preset of security-headers does to a response, for replies that no other plugin sees.
//!
//! Rare, so it is compiled to be small.

use crate::Headers;
use crate::cookies::{self, Rules};
use crate::headers::is_safe_value;
use crate::leaks;
use crate::presets::Preset;

const CSP: &str = "content-security-policy";
const HSTS: &str = "strict-transport-security";
const SET_COOKIE: &str = "set-cookie";
const VARY: &str = "vary";
const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const ALLOW_CREDENTIALS: &str = "access-control-allow-credentials";

/// Does to these headers what security-headers does by default with that preset. `tls` is asked at most once.
#[inline(never)]
pub fn protect(preset: Preset, headers: &mut Headers, tls: &dyn Fn() -> bool) {
    for header in preset.headers() {
        if header.replaces || !headers.contains(header.name) {
            headers.set(header.name, header.value);
        }
    }
    if let Some(policy) = preset.csp().filter(|_| !headers.contains(CSP)) {
        headers.set(CSP, policy);
    }
    if !preset.protects() {
        return;
    }
    leaks::all().for_each(|name| headers.remove(name));
    let hsts = !headers.contains(HSTS);
    let tls = (hsts || headers.contains(SET_COOKIE)) && tls();
    if hsts && tls {
        headers.set(HSTS, "max-age=63072000; includeSubDomains");
    }
    harden_cookies(tls, headers);
    repair_cors(headers);
}

/// Each cookie stays, with the attributes that it lacks.
fn harden_cookies(tls: bool, headers: &mut Headers) {
    let lines: Vec<Vec<u8>> = headers
        .get_all(SET_COOKIE)
        .filter(|line| is_safe_value(line))
        .map(|line| cookies::harden(line, tls, &Rules::ALL).unwrap_or_else(|| line.to_vec()))
        .collect();
    headers.remove(SET_COOKIE);
    for line in lines {
        headers.add(SET_COOKIE, line);
    }
}

/// A response for one origin says so, and one for any sends no credentials (Fetch Standard §3.3).
fn repair_cors(headers: &mut Headers) {
    let (any, trusted) = {
        let mut origins = headers.get_all(ALLOW_ORIGIN).map(<[u8]>::trim_ascii);
        let Some(origin) = origins.next() else {
            return;
        };
        let single = origins.next().is_none();
        let any = single && origin == b"*";
        (any, single && !any && origin != b"null")
    };
    let named = headers
        .get_all(VARY)
        .flat_map(|line| line.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"));
    if !trusted {
        headers.remove(ALLOW_CREDENTIALS);
    }
    if !any && !named {
        headers.add(VARY, "Origin");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protected(preset: Preset, tls: bool, lines: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::from_lines(lines.iter().copied());
        protect(preset, &mut headers, &|| tls);
        headers
    }

    fn lines(headers: &Headers, name: &str) -> Vec<String> {
        let lines = headers.get_all(name);
        lines
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn a_preset_adds_what_is_missing_and_removes_what_leaks() {
        let given = [("x-frame-options", "SAMEORIGIN"), ("server", "Apache/2.2")];
        let headers = protected(Preset::Api, false, &given);
        assert_eq!(lines(&headers, "x-frame-options"), ["SAMEORIGIN"]);
        assert_eq!(lines(&headers, "x-content-type-options"), ["nosniff"]);
        assert_eq!(lines(&headers, CSP).len(), 1);
        assert!(!headers.contains("server") && !headers.contains(HSTS));
        assert!(protected(Preset::Web, true, &[]).contains(HSTS));
    }

    #[test]
    fn cookies_stay_and_get_what_they_lack() {
        let given = [
            (SET_COOKIE, "sid=; Max-Age=0"),
            (SET_COOKIE, "b=2; SameSite=None; Secure"),
        ];
        let cookies = |preset, tls| lines(&protected(preset, tls, &given), SET_COOKIE);
        let (plain, meant) = (given[0].1, given[1].1);
        let hardened = format!("{plain}; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(cookies(Preset::Api, true), [hardened.as_str(), meant]);
        let hardened = format!("{plain}; HttpOnly; SameSite=Lax");
        assert_eq!(cookies(Preset::Web, false), [hardened.as_str(), meant]);
        assert_eq!(cookies(Preset::Off, true), [plain, meant]);
    }

    #[test]
    fn a_response_for_one_origin_says_so_and_one_for_any_sends_no_credentials() {
        for (origins, vary, varies, sends) in [
            (&["https://a.example"][..], "Accept", true, true),
            (&["https://a.example"], "accept, ORIGIN", false, true),
            (&["https://a.example"], "*", false, true),
            (
                &["https://a.example", "https://b.example"],
                "Accept",
                true,
                false,
            ),
            (&["null"], "Accept", true, false),
            (&["*"], "Accept", false, false),
            (&[], "Accept", false, true),
        ] {
            let mut given = vec![(VARY, vary), (ALLOW_CREDENTIALS, "true")];
            given.extend(origins.iter().map(|origin| (ALLOW_ORIGIN, *origin)));
            let headers = protected(Preset::Api, false, &given);
            let expected: &[&str] = if varies { &[vary, "Origin"] } else { &[vary] };
            assert_eq!(lines(&headers, VARY), expected, "{origins:?}");
            assert_eq!(headers.contains(ALLOW_CREDENTIALS), sends, "{origins:?}");
        }
    }
}
