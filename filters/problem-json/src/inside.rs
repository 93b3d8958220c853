//! What of an error's headers tells of the inside of a service, whatever becomes of its body: headers that frameworks
//! send for their developers, and texts in headers that clients need.

use std::rc::Rc;

use portcullis_kit::ascii::AsciiSet;
use portcullis_kit::{Exchange, Headers};

use crate::profile::Profile;
use crate::redact::Redaction;

/// Headers for developers. Those that end in `*` stand for all that begin so.
const FOR_DEVELOPERS: [&str; 38] = [
    // CodeIgniter's and Laravel's debug bars, Clockwork.
    "debugbar-*",
    "phpdebugbar*",
    "x-clockwork-*",
    // Django's debug toolbar.
    "djdt-*",
    // What applications and gateways call their own.
    "error-message",
    "exception",
    "stack-trace",
    "x-application-error",
    "x-backtrace",
    "x-error",
    "x-error-cause",
    "x-error-class",
    "x-error-debug",
    "x-error-description",
    "x-error-detail",
    "x-error-details",
    "x-error-file",
    "x-error-info",
    "x-error-line",
    "x-error-message",
    "x-error-msg",
    "x-error-reason",
    "x-error-source",
    "x-error-stack",
    "x-error-stacktrace",
    "x-error-text",
    "x-error-trace",
    "x-error-type",
    "x-exception*",
    "x-stack*",
    // Loggers that write into the console of a browser: ChromePHP and Chrome Logger, FirePHP.
    "x-chromelogger-*",
    "x-chromephp-*",
    "x-wf-*",
    // Symfony and Yii, Drupal, Magento, Rails' console, MiniProfiler.
    "x-debug*",
    "x-drupal-assertion-*",
    "x-magento-*debug",
    "x-miniprofiler-*",
    "x-web-console-*",
];
/// On 5xx these name what failed inside; below, they are for clients.
const OF_A_SERVER: [&str; 3] = [
    "x-amzn-error-message",
    "x-amzn-errormessage",
    "x-amzn-errortype",
];

/// Longer texts in headers go unread: they are for a person, and a worker reads them while others wait.
const MAX_TEXT_BYTES: usize = 1024;

/// What their names begin with: most headers are none of them by the first letter.
const FIRST: AsciiSet = AsciiSet::of(b"depsxDEPSX");

/// Whether a header, in lower case, is removed by default.
pub fn is_for_developers(name: &str) -> bool {
    FOR_DEVELOPERS
        .iter()
        .chain(&OF_A_SERVER)
        .any(|listed| fits(listed, name.as_bytes()))
}

fn fits(listed: &str, name: &[u8]) -> bool {
    match listed.split_once('*') {
        None => name.eq_ignore_ascii_case(listed.as_bytes()),
        Some((begin, end)) => {
            let starts = name
                .get(..begin.len())
                .is_some_and(|it| it.eq_ignore_ascii_case(begin.as_bytes()));
            let rest = name.get(begin.len()..).unwrap_or_default();
            let at = rest.len().checked_sub(end.len());
            let ends = at.and_then(|at| rest.get(at..));
            starts && ends.is_some_and(|it| it.eq_ignore_ascii_case(end.as_bytes()))
        }
    }
}

/// Takes it out of the response; returns what is left.
pub fn hide<X: Exchange>(
    profile: &Profile,
    response: &Rc<Headers>,
    status: u16,
    exchange: &mut X,
) -> Rc<Headers> {
    let mut changed = false;
    for name in removed(profile, response, status) {
        exchange.remove_response_header(name);
        changed = true;
    }
    for (name, lines) in texts(&profile.redaction, response) {
        exchange.remove_response_header(name);
        for line in lines {
            exchange.add_response_header(name, &line);
        }
        changed = true;
    }
    if changed {
        exchange.response()
    } else {
        Rc::clone(response)
    }
}

fn removed<'r>(profile: &Profile, response: &'r Headers, status: u16) -> Vec<&'r str> {
    let of_a_server: &[&str] = if status >= 500 { &OF_A_SERVER } else { &[] };
    let mut names: Vec<&str> = response
        .iter()
        .filter(|(name, _)| {
            let mut listed = FOR_DEVELOPERS.iter().chain(of_a_server);
            name.first().is_some_and(|first| FIRST.has(*first))
                && listed.any(|listed| fits(listed, name))
        })
        .filter_map(|(name, _)| std::str::from_utf8(name).ok())
        .filter(|name| {
            !profile
                .keep_headers
                .iter()
                .any(|kept| name.eq_ignore_ascii_case(kept))
        })
        .collect();
    names.dedup();
    names
}

/// Challenges and warnings that have to change, with all lines of each as they leave.
fn texts(redaction: &Redaction, response: &Headers) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut changed = Vec::new();
    for name in ["www-authenticate", "proxy-authenticate", "warning"] {
        if !response.contains(name) {
            continue;
        }
        let before: Vec<&[u8]> = response.get_all(name).collect();
        let lines: Vec<Vec<u8>> = before
            .iter()
            .filter_map(|line| match name {
                "warning" => quiet(redaction, line).then(|| line.to_vec()),
                _ => Some(challenge(redaction, line)),
            })
            .collect();
        if lines != before {
            changed.push((name, lines));
        }
    }
    changed
}

/// Whether a warning (RFC 9111 §5.5) holds nothing that would be redacted.
fn quiet(redaction: &Redaction, line: &[u8]) -> bool {
    line.len() <= MAX_TEXT_BYTES
        && std::str::from_utf8(line).is_ok_and(|text| redaction.found_in(text) == 0)
}

/// A challenge with the texts for people in it redacted: the values of `error_description` (RFC 6750 §3) and `error_uri`.
/// What clients calculate with stays.
fn challenge(redaction: &Redaction, line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(open) = rest.iter().position(|byte| *byte == b'"') {
        let (head, behind) = rest.split_at(open + 1);
        push_unquoted(&mut out, redaction, head);
        let mut escaped = false;
        let close = behind.iter().position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        });
        let (value, after) = behind.split_at(close.unwrap_or(behind.len()));
        if is_for_people(head) {
            out.extend(redacted(redaction, value));
        } else {
            out.extend_from_slice(value);
        }
        // A string without an end is ended here: nothing behind it may look like a parameter.
        out.push(b'"');
        rest = after.get(1..).unwrap_or_default();
    }
    push_unquoted(&mut out, redaction, rest);
    out
}

/// Parameters without quotes around their values, which may be texts for people that an upstream forgot to quote. What has
/// to change is quoted.
fn push_unquoted(out: &mut Vec<u8>, redaction: &Redaction, parameters: &[u8]) {
    for parameter in parameters.split_inclusive(|byte| *byte == b',') {
        let equals = parameter.iter().position(|byte| *byte == b'=');
        let (name, rest) = parameter.split_at(equals.map_or(0, |equals| equals + 1));
        let value = rest.strip_suffix(b",").unwrap_or(rest);
        let comma = rest.get(value.len()..).unwrap_or_default();
        let value = value.trim_ascii();
        let after = if is_for_people(name) && !value.starts_with(b"\"") {
            redacted(redaction, value)
        } else {
            value.to_vec()
        };
        if after == value {
            out.extend_from_slice(parameter);
        } else {
            let parts: [&[u8]; 5] = [name, b"\"", &after, b"\"", comma];
            out.extend(parts.concat());
        }
    }
}

/// Whether what ends here, `… error_description="`, begins a text for people.
fn is_for_people(head: &[u8]) -> bool {
    let name = head.strip_suffix(b"\"").unwrap_or(head).trim_ascii_end();
    let name = name.strip_suffix(b"=").unwrap_or_default().trim_ascii_end();
    ["error_description", "error_uri", "error-description"]
        .iter()
        .any(|known| {
            let at = name.len().checked_sub(known.len());
            at.and_then(|at| name.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case(known.as_bytes()))
        })
}

fn redacted(redaction: &Redaction, value: &[u8]) -> Vec<u8> {
    if value.len() > MAX_TEXT_BYTES {
        return crate::redact::REDACTED.into();
    }
    let mut plain = Vec::with_capacity(value.len());
    let mut escaped = false;
    for byte in value {
        escaped = *byte == b'\\' && !escaped;
        if !escaped {
            plain.push(*byte);
        }
    }
    let Ok(plain) = std::str::from_utf8(&plain) else {
        return crate::redact::REDACTED.into();
    };
    let (text, marks) = redaction.text(plain);
    if marks.found == 0 {
        return value.to_vec();
    }
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::{Kinds, Mode};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn headers_for_developers_are_known_and_those_for_clients_are_not_among_them() {
        for name in [
            "x-debug-exception",
            "x-debug-exception-file",
            "x-debug-token-link",
            "x-exception",
            "x-exception-message",
            "x-error-message",
            "x-wf-1-1-1-1",
            "phpdebugbar",
            "x-magento-cache-debug",
            "x-amzn-errortype",
            "X-STACK-TRACE",
        ] {
            assert!(is_for_developers(name), "{name}");
        }
        for name in [
            "x-error-code",
            "x-request-id",
            "x-trace-id",
            "www-authenticate",
            "x-magento-tags",
            "warning",
            "x-debu",
            "retry-after",
            "x-ratelimit-limit",
            "",
        ] {
            assert!(!is_for_developers(name), "{name}");
        }
        for name in FOR_DEVELOPERS.iter().chain(&OF_A_SERVER) {
            assert_eq!(*name, name.to_ascii_lowercase());
            assert!(name.bytes().next().is_some_and(|first| FIRST.has(first)));
        }
    }

    #[test]
    fn a_challenge_keeps_what_clients_calculate_with() {
        let redaction = Redaction::new(Kinds::ALL, Mode::DenyList, &[]).unwrap();
        let line = |line: &str| String::from_utf8(challenge(&redaction, line.as_bytes())).unwrap();
        for stays in [
            "Basic realm=\"prod\"",
            "Digest realm=\"x@host.com\", nonce=\"8f14e45fceea167a5a36dedd4bea2543\", qop=\"auth\"",
            "Bearer realm=\"a\\\"b\", error=\"invalid_token\", error_description=\"The \\\"access\\\" token expired\"",
            "Negotiate YIIabcdef0123",
            "",
        ] {
            assert_eq!(line(stays), stays);
        }
        assert_eq!(
            line(
                "Bearer error=\"x\", error_description=\"SELECT a FROM users\", error_uri=\"http://db:9876/x\", Basic realm=\"r\""
            ),
            "Bearer error=\"x\", error_description=\"[redacted]\", error_uri=\"http://[redacted]/x\", Basic realm=\"r\""
        );
        assert_eq!(
            line("Bearer Error_Description = \"for \\\"bob@example.com\\\" only\""),
            "Bearer Error_Description = \"for \\\"[redacted]\\\" only\""
        );
        for (before, after) in [
            (
                "Bearer error_description=SELECT a FROM users, error=\"x\"",
                "Bearer error_description=\"[redacted]\", error=\"x\"",
            ),
            (
                "Bearer error=x, error_description=/etc/passwd",
                "Bearer error=x, error_description=\"[redacted]\"",
            ),
            (
                "Bearer error_description=expired, error=x, realm=a@b.example",
                "Bearer error_description=expired, error=x, realm=a@b.example",
            ),
        ] {
            assert_eq!(line(before), after);
        }
        let long = "all is well ".repeat(90);
        assert_eq!(
            line(&format!("Bearer error_description=\"{long}\"")),
            "Bearer error_description=\"[redacted]\""
        );
        assert!(!quiet(&redaction, long.as_bytes()));
        assert!(quiet(&redaction, b"199 - \"all is well\""));
        assert_eq!(
            line("Bearer error_description=\"open /etc/passwd"),
            "Bearer error_description=\"open [redacted]\""
        );
    }
}
