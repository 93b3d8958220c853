//! Secrets by the name that stands before them: `password=…`, `"token": "…"`, `secret 'x'`, `Cookie: …`.

use super::REDACTED;
use super::scan::{DOTTED, Make, Spans, Text, is_token_end};

/// Names, without `_`, `-`, `.` and in lower case, that end a secret's name.
const SUFFIXES: [&str; 41] = [
    "password",
    "passwords",
    "passwd",
    "passwort",
    "kennwort",
    "motdepasse",
    "pwd",
    "passphrase",
    "mnemonic",
    "secret",
    "secrets",
    "secretkey",
    "token",
    "tokens",
    "tokenid",
    "tokenvalue",
    "apikey",
    "apikeys",
    "accesskey",
    "accesskeyid",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "accountkey",
    "sharedkey",
    "licensekey",
    "sessionkey",
    "servicekey",
    "credential",
    "credentials",
    "sessionid",
    "sessid",
    "connectsid",
    "authorization",
    "cookie",
    "csrf",
    "xsrf",
    "signature",
    "onetimecode",
    "securitycode",
];
/// Names that contain one of these are secrets' too.
const WITHIN: [&str; 4] = ["password", "passwd", "secretaccess", "secretkey"];
/// Short names, which count alone and before `=` or as a member of JSON only.
const SHORT: [&str; 16] = [
    "otp", "pin", "cvv", "cvc", "ssn", "sid", "sig", "auth", "session", "pass", "pw", "dsn", "pat",
    "totp", "hmac", "sas",
];
/// A line of these is all secret.
const WHOLE_LINE: [&str; 4] = ["authorization", "cookie", "passphrase", "mnemonic"];

/// Words that follow a secret's name in a sentence about it, one space apart.
const SENTENCE: &str = " must should is are was has have may can cannot the this that a an not no does do did too at please \
field value expected your you only contains contain needs need requires require will ensure enter either both minimum \
maximum string for from in of to and or with was were be been mismatch expired invalid missing required revoked \
malformed unknown null none undefined empty incorrect wrong blank unexpected unsupported true false bearer basic \
optional ok rejected denied exceeded absent corrupt corrupted inactive disabled weak unauthorized forbidden failed \
verification validation signature length characters already could would it its if when use ";

pub fn named(text: &Text<'_>, spans: &mut Spans) {
    let mut taken = 0;
    for (from, end) in text.runs(DOTTED) {
        if from < taken {
            continue;
        }
        let to = text.run_back(from, end, |byte| matches!(byte, b'.' | b'-'));
        let Some(name) = Name::of(text.slice(from, to)) else {
            continue;
        };
        if let Some((from, to)) = value(text, to, &name) {
            spans.add(from, to);
            taken = to;
        }
    }
}

/// How a name calls what follows.
struct Name {
    short: bool,
    whole_line: bool,
}

impl Name {
    fn of(word: &[u8]) -> Option<Self> {
        // Only the end of a long name counts.
        let mut buffer = [0u8; 32];
        let mut at = buffer.len();
        for byte in word.iter().rev() {
            if matches!(byte, b'_' | b'-' | b'.') {
                continue;
            }
            let Some(next) = at.checked_sub(1) else { break };
            if let Some(place) = buffer.get_mut(next) {
                *place = byte.to_ascii_lowercase();
            }
            at = next;
        }
        let name = buffer.get(at..).unwrap_or_default();
        let ends = |suffix: &&str| name.ends_with(suffix.as_bytes());
        let short = SHORT.iter().any(|short| name == short.as_bytes());
        let secret = short
            || SUFFIXES.iter().any(ends)
            || WITHIN.iter().any(|within| {
                name.windows(within.len())
                    .any(|part| part == within.as_bytes())
            });
        secret.then(|| Self {
            short,
            whole_line: WHOLE_LINE.iter().any(ends),
        })
    }
}

/// Where the secret stands that belongs to a name which ends here.
fn value(text: &Text<'_>, end: usize, name: &Name) -> Option<(usize, usize)> {
    let is_quote = |byte: u8| matches!(byte, b'"' | b'\'' | b'`' | b'\\');
    let after = text.run_while(end, |byte| is_quote(byte) || byte == b']');
    let quoted_name = after > end && is_quote(text.before(after));
    let space = text.run_while(after, |byte| byte == b' ' || byte == b'\t');
    let separator = text.at(space);
    if !matches!(separator, b'=' | b':') {
        return (!quoted_name && !name.short && space > end)
            .then(|| beside(text, space))
            .flatten();
    }
    if separator == b':' && text.at(space + 1) == b':' {
        return None;
    }
    let past = text.run_while(space, |byte| matches!(byte, b'=' | b':' | b'>'));
    let from = text.run_while(past, |byte| byte == b' ' || byte == b'\t');
    if name.short && !(separator == b'=' || quoted_name) {
        return None;
    }
    if name.whole_line && !quoted_name {
        let value = separator == b'=' || !is_sentence(text, from);
        return value.then(|| (from, text.line_end(from)));
    }
    if is_quote(text.at(from)) {
        return quoted(text, from);
    }
    let to = unquoted_end(text, from);
    let sentence = separator == b':' && from > past && is_sentence(text, from);
    let literal = quoted_name && matches!(text.slice(from, to), b"null" | b"true" | b"false");
    (!sentence && !literal && !is_redacted(text, from)).then_some((from, to))
}

/// `password 'hunter2'`, `token abc123`, `secret is "x"`: a value without a separator is quoted, or plainly no word.
fn beside(text: &Text<'_>, from: usize) -> Option<(usize, usize)> {
    let verb = ["is ", "was "].iter().find(|verb| text.is_at(from, verb));
    let from = from + verb.map_or(0, |verb| verb.len());
    if matches!(text.at(from), b'"' | b'\'' | b'`') {
        let (from, to) = quoted(text, from)?;
        // A parser's "unexpected token '<'" is none.
        return (to - from > 2).then_some((from, to));
    }
    let to = unquoted_end(text, from);
    let make = Make::of(text.slice(from, to));
    (to - from >= 6 && make.digits > 0 && (make.upper || make.lower)).then_some((from, to))
}

/// Within quotes, which may be escaped.
fn quoted(text: &Text<'_>, at: usize) -> Option<(usize, usize)> {
    let quote_at = text.run_while(at, |byte| byte == b'\\');
    let quote = text.at(quote_at);
    let from = quote_at + 1;
    let escapes = quote_at - at;
    let mut to = from;
    loop {
        to = text.run_while(to, |byte| byte != quote);
        let slashes = to - text.run_back(from, to, |byte| byte == b'\\');
        // A quote within has one backslash more than the quotes around.
        if to >= text.len() || slashes <= escapes {
            let to = if to < text.len() { to - slashes } else { to };
            return (!is_redacted(text, from) && from < to).then_some((from, to));
        }
        to += 1;
    }
}

fn unquoted_end(text: &Text<'_>, from: usize) -> usize {
    let end = text.run_while(from, |byte| {
        !is_token_end(byte) && !matches!(byte, b'&' | b';' | b',')
    });
    text.run_back(from, end, |byte| {
        matches!(byte, b')' | b']' | b'}' | b'.' | b':' | b'\\')
    })
}

fn is_redacted(text: &Text<'_>, from: usize) -> bool {
    text.is_at(from, REDACTED)
}

/// Whether what stands here goes on about the secret, rather than being it.
fn is_sentence(text: &Text<'_>, from: usize) -> bool {
    let to = text.run_while(from, |byte| byte.is_ascii_alphabetic());
    let word = text.slice(from, to);
    let ends = !matches!(
        text.at(to),
        b'0'..=b'9' | b'_' | b'-' | b'=' | b'/' | b'@' | b'#' | b'$' | b'!'
    );
    ends && !word.is_empty()
        && SENTENCE
            .split(' ')
            .any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}
