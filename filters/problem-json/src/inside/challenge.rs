//! Challenges (RFC 9110 §11.6.1): what clients calculate with stays, texts are redacted, and what is no challenge by the
//! grammar is cut down to its scheme.
//!
//! 1. A line is read as schemes, each alone, with a token, or with parameters.
//! 2. Parameters with something to redact go, unless they are a sentence, which is redacted, or a realm.
//! 3. Of a line that is none by the grammar the first scheme stays, and of its parameters before the mistake `realm`,
//!    `error`, and what clients calculate with.

use crate::redact::{REDACTED, is_among_in_any_case};

use super::Reader;

/// What clients calculate with, or send back as it is: RFC 7616, 7804, 9449, 9470, 9577, 9728; Microsoft's `claims`.
const CALCULATED: &str = " algorithm algs authorization_uri challenge charset claims data domain max_age nonce opaque qop \
resource_metadata sid stale token-key userhash ";
/// Schemes that are followed by a token of their own.
const WITH_TOKEN: &str = " kerberos negotiate ntlm ";
/// No scheme's name is longer.
const MAX_SCHEME_BYTES: usize = 32;

#[derive(Default)]
struct Challenge<'l> {
    scheme: &'l [u8],
    token: Option<&'l [u8]>,
    parameters: Vec<Parameter<'l>>,
}

struct Parameter<'l> {
    name: &'l [u8],
    /// As it is written, quotes included.
    value: &'l [u8],
}

/// A line of challenges as it may leave; `None` where nothing of it may.
pub fn challenge(reader: &mut Reader<'_>, line: &[u8]) -> Option<Vec<u8>> {
    let mut scanner = Scanner { line, at: 0 };
    let mut challenges = Vec::new();
    let complete = scanner.all(&mut challenges).is_some();
    if !complete {
        challenges.truncate(1);
    }
    let mut changed = !complete;
    let mut out: Vec<u8> = Vec::with_capacity(line.len());
    for challenge in &challenges {
        let named = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        if challenge.scheme.len() > MAX_SCHEME_BYTES || !challenge.scheme.iter().all(named) {
            changed = true;
            continue;
        }
        if !out.is_empty() {
            out.extend(b", ");
        }
        out.extend(challenge.scheme);
        if let Some(token) = challenge.token {
            if is_among_in_any_case(WITH_TOKEN, challenge.scheme) || reader.passes(token) {
                out.push(b' ');
                out.extend(token);
            } else {
                changed = true;
            }
        }
        let mut separator: &[u8] = b" ";
        for parameter in &challenge.parameters {
            let value = match parameter.verdict(reader, challenge.scheme, complete) {
                Verdict::Stays => parameter.value,
                Verdict::Goes => {
                    changed = true;
                    continue;
                }
                Verdict::Becomes(ref value) => {
                    changed = true;
                    &quoted(value)
                }
            };
            out.extend([separator, parameter.name, b"=", value].concat());
            separator = b", ";
        }
    }
    if !changed {
        return Some(line.to_vec());
    }
    (!out.is_empty()).then_some(out)
}

enum Verdict {
    Stays,
    Goes,
    Becomes(String),
}

impl Parameter<'_> {
    fn verdict(&self, reader: &mut Reader<'_>, scheme: &[u8], complete: bool) -> Verdict {
        let is = |name: &str| self.name.eq_ignore_ascii_case(name.as_bytes());
        // Clients make a digest of its realm, and only its values have spaces.
        let digest = scheme.eq_ignore_ascii_case(b"digest");
        let calculated = is_among_in_any_case(CALCULATED, self.name);
        if digest && (calculated || is("realm")) || calculated && !self.value.contains(&b' ') {
            return Verdict::Stays;
        }
        let token = is("realm") || is("error");
        let Some(text) = plain(self.value).filter(|_| {
            // Neither RFC 9110 nor any scheme knows extended parameters (RFC 8187).
            (complete || token) && !self.name.ends_with(b"*")
        }) else {
            return Verdict::Goes;
        };
        if !reader.reads(&text, super::MAX_TEXT_BYTES) {
            let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            let stays = token && text.len() <= MAX_SCHEME_BYTES && text.bytes().all(word);
            return if stays { Verdict::Stays } else { Verdict::Goes };
        }
        // An allow-list is one of sentences.
        if token || is("scope") || is("error_uri") {
            return match reader.redaction.finds(&text, false) {
                false => Verdict::Stays,
                true if is("realm") => Verdict::Becomes(REDACTED.to_owned()),
                true => Verdict::Goes,
            };
        }
        let (after, marks) = reader.redaction.text(&text);
        match marks.found {
            0 => Verdict::Stays,
            _ if text.contains(' ') => Verdict::Becomes(after.into_owned()),
            _ => Verdict::Goes,
        }
    }
}

/// A value without its quotes and escapes.
fn plain(value: &[u8]) -> Option<String> {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    let mut out = Vec::with_capacity(value.len());
    let mut escaped = false;
    for byte in inner.unwrap_or(value) {
        escaped = *byte == b'\\' && !escaped && inner.is_some();
        if !escaped {
            out.push(*byte);
        }
    }
    String::from_utf8(out).ok()
}

fn quoted(text: &str) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    out
}

struct Scanner<'l> {
    line: &'l [u8],
    at: usize,
}

impl<'l> Scanner<'l> {
    /// Every challenge of the line; `None` at the first thing that is against the grammar.
    fn all(&mut self, challenges: &mut Vec<Challenge<'l>>) -> Option<()> {
        loop {
            self.run(|byte| matches!(byte, b' ' | b'\t' | b','));
            if self.at >= self.line.len() {
                return Some(());
            }
            if let Some(last) = challenges.last_mut()
                && last.token.is_none()
                && let Some(parameter) = self.parameter()
            {
                self.end()?;
                last.parameters.push(parameter);
                continue;
            }
            let scheme = Some(self.run(is_token)).filter(|scheme| !scheme.is_empty())?;
            challenges.push(Challenge {
                scheme,
                ..Challenge::default()
            });
            if self.end().is_some() {
                continue;
            }
            let last = challenges.last_mut()?;
            if let Some(parameter) = self.parameter() {
                self.end()?;
                last.parameters.push(parameter);
                continue;
            }
            let from = self.at;
            self.run(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
            self.run(|byte| byte == b'=');
            let token = self.line.get(from..self.at)?;
            self.end()?;
            last.token = Some(token);
        }
    }

    fn run(&mut self, fits: impl Fn(u8) -> bool) -> &'l [u8] {
        let rest = self.line.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| !fits(*byte));
        let (run, _) = rest.split_at(length.unwrap_or(rest.len()));
        self.at += run.len();
        run
    }

    fn blank(&mut self) {
        self.run(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// Whether an element of the list ends here, behind white space that is skipped.
    fn end(&mut self) -> Option<()> {
        self.blank();
        matches!(self.line.get(self.at), None | Some(b',')).then_some(())
    }

    /// `name = value`; where there is none, nothing is read.
    fn parameter(&mut self) -> Option<Parameter<'l>> {
        let from = self.at;
        let found = self.name_and_value();
        if found.is_none() {
            self.at = from;
        }
        found
    }

    fn name_and_value(&mut self) -> Option<Parameter<'l>> {
        let name = Some(self.run(is_token)).filter(|name| !name.is_empty())?;
        self.blank();
        (self.line.get(self.at) == Some(&b'=')).then(|| self.at += 1)?;
        self.blank();
        let from = self.at;
        if self.line.get(from) == Some(&b'"') {
            self.at += 1;
            loop {
                self.run(|byte| !matches!(byte, b'"' | b'\\'));
                let escapes = *self.line.get(self.at)? == b'\\';
                self.at += 1 + usize::from(escapes);
                if !escapes {
                    break;
                }
            }
        } else if self.run(is_token).is_empty() {
            return None;
        }
        let value = self.line.get(from..self.at)?;
        Some(Parameter { name, value })
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::{Kinds, Mode, Redaction};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn after(line: &str) -> String {
        let redaction = Redaction::new(Kinds::ALL, Mode::DenyList, &[]).unwrap();
        let line = challenge(&mut Reader::new(&redaction), line.as_bytes());
        String::from_utf8(line.unwrap_or_default()).unwrap()
    }

    #[test]
    fn a_challenge_keeps_what_clients_calculate_with() {
        for stays in [
            "Basic realm=\"prod\"",
            "Digest realm=\"x@host.com\", nonce=\"8f14e45fceea167a5a36dedd4bea2543\", qop=\"auth\"",
            "Bearer realm=\"a\\\"b\", error=\"invalid_token\", error_description=\"The \\\"access\\\" token expired\"",
            "Bearer error_description=expired, error=x , Basic realm=api",
            "Bearer , ,Basic realm = \"a b\"",
            "Negotiate YIIabcdef0123==",
            "Negotiate, NTLM",
            "Bearer resource_metadata=\"https://api.example.com:8443/.well-known/oauth-protected-resource\"",
            "Bearer scope=\"orders:read orders:write\", error=\"insufficient_scope\"",
            "PrivateToken challenge=\"AAIAC2V4YW1wbGUuY29tIBERERERERERERERERERERERERERERERERERERERERERERERAAA=\"",
        ] {
            assert_eq!(after(stays), stays);
        }
    }

    #[test]
    fn texts_in_a_challenge_are_redacted_and_other_parameters_go() {
        for (before, expected) in [
            (
                "Bearer error=\"x\", error_description=\"SELECT a FROM users\", error_uri=\"http://db:9876/x\", Basic realm=\"r\"",
                "Bearer error=\"x\", error_description=\"[redacted]\", Basic realm=\"r\"",
            ),
            (
                "Bearer Error_Description = \"for \\\"bob@example.com\\\" only\"",
                "Bearer Error_Description=\"for \\\"[redacted]\\\" only\"",
            ),
            (
                "Bearer realm=\"db-1.orders.internal\"",
                "Bearer realm=\"[redacted]\"",
            ),
            (
                "Bearer error=\"/etc/passwd bob@example.com\", realm=x",
                "Bearer realm=x",
            ),
            (
                "Bearer error_description*=UTF-8''expired, error=x",
                "Bearer error=x",
            ),
            ("Bearer error-uri=\"http://10.0.0.5/x\"", "Bearer"),
            (
                "Bearer message=\"with password=hunter2\", title=\"/etc/passwd\", reason=\"all is well\"",
                "Bearer message=\"with password=[redacted]\", reason=\"all is well\"",
            ),
            ("Bearer /etc/passwd, Basic", "Bearer, Basic"),
            (
                "Bearer data=\"SELECT a FROM users\"",
                "Bearer data=\"[redacted]\"",
            ),
        ] {
            assert_eq!(after(before), expected, "{before}");
        }
    }

    #[test]
    fn what_is_no_challenge_by_the_grammar_keeps_its_scheme_and_what_is_safe_of_it() {
        for (before, expected) in [
            (
                "Bearer error_description=SELECT iban, name FROM customers WHERE id = 7",
                "Bearer",
            ),
            (
                "Bearer realm=\"api\", error=x, error_description=connect to 10.0.0.5:5432 failed, retry",
                "Bearer realm=\"api\", error=x",
            ),
            (
                "Bearer error_description=relation \"users_secret\" does not exist",
                "Bearer",
            ),
            (
                "Bearer realm=\"C:\\inetpub\\\", error_description=\"SELECT * FROM users\"",
                "Bearer",
            ),
            ("Bearer error_description=\"\"/etc/passwd\"\"", "Bearer"),
            (
                "Bearer error=x, error_description=/etc/passwd",
                "Bearer error=x",
            ),
            ("Bearer error_description=\"open /etc/passwd", "Bearer"),
            ("Bearer error_description \"/etc/passwd\"", "Bearer"),
            (
                "Bearer error_description=expired, Digest nonce=\"a\", opaque=b c",
                "Bearer",
            ),
            ("10.0.0.5", ""),
            ("/etc/passwd", ""),
            ("", ""),
        ] {
            assert_eq!(after(before), expected, "{before}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_goes_unread() {
        let long = "all is well ".repeat(90);
        let line = format!("Bearer error_description=\"{long}\", realm=\"api\", error=x");
        assert_eq!(after(&line), "Bearer realm=\"api\", error=x");
    }
}
