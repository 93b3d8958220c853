//! What the value of a header in the settings may be. Browsers ignore a value they do not know, and with it the protection.

use std::fmt;

use portcullis_kit::Mistake;

/// What is wrong with a header's name or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueMistake {
    NotAToken,
    Empty,
    Character(char),
    Spaces,
    SingleValued,
    NoSuchFeature,
}

impl fmt::Display for ValueMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAToken => f.write_str(
                "this is no header name; it holds letters, digits and !#$%&'*+-.^_`|~",
            ),
            Self::Empty => {
                f.write_str("the value is empty; write `remove` to send no such header, `off` to leave it alone")
            }
            Self::Character(c) => write!(
                f,
                "{c:?} cannot stand in a header value; write it in visible ASCII, on one line"
            ),
            Self::Spaces => f.write_str("the value begins or ends with a space; take it away"),
            Self::SingleValued => f.write_str(
                "this header has one value, and browsers ignore or misread a second; use `set` or `default`",
            ),
            Self::NoSuchFeature => f.write_str(
                "each member is a feature and its allow-list: `geolocation=()`, `camera=(self \"https://a.example\")`",
            ),
        }
    }
}

/// The tokens that browsers know, for headers where a slip of the finger silently switches the protection off.
const TOKENS: [(&str, &[&str]); 9] = [
    ("x-content-type-options", &["nosniff"]),
    ("x-frame-options", &["DENY", "SAMEORIGIN"]),
    (
        "referrer-policy",
        &[
            "no-referrer",
            "no-referrer-when-downgrade",
            "origin",
            "origin-when-cross-origin",
            "same-origin",
            "strict-origin",
            "strict-origin-when-cross-origin",
            "unsafe-url",
        ],
    ),
    (
        "cross-origin-opener-policy",
        &[
            "unsafe-none",
            "same-origin-allow-popups",
            "same-origin",
            "noopener-allow-popups",
        ],
    ),
    (
        "cross-origin-embedder-policy",
        &["unsafe-none", "require-corp", "credentialless"],
    ),
    (
        "cross-origin-resource-policy",
        &["same-site", "same-origin", "cross-origin"],
    ),
    ("origin-agent-cluster", &["?1", "?0"]),
    (
        "x-permitted-cross-domain-policies",
        &[
            "none",
            "master-only",
            "by-content-type",
            "by-ftp-filename",
            "all",
            "none-this-response",
        ],
    ),
    ("x-dns-prefetch-control", &["on", "off"]),
];

/// Headers of which there can be one value only, so nothing can be appended.
const SINGLE_VALUED: [&str; 22] = [
    "age",
    "content-disposition",
    "content-location",
    "content-range",
    "content-type",
    "cross-origin-embedder-policy",
    "cross-origin-embedder-policy-report-only",
    "cross-origin-opener-policy",
    "cross-origin-opener-policy-report-only",
    "cross-origin-resource-policy",
    "date",
    "etag",
    "expires",
    "last-modified",
    "location",
    "origin-agent-cluster",
    "retry-after",
    "server",
    "x-content-type-options",
    "x-dns-prefetch-control",
    "x-frame-options",
    "x-permitted-cross-domain-policies",
];

/// Whether a header of that name (in lower case) can have one value only.
pub fn is_single(name: &str) -> bool {
    SINGLE_VALUED.contains(&name)
}

/// Checks the value of the header of that name (in lower case).
///
/// # Errors
/// A value that cannot be sent, or that browsers do not know.
pub fn check(name: &str, value: &str) -> Result<(), Mistake> {
    let rule = |mistake: ValueMistake| Err(Mistake::Rule(Box::new(mistake)));
    if value.trim_ascii().is_empty() {
        return rule(ValueMistake::Empty);
    }
    if let Some(c) = value.chars().find(|c| !matches!(c, '\t' | ' '..='~')) {
        return rule(ValueMistake::Character(c));
    }
    if value.trim_ascii() != value {
        return rule(ValueMistake::Spaces);
    }
    if let Some((_, tokens)) = TOKENS.iter().find(|(known, _)| *known == name) {
        // Referrer-Policy is a list of fallbacks; COOP and COEP take parameters.
        let list = name == "referrer-policy";
        for word in value.split(|c| list && c == ',') {
            let word = word.split(';').next().unwrap_or_default().trim_ascii();
            if !tokens.iter().any(|token| token.eq_ignore_ascii_case(word)) {
                return Err(Mistake::UnknownValue {
                    value: word.to_owned(),
                    allowed: tokens.to_vec(),
                });
            }
        }
    }
    if name == "permissions-policy" && !value.split(',').all(is_feature) {
        return rule(ValueMistake::NoSuchFeature);
    }
    Ok(())
}

/// `feature=allow-list`, a member of a structured dictionary (Permissions Policy §5.2). The old Feature-Policy form,
/// without `=`, is not.
fn is_feature(member: &str) -> bool {
    let Some((feature, list)) = member.trim_ascii().split_once('=') else {
        return false;
    };
    let list = list.split(';').next().unwrap_or_default().trim_ascii();
    !feature.is_empty()
        && feature
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && (matches!(list, "*" | "self")
            || (list.starts_with('(') && list.ends_with(')'))
            || (list.starts_with('"') && list.ends_with('"')))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_value_that_browsers_would_ignore_is_refused() {
        for (name, value, expected) in [
            ("x-a", "", "the value is empty"),
            ("x-a", " ", "the value is empty"),
            ("x-a", "a\r\nb: c", "'\\r' cannot stand"),
            ("x-a", "a\0", "'\\0' cannot stand"),
            ("x-a", "caf\u{e9}", "cannot stand"),
            ("x-a", " a", "begins or ends with a space"),
            (
                "x-frame-options",
                "ALLOW-FROM https://a.example",
                "allowed: DENY, SAMEORIGIN",
            ),
            (
                "x-content-type-options",
                "no-sniff",
                "did you mean `nosniff`?",
            ),
            (
                "referrer-policy",
                "no-referrer, strict-orign",
                "did you mean `strict-origin`?",
            ),
            (
                "cross-origin-opener-policy",
                "sameorigin",
                "did you mean `same-origin`?",
            ),
            ("origin-agent-cluster", "1", "allowed: ?1, ?0"),
            (
                "permissions-policy",
                "geolocation 'none'",
                "each member is a feature",
            ),
            (
                "permissions-policy",
                "geolocation=none",
                "each member is a feature",
            ),
        ] {
            let found = check(name, value).err().unwrap().to_string();
            assert!(found.contains(expected), "{name}: {value:?}: {found}");
        }
    }

    #[test]
    fn a_value_that_browsers_know_passes() {
        for (name, value) in [
            ("x-frame-options", "deny"),
            (
                "referrer-policy",
                "no-referrer, strict-origin-when-cross-origin",
            ),
            (
                "cross-origin-opener-policy",
                "same-origin; report-to=\"main\"",
            ),
            (
                "permissions-policy",
                "geolocation=(), camera=(self \"https://a.example\"), usb=*, midi=self;report-to=x",
            ),
            ("x-anything", "a\tb, c"),
        ] {
            assert!(check(name, value).is_ok(), "{name}: {value}");
        }
    }
}
