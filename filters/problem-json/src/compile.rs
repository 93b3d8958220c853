//! From the settings of one profile to what requests use. Every mistake is found here.

use portcullis_kit::filter::Compiling;
use portcullis_kit::headers::is_token;
use portcullis_kit::table::Table;
use portcullis_kit::{ConfigError, Mistake, Path};

use crate::inside;
use crate::mistake::SettingsMistake;
use crate::negotiate::Offers;
use crate::profile::{Code, Counters, Left, Profile, Source, Statuses};
use crate::redact::{Kind, Kinds, Mode, PatternError, Redaction};
use crate::settings::{Body, Empty, Format, Instance, Redact, RedactMode, Settings, Text};
use crate::titles::{Language, Override, is_language_tag};

/// Compiles one profile.
///
/// # Errors
/// The first setting that cannot be meant, with its path and what to change.
pub fn compile(settings: &Settings, compiling: &Compiling<'_>) -> Result<Profile, ConfigError> {
    let top = Path::top;
    let statuses = statuses(settings)?;
    let hold = settings.body == Body::Hold;
    let formats = formats(settings)?;
    let languages = languages(settings)?;
    let max_bytes = settings.upstream.max_bytes;
    if !(1024..=1_048_576).contains(&max_bytes) {
        return Err(rule(
            top().key("upstream").key("max_bytes"),
            SettingsMistake::MaxBytes,
        ));
    }
    let by_status = |key: &str| StatusKeys {
        path: top().key(key),
        statuses,
    };
    let map_status = by_status("map_status").read(&settings.map_status, |sent, path| {
        sendable(*sent, path).map(|()| *sent)
    })?;
    let types = by_status("types").read(&settings.types, |uri, path| {
        absolute(uri, path).map(|()| uri.clone())
    })?;
    let categories = by_status("categories").read(&settings.categories, |it, _| Ok(*it))?;
    let retryable = by_status("retryable").read(&settings.retryable, |it, _| Ok(*it))?;
    if let Instance::Prefix(uri) = &settings.instance {
        absolute(uri, top().key("instance").key("prefix"))?;
    }
    reply_headers(settings)?;
    let mut varies_by = Vec::new();
    if formats.len() > 1 {
        varies_by.push("Accept");
    }
    if formats.contains(&Format::Html) {
        varies_by.push("Sec-Fetch-Mode");
    }
    if languages.len() > 1 {
        varies_by.push("Accept-Language");
    }
    Ok(Profile {
        statuses,
        map_status,
        types,
        codes: codes(settings, hold)?,
        negotiates: !varies_by.is_empty(),
        varies_by,
        languages,
        instance: settings.instance.clone(),
        categories,
        retryable,
        timestamp: settings.timestamp,
        problem: settings.upstream.problem,
        json: settings.upstream.json,
        oauth: settings.upstream.oauth,
        allow_server_text: settings.upstream.allow_server_text.clone(),
        max_bytes: max_bytes as usize,
        redaction: redaction(&settings.redact)?,
        offers: Offers {
            xml: formats.contains(&Format::Xml),
            html: formats.contains(&Format::Html),
            markdown: formats.contains(&Format::Markdown),
        },
        hold,
        reply_to_empty: settings.empty == Empty::Reply,
        reply_headers: settings.reply_headers,
        remove_headers: removed_headers(&settings.remove_headers)?,
        keep_headers: kept_headers(&settings.keep_headers)?,
        counters: counters(compiling),
    })
}

fn redaction(given: &Redact) -> Result<Redaction, ConfigError> {
    let path = |key: &str| Path::top().key("redact").key(key);
    let mut kinds = Kinds::ALL;
    if let Some(named) = &given.kinds {
        kinds = Kinds::NONE;
        for (at, name) in named.iter().enumerate() {
            let Some(kind) = Kind::named(name) else {
                let mistake = Mistake::UnknownValue {
                    value: name.clone(),
                    allowed: Kind::names().collect(),
                };
                return Err(ConfigError::new(path("kinds").index(at), mistake));
            };
            kinds = kinds.with(kind);
        }
    }
    let mode = match given.mode {
        RedactMode::DenyList => Mode::DenyList,
        RedactMode::AllowList if given.patterns.is_empty() => {
            return Err(rule(path("mode"), SettingsMistake::NothingAllowed));
        }
        RedactMode::AllowList => Mode::AllowList,
    };
    let patterns: Vec<&str> = given.patterns.iter().map(String::as_str).collect();
    Redaction::new(kinds, mode, &patterns).map_err(|error| {
        let at = match &error {
            PatternError::Syntax { index, .. } | PatternError::Empty { index } => *index,
        };
        ConfigError::rule(path("patterns").index(at), error)
    })
}

#[cold]
fn rule(path: Path, mistake: SettingsMistake) -> ConfigError {
    ConfigError::rule(path, mistake)
}

fn statuses(settings: &Settings) -> Result<Statuses, ConfigError> {
    let mut set = Statuses::default();
    let Some(given) = &settings.statuses else {
        (400..600).for_each(|status| set.insert(status));
        return Ok(set);
    };
    let path = || Path::top().key("statuses");
    if given.is_empty() {
        return Err(rule(path(), SettingsMistake::NoStatuses));
    }
    for (at, written) in given.iter().enumerate() {
        match written.0.as_str() {
            "4xx" => (400..500).for_each(|status| set.insert(status)),
            "5xx" => (500..600).for_each(|status| set.insert(status)),
            code => set.insert(error_status(code, || path().index(at))?),
        }
    }
    Ok(set)
}

fn error_status(written: &str, path: impl FnOnce() -> Path) -> Result<u16, ConfigError> {
    written
        .parse()
        .ok()
        .filter(|status| (400..600).contains(status) && written.len() == 3)
        .ok_or_else(|| rule(path(), SettingsMistake::Status(written.to_owned())))
}

/// A map whose keys are status codes that are rewritten.
struct StatusKeys {
    path: Path,
    statuses: Statuses,
}

impl StatusKeys {
    fn read<T, U>(
        &self,
        written: &Table<String, T>,
        value: impl Fn(&T, Path) -> Result<U, ConfigError>,
    ) -> Result<Table<u16, U>, ConfigError> {
        let mut read = Table::new();
        for (key, given) in written {
            let path = || self.path.clone().key(key.as_str());
            let status = error_status(key, path)?;
            if !self.statuses.contains(status) {
                return Err(rule(path(), SettingsMistake::NeverRewritten(status)));
            }
            read.insert(status, value(given, path())?);
        }
        Ok(read)
    }
}

fn sendable(status: u16, path: Path) -> Result<(), ConfigError> {
    if (400..600).contains(&status) {
        return Ok(());
    }
    Err(rule(path, SettingsMistake::SentStatus(status)))
}

/// RFC 3986 §4.3, without the characters that no URI has.
fn absolute(uri: &str, path: Path) -> Result<(), ConfigError> {
    let legal = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    let scheme = uri.split_once(':').filter(|(scheme, rest)| {
        let mut bytes = scheme.bytes();
        bytes
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && !rest.is_empty()
    });
    if scheme.is_some() && uri.bytes().all(legal) {
        return Ok(());
    }
    Err(rule(path, SettingsMistake::Uri))
}

fn codes(settings: &Settings, hold: bool) -> Result<Table<String, Code>, ConfigError> {
    let mut codes = Table::new();
    for (name, given) in &settings.codes {
        let path = |key: &str| Path::top().key("codes").key(name.as_str()).key(key);
        if name.is_empty() {
            let path = Path::top().key("codes");
            return Err(rule(path, SettingsMistake::EmptyCode));
        }
        if let Some(uri) = &given.kind {
            absolute(uri, path("type"))?;
        }
        not_empty(given.title.as_ref(), || path("title"))?;
        not_empty(given.detail.as_ref(), || path("detail"))?;
        if let Some(status) = given.status {
            if !hold {
                return Err(rule(path("status"), SettingsMistake::StatusNeedsHold));
            }
            sendable(status, path("status"))?;
        }
        let code = Code {
            kind: given.kind.clone(),
            title: given.title.clone(),
            detail: given.detail.clone(),
            status: given.status,
        };
        codes.insert(name.clone(), code);
    }
    Ok(codes)
}

fn not_empty(text: Option<&String>, path: impl FnOnce() -> Path) -> Result<(), ConfigError> {
    match text {
        Some(text) if text.trim().is_empty() => Err(rule(path(), SettingsMistake::EmptyText)),
        _ => Ok(()),
    }
}

fn languages(settings: &Settings) -> Result<Vec<Language>, ConfigError> {
    let path = || Path::top().key("languages");
    let written = settings
        .languages
        .clone()
        .unwrap_or_else(|| vec!["en".to_owned()]);
    if written.is_empty() {
        return Err(rule(path(), SettingsMistake::NoLanguages));
    }
    let known = |tag: &str, other: &str| tag.eq_ignore_ascii_case(other);
    for tag in settings.texts.keys() {
        if !written.iter().any(|listed| known(listed, tag)) {
            let path = Path::top().key("texts").key(tag.as_str());
            return Err(rule(path, SettingsMistake::TextsUnused(tag.clone())));
        }
    }
    let mut languages: Vec<Language> = Vec::with_capacity(written.len());
    for (at, tag) in written.iter().enumerate() {
        let path = || path().index(at);
        if !is_language_tag(tag) {
            return Err(rule(path(), SettingsMistake::Language(tag.clone())));
        }
        if languages.iter().any(|earlier| known(&earlier.tag, tag)) {
            return Err(rule(path(), SettingsMistake::LanguageTwice(tag.clone())));
        }
        let own = settings.texts.iter().find(|(other, _)| known(other, tag));
        let primary = tag.split('-').next().unwrap_or_default();
        if own.is_none() && !known(primary, "en") && !known(primary, "de") {
            return Err(rule(
                path(),
                SettingsMistake::LanguageWithoutTexts(tag.clone()),
            ));
        }
        let overrides =
            own.map_or_else(|| Ok(Vec::new()), |(name, texts)| overrides(name, texts))?;
        languages.push(Language::with_overrides(tag, overrides));
    }
    Ok(languages)
}

fn overrides(language: &str, texts: &Table<String, Text>) -> Result<Vec<Override>, ConfigError> {
    let mut overrides = Vec::with_capacity(texts.len());
    for (status, text) in texts {
        let path = || Path::top().key("texts").key(language).key(status.as_str());
        let code = error_status(status, path)?;
        not_empty(text.title.as_ref(), || path().key("title"))?;
        not_empty(text.detail.as_ref(), || path().key("detail"))?;
        overrides.push(Override {
            status: code,
            title: text.title.clone(),
            detail: text.detail.clone(),
        });
    }
    Ok(overrides)
}

fn formats(settings: &Settings) -> Result<Vec<Format>, ConfigError> {
    let path = || Path::top().key("formats");
    let formats = settings
        .formats
        .clone()
        .unwrap_or_else(|| vec![Format::Json, Format::Xml, Format::Html]);
    if formats.is_empty() {
        return Err(rule(path(), SettingsMistake::NoFormats));
    }
    if !formats.contains(&Format::Json) {
        return Err(rule(path(), SettingsMistake::NoJson));
    }
    for (at, format) in formats.iter().enumerate() {
        if formats.iter().take(at).any(|earlier| earlier == format) {
            return Err(rule(path().index(at), SettingsMistake::FormatTwice));
        }
    }
    Ok(formats)
}

fn reply_headers(settings: &Settings) -> Result<(), ConfigError> {
    use portcullis_kit::presets::Preset;
    let path = || Path::top().key("reply_headers");
    match settings.reply_headers {
        Preset::Off => Ok(()),
        Preset::WebNonce => Err(rule(path(), SettingsMistake::NonceInReply)),
        _ if settings.empty == Empty::Leave => Err(rule(path(), SettingsMistake::RepliesNowhere)),
        _ => Ok(()),
    }
}

/// What a client acts on.
const KEPT: [&str; 8] = [
    "retry-after",
    "www-authenticate",
    "proxy-authenticate",
    "allow",
    "vary",
    "set-cookie",
    "access-control-allow-origin",
    "x-request-id",
];

fn removed_headers(names: &[String]) -> Result<Vec<String>, ConfigError> {
    let mut removed = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let refuse = |mistake| {
            let path = Path::top().key("remove_headers").index(at);
            Err(rule(path, mistake))
        };
        let name = name.to_ascii_lowercase();
        if !is_token(name.as_bytes()) {
            return refuse(SettingsMistake::HeaderName);
        }
        if matches!(
            name.as_str(),
            "transfer-encoding" | "connection" | "upgrade" | "te"
        ) {
            return refuse(SettingsMistake::Framing);
        }
        if KEPT.contains(&name.as_str()) {
            return refuse(SettingsMistake::Kept);
        }
        removed.push(name);
    }
    Ok(removed)
}

fn kept_headers(names: &[String]) -> Result<Vec<String>, ConfigError> {
    let mut kept = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let name = name.to_ascii_lowercase();
        if !inside::is_for_developers(&name) {
            let path = Path::top().key("keep_headers").index(at);
            return Err(rule(path, SettingsMistake::KeptAnyway));
        }
        kept.push(name);
    }
    Ok(kept)
}

fn counters(compiling: &Compiling<'_>) -> Counters {
    Counters {
        rewritten: Source::ALL
            .map(|source| compiling.counter("rewritten", &[("source", source.label())])),
        left: Left::ALL.map(|why| compiling.counter("left", &[("reason", why.label())])),
        redacted: compiling.counter("redacted", &[]),
        too_large: compiling.counter("too_large", &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn absolute_uris_have_a_scheme_and_no_spaces() {
        for uri in [
            "https://a.example/x#y",
            "urn:uuid:",
            "tag:a,2026:x",
            "about:blank",
        ] {
            assert!(
                absolute(uri, Path::top()).is_ok() == (uri != "urn:"),
                "{uri}"
            );
        }
        for uri in [
            "",
            "/relative",
            "//host/x",
            "https:",
            ":x",
            "1a:b",
            "https://a b",
            "https://ä",
        ] {
            assert!(absolute(uri, Path::top()).is_err(), "{uri}");
        }
    }

    #[test]
    fn statuses_are_a_set() {
        let mut set = Statuses::default();
        set.insert(404);
        set.insert(599);
        set.insert(200);
        let held: Vec<u16> = (0..1000).filter(|status| set.contains(*status)).collect();
        assert_eq!(held, [404, 599]);
    }

    #[test]
    fn the_defaults_compile() {
        let settings = Settings::default();
        assert!(formats(&settings).is_ok_and(|formats| formats.len() == 3));
        assert!(languages(&settings).is_ok_and(|languages| languages.len() == 1));
    }
}
