//! Combinations of settings that cannot be meant.

use std::fmt;

/// What is wrong, and what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsMistake {
    Status(String),
    NoStatuses,
    NeverRewritten(u16),
    SentStatus(u16),
    Uri,
    EmptyText,
    StatusNeedsHold,
    EmptyCode,
    NoLanguages,
    Language(String),
    LanguageTwice(String),
    LanguageWithoutTexts(String),
    TextsUnused(String),
    NoFormats,
    NoJson,
    FormatTwice,
    MaxBytes,
    HeaderName,
    Framing,
    Kept,
    KeptAnyway,
    RepliesNowhere,
    NonceInReply,
    NothingAllowed,
}

impl fmt::Display for SettingsMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status(found) => {
                return write!(
                    f,
                    "`{found}` is no error status; write a code from 400 to 599, as `\"404\"`, or `4xx` or `5xx`"
                );
            }
            Self::NoStatuses => {
                "the list is empty, so nothing is rewritten; write `mode: off` if that is meant"
            }
            Self::NeverRewritten(status) => {
                return write!(
                    f,
                    "{status} is not among `statuses`, so this has no effect; add it there or take this out"
                );
            }
            Self::SentStatus(status) => {
                return write!(
                    f,
                    "{status} cannot be sent in place of an error; a code from 400 to 599 can"
                );
            }
            Self::Uri => {
                "this is no absolute URI; write one with its scheme, as `https://api.example.com/problems/limit`"
            }
            Self::EmptyText => "the text is empty; write one, or take the key out",
            Self::StatusNeedsHold => {
                "the status has left before the code is known; write `body: hold`, or take this out"
            }
            Self::EmptyCode => "a code has at least one character",
            Self::NoLanguages => "the list is empty; name at least one language",
            Self::Language(found) => {
                return write!(f, "`{found}` is no language tag; write one as `en` or `pt-BR`");
            }
            Self::LanguageTwice(tag) => {
                return write!(f, "`{tag}` stands here twice; take one out");
            }
            Self::LanguageWithoutTexts(tag) => {
                return write!(
                    f,
                    "there are no texts in `{tag}`; write them under `texts`, or take it out (`en` and `de` are there by themselves)"
                );
            }
            Self::TextsUnused(tag) => {
                return write!(
                    f,
                    "`{tag}` is not among `languages`; add it there or take these out"
                );
            }
            Self::NoFormats => "the list is empty; write at least `json`",
            Self::NoJson => "`json` has to be among them: it is what a client gets that asks for nothing",
            Self::FormatTwice => "a format stands here twice; take one out",
            Self::MaxBytes => "between 1024 and 1048576 bytes can be read",
            Self::HeaderName => {
                "this is no header name; it holds letters, digits and `-`"
            }
            Self::Framing => {
                "this header says how the message is sent, and only the proxy knows that; take it out"
            }
            Self::Kept => {
                "clients need this header on errors; take it out, or remove it where it is made"
            }
            Self::KeptAnyway => {
                "this header is not among those that are removed by default, so it stays anyway; take it out"
            }
            Self::RepliesNowhere => {
                "with `empty: leave` there are no replies that could carry these; take one of the two out"
            }
            Self::NothingAllowed => {
                "without patterns nothing is on the list, so no text would pass; write some, or `upstream: {json: drop}` if that is meant"
            }
            Self::NonceInReply => {
                "the pages made here hold nothing that a nonce could allow; write `web`"
            }
        })
    }
}
