//! From what is known of an error to its document.

use std::borrow::Cow;

use portcullis_kit::config::{json_text, parse};
use portcullis_kit::{Exchange, Headers};
use serde_json::{Map, Value};

use crate::asked::{self, Ids};
use crate::connect::{ConnectError, Safe};
use crate::negotiate::Format;
use crate::profile::{Code, Profile};
use crate::settings::{Category, Instance, MergeOrDrop};
use crate::titles::Language;
use crate::upstream::{Said, error_type};

/// The status that the upstream sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// As it came.
    pub status: u16,
    /// What it is treated as. Outside of 100 to 599 a status is invalid and counts as a server's error (RFC 9110 §15); to a
    /// gateway an invalid response is 502 (§15.6.3).
    pub meaning: u16,
}

impl Received {
    #[inline]
    pub fn new(status: u16) -> Self {
        let meaning = match status {
            100..=599 => status,
            _ => 502,
        };
        Self { status, meaning }
    }

    pub fn is_valid(self) -> bool {
        self.status == self.meaning
    }
}

/// What is known of an error when its headers are.
#[derive(Debug)]
pub struct Draft {
    /// As the upstream sent it.
    received: Received,
    /// As it is sent.
    pub status: u16,
    pub format: Format,
    /// Which of the profile's languages.
    language: usize,
    ids: Ids,
    category: Category,
    retryable: bool,
    /// Whether the response says when to come again.
    waits: bool,
    timestamp: Option<String>,
    /// The code that AWS tells in a header.
    code: Option<String>,
}

/// What the upstream's body came to.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing that may pass.
    Nothing,
    /// An error in a shape that is known.
    Said(Said),
    /// An error of OAuth 2.0, whose members keep their names.
    OAuth(Said),
}

/// A finished document.
#[derive(Debug)]
pub struct Answer {
    pub body: Vec<u8>,
    /// The status that the upstream's code asks for.
    pub status: Option<u16>,
    /// How long the upstream says to wait.
    pub retry_after_s: Option<u32>,
    /// Whether a text of the upstream's stands in it.
    pub says: bool,
    /// How many things redaction took out.
    pub redacted: u64,
}

impl Draft {
    pub fn new<X: Exchange>(
        profile: &Profile,
        received: Received,
        request: &Headers,
        response: &Headers,
        of_the_net: bool,
        exchange: &mut X,
    ) -> Self {
        let upstream = received.meaning;
        let status = profile.map_status.get(&upstream).copied();
        let waits = response.contains("retry-after");
        Self {
            received,
            status: status.unwrap_or(upstream),
            format: asked::format(request, profile),
            language: asked::language(request, profile),
            ids: Ids::of(
                request,
                exchange,
                response.get("x-request-id").filter(|_| of_the_net),
            ),
            category: category(profile, upstream, || upstream_failed(exchange)),
            retryable: waits || is_retryable(profile, upstream),
            waits,
            code: response
                .get("x-amzn-errortype")
                .filter(|_| profile.json == MergeOrDrop::Merge)
                .and_then(error_type),
            timestamp: profile.timestamp.then(|| exchange.now()).and_then(rfc_3339),
        }
    }

    /// The tag of the document's language.
    pub fn language_tag<'p>(&self, profile: &'p Profile) -> &'p str {
        self.language(profile).map_or("en", |table| &table.tag)
    }

    pub fn request_id(&self) -> Option<&str> {
        self.ids.request_id.as_deref()
    }

    /// A problem document of the upstream's with the ids that it lacks, put before its last brace: nothing else of it changes.
    /// `None` where it is no JSON object, gives a name twice, or has them.
    pub fn enrich(&self, body: &[u8]) -> Option<Vec<u8>> {
        let Some(Value::Object(members)) = parse(body) else {
            return None;
        };
        let open = body.trim_ascii_end().strip_suffix(b"}")?;
        let ids = [
            ("request_id", &self.ids.request_id),
            ("trace_id", &self.ids.trace_id),
        ];
        let mut more = String::new();
        for (name, id) in ids {
            if let Some(id) = id.as_deref().filter(|_| !members.contains_key(name)) {
                if !more.is_empty() || !members.is_empty() {
                    more.push(',');
                }
                more.push_str(&json_text(name));
                more.push(':');
                more.push_str(&json_text(id));
            }
        }
        (!more.is_empty()).then(|| [open, more.as_bytes(), b"}"].concat())
    }

    /// Whether it is the client's error, of which the upstream's text may pass.
    pub fn is_of_client(&self) -> bool {
        self.received.meaning < 500
    }

    /// Whether a text of the upstream's may come to stand in the document.
    pub fn may_say(&self, profile: &Profile) -> bool {
        self.is_of_client() || !profile.allow_server_text.is_empty()
    }

    /// What leaves in the place of an error of Connect; `None` where the body is none.
    pub fn connect(&self, profile: &Profile, body: &[u8]) -> Option<Safe> {
        let status = self.received.meaning;
        let error = ConnectError::read(body, status)?;
        let allowed = profile
            .allow_server_text
            .iter()
            .any(|code| code == error.code());
        let words = self.language(profile);
        let words = words.map_or("", |table| table.detail(status));
        Some(if !self.is_of_client() && !allowed {
            error.of_server(words)
        } else {
            error.of_client(&profile.redaction, words)
        })
    }

    fn language<'p>(&self, profile: &'p Profile) -> Option<&'p Language> {
        profile.languages.get(self.language)
    }

    /// The document.
    pub fn answer(&self, profile: &Profile, outcome: Outcome) -> Answer {
        let (mut said, oauth) = match outcome {
            Outcome::Nothing => (Said::default(), false),
            Outcome::Said(said) => (said, false),
            Outcome::OAuth(said) => (said, true),
        };
        if said.code.is_none() {
            said.code.clone_from(&self.code);
        }
        let code = said.code.as_ref();
        let meant = code.and_then(|name| profile.codes.get(name));
        let allowed = code.is_some_and(|name| profile.allow_server_text.contains(name));
        if !self.is_of_client() && !allowed {
            said.keep_code_of_server(meant.is_some(), |kind| profile.names_type(kind));
        }
        let redacted = said.redact(&profile.redaction);
        let status = meant.and_then(|code| code.status);
        let mut document = self.document(profile, status.unwrap_or(self.status));
        if let Some(status) = status {
            // The code says what the error is, so that the upstream's status does not.
            let failed = || self.category == Category::External;
            document.category = Some(category_name(category(profile, status, failed)));
            document.retryable = Some(self.waits || is_retryable(profile, status));
        }
        let retry_after_s = said.retry_after_s;
        if retry_after_s.is_some() {
            document.retryable = Some(true);
        }
        let own_detail = meant.is_some_and(|code| code.detail.is_some());
        let says = said.message.is_some() && (oauth || !own_detail)
            || said.details.iter().any(|it| it.message.is_some());
        let errors = said.errors();
        if oauth {
            let described = [("error", said.code), ("error_description", said.message)];
            let described = described
                .into_iter()
                .filter_map(|(name, text)| text.map(|text| (name.to_owned(), Value::String(text))));
            document.extensions.extend(described);
        } else {
            if document.kind.is_none() {
                document.kind = said.kind.map(Cow::Owned);
            }
            if let Some(message) = said.message {
                document.detail = Some(Cow::Owned(message));
            }
            if let Some(code) = said.code {
                document.extensions.insert("code".to_owned(), code.into());
            }
        }
        if let Some(errors) = errors {
            document.extensions.insert("errors".to_owned(), errors);
        }
        if let Some(code) = meant {
            mean(&mut document, code);
        }
        let body = document.to_format(self.format, self.language_tag(profile));
        Answer {
            body: body.into_bytes(),
            status,
            retry_after_s,
            says,
            redacted: u64::from(redacted),
        }
    }

    fn document<'d>(&'d self, profile: &'d Profile, status: u16) -> crate::document::Document<'d> {
        let language = self.language(profile);
        let detail = language.map_or("", |table| table.detail(status));
        crate::document::Document {
            kind: profile
                .types
                .get(&self.received.meaning)
                .map(|uri| Cow::Borrowed(uri.as_str())),
            title: Cow::Borrowed(language.map_or("Error", |table| table.title(status))),
            status,
            detail: (!detail.is_empty()).then_some(Cow::Borrowed(detail)),
            instance: self.instance(profile),
            upstream_status: (status != self.received.status).then_some(self.received.status),
            request_id: self.ids.request_id.as_deref().map(Cow::Borrowed),
            trace_id: self.ids.trace_id.as_deref().map(Cow::Borrowed),
            category: Some(category_name(self.category)),
            retryable: Some(self.retryable),
            timestamp: self.timestamp.as_deref().map(Cow::Borrowed),
            extensions: Map::new(),
        }
    }

    fn instance(&self, profile: &Profile) -> Option<Cow<'_, str>> {
        let id = self.ids.request_id.as_deref()?;
        match &profile.instance {
            Instance::Off => None,
            Instance::Prefix(prefix) => Some(Cow::Owned([prefix.as_str(), id].concat())),
            Instance::RequestId => portcullis_kit::problem::urn(id).map(Cow::Owned),
        }
    }
}

fn mean<'d>(document: &mut crate::document::Document<'d>, code: &'d Code) {
    if let Some(kind) = &code.kind {
        document.kind = Some(Cow::Borrowed(kind));
    }
    if let Some(title) = &code.title {
        document.title = Cow::Borrowed(title);
    }
    if let Some(detail) = &code.detail {
        document.detail = Some(Cow::Borrowed(detail));
    }
}

pub fn category_name(category: Category) -> &'static str {
    match category {
        Category::User => "user",
        Category::System => "system",
        Category::External => "external",
    }
}

/// Whose error it is; `upstream_failed` is asked where the status does not tell.
pub fn category(
    profile: &Profile,
    status: u16,
    upstream_failed: impl FnOnce() -> bool,
) -> Category {
    if let Some(category) = profile.categories.get(&status) {
        return *category;
    }
    match status {
        ..500 => Category::User,
        502..=504 => Category::External,
        _ if upstream_failed() => Category::External,
        _ => Category::System,
    }
}

/// Whether the proxy says that it was the upstream that failed, by the response flags of Envoy: UH, UT, UR, UF, UC, UO, URX,
/// UMSDR, UPE.
fn upstream_failed<X: Exchange>(exchange: &X) -> bool {
    const UPSTREAM: u64 =
        0x2 | 0x4 | 0x10 | 0x20 | 0x40 | 0x80 | 0x8000 | 0x0008_0000 | 0x0080_0000;
    let flags = exchange.property(&["response", "flags"]);
    let flags = flags.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    flags.is_some_and(|bytes| u64::from_le_bytes(bytes) & UPSTREAM != 0)
}

/// Whether the same request may succeed later (RFC 9110 §15, RFC 8470 §5.2, RFC 6585 §4).
pub fn is_retryable(profile: &Profile, status: u16) -> bool {
    let named = profile.retryable.get(&status).copied();
    named.unwrap_or(matches!(status, 408 | 425 | 429 | 502..=504))
}

/// `2026-11-21T10:22:56Z`
fn rfc_3339(nanoseconds: u64) -> Option<String> {
    let seconds = i64::try_from(nanoseconds / 1_000_000_000).ok()?;
    let at = time::OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn times_are_written_as_rfc_3339_shows_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_256_576, "2026-11-21T10:22:56Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc_3339(seconds * 1_000_000_000).as_deref(), Some(text));
        }
    }
}
