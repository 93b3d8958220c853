//! Content-Security-Policy: what a policy in the settings may say, and how it becomes a header (CSP Level 3).

use std::borrow::Cow;
use std::fmt;

use portcullis_kit::Mistake;

use crate::nonce::{Nonce, PLACEHOLDER};

/// The enforced header.
pub const HEADER: &str = "content-security-policy";
/// The header that only reports.
pub const REPORT_ONLY: &str = "content-security-policy-report-only";

/// Directives whose value is a list of sources.
const SOURCE_LISTS: [&str; 20] = [
    "default-src",
    "script-src",
    "script-src-elem",
    "script-src-attr",
    "style-src",
    "style-src-elem",
    "style-src-attr",
    "img-src",
    "font-src",
    "connect-src",
    "media-src",
    "object-src",
    "frame-src",
    "child-src",
    "worker-src",
    "manifest-src",
    "fenced-frame-src",
    "base-uri",
    "form-action",
    "frame-ancestors",
];
/// The other directives.
const OTHERS: [&str; 8] = [
    "sandbox",
    "report-uri",
    "report-to",
    "upgrade-insecure-requests",
    "block-all-mixed-content",
    "require-trusted-types-for",
    "trusted-types",
    "webrtc",
];
/// Directives that do nothing in a policy that only reports (CSP3 §6.3.1, Upgrade Insecure Requests §3), and those that
/// the report-only settings write themselves.
const NOT_REPORTED: [&str; 5] = [
    "sandbox",
    "upgrade-insecure-requests",
    "block-all-mixed-content",
    "report-uri",
    "report-to",
];
/// Words that are quoted in a source list.
const KEYWORDS: [&str; 10] = [
    "none",
    "self",
    "unsafe-inline",
    "unsafe-eval",
    "unsafe-hashes",
    "strict-dynamic",
    "report-sample",
    "wasm-unsafe-eval",
    "inline-speculation-rules",
    "trusted-types-eval",
];

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CspMistake {
    Empty,
    Character(char),
    Comma,
    Twice(String),
    Unquoted(String),
    Quoted(String),
    NoneAndMore(String),
    FixedNonce,
    Placeholder,
    NoNonce,
}

impl fmt::Display for CspMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the policy is empty; write `off` to send none"),
            Self::Character(c) => write!(
                f,
                "{c:?} cannot stand in a policy; write it in visible ASCII, on one line"
            ),
            Self::Comma => f.write_str(
                "a comma would begin a second policy; separate directives by `;` and sources by spaces",
            ),
            Self::Twice(name) => write!(
                f,
                "`{name}` is given twice and browsers take the first alone; write one with all sources"
            ),
            Self::Unquoted(word) => write!(
                f,
                "`{word}` without quotes is a host name; write `'{word}'`"
            ),
            Self::Quoted(word) => write!(
                f,
                "{word} is no keyword, nonce or hash; a host stands without quotes, a hash as 'sha256-…'"
            ),
            Self::NoneAndMore(name) => write!(
                f,
                "`{name}` has 'none' beside other sources, and browsers then ignore 'none'; keep one of both"
            ),
            Self::FixedNonce => write!(
                f,
                "a nonce that never changes protects nothing; write 'nonce-{PLACEHOLDER}'"
            ),
            Self::Placeholder => write!(
                f,
                "{PLACEHOLDER} stands in 'nonce-{PLACEHOLDER}' and nowhere else"
            ),
            Self::NoNonce => write!(
                f,
                "preset web-nonce needs 'nonce-{PLACEHOLDER}' in the policy; add it to script-src, or take preset web"
            ),
        }
    }
}

/// A policy with its directives told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Name in lower case, and the value.
    directives: Vec<(String, String)>,
}

/// Reads a policy from the settings.
///
/// # Errors
/// Whatever would make browsers ignore a part of it.
pub fn parse(text: &str) -> Result<Policy, Mistake> {
    let rule = |mistake: CspMistake| Mistake::Rule(Box::new(mistake));
    if let Some(c) = text.chars().find(|c| !matches!(c, ' '..='~')) {
        return Err(rule(CspMistake::Character(c)));
    }
    if text.contains(',') {
        return Err(rule(CspMistake::Comma));
    }
    let mut directives: Vec<(String, String)> = Vec::new();
    for directive in text
        .split(';')
        .map(str::trim_ascii)
        .filter(|part| !part.is_empty())
    {
        let (name, value) = directive.split_once(' ').unwrap_or((directive, ""));
        let (name, value) = (name.to_ascii_lowercase(), value.trim_ascii());
        let is_list = SOURCE_LISTS.contains(&name.as_str());
        if !is_list && !OTHERS.contains(&name.as_str()) {
            return Err(Mistake::UnknownValue {
                value: name,
                allowed: [&SOURCE_LISTS[..], &OTHERS[..]].concat(),
            });
        }
        if directives.iter().any(|(known, _)| *known == name) {
            return Err(rule(CspMistake::Twice(name)));
        }
        if is_list {
            check_sources(&name, value).map_err(rule)?;
        } else if value.contains(PLACEHOLDER) {
            return Err(rule(CspMistake::Placeholder));
        }
        let words: Vec<&str> = value.split_ascii_whitespace().collect();
        directives.push((name, words.join(" ")));
    }
    if directives.is_empty() {
        return Err(rule(CspMistake::Empty));
    }
    Ok(Policy { directives })
}

fn check_sources(name: &str, value: &str) -> Result<(), CspMistake> {
    let mut count = 0;
    let mut none = false;
    for source in value.split_ascii_whitespace() {
        count += 1;
        let lower = source.to_ascii_lowercase();
        if KEYWORDS.contains(&lower.as_str()) {
            return Err(CspMistake::Unquoted(source.to_owned()));
        }
        let Some(word) = lower.strip_prefix('\'') else {
            if source.contains(PLACEHOLDER) || source.ends_with('\'') {
                return Err(match source.contains(PLACEHOLDER) {
                    true => CspMistake::Placeholder,
                    false => CspMistake::Quoted(source.to_owned()),
                });
            }
            continue;
        };
        let Some(word) = word.strip_suffix('\'') else {
            return Err(CspMistake::Quoted(source.to_owned()));
        };
        if let Some(nonce) = word.strip_prefix("nonce-") {
            if nonce != PLACEHOLDER {
                return Err(CspMistake::FixedNonce);
            }
        } else if word.contains(PLACEHOLDER) {
            return Err(CspMistake::Placeholder);
        } else if word == "none" {
            none = true;
        } else if !KEYWORDS.contains(&word) && !is_hash(word) {
            return Err(CspMistake::Quoted(source.to_owned()));
        }
    }
    match none && count > 1 {
        true => Err(CspMistake::NoneAndMore(name.to_owned())),
        false => Ok(()),
    }
}

fn is_hash(word: &str) -> bool {
    ["sha256-", "sha384-", "sha512-"].iter().any(|algorithm| {
        word.strip_prefix(algorithm)
            .is_some_and(|hash| !hash.is_empty())
    })
}

impl Policy {
    pub fn uses_nonce(&self) -> bool {
        self.directives
            .iter()
            .any(|(_, value)| value.contains(PLACEHOLDER))
    }

    /// The same policy as one that only reports: without directives that then do nothing, and with the place to report
    /// to. `None` if nothing is left to report.
    pub fn report_only(&self, uri: &str, endpoint: &str) -> Option<Self> {
        let mut directives: Vec<_> = self
            .directives
            .iter()
            .filter(|(name, _)| !NOT_REPORTED.contains(&name.as_str()))
            .cloned()
            .collect();
        if directives.is_empty() {
            return None;
        }
        directives.push(("report-uri".to_owned(), uri.to_owned()));
        directives.push(("report-to".to_owned(), endpoint.to_owned()));
        Some(Self { directives })
    }

    /// The header's value, ready for nonces.
    pub fn template(&self) -> Template {
        let directives: Vec<String> = self
            .directives
            .iter()
            .map(|(name, value)| match value.as_str() {
                "" => name.clone(),
                value => format!("{name} {value}"),
            })
            .collect();
        Template(
            directives
                .join("; ")
                .split(PLACEHOLDER)
                .map(|part| part.as_bytes().to_vec())
                .collect(),
        )
    }
}

/// A header's value, cut where the nonce goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Vec<u8>>);

impl Template {
    /// The value with that nonce; without a place for one, no copy is made.
    #[inline]
    pub fn render(&self, nonce: Option<&Nonce>) -> Cow<'_, [u8]> {
        match self.0.as_slice() {
            [] => Cow::Borrowed(b""),
            [whole] => Cow::Borrowed(whole),
            parts => Cow::Owned(parts.join(nonce.map_or(&b""[..], Nonce::as_bytes))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn sound(text: &str) -> Policy {
        parse(text).unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
    }

    fn mistake(text: &str) -> String {
        parse(text).err().unwrap().to_string()
    }

    #[test]
    fn every_preset_keeps_to_the_rules_for_settings() {
        use crate::presets::Preset;
        for preset in [Preset::Api, Preset::Web, Preset::WebNonce] {
            assert!(parse(preset.csp().unwrap()).is_ok());
            for header in preset.headers() {
                assert!(crate::values::check(header.name, header.value).is_ok());
            }
        }
    }

    #[test]
    fn a_policy_that_browsers_would_half_ignore_is_refused() {
        for (text, expected) in [
            ("", "the policy is empty"),
            (" ; ;", "the policy is empty"),
            ("default-src 'self', img-src *", "a comma would begin"),
            ("default-src 'self'\r\nx: y", "'\\r' cannot stand"),
            ("default-src caf\u{e9}.example", "'é' cannot stand"),
            ("frame-ancestor 'none'", "did you mean `frame-ancestors`?"),
            (
                "img-src a.example; IMG-SRC b.example",
                "`img-src` is given twice",
            ),
            ("default-src self", "write `'self'`"),
            ("default-src none", "write `'none'`"),
            ("script-src 'selff'", "'selff' is no keyword"),
            ("script-src 'self", "'self is no keyword"),
            ("script-src example.com'", "example.com' is no keyword"),
            ("script-src 'none' a.example", "'none' beside other sources"),
            ("script-src 'nonce-abc'", "a nonce that never changes"),
            ("script-src {nonce}", "{nonce} stands in"),
            ("script-src 'sha256-{nonce}'", "{nonce} stands in"),
            ("sandbox {nonce}", "{nonce} stands in"),
        ] {
            let found = mistake(text);
            assert!(found.contains(expected), "{text:?}: {found}");
        }
    }

    #[test]
    fn a_sound_policy_keeps_its_words_and_order() {
        for (text, value) in [
            ("default-src 'none'", "default-src 'none'"),
            (
                "  Default-Src  'self'  https: ;; sandbox ; ",
                "default-src 'self' https:; sandbox",
            ),
            (
                "script-src 'self' 'sha256-AbC=' data: *.example.com:*; upgrade-insecure-requests",
                "script-src 'self' 'sha256-AbC=' data: *.example.com:*; upgrade-insecure-requests",
            ),
        ] {
            let template = sound(text).template();
            assert_eq!(template.render(None), Cow::Borrowed(value.as_bytes()));
        }
    }

    #[test]
    fn each_place_for_the_nonce_gets_it() {
        let policy = sound("script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}' 'self'");
        assert!(policy.uses_nonce());
        let nonce = Nonce::new([0; 18]);
        assert_eq!(
            policy.template().render(Some(&nonce)).as_ref(),
            b"script-src 'nonce-AAAAAAAAAAAAAAAAAAAAAAAA'; style-src 'nonce-AAAAAAAAAAAAAAAAAAAAAAAA' 'self'"
        );
    }

    #[test]
    fn a_report_only_policy_drops_what_cannot_be_reported_and_names_the_endpoint() {
        let policy =
            sound("default-src 'none'; sandbox; report-uri /old; upgrade-insecure-requests");
        let reported = policy.report_only("https://r.example/x", "main").unwrap();
        assert_eq!(
            reported.template().render(None).as_ref(),
            b"default-src 'none'; report-uri https://r.example/x; report-to main"
        );
        assert_eq!(sound("sandbox").report_only("/r", "main"), None);
    }
}
