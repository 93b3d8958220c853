//! Addresses: of people, machines, and the services behind.

use std::net::{Ipv4Addr, Ipv6Addr};

use portcullis_kit::ascii::AsciiSet;

use super::scan::{
    ALPHANUMERIC, DIGITS, Spans, Text, is_among, is_among_in_any_case, is_token_end,
};

const SCHEME: AsciiSet = AsciiSet::of(b"+.-")
    .and_range(b'0', b'9')
    .and_range(b'a', b'z')
    .and_range(b'A', b'Z');
const IPV4: AsciiSet = DIGITS.and_range(b'.', b'.');
const IPV6: AsciiSet = AsciiSet::of(b":.")
    .and_range(b'0', b'9')
    .and_range(b'a', b'f')
    .and_range(b'A', b'F');

/// Addresses with these schemes say where the service keeps its data.
const INSIDE: &str = " postgres postgresql mysql mariadb mongodb mongodb+srv redis rediss amqp amqps mssql sqlserver oracle cassandra \
couchbase kafka nats ldap ldaps memcached clickhouse snowflake bolt neo4j tcp unix s3 gs ftp sftp smtp smtps \
file ssh ";

/// What a chain of `key=value;` begins with that says where a database is, and names in a directory (RFC 4514).
const CHAINS: [&str; 7] = [
    "cn=",
    "data source=",
    "defaultendpointsprotocol=",
    "endpoint=sb",
    "host=",
    "server=",
    "uid=",
];

/// Addresses of databases and brokers, addresses with a user, JDBC's, Go's and AWS's, and `Server=…;…` chains.
pub fn connections(text: &Text<'_>, spans: &mut Spans) {
    let mut at = 0;
    let mut word = Word::default();
    while let Some(found) = text.find(at, "://") {
        let from = text.run_back(at, found, &|byte| SCHEME.has(byte));
        let scheme = text.slice(from, found);
        let authority = text.run_while(found + 3, &|byte| {
            !byte.is_ascii_whitespace() && !b"/?#\"'<>".contains(&byte)
        });
        let inside = is_among_in_any_case(INSIDE, scheme);
        at = found + 3;
        // A password may hold a slash, though it should be escaped.
        if authority >= word.limit {
            word = Word::of(text, authority);
        }
        let end = word.end.max(authority);
        let has_user = text.slice(found + 3, authority).contains(&b'@')
            || word.last_at.is_some_and(|last| last >= authority)
                && text.slice(found + 3, authority).contains(&b':');
        if inside || has_user {
            spans.add(from, end);
            at = end.max(at);
        } else {
            at = authority;
        }
    }
    for (literal, back) in [
        ("jdbc:", false),
        ("arn:aws", false),
        ("hooks.slack.com/", false),
        ("discord.com/api/webhooks/", false),
        ("@tcp(", true),
        ("@unix(", true),
    ] {
        let mut at = 0;
        while let Some(found) = text.find(at, literal) {
            let from = if back {
                text.run_back(at, found, &|byte| byte.is_ascii_graphic() && byte != b'"')
            } else {
                found
            };
            let to = text.token_end(found + literal.len()).max(found + 1);
            spans.add(from, to);
            at = to;
        }
    }
    let mut done = 0;
    for (found, chain) in text.starts(&CHAINS, |start| start) {
        // What begins within a chain ends with it.
        if found < done {
            continue;
        }
        let to = text.run_while(found, &|byte| !matches!(byte, b'\n' | b'\r' | b'"' | b'\''));
        done = to;
        let keys = text.slice(found, to).iter().filter(|byte| **byte == b'=');
        let has = |part| text.find_within(found, to, part).is_some();
        let directory = matches!(*chain, "cn=" | "uid=");
        if keys.count() > 1 && (!directory || has(",dc=") || has(",ou=")) {
            spans.add(found, to);
        }
    }
}

/// The word that several addresses may stand in, looked at once.
#[derive(Default)]
struct Word {
    /// Where the next word may begin.
    limit: usize,
    end: usize,
    /// Where its last `@` stands.
    last_at: Option<usize>,
}

impl Word {
    /// The rest of a word from here.
    fn of(text: &Text<'_>, from: usize) -> Self {
        let end = text.token_end(from);
        let last_at = text.slice(from, end).iter().rposition(|byte| *byte == b'@');
        Self {
            limit: text.run_while(from, &|byte| !is_token_end(byte)),
            end,
            last_at: last_at.map(|last| from + last),
        }
    }
}

/// Nobody's names, at `example.com` (RFC 2606).
const EXAMPLES: &str = " email name someone user you ";

/// `local@domain.tld`, and `local@localhost`. A package's version (`lodash@4.17.21`) is none.
pub fn emails(text: &Text<'_>, spans: &mut Spans) {
    let mut first = 0;
    while let Some(at) = text.find(first, "@") {
        let local = |byte: u8| {
            byte.is_ascii_alphanumeric()
                || !byte.is_ascii()
                || b"._%+-!#$&*/=?^{|}~'".contains(&byte)
        };
        let mut from = text.run_back(first, at, &local);
        from = text.run_while(from, &|byte| b"'{|/=*!?&#".contains(&byte));
        let end = text.run_while(at + 1, &|byte| {
            byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'.' | b'-')
        });
        let to = text.trimmed(at + 1, end);
        let domain = text.slice(at + 1, to);
        let dot = domain.iter().rposition(|byte| *byte == b'.');
        let top = dot.and_then(|dot| domain.get(dot + 1..));
        let is_domain = match top {
            Some(top) => top.len() >= 2 && !top.iter().any(u8::is_ascii_digit),
            None => domain.eq_ignore_ascii_case(b"localhost"),
        };
        // Of what a form shows as an example.
        let shown =
            is_among(EXAMPLES, text.slice(from, at)) && domain.eq_ignore_ascii_case(b"example.com");
        if from < at && is_domain && !shown {
            spans.add(from, to);
        }
        first = at + 1;
    }
}

/// IPv4 and IPv6 addresses, with a port or prefix length where there is one.
pub fn addresses(text: &Text<'_>, spans: &mut Spans) {
    for (run, end) in text.runs(IPV4) {
        let from = text.run_while(run, &|byte| byte == b'.');
        let to = text.undotted(from, end);
        let alone = !is_version(text, from) && !ALPHANUMERIC.has(text.at(end));
        if alone && parses::<Ipv4Addr>(text.slice(from, to)) {
            spans.add(from, suffix(text, to));
        }
    }
    for (run, end) in text.runs(IPV6) {
        // A run ends a sentence, or follows a name: `client:2001:db8::1`.
        let to = text.undotted(run, end);
        let single = text.before(to) == b':' && text.before(to.saturating_sub(1)) != b':';
        let to = if single { to.saturating_sub(1) } else { to };
        let mut from = run;
        if text.at(from) == b':' && text.at(from + 1) != b':' {
            from += 1;
        }
        let word = text.slice(from, to);
        let colons = word.iter().filter(|byte| **byte == b':').count();
        let digits = word.iter().any(u8::is_ascii_digit) || colons > 3;
        let alone = !ALPHANUMERIC.has(text.before(from)) && !ALPHANUMERIC.has(text.at(end));
        if alone && colons >= 2 && digits && parses::<Ipv6Addr>(word) {
            spans.add(from, suffix(text, to));
        }
    }
}

/// Whether the letters before say that the numbers are a version's: `v10.1.2.3`. Those of `ip10.1.2.3` do not.
fn is_version(text: &Text<'_>, at: usize) -> bool {
    const WORDS: &str =
        " android build chrome firmware ios macos oid release rev section ver version windows ";
    // Over a space only the long ones.
    const SHORT: &str = " r rev v ver ";
    let space = usize::from(text.before(at) == b' ');
    let end = at - space;
    // One byte more than the longest has.
    let word = text.run_back(end.saturating_sub(9), end, &|byte| {
        byte.is_ascii_alphanumeric()
    });
    let word = text.slice(word, end);
    let short = is_among_in_any_case(SHORT, word);
    short && space == 0 || !short && is_among_in_any_case(WORDS, word)
}

fn parses<T: std::str::FromStr>(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(|word| word.parse::<T>().is_ok())
}

/// The end of `:8080`, `]:8080`, `%eth0` or `/24` behind an address.
fn suffix(text: &Text<'_>, to: usize) -> usize {
    let zone = if text.at(to) == b'%' {
        text.run(to + 1, &ALPHANUMERIC)
    } else {
        to
    };
    let bracket = if text.at(zone) == b']' {
        zone + 1
    } else {
        zone
    };
    if matches!(text.at(bracket), b':' | b'/') && text.at(bracket + 1).is_ascii_digit() {
        text.run(bracket + 1, &DIGITS)
    } else {
        zone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::scan::is_in_order;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn chains_stand_in_the_order_of_their_first_characters() {
        assert!(is_in_order(&CHAINS, |chain| chain));
    }
}
