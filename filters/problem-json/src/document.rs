//! The document an error leaves as, and its members (RFC 9457 §3).
//!
//! Members come in the order `type`, `title`, `status`, `detail`, `instance`, our own extensions, others'. Names of
//! extensions follow RFC 9457 §3.2: a letter, then letters, digits and `_`, at least three. Of other names each run of
//! other characters becomes one `_` and what precedes the first letter goes; a name that is then too short is left out,
//! and so is one that is taken.

mod html;
mod json;
mod markdown;
mod xml;

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::negotiate::Format;

/// The type of a problem that is no more than its status (RFC 9457 §4.2.1).
pub const ABOUT_BLANK: &str = "about:blank";

/// Problem details, before they have a format.
#[derive(Clone, Debug, Default)]
pub struct Document<'a> {
    /// An absolute URI; none means `about:blank`.
    pub kind: Option<Cow<'a, str>>,
    pub title: Cow<'a, str>,
    /// As sent.
    pub status: u16,
    pub detail: Option<Cow<'a, str>>,
    /// A URI that names this occurrence.
    pub instance: Option<Cow<'a, str>>,
    /// The upstream's status, where another one is sent.
    pub upstream_status: Option<u16>,
    pub request_id: Option<Cow<'a, str>>,
    pub trace_id: Option<Cow<'a, str>>,
    /// Whose error it is: `user`, `system` or `external`.
    pub category: Option<&'a str>,
    /// Whether the same request may succeed later.
    pub retryable: Option<bool>,
    /// When it happened (RFC 3339).
    pub timestamp: Option<Cow<'a, str>>,
    pub extensions: Map<String, Value>,
}

impl Document<'_> {
    /// The body in this format; `language` is the tag (BCP 47) of its texts.
    pub fn to_format(&self, format: Format, language: &str) -> String {
        match format {
            Format::Json => self.to_json(),
            Format::Xml => self.to_xml(),
            Format::Html => self.to_html(language),
            Format::Markdown => self.to_markdown(),
        }
    }

    fn kind(&self) -> &str {
        match &self.kind {
            Some(kind) if !kind.is_empty() => kind,
            _ => ABOUT_BLANK,
        }
    }

    /// Every member that is there, in order.
    fn each(&self, mut tell: impl FnMut(&str, Member<'_>)) {
        self.each_dyn(&mut tell);
    }

    fn each_dyn(&self, tell: &mut dyn FnMut(&str, Member<'_>)) {
        let text = |name, value: Option<&str>, tell: &mut dyn FnMut(&str, Member<'_>)| {
            if let Some(value) = value {
                tell(name, Member::Text(value));
            }
        };
        text("type", Some(self.kind()), tell);
        text("title", Some(&self.title), tell);
        tell("status", Member::Number(self.status));
        text("detail", self.detail.as_deref(), tell);
        text("instance", self.instance.as_deref(), tell);
        if let Some(status) = self.upstream_status {
            tell("upstream_status", Member::Number(status));
        }
        text("request_id", self.request_id.as_deref(), tell);
        text("trace_id", self.trace_id.as_deref(), tell);
        text("category", self.category, tell);
        if let Some(retryable) = self.retryable {
            tell("retryable", Member::Flag(retryable));
        }
        text("timestamp", self.timestamp.as_deref(), tell);
        let mut taken: Vec<Cow<'_, str>> = Vec::new();
        for (name, value) in &self.extensions {
            let Some(name) = extension_name(name) else {
                continue;
            };
            // A name as it was written comes before one that was mended into it.
            let mended = matches!(name, Cow::Owned(_));
            if OURS.contains(&&*name)
                || mended && (self.extensions.contains_key(&*name) || taken.contains(&name))
            {
                continue;
            }
            tell(&name, Member::Value(value));
            if mended {
                taken.push(name);
            }
        }
    }
}

/// Names that extensions of others cannot take.
const OURS: [&str; 11] = [
    "type",
    "title",
    "status",
    "detail",
    "instance",
    "upstream_status",
    "request_id",
    "trace_id",
    "category",
    "retryable",
    "timestamp",
];

enum Member<'a> {
    Text(&'a str),
    Number(u16),
    Flag(bool),
    Value(&'a Value),
}

impl Member<'_> {
    /// As text, where it is neither a list nor an object.
    fn scalar(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Member::Text(text) => Cow::Borrowed(*text),
            Member::Number(number) => Cow::Owned(number.to_string()),
            Member::Flag(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Member::Value(value) => return scalar(value),
        })
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Member::Text(text) => portcullis_kit::config::write_text(out, text),
            Member::Value(value) => portcullis_kit::config::write_json(out, value),
            other => out.push_str(&other.scalar().unwrap_or_default()),
        }
    }
}

fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Null => Cow::Borrowed(""),
        Value::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
        Value::String(text) => Cow::Borrowed(text),
        Value::Number(_) => {
            let mut text = String::new();
            portcullis_kit::config::write_json(&mut text, value);
            Cow::Owned(text)
        }
        Value::Array(_) | Value::Object(_) => return None,
    })
}

/// The name as RFC 9457 §3.2 wants it; none where nothing can be made of it.
pub fn extension_name(name: &str) -> Option<Cow<'_, str>> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fits = name.len() >= 3 && name.bytes().all(allowed);
    if fits && name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Some(Cow::Borrowed(name));
    }
    let mut mended = String::with_capacity(name.len());
    for character in name.chars() {
        match u8::try_from(character) {
            Ok(byte) if allowed(byte) => mended.push(character),
            _ if mended.ends_with('_') => {}
            _ => mended.push('_'),
        }
    }
    let start = mended.find(|character: char| character.is_ascii_alphabetic())?;
    let mended = mended.get(start..)?.trim_end_matches('_');
    (mended.len() >= 3).then(|| Cow::Owned(mended.to_owned()))
}
