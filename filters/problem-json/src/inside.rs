//! What of an error's headers tells of the inside of a service, whatever becomes of its body: headers that frameworks
//! send for their developers, and texts in headers that clients need.

mod challenge;

use std::borrow::Cow;
use std::rc::Rc;

use portcullis_kit::{Exchange, Headers};

use crate::profile::Profile;
use crate::redact::Redaction;
use challenge::challenge;

/// Headers for developers; `*` stands for anything.
const FOR_DEVELOPERS: [&str; 34] = [
    // CodeIgniter's and Laravel's debug bars, Clockwork.
    "debugbar-*",
    "phpdebugbar*",
    "x-clockwork-*",
    // Django's debug toolbar.
    "djdt-*",
    // What applications and gateways call their own.
    "error",
    "error-message",
    "errors",
    "exception*",
    "x-*-error",
    "x-*exception*",
    "x-err",
    "x-error*",
    "x-query-log",
    "x-stack*",
    "x-trace-stack",
    "x-warning",
    // Loggers that write into the console of a browser: ChromePHP and Chrome Logger, FirePHP.
    "x-chromelogger-*",
    "x-chromephp-*",
    "x-wf-1-*",
    "x-wf-protocol-*",
    // Symfony and Yii, Drupal, Magento, Rails' console, MiniProfiler, Jersey, Xdebug.
    "x-debug*",
    "x-drupal-assertion-*",
    "x-jersey-trac*",
    "x-magento-*debug",
    "x-miniprofiler-*",
    "x-web-console-*",
    "x-xdebug-*",
    "xdebug-*",
    // Paths: of sources, and of what a server in front was to send.
    "sourcemap",
    "x-accel-redirect",
    "x-sendfile",
    "x-sourcefiles",
    "x-sourcemap",
    // Of a call that this response belongs to no more, where it is no gRPC.
    "grpc-*",
];
/// The same for names that begin with anything; each has a `trace`.
const TRACES: [&str; 3] = ["*backtrace*", "*stack*trace*", "*traceback*"];
/// On 5xx these name what failed inside; below, they are for clients.
const OF_A_SERVER: [&str; 3] = [
    "x-amzn-error-message",
    "x-amzn-errormessage",
    "x-amzn-errortype",
];

/// Longer texts in headers go unread: they are for a person, and a worker reads them while others wait.
const MAX_TEXT_BYTES: usize = 1024;

/// All texts in headers of one response that are read, together.
const MAX_TEXTS_BYTES: usize = 8 * 1024;

/// Whether a header, in lower case, is removed by default.
pub fn is_for_developers(name: &str) -> bool {
    is_listed(&FOR_DEVELOPERS, name) || is_trace(name) || is_listed(&OF_A_SERVER, name)
}

fn is_listed(list: &[&str], name: &str) -> bool {
    // Codes and ids are for clients.
    let told = name.starts_with("x-error-") && (name.ends_with("-code") || name.ends_with("-id"));
    // Every header of every error comes here: nearly all are ruled out by their first letter.
    let first = name.as_bytes().first();
    let mut may_fit = list
        .iter()
        .filter(|listed| listed.as_bytes().first() == first);
    !told && may_fit.any(|listed| fits(listed, name))
}

fn is_trace(name: &str) -> bool {
    let has = |part: &[u8]| name.as_bytes().windows(part.len()).any(|at| at == part);
    has(b"trace") && TRACES.iter().any(|listed| fits(listed, name))
}

fn fits(listed: &str, name: &str) -> bool {
    let Some((begin, mut pattern)) = listed.split_once('*') else {
        return listed == name;
    };
    let Some(mut rest) = name.strip_prefix(begin) else {
        return false;
    };
    while let Some((part, after)) = pattern.split_once('*') {
        let Some((_, behind)) = rest.split_once(part) else {
            return false;
        };
        (rest, pattern) = (behind, after);
    }
    rest.ends_with(pattern)
}

/// What reads texts in headers: as much of them as one response may keep a worker busy with.
pub struct Reader<'r> {
    redaction: &'r Redaction,
    left: usize,
}

impl<'r> Reader<'r> {
    fn new(redaction: &'r Redaction) -> Self {
        Self {
            redaction,
            left: MAX_TEXTS_BYTES,
        }
    }

    /// Whether a text may still be read.
    fn reads(&mut self, text: &str, max: usize) -> bool {
        let left = self.left.checked_sub(text.len());
        let reads = text.len() <= max && left.is_some();
        self.left = left.filter(|_| reads).unwrap_or(self.left);
        reads
    }

    /// Whether it was read, and holds nothing that would be redacted.
    fn passes(&mut self, line: &[u8]) -> bool {
        std::str::from_utf8(line).is_ok_and(|text| {
            self.reads(text, MAX_TEXT_BYTES) && self.redaction.found_in(text) == 0
        })
    }

    /// The same of a line of addresses: their paths are none of files.
    fn passes_addresses(&mut self, line: &[u8]) -> bool {
        std::str::from_utf8(line).is_ok_and(|text| {
            self.reads(text, MAX_TEXTS_BYTES) && !self.redaction.finds(text, true)
        })
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

/// Hosts give names in lower case, nearly always.
fn lower(name: &str) -> Cow<'_, str> {
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

fn removed<'r>(profile: &Profile, response: &'r Headers, status: u16) -> Vec<&'r str> {
    // gRPC without a Content-Type may be gRPC nevertheless.
    let may_be_grpc = !response.contains("content-type");
    let mut names: Vec<&str> = response
        .iter()
        .filter_map(|(name, _)| std::str::from_utf8(name).ok())
        .filter(|name| {
            let lower = lower(name);
            let listed = is_listed(&FOR_DEVELOPERS, &lower)
                || is_trace(&lower)
                || status >= 500 && is_listed(&OF_A_SERVER, &lower);
            listed && !(may_be_grpc && lower.starts_with("grpc-"))
        })
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

/// Headers with texts and addresses that have to change, with all lines of each as they leave.
fn texts(redaction: &Redaction, response: &Headers) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut changed = Vec::new();
    let mut reader = Reader::new(redaction);
    for name in [
        "www-authenticate",
        "proxy-authenticate",
        "location",
        "link",
        "server-timing",
        "warning",
    ] {
        if !response.contains(name) {
            continue;
        }
        let before: Vec<&[u8]> = response.get_all(name).collect();
        let whole = |line: &[u8], passes: bool| passes.then(|| line.to_vec());
        let lines: Vec<Vec<u8>> = before
            .iter()
            .filter_map(|line| match name {
                "warning" => whole(line, reader.passes(line)),
                // Only a description is a text.
                "server-timing" => {
                    let described = line
                        .windows(4)
                        .any(|part| part.eq_ignore_ascii_case(b"desc"));
                    whole(line, !described || reader.passes(line))
                }
                "link" | "location" => whole(line, reader.passes_addresses(line)),
                _ => challenge(&mut reader, line),
            })
            .collect();
        if lines != before {
            changed.push((name, lines));
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
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
            "x-stack-trace",
            "x-sourcefiles",
            "x-sendfile",
            "x-accel-redirect",
            "sourcemap",
            "x-sourcemap",
            "xdebug-profile",
            "x-xdebug-profile-filename",
            "x-error",
            "x-errors",
            "x-err",
            "x-error-messages",
            "x-error-body",
            "x-error-stack-trace",
            "x-error-location",
            "error",
            "errors",
            "exception",
            "exception-message",
            "exception-class",
            "stacktrace",
            "x-traceback",
            "x-trace-stack",
            "x-application-exception",
            "x-laravel-exception",
            "x-php-error",
            "x-sql-error",
            "x-query-log",
            "x-jersey-tracing-001",
            "x-warning",
            "x-amz-function-error",
            "x-wf-protocol-1",
            "grpc-message",
        ] {
            assert!(is_for_developers(name), "{name}");
        }
        for name in [
            "x-error-code",
            "x-error-id",
            "x-ms-error-code",
            "x-wf-run-id",
            "x-source",
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
        }
    }
}
