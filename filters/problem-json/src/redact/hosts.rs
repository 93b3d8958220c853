//! Names of machines that mean something only inside.

use super::scan::{DIGITS, DOTTED, Spans, Text, is_among, is_among_in_any_case, is_field};

/// Ends of names that no public resolver knows, and those of machines in a cloud.
const SUFFIXES: [&str; 17] = [
    ".local",
    ".internal",
    ".svc",
    ".lan",
    ".corp",
    ".intranet",
    ".localdomain",
    ".home.arpa",
    ".consul",
    ".cluster",
    ".private",
    ".compute.amazonaws.com",
    ".rds.amazonaws.com",
    ".cache.amazonaws.com",
    ".database.windows.net",
    ".elb.amazonaws.com",
    ".cache.windows.net",
];
/// Ports by which a bare name before them is known as a service.
const PORTS: &str = " 1433 1521 2181 2379 3000 3306 4222 4317 4318 5000 5432 5672 6379 6432 8000 8080 8081 8088 8125 8200 8300 \
8443 8500 8888 9000 9042 9090 9092 9093 9200 9300 9411 9901 11211 14250 15672 26257 27017 50051 ";

/// Those among them that sums and limits are as well: `Amount:5000`.
const ROUND_PORTS: [&[u8]; 4] = [b"3000", b"5000", b"8000", b"9000"];
/// What is counted, as in `limit:5000`.
const COUNTED: &str = " amount count image item items limit line max min offset order page price quantity size total user users ";
/// What those write before the name of a machine that do not find it, or cannot reach it. In the order of the first character.
const LEADS: [&str; 9] = [
    "can't connect to mysql server on '",
    "could not resolve host: ",
    "eai_again ",
    "econnrefused ",
    "enotfound ",
    "failed to connect to ",
    "lookup ",
    "unknown mysql server host '",
    "unknownhostexception: ",
];
/// Those among the suffixes that names of fields end with as well: `repository.private`.
const WORDS: [&str; 4] = [".cluster", ".internal", ".local", ".private"];

/// Labels within names of machines that no client is meant to know.
const INNER_LABELS: [&str; 6] = [
    ".prod.",
    ".corp.",
    ".internal.",
    ".intra.",
    ".k8s.",
    ".svc.",
];

/// `orders.svc.cluster.local:8080`, `localhost:3000`, `redis:6379`, `ip-10-0-1-23`, `db-7.prod.example.net:9876`, and in
/// URLs names without a dot and names with a port.
pub fn hosts(text: &Text<'_>, spans: &mut Spans) {
    for (from, end) in text.runs(DOTTED) {
        let to = text.trimmed(from, end);
        let host = text.slice(from, to);
        let ends = |suffix: &&str| {
            let at = host.len().saturating_sub(suffix.len());
            at > 0 && text.is_at(from + at, suffix)
        };
        let dotted = host.contains(&b'.');
        let has_port = text.at(to) == b':' && text.at(to + 1).is_ascii_digit();
        let port_end = if has_port {
            text.run(to + 1, &DIGITS)
        } else {
            to
        };
        let port = text.slice(to + 1, port_end);
        let known_port = has_port
            && host.iter().any(u8::is_ascii_alphabetic)
            && is_among(PORTS, port)
            && !is_among_in_any_case(COUNTED, host)
            && (!ROUND_PORTS.contains(&port) || may_be_machine(host));
        let is_word = || !has_port && WORDS.iter().any(ends) && is_field(text, from, to);
        let is_inside = host.eq_ignore_ascii_case(b"localhost")
            || dotted && SUFFIXES.iter().any(ends) && !is_word()
            || dotted && host.windows(5).any(|part| part == b".svc.")
            || (text.is_at(from, "ip-") && host.iter().filter(|byte| **byte == b'-').count() >= 4)
            || known_port
            || dotted && has_port && is_far_port(port) && is_machine(host)
            || is_inner_url(text, from, host, has_port.then_some(port));
        if is_inside {
            spans.add(from, port_end);
        }
    }
    for (found, lead) in text.starts(&LEADS, |lead| lead) {
        let from = found + lead.len();
        let end = text.run(from, &DOTTED);
        let to = text.undotted(from, end);
        let number = |word: &str| text.is_at(to, word) && text.at(to + word.len()).is_ascii_digit();
        let is_host = match *lead {
            // Go's resolver; people look things up as well.
            "lookup " => text.is_at(to, ": no such host") || number(" on "),
            "failed to connect to " => number(" port "),
            _ => true,
        };
        if is_host {
            spans.add(from, to);
        }
    }
}

/// Whether a name before a round number is rather a machine's than what is counted.
fn may_be_machine(host: &[u8]) -> bool {
    let marked = |byte: &u8| matches!(byte, b'.' | b'-') || byte.is_ascii_digit();
    host.iter().any(marked) || !host.iter().any(u8::is_ascii_uppercase)
}

/// A port that is no well-known one, by which websites are not reached.
fn is_far_port(port: &[u8]) -> bool {
    let port = std::str::from_utf8(port).ok();
    port.and_then(|port| port.parse::<u16>().ok())
        .is_some_and(|port| port >= 1024)
}

/// Whether a dotted name is rather a machine's than a field's: three labels or more, or digits and `-` in it, and a top
/// level of letters.
fn is_machine(host: &[u8]) -> bool {
    let labels = host.split(|byte| *byte == b'.');
    let top = host.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let marked = host
        .iter()
        .any(|byte| *byte == b'-' || byte.is_ascii_digit());
    top.len() > 1 && top.iter().all(u8::is_ascii_alphabetic) && (marked || labels.count() > 2)
}

/// Whether a URL leads to a machine inside: by a name without a dot, a label or a port of its own.
fn is_inner_url(text: &Text<'_>, from: usize, host: &[u8], port: Option<&[u8]>) -> bool {
    let named = host.iter().any(u8::is_ascii_alphabetic);
    let web = ["http://", "https://", "ws://", "wss://", "grpc://"]
        .iter()
        .any(|scheme| {
            let at = from.checked_sub(scheme.len());
            at.is_some_and(|at| text.is_at(at, scheme))
        });
    if !named || !web {
        return false;
    }
    let inner = || {
        let to = from + host.len();
        INNER_LABELS
            .iter()
            .any(|label| text.find_within(from, to, label).is_some())
    };
    !host.contains(&b'.') || port.is_some_and(|port| port != b"80" && port != b"443") || inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::scan::is_in_order;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn leads_stand_in_the_order_of_their_first_characters() {
        assert!(is_in_order(&LEADS, |lead| lead));
    }
}
