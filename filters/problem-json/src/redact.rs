//! What of an upstream's text may pass: secrets, personal data and the inside of the service become `[redacted]`.
//!
//! Built-in kinds are found by scanners that read a text once from left to right; most texts hold none of the characters
//! a kind needs, and cost a look at each byte. The user's own patterns are regular expressions, matched in linear time.
//! In doubt a text goes: a wrong `[redacted]` costs a word, a wrong pass a secret.

mod class;
mod databases;
mod hosts;
mod keyed;
mod network;
mod paths;
mod personal;
mod scan;
mod secrets;
mod spelling;
mod sql;
mod stack;

use std::borrow::Cow;
use std::fmt;

use regex_lite::{Regex, RegexBuilder};

use scan::{Spans, Text};
use spelling::{Meant, SIGNS};

/// Stands where something was.
pub const REDACTED: &str = "[redacted]";

/// The most a pattern of the settings may take when compiled, in bytes.
const MAX_PATTERN_BYTES: usize = 128 * 1024;

/// Longer texts are refused: no message is, and so no text can keep a scanner busy.
pub const MAX_TEXT_BYTES: usize = 8 * 1024;

/// A built-in kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Values of authentication schemes: `Bearer …`, `Basic …`.
    Authorization,
    /// JSON Web Tokens.
    Jwt,
    /// Keys of well-known issuers by their prefixes, AWS keys, and long random words.
    ApiKey,
    /// PEM blocks and long runs of base64.
    Pem,
    /// Passwords, tokens, secrets, session ids: whatever stands by such a name.
    Named,
    /// Addresses of databases and brokers, and any address with a user in it.
    Connection,
    Email,
    /// IPv4 and IPv6 addresses.
    Ip,
    /// Numbers of payment cards.
    Card,
    /// Paths of files, Unix and Windows.
    Path,
    /// SQL, and what databases say about it.
    Sql,
    /// Stack frames; what follows the first one goes too.
    Stack,
    /// Qualified names of classes and modules.
    Class,
    /// Host names that mean something only inside.
    Host,
}

type Scanner = fn(&Text<'_>, &mut Spans);

/// Each kind, by its name in the settings, with the characters of which a text must hold one to be worth scanning. None:
/// any.
const KINDS: [(Kind, &str, &[u8], Scanner); 14] = [
    (
        Kind::Authorization,
        "authorization",
        b" ",
        secrets::authorization,
    ),
    (Kind::Jwt, "jwt", b".", secrets::jwt),
    (Kind::ApiKey, "api_key", b"0123456789_-", secrets::api_keys),
    (Kind::Pem, "pem", b"-+/=0123456789", secrets::pem),
    (Kind::Named, "named", b"", keyed::named),
    (
        Kind::Connection,
        "connection",
        b"/@=:",
        network::connections,
    ),
    (Kind::Email, "email", b"@", network::emails),
    (Kind::Ip, "ip", b".:", network::addresses),
    (Kind::Card, "card", b"0123456789", personal::cards),
    (Kind::Path, "path", b"/\\", paths::paths),
    (Kind::Sql, "sql", b" [-_", sql::statements),
    (Kind::Stack, "stack", b" (:#", stack::frames),
    (Kind::Class, "class", b"", class::classes),
    (Kind::Host, "host", b".:-lL", hosts::hosts),
];

impl Kind {
    /// By its name in the settings.
    pub fn named(name: &str) -> Option<Self> {
        let found = KINDS.iter().find(|kind| kind.1 == name);
        found.map(|kind| kind.0)
    }

    /// The names in the settings.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|kind| kind.1)
    }
}

/// A set of built-in kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u16);

impl Kinds {
    pub const ALL: Self = Self((1 << KINDS.len()) - 1);
    pub const NONE: Self = Self(0);

    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    #[must_use]
    pub const fn without(self, kind: Kind) -> Self {
        Self(self.0 & !(1 << kind as u8))
    }

    pub const fn has(self, kind: Kind) -> bool {
        self.0 >> kind as u8 & 1 == 1
    }
}

/// What the patterns of the settings mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What a pattern finds goes.
    DenyList,
    /// Only a text that a pattern matches as a whole passes; the built-in kinds still apply to it.
    AllowList,
}

/// What was found in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// How many pieces were replaced.
    pub found: u32,
    /// Nothing of the text may pass: it is on no allow-list, or too long.
    pub refused: bool,
}

/// What to redact, compiled.
#[derive(Debug)]
pub struct Redaction {
    kinds: Kinds,
    mode: Mode,
    patterns: Vec<Regex>,
}

/// Why a pattern of the settings is refused.
#[derive(Debug)]
pub enum PatternError {
    /// It is no regular expression, or too large.
    Syntax {
        index: usize,
        reason: regex_lite::Error,
    },
    /// It finds the empty text, and so something everywhere.
    Empty { index: usize },
}

impl fmt::Display for PatternError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { index, reason } => write!(
                out,
                "pattern {index} is no regular expression this filter can use ({reason}); look-around, back-references \
                 and Unicode classes are not supported"
            ),
            Self::Empty { index } => write!(
                out,
                "pattern {index} matches the empty text; make it require at least one character"
            ),
        }
    }
}

impl std::error::Error for PatternError {}

impl Redaction {
    /// Compiles the patterns of the settings.
    pub fn new(kinds: Kinds, mode: Mode, patterns: &[&str]) -> Result<Self, PatternError> {
        let compile = |(index, pattern): (usize, &&str)| {
            let whole;
            let pattern = match mode {
                Mode::DenyList => pattern,
                Mode::AllowList => {
                    whole = ["^(?:", pattern, ")$"].concat();
                    whole.as_str()
                }
            };
            let regex = RegexBuilder::new(pattern)
                .size_limit(MAX_PATTERN_BYTES)
                .build()
                .map_err(|reason| PatternError::Syntax { index, reason })?;
            if mode == Mode::DenyList && regex.is_match("") {
                return Err(PatternError::Empty { index });
            }
            Ok(regex)
        };
        let patterns = patterns.iter().enumerate().map(compile);
        Ok(Self {
            kinds,
            mode,
            patterns: patterns.collect::<Result<_, _>>()?,
        })
    }

    /// The text with everything redacted that has to be.
    pub fn text<'t>(&self, text: &'t str) -> (Cow<'t, str>, Marks) {
        if self.refuses(text) {
            let marks = Marks {
                found: 1,
                refused: true,
            };
            return (Cow::Borrowed(REDACTED), marks);
        }
        let spans = self.spans(text, false, self.kinds);
        if spans.is_empty() {
            return (Cow::Borrowed(text), Marks::default());
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        let mut found = 0;
        for (from, to) in spans {
            out.push_str(text.get(at..from).unwrap_or_default());
            out.push_str(REDACTED);
            at = to;
            found += 1;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        let marks = Marks {
            found,
            refused: false,
        };
        (Cow::Owned(out), marks)
    }

    /// How many pieces would be replaced.
    pub fn found_in(&self, text: &str) -> u32 {
        self.count(text, false, self.kinds)
    }

    /// The same of a code, a URI or the name of a field. Classes of which that may be the plain name are not looked for:
    /// `ThrottlingException` and `Customer.Address.Street` are for clients.
    pub fn found_in_name(&self, name: &str) -> u32 {
        self.count(name, true, self.kinds)
    }

    /// The same of several plain words that only a pointer has put together: `/home/street` and `repository.private` are
    /// no path and no host then.
    pub fn found_in_words(&self, words: &str) -> u32 {
        let kinds = self.kinds.without(Kind::Path).without(Kind::Host);
        self.count(words, true, kinds)
    }

    /// The same of a member of JSON, whose name may say what its value is.
    pub fn found_in_member(&self, name: &str, value: &str) -> u32 {
        match self.mode {
            Mode::DenyList => self.found_in(&[name, ": ", value].concat()),
            Mode::AllowList => self.found_in(value),
        }
    }

    fn count(&self, text: &str, name: bool, kinds: Kinds) -> u32 {
        if self.refuses(text) {
            return 1;
        }
        u32::try_from(self.spans(text, name, kinds).len()).unwrap_or(u32::MAX)
    }

    fn refuses(&self, text: &str) -> bool {
        text.len() > MAX_TEXT_BYTES
            || self.mode == Mode::AllowList
                && !self.patterns.iter().any(|pattern| pattern.is_match(text))
    }

    /// What has to go, in order and apart: of the text as it is written, and as it is meant.
    fn spans(&self, text: &str, name: bool, kinds: Kinds) -> Vec<(usize, usize)> {
        let mut spans = Spans::default();
        let scanned = Text::new(text, name);
        self.scan(text, &scanned, kinds, &mut spans);
        if scanned.holds_one_of(SIGNS)
            && let Some(meant) = Meant::of(text)
        {
            let mut found = Spans::default();
            self.scan(
                &meant.text,
                &Text::new(&meant.text, name),
                kinds,
                &mut found,
            );
            for (from, to) in found.merged() {
                let (from, to) = meant.place(from, to);
                spans.add(from, to);
            }
        }
        spans.merged()
    }

    fn scan(&self, text: &str, scanned: &Text<'_>, kinds: Kinds, spans: &mut Spans) {
        for (kind, _, needs, scanner) in &KINDS {
            if kinds.has(*kind) && (needs.is_empty() || scanned.holds_one_of(needs)) {
                scanner(scanned, spans);
            }
        }
        if self.mode == Mode::DenyList {
            for pattern in &self.patterns {
                for found in pattern.find_iter(text) {
                    spans.add(found.start(), found.end());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// How often a scanner may read each byte of a text that is made to keep it busy. One that reads on to the end of the
    /// text from each place in it needs more.
    const MAX_READS: usize = 384;

    #[test]
    fn no_scanner_reads_a_text_over_and_over() {
        let mut busy = Vec::new();
        for unit in [
            ".js:",
            ".js:1",
            "a1",
            "a1.",
            "x://",
            "x://a:/",
            "host=",
            "at x (",
            "at x (a",
            "1.1.1.1 ",
            "key (",
            "caused by: ",
            "version 1.",
            "table '",
            "token: a b ",
            "a.b:99 ",
            "select a from \"",
        ] {
            let text = unit.repeat(MAX_TEXT_BYTES / unit.len());
            for (kind, _, _, scanner) in &KINDS {
                let scanned = Text::new(&text, false);
                scanner(&scanned, &mut Spans::default());
                let reads = scanned.work.get() / text.len();
                if reads > MAX_READS {
                    busy.push((unit, kind, reads));
                }
            }
        }
        assert!(busy.is_empty(), "{busy:?}");
    }
}
