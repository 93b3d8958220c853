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

/// What stands beside a short name is no secret where it is shorter.
const MIN_LONG_BYTES: usize = 16;
/// No secret's name is longer.
const MAX_NAME_BYTES: usize = 32;

/// Words that follow a secret's name in a sentence about it, one space apart.
const SENTENCE: &str = " must should is are was has have may can cannot the this that a an not no does do did too at please \
field value expected your you only contains contain needs need requires require will ensure enter either both minimum \
maximum string for from in of to and or with was were be been mismatch expired invalid missing required revoked \
malformed unknown null none undefined empty incorrect wrong blank unexpected unsupported true false bearer basic \
optional ok rejected denied exceeded absent corrupt corrupted inactive disabled weak unauthorized forbidden failed \
verification validation signature account audience issuer passwords token user length characters already could would it its if when use ";

pub fn named(text: &Text<'_>, spans: &mut Spans) {
    let mut taken = 0;
    for (from, end) in text.runs(DOTTED) {
        if from < taken {
            continue;
        }
        let to = text.run_back(from, end, |byte| matches!(byte, b'.' | b'-'));
        let Some(name) = Name::of(text.slice(name_start(text, from, to), to)) else {
            continue;
        };
        if let Some((from, to)) = value(text, to, &name) {
            spans.add(from, to);
            taken = to;
        }
    }
}

/// Whether a name is that of a secret.
pub fn is_secret(name: &str) -> bool {
    Name::of(name.as_bytes()).is_some()
}

/// Whether a text by itself is rather a secret than a sentence about one.
pub fn is_value(text: &str) -> bool {
    let text = ["x: ", text.trim_start()].concat();
    let name = Name {
        short: false,
        whole_line: false,
    };
    value(&Text::new(&text, false), 1, &name).is_some()
}

/// Where the name begins that ends with this word: `API key` and `access key id` are names, too.
fn name_start(text: &Text<'_>, from: usize, to: usize) -> usize {
    const LAST: [&[u8]; 4] = [b"key", b"keys", b"id", b"code"];
    let mut start = from;
    if LAST
        .iter()
        .any(|last| text.slice(from, to).eq_ignore_ascii_case(last))
    {
        for _ in 0..2 {
            if text.before(start) != b' ' {
                break;
            }
            let space = start - 1;
            let first = space.saturating_sub(MAX_NAME_BYTES);
            start = text.run_back(first, space, |byte| byte.is_ascii_alphanumeric());
        }
    }
    start
}

/// How a name calls what follows.
struct Name {
    short: bool,
    whole_line: bool,
}

impl Name {
    fn of(word: &[u8]) -> Option<Self> {
        // Only the end of a long name counts.
        let mut buffer = [0u8; MAX_NAME_BYTES];
        let mut at = buffer.len();
        for byte in word.iter().rev() {
            if matches!(byte, b'_' | b'-' | b'.' | b' ') {
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
        let value = (!quoted_name && space > end).then(|| beside(text, space));
        return value
            .flatten()
            .filter(|value| !name.short || is_long(text, *value));
    }
    if separator == b':' && text.at(space + 1) == b':' {
        return None;
    }
    let past = text.run_while(space, |byte| matches!(byte, b'=' | b':' | b'>'));
    let from = text.run_while(past, |byte| byte == b' ' || byte == b'\t');
    if name.short && !(separator == b'=' || quoted_name) {
        return beside(text, from).filter(|value| is_long(text, *value));
    }
    if name.whole_line && !quoted_name {
        let value = separator == b'=' || !is_sentence(text, from);
        return value.then(|| (from, text.line_end(from)));
    }
    if is_quote(text.at(from)) {
        return quoted(text, from);
    }
    let to = unquoted_end(text, from);
    let sentence =
        separator == b':' && from > past && (is_sentence(text, from) || are_words(text, from));
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

/// What may stand beside a short name, which is a word of English too: long, and no word, nor a UUID, which is an id.
fn is_long(text: &Text<'_>, (from, to): (usize, usize)) -> bool {
    let value = text.slice(from, to);
    value.len() >= MIN_LONG_BYTES
        && Make::of(value).digits >= 3
        && !value
            .iter()
            .any(|byte| matches!(byte, b' ' | b'-' | b'/' | b':'))
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
    ends && is_about_bytes(word)
}

/// Whether this is a word of those that are said about secrets, and values.
pub fn is_about(word: &str) -> bool {
    !word.is_empty()
        && SENTENCE
            .split(' ')
            .any(|known| known.eq_ignore_ascii_case(word))
}

fn is_about_bytes(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(is_about)
}

/// Whether two words stand here, as a sentence begins: `Invalid credentials: mailbox full`. Where the second one says something
/// of a secret, the first one is it: `password: swordfish rejected`.
fn are_words(text: &Text<'_>, from: usize) -> bool {
    let letters = |at| text.run_while(at, |byte| byte.is_ascii_alphabetic());
    let space = letters(from);
    let end = letters(space + 1);
    let (first, second) = (text.slice(from, space), text.slice(space + 1, end));
    let small = first.get(1..).unwrap_or_default();
    text.at(space) == b' '
        && !first.is_empty()
        && small.iter().all(u8::is_ascii_lowercase)
        && !second.is_empty()
        && !second.iter().any(u8::is_ascii_uppercase)
        && matches!(text.at(end), 0 | b' ' | b'.' | b',' | b';')
        && !is_about_bytes(second)
}
