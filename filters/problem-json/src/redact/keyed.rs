//! Secrets by the name that stands before them: `password=…`, `"token": "…"`, `secret 'x'`, `Cookie: …`.

use super::REDACTED;
use super::scan::{DOTTED, Make, Spans, Text, is_among, is_token_end};
use super::sentence::{are_foreign_letters, is_said, is_sentence};

/// Names, without `_`, `-`, `.` and in lower case, that end a secret's name.
const SUFFIXES: [&str; 44] = [
    "password",
    "passwords",
    "passwd",
    "passwort",
    "kennwort",
    "motdepasse",
    "senha",
    "wachtwoord",
    "katasandi",
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
/// Those of the short ones that are numbers.
const NUMBERS: &str = " otp pin cvv cvc ssn totp ";
/// Names that contain one of these are secrets' too.
const WITHIN: [&str; 4] = ["password", "passwd", "secretaccess", "secretkey"];
/// Short names, which count alone and before `=` or as a member of JSON only.
const SHORT: &str = " otp pin cvv cvc ssn sid sig auth session pass pw dsn pat totp hmac sas ";
/// The word for a password in other scripts, as far as languages with many speakers have one of their own.
const FOREIGN: [&str; 15] = [
    "пароль",
    "Пароль",
    "密码",
    "密碼",
    "パスワード",
    "비밀번호",
    "contraseña",
    "Contraseña",
    "şifre",
    "hasło",
    "mật khẩu",
    "पासवर्ड",
    "পাসওয়ার্ড",
    "كلمة المرور",
    "پاس ورڈ",
];
/// A line of these is all secret.
const WHOLE_LINE: [&str; 4] = ["authorization", "cookie", "passphrase", "mnemonic"];

/// What stands beside a short name is no secret where it is shorter.
const MIN_LONG_BYTES: usize = 16;
/// No secret's name is longer.
const MAX_NAME_BYTES: usize = 32;

pub fn named(text: &Text<'_>, spans: &mut Spans) {
    let mut taken = 0;
    for (from, end) in text.runs(DOTTED) {
        if from < taken {
            continue;
        }
        let to = text.trimmed(from, end);
        let start = name_start(text, from, to);
        let Some(name) = Name::of(text.slice(start, to)) else {
            continue;
        };
        let found = match text.before(from) {
            b'<' if text.at(to) == b'>' => element(text, to + 1),
            _ if text.is_at(from, "--") && text.at(to) == b' ' => option(text, to + 1),
            _ => value(text, to, &name).filter(|found| !is_object(text, start, *found, &name)),
        };
        if let Some((from, to)) = found {
            spans.add(from, to);
            taken = to;
        }
    }
    if text.bytes.is_ascii() {
        return;
    }
    for at in 0..text.len() {
        let rest = text.bytes.get(at..).unwrap_or_default();
        let known = FOREIGN
            .iter()
            .find(|name| rest.starts_with(name.as_bytes()));
        if let Some((from, to)) = known.and_then(|name| value(text, at + name.len(), &PLAIN)) {
            spans.add(from, to);
        }
    }
}

/// What an element of XML holds whose tag ends here.
fn element(text: &Text<'_>, from: usize) -> Option<(usize, usize)> {
    let to = text.run_while(from, &|byte| byte != b'<');
    (from < to && text.at(to + 1) == b'/').then_some((from, to))
}

/// The value of an option of a command.
fn option(text: &Text<'_>, from: usize) -> Option<(usize, usize)> {
    let to = text.token_end(from);
    (from < to && text.at(from) != b'-' && !is_redacted(text, from)).then_some((from, to))
}

/// Whether these are the name of a token, a secret or a key, and not that itself: `Secret 'db-password' not found`,
/// `No such token: 'tok_visa'`.
fn is_object(text: &Text<'_>, start: usize, (from, to): (usize, usize), name: &Name) -> bool {
    let told = [" not found", " was ", " does not exist", " already exists"];
    let word = |byte: &u8| byte.is_ascii_alphabetic() || b"-_/".contains(byte);
    name.object
        && matches!(text.at(to), b'"' | b'\'' | b'`')
        && text.slice(from, to).iter().all(word)
        && (told.iter().any(|told| text.is_at(to + 1, told))
            || start >= 8 && text.is_at(start - 8, "no such "))
}

/// Whether a name is that of a secret.
pub fn is_secret(name: &str) -> bool {
    Name::of(name.as_bytes()).is_some()
}

/// Whether a text by itself is rather a secret than a sentence about one: a single word, or one that begins with a word that is
/// none.
pub fn is_value(text: &str) -> bool {
    let text = text.trim();
    let first = text.split(char::is_whitespace).next().unwrap_or_default();
    let is_word = if first.len() == text.len() {
        are_foreign_letters(first.as_bytes())
    } else {
        !first.bytes().any(|byte| byte.is_ascii_digit())
    };
    !is_word && !is_said(&Text::new(text, false), 0)
}

/// Where the name begins that ends with this word: `API key` and `access key id` are names, too.
fn name_start(text: &Text<'_>, from: usize, to: usize) -> usize {
    const LAST: [&[u8]; 6] = [b"key", b"keys", b"id", b"code", b"passe", b"sandi"];
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
            start = text.run_back(first, space, &|byte| byte.is_ascii_alphanumeric());
        }
    }
    start
}

/// How a name calls what follows.
struct Name {
    short: bool,
    whole_line: bool,
    /// Things are called so that have names.
    object: bool,
    /// Where these are numbers, they are counts: `max_tokens: 8192`.
    counted: bool,
    /// These are always numbers.
    number: bool,
}

const PLAIN: Name = Name {
    short: false,
    whole_line: false,
    object: false,
    counted: false,
    number: false,
};

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
        let short = is_among(SHORT, name) || name.ends_with(b"session");
        let secret = short
            || SUFFIXES.iter().any(ends)
            || WITHIN.iter().any(|within| {
                name.windows(within.len())
                    .any(|part| part == within.as_bytes())
            });
        secret.then(|| Self {
            short,
            whole_line: WHOLE_LINE.iter().any(ends),
            object: ["token", "secret", "key"].iter().any(ends),
            counted: name.ends_with(b"tokens"),
            number: is_among(NUMBERS, name),
        })
    }
}

/// `PIN: 4711`, `OTP 482913 expired`: three digits or more, in groups or not.
fn digits(text: &Text<'_>, end: usize) -> Option<(usize, usize)> {
    let from = text.run_while(end, &|byte| matches!(byte, b' ' | b':'));
    let to = text.run_while(from, &|byte| byte.is_ascii_digit() || byte == b'-');
    let next = text.at(to);
    (from > end && (3..=11).contains(&(to - from)) && !next.is_ascii_alphabetic())
        .then_some((from, to))
}

/// Where the secret stands that belongs to a name which ends here.
fn value(text: &Text<'_>, end: usize, name: &Name) -> Option<(usize, usize)> {
    if let (true, Some(found)) = (name.number, digits(text, end)) {
        return Some(found);
    }
    let is_quote = |byte: u8| matches!(byte, b'"' | b'\'' | b'`' | b'\\');
    let after = text.run_while(end, &|byte| is_quote(byte) || byte == b']');
    let quoted_name = after > end && is_quote(text.before(after));
    let blank = text.blanks(after);
    // `Your password is: …`
    let verbs = ["is:", "was:", "lautet:"];
    let verb = verbs
        .iter()
        .find(|verb| blank > end && text.is_at(blank, verb));
    let space = blank + verb.map_or(0, |verb| verb.len() - 1);
    let signs = [("：", b':'), ("→", b'='), ("->", b'=')];
    let sign = signs.iter().find(|(sign, _)| text.is_at(space, sign));
    let separator = sign.map_or_else(|| text.at(space), |(_, meant)| *meant);
    if !matches!(separator, b'=' | b':') {
        let value = (!quoted_name && space > end).then(|| beside(text, space));
        return value
            .flatten()
            .filter(|value| !name.short || is_long(text, *value));
    }
    if separator == b':' && text.at(space + 1) == b':' {
        return None;
    }
    let past = match sign {
        Some((sign, _)) => space + sign.len(),
        None => text.run_while(space, &|byte| matches!(byte, b'=' | b':' | b'>')),
    };
    let from = text.blanks(past);
    if name.short && !(separator == b'=' || quoted_name) {
        return beside(text, from).filter(|value| is_long(text, *value));
    }
    if name.whole_line && !quoted_name {
        let value = separator == b'=' || !is_sentence(text, from);
        return value.then(|| (from, text.line_end(from)));
    }
    let from = text.run_while(from, &|byte| byte.is_ascii_whitespace());
    if is_quote(text.at(from)) {
        return quoted(text, from);
    }
    if let (true, open @ (b'{' | b'[')) = (quoted_name, text.at(from)) {
        let first = text.run_while(from + 1, &|byte| is_quote(byte) || byte == b' ');
        if open == b'[' && is_said(text, first) {
            return None;
        }
        let to = text.run_while(from, &|byte| byte != open + 2);
        return (first < to).then_some((from, text.len().min(to + 1)));
    }
    let to = unquoted_end(text, from);
    let value = text.slice(from, to);
    let sentence =
        separator == b':' && (from > past && is_said(text, from) || are_foreign_letters(value));
    let literal = quoted_name && matches!(value, b"null" | b"true" | b"false");
    let count = name.counted && value.iter().all(u8::is_ascii_digit);
    let nothing = !value
        .iter()
        .any(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
    let is_none = sentence || literal || count || nothing || is_redacted(text, from);
    (!is_none).then_some((from, to))
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
    let quote_at = text.run_while(at, &|byte| byte == b'\\');
    let quote = text.at(quote_at);
    let from = quote_at + 1;
    let escapes = quote_at - at;
    let mut to = from;
    loop {
        to = text.run_while(to, &|byte| byte != quote);
        let slashes = to - text.run_back(from, to, &|byte| byte == b'\\');
        // A quote within has one backslash more than the quotes around.
        if to >= text.len() || slashes <= escapes {
            let to = if to < text.len() { to - slashes } else { to };
            return (!is_redacted(text, from) && from < to).then_some((from, to));
        }
        to += 1;
    }
}

fn unquoted_end(text: &Text<'_>, from: usize) -> usize {
    let end = text.run_while(from, &|byte| {
        !is_token_end(byte) && !matches!(byte, b'&' | b';' | b',')
    });
    text.run_back(from, end, &|byte| {
        matches!(byte, b')' | b']' | b'}' | b'.' | b':' | b'\\')
    })
}

fn is_redacted(text: &Text<'_>, from: usize) -> bool {
    text.is_at(from, REDACTED)
}
