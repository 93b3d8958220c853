//! Secrets that are known by their looks.

use portcullis_kit::ascii::AsciiSet;

use super::scan::{ALPHANUMERIC, DOTTED, Make, Spans, Text, WORD, is_among_in_any_case};

/// RFC 7235's token68.
const TOKEN68: AsciiSet = AsciiSet::of(b"-._~+/=")
    .and_range(b'0', b'9')
    .and_range(b'a', b'z')
    .and_range(b'A', b'Z');
const BASE64: AsciiSet = AsciiSet::of(b"+/=")
    .and_range(b'0', b'9')
    .and_range(b'a', b'z')
    .and_range(b'A', b'Z');
const BASE64_WORD: AsciiSet = AsciiSet::of(b"+_-")
    .and_range(b'0', b'9')
    .and_range(b'a', b'z')
    .and_range(b'A', b'Z');

const SCHEMES: [&str; 7] = [
    "basic ",
    "bearer ",
    "digest ",
    "dpop ",
    "negotiate ",
    "ntlm ",
    "token ",
];

/// `Bearer eyJ…`: the scheme stays, what follows goes. `basic authentication` is no credential.
pub fn authorization(text: &Text<'_>, spans: &mut Spans) {
    for (found, scheme) in text.starts(&SCHEMES, |scheme| scheme) {
        let at = found + scheme.len();
        let from = text.spaces(at);
        let end = text.run(from, &TOKEN68);
        let to = text.undotted(from, end);
        let value = text.slice(from, to);
        let make = Make::of(value);
        let random = make.digits > 0
            || value.contains(&b'=')
            || make.upper && value.iter().skip(1).any(u8::is_ascii_uppercase);
        if value.len() >= 20 || (value.len() >= 6 && random) {
            // What follows a digest's first parameter belongs to it.
            let digest = *scheme == "digest " && value.contains(&b'=');
            spans.add(from, if digest { text.line_end(to) } else { to });
        }
    }
}

/// A header in base64url begins `{"`, which is `eyJ`; then dots.
pub fn jwt(text: &Text<'_>, spans: &mut Spans) {
    let mut at = 0;
    while let Some(found) = text.find(at, "eyj") {
        let to = text.run(found, &DOTTED);
        let token = text.slice(found, to);
        if token.starts_with(b"eyJ")
            && token.len() >= 16
            && token.contains(&b'.')
            && !ALPHANUMERIC.has(text.before(found))
        {
            spans.add(found, to);
        }
        at = to.max(found + 1);
    }
}

/// Prefixes that issuers publish, and how much must follow at least.
const PREFIXES: [(&str, usize); 56] = [
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("pk_live_", 8),
    ("pk_test_", 8),
    ("rk_live_", 8),
    ("rk_test_", 8),
    ("whsec_", 12),
    ("sk-", 16),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16),
    ("glpat-", 12),
    ("gldt-", 12),
    ("glrt-", 12),
    ("glsa_", 16),
    ("xoxb-", 8),
    ("xoxp-", 8),
    ("xoxa-", 8),
    ("xoxe-", 8),
    ("xoxo-", 8),
    ("xoxr-", 8),
    ("xoxs-", 8),
    ("xapp-", 8),
    ("AIza", 30),
    ("ya29.", 16),
    ("GOCSPX-", 16),
    ("SG.", 32),
    ("key-", 32),
    ("npm_", 30),
    ("pypi-", 16),
    ("dop_v1_", 32),
    ("doo_v1_", 32),
    ("hvs.", 16),
    ("hvb.", 16),
    ("shpat_", 16),
    ("shpca_", 16),
    ("shppa_", 16),
    ("shpss_", 16),
    ("sq0atp-", 16),
    ("sq0csp-", 16),
    ("EAAA", 30),
    ("hf_", 20),
    ("lin_api_", 16),
    ("PMAK-", 20),
    ("dapi", 32),
    ("NRAK-", 20),
    ("NRJS-", 16),
    ("rubygems_", 32),
    ("sntrys_", 16),
    ("figd_", 16),
    ("dckr_pat_", 16),
    ("r8_", 30),
    ("tfp_", 30),
];

/// No key of the table is shorter.
const MIN_ISSUED_BYTES: usize = 12;
/// Twilio's: these, then 32 hexadecimal digits.
const TWILIO: [&str; 2] = ["AC", "SK"];
/// Identifiers of AWS access keys: these, then letters and digits to 20.
const AWS_IDS: [&str; 6] = ["AKIA", "ASIA", "ABIA", "ACCA", "AROA", "AIDA"];

/// Keys by prefix, AWS key ids and secrets, Telegram's, and any long word of upper and lower case and digits.
pub fn api_keys(text: &Text<'_>, spans: &mut Spans) {
    for (from, end) in text.runs(DOTTED) {
        let from = text.run_while(from, &|byte| matches!(byte, b'.' | b'-'));
        let to = text.undotted(from.min(end), end);
        let word = text.slice(from, to);
        if is_issued(word) {
            spans.add(from, to);
        }
    }
    for (from, to) in text.runs(BASE64_WORD) {
        let word = text.slice(from, to);
        let telegram =
            text.before(from) == b':' && word.starts_with(b"AA") && (32..=40).contains(&word.len());
        if telegram || (word.len() >= 32 && Make::of(word).is_random()) {
            let from = if telegram {
                text.run_back(0, from, &|byte| byte == b':' || byte.is_ascii_digit())
            } else {
                from
            };
            spans.add(from, to);
        }
    }
    for (from, to) in text.runs(ALPHANUMERIC) {
        let word = text.slice(from, to);
        if word.len() >= MIN_DIGEST_BYTES && is_digest(word) && !is_told_as_id(text, from, to) {
            spans.add(from, to);
        }
    }
    // An AWS secret: 40 characters of base64, and no path.
    for (from, to) in text.runs(BASE64) {
        let word = text.slice(from, to);
        let slashes = || word.iter().filter(|byte| **byte == b'/').count();
        if word.len() == 40
            && !word.starts_with(b"/")
            && slashes() <= 4
            && Make::of(word).is_mixed()
        {
            spans.add(from, to);
        }
    }
}

/// The hexadecimal digits of 16 bytes: no written word is as long.
const MIN_DIGEST_BYTES: usize = 32;
/// More than the hexadecimal digits of SHA-1: no id is as long.
const MAX_ID_BYTES: usize = 40;
/// Letters and digits take turns in random words, not in written ones.
const RANDOM_TURNS: usize = 8;

/// Hexadecimal digits, or letters and digits all through, in one case.
fn is_digest(word: &[u8]) -> bool {
    let digits = word.strip_prefix(b"0x").unwrap_or(word);
    let make = Make::of(digits);
    let mixed = make.digits > 0 && (make.upper || make.lower);
    mixed && (make.turns >= RANDOM_TURNS || digits.iter().all(u8::is_ascii_hexdigit))
}

/// Whether the word before says that this is an id, or the digest of something public: `trace …`, `"id": "…"`, `sha256:…`.
fn is_told_as_id(text: &Text<'_>, from: usize, to: usize) -> bool {
    const IDS: &str =
        " trace traceid span spanid request correlation uuid guid order object document ";
    const DIGESTS: &str = " sha sha1 sha256 digest checksum commit etag revision blob md5 match ";
    let between = |byte: u8| {
        matches!(
            byte,
            b' ' | b':' | b'=' | b'#' | b'"' | b'\'' | b'(' | b'-' | b'_'
        )
    };
    let near = from.saturating_sub(4);
    let end = text.run_back(near, from, &between);
    let start = text.run_back(end.saturating_sub(24), end, &|byte| {
        byte.is_ascii_alphanumeric()
    });
    let word = text.slice(start, end);
    let one_of = |names: &str| is_among_in_any_case(names, word);
    let is_id = word.eq_ignore_ascii_case(b"id") || word.ends_with(b"Id") || word.ends_with(b"ID");
    one_of(DIGESTS) || to - from <= MAX_ID_BYTES && (is_id || one_of(IDS))
}

fn is_issued(word: &[u8]) -> bool {
    if word.len() < MIN_ISSUED_BYTES {
        return false;
    }
    let is_rest = |prefix: &str, least: usize| {
        word.strip_prefix(prefix.as_bytes())
            .filter(|rest| rest.len() >= least)
    };
    PREFIXES
        .iter()
        .any(|(prefix, least)| is_rest(prefix, *least).is_some())
        || AWS_IDS.iter().any(|id| {
            word.len() == 20
                && is_rest(id, 16).is_some_and(|rest| {
                    rest.iter()
                        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
                })
        })
        || TWILIO.iter().any(|id| {
            word.len() == 34
                && is_rest(id, 32).is_some_and(|rest| rest.iter().all(u8::is_ascii_hexdigit))
        })
}

/// From `-----BEGIN …` to the end of `-----END …-----`, or of the text; and base64 that is longer than any word.
pub fn pem(text: &Text<'_>, spans: &mut Spans) {
    let mut at = 0;
    while let Some(from) = text.find(at, "-----begin ") {
        let end = text.find(from, "-----end ");
        let to = end
            .and_then(|end| text.find(end + 9, "-----"))
            .map_or(text.len(), |close| close + 5);
        spans.add(from, to);
        at = to;
    }
    for (from, to) in text.runs(BASE64) {
        let word = text.slice(from, to);
        if word.len() >= 56 && Make::of(word).is_mixed() {
            spans.add(from, text.run(to, &WORD));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::scan::is_in_order;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn schemes_stand_in_the_order_of_their_first_characters() {
        assert!(is_in_order(&SCHEMES, |scheme| scheme));
    }
}
