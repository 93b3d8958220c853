//! What an upstream said in its error's body, as far as it is safe to say it again.
//!
//! 1. A body that is problem details already, by its media type, is left as it is.
//! 2. JSON and XML of the shapes that frameworks and large services use are read for a code, a message and the mistakes
//!    in single fields. Everything else in them (paths, traces, rejected values, class names, links) is left behind.
//! 3. What is cut short, malformed, nested too deep, or of no known shape says nothing.
//!
//! Nothing here is redacted: messages may only leave through [`Said::redact`].

mod details;
mod json;
mod nested;
mod shapes;
mod xml;

use serde_json::{Map, Value};

use crate::redact::{REDACTED, Redaction};

pub use xml::error_type;

/// Longer messages are cut.
const MAX_TEXT_BYTES: usize = 1024;
/// Longer codes are no codes.
const MAX_CODE_BYTES: usize = 64;
/// Further mistakes in fields are left out.
const MAX_DETAILS: usize = 32;
/// And so are those whose texts are beyond this, together: redaction reads them several times over, while other requests
/// wait for the worker.
const MAX_DETAIL_BYTES: usize = 8 * 1024;

/// Longer places of mistakes are left out.
const MAX_POINTER_BYTES: usize = 1024;

/// What a body is.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Problem details already: to be left byte for byte.
    Problem,
    /// An OAuth error (RFC 6749 §5.2) with no member that is foreign to one: clients read it as it is.
    OAuth(Said),
    /// A known shape.
    Known(Said),
    /// Nothing that may be said again.
    Unknown,
}

/// What a body of a known shape says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// The shape's name, for metrics and `explain`.
    pub shape: &'static str,
    /// The upstream's own problem type, an absolute http(s) or urn URI.
    pub kind: Option<String>,
    /// A code for machines: one word.
    pub code: Option<String>,
    /// Text for a person.
    pub message: Option<String>,
    /// Mistakes in single fields, in the order given.
    pub details: Vec<Detail>,
    /// How long to wait, where the body says so (`google.rpc.RetryInfo`).
    pub retry_after_s: Option<u32>,
}

/// One mistake, as RFC 9457 §3 shows them in its `errors`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detail {
    pub message: Option<String>,
    pub code: Option<String>,
    pub place: Option<Place>,
}

/// Where in the request a mistake is.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// A JSON Pointer into the request's body, as a URI fragment (RFC 6901 §6).
    Pointer(String),
    /// A parameter of the query, the path or a form.
    Parameter(String),
    /// A header.
    Header(String),
}

impl Found {
    fn of(said: Said) -> Self {
        if said.code.is_none() && said.message.is_none() && said.details.is_empty() {
            Self::Unknown
        } else {
            Self::Known(said)
        }
    }
}

/// Reads the body of an error. `complete` is false where the body was cut short.
pub fn read(body: &[u8], content_type: &[u8], complete: bool) -> Found {
    let media_type = MediaType::of(content_type);
    match media_type {
        MediaType::Problem => Found::Problem,
        _ if !complete => Found::Unknown,
        MediaType::Json | MediaType::GraphQl => json::read(body, media_type == MediaType::GraphQl),
        MediaType::Xml => xml::read(body),
        MediaType::Other => Found::Unknown,
    }
}

/// Whether something would be redacted in a member of an OAuth error, whoever reads it, or there is more than is read. Beside
/// texts there are numbers, alone or in lists.
pub fn holds_more(body: &[u8], redaction: &Redaction) -> bool {
    let Some(Value::Object(members)) = portcullis_kit::config::parse(body) else {
        return true;
    };
    let mut room = MAX_DETAIL_BYTES;
    members.iter().any(|(name, value)| {
        let text = value.as_str().unwrap_or_default();
        let left = room.checked_sub(name.len() + text.len());
        room = left.unwrap_or_default();
        left.is_none() || redaction.found_in_member(name, text) > 0
    })
}

/// Whether a body of this type may be of a known shape.
pub fn is_readable(content_type: &[u8]) -> bool {
    !matches!(
        MediaType::of(content_type),
        MediaType::Problem | MediaType::Other
    )
}

#[derive(Clone, Copy, PartialEq)]
enum MediaType {
    Problem,
    Json,
    GraphQl,
    Xml,
    Other,
}

impl MediaType {
    /// No Content-Type counts as JSON: if it is none, reading it fails.
    fn of(content_type: &[u8]) -> Self {
        let essence = content_type
            .split(|byte| matches!(byte, b';' | b','))
            .next()
            .unwrap_or_default()
            .trim_ascii();
        let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
        let ends = |suffix: &str| {
            let at = essence.len().saturating_sub(suffix.len());
            essence
                .get(at..)
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
        };
        if is("application/problem+json") || is("application/problem+xml") {
            Self::Problem
        } else if is("application/graphql-response+json") {
            Self::GraphQl
        } else if essence.is_empty()
            || ends("/json")
            || ends("+json")
            || is("application/x-amz-json-1.0")
            || is("application/x-amz-json-1.1")
        {
            Self::Json
        } else if ends("/xml") || (ends("+xml") && !is("application/xhtml+xml")) {
            Self::Xml
        } else {
            Self::Other
        }
    }
}

impl Said {
    fn new(shape: &'static str) -> Self {
        Self {
            shape,
            ..Self::default()
        }
    }

    /// Redacts every text; one of which nothing is left goes, and so does a code, a type or a place that holds something
    /// to redact. Says how much was found.
    pub fn redact(&mut self, redaction: &Redaction) -> u32 {
        let mut found = redact_text(&mut self.message, redaction);
        found += redact_whole(&mut self.code, redaction);
        found += redact_whole(&mut self.kind, redaction);
        let mut room = MAX_DETAIL_BYTES;
        for detail in &mut self.details {
            let Some(left) = room.checked_sub(detail.size()) else {
                // Unread, so it does not pass.
                *detail = Detail::default();
                found += 1;
                continue;
            };
            room = left;
            found += redact_text(&mut detail.message, redaction);
            found += redact_whole(&mut detail.code, redaction);
            let place = detail
                .place
                .as_ref()
                .map_or(0, |place| place.found(redaction));
            if place > 0 {
                detail.place = None;
            }
            found += place;
        }
        self.details.retain(|detail| *detail != Detail::default());
        found
    }

    /// Leaves of a server's error what says nothing of its inside: the code, where the settings know it or it is no name of
    /// something inside, and a type that the settings name.
    pub fn keep_code_of_server(&mut self, is_known: bool, names_type: impl Fn(&str) -> bool) {
        self.message = None;
        self.details.clear();
        self.kind.take_if(|kind| !names_type(kind));
        self.code.take_if(|code| !is_known && is_inner_code(code));
    }

    /// The mistakes as the extension `errors`; none where there are none.
    pub fn errors(&self) -> Option<Value> {
        let errors: Vec<Value> = self.details.iter().map(Detail::to_value).collect();
        (!errors.is_empty()).then_some(Value::Array(errors))
    }

    /// Whether no further mistake is kept.
    fn is_full(&self) -> bool {
        self.details.len() >= MAX_DETAILS
    }

    fn add(&mut self, mut detail: Detail) {
        detail
            .place
            .take_if(|place| place.member().1.len() > MAX_POINTER_BYTES);
        if !self.is_full() && detail != Detail::default() {
            self.details.push(detail);
        }
    }
}

fn redact_text(text: &mut Option<String>, redaction: &Redaction) -> u32 {
    let Some(before) = text else { return 0 };
    let (after, marks) = redaction.text(before);
    if marks.found > 0 {
        let left = after.replace(REDACTED, "");
        let says_something = !marks.refused && left.contains(char::is_alphabetic);
        let after = says_something.then(|| after.into_owned());
        *text = after;
    }
    marks.found
}

fn redact_whole(text: &mut Option<String>, redaction: &Redaction) -> u32 {
    let found = text
        .as_deref()
        .map_or(0, |text| redaction.found_in_name(text));
    if found > 0 {
        *text = None;
    }
    found
}

impl Detail {
    /// The bytes of its texts.
    fn size(&self) -> usize {
        let place = self.place.as_ref().map_or("", |place| place.member().1);
        let texts = [self.message.as_deref(), self.code.as_deref(), Some(place)];
        texts.into_iter().flatten().map(str::len).sum()
    }

    /// `{"code": …, "detail": …, "pointer": …}`.
    fn to_value(&self) -> Value {
        let mut members = Map::new();
        let mut add = |name: &str, text: Option<&str>| {
            if let Some(text) = text {
                members.insert(name.to_owned(), text.into());
            }
        };
        add("detail", self.message.as_deref());
        add("code", self.code.as_deref());
        if let Some((name, value)) = self.place.as_ref().map(Place::member) {
            add(name, Some(value));
        }
        Value::Object(members)
    }
}

impl Place {
    /// How much of it would be redacted. A pointer has taken its field's name apart and spelled it as a URI: as it was
    /// written counts, by each of the ways to put it together, and each part by itself where it is no plain name.
    fn found(&self, redaction: &Redaction) -> u32 {
        match self {
            Self::Pointer(pointer) => {
                let parts = details::segments(pointer);
                let path = ["/", &parts.join("/")].concat();
                let plain = |part: &String| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
                let all_plain = parts.iter().all(plain);
                let are_words = all_plain && parts.len() > 1;
                let apart = (!all_plain).then(|| parts.join("\n"));
                let all = [Some(path), Some(parts.join(".")), apart];
                let found = all.into_iter().flatten().map(|text| {
                    if are_words {
                        redaction.found_in_words(&text)
                    } else {
                        redaction.found_in_name(&text)
                    }
                });
                found.max().unwrap_or(0)
            }
            Self::Parameter(name) | Self::Header(name) => redaction.found_in_name(name),
        }
    }

    fn member(&self) -> (&'static str, &str) {
        match self {
            Self::Pointer(pointer) => ("pointer", pointer),
            Self::Parameter(name) => ("parameter", name),
            Self::Header(name) => ("header", name),
        }
    }
}

/// Whether a code is the name of a class, a system call's error, or a database's.
fn is_inner_code(code: &str) -> bool {
    const ENDS: [&str; 5] = ["Error", "Exception", "Fault", "_exception", "Panic"];
    const BEGINS: [&str; 6] = ["ER_", "SQLITE_", "SQLSTATE", "ORA-", "PGRST", "EAI_"];
    const CALLS: &str = " EACCES EADDRINUSE EAGAIN ECANCELED ECONNABORTED ECONNREFUSED ECONNRESET EEXIST EHOSTDOWN EHOSTUNREACH EIO \
EISDIR EMFILE ENETDOWN ENETUNREACH ENOENT ENOMEM ENOSPC ENOTCONN ENOTDIR ENOTFOUND EPERM EPIPE EPROTO EROFS ESOCKET ETIMEDOUT ";
    ENDS.iter().any(|end| code.ends_with(end))
        || BEGINS.iter().any(|begin| code.starts_with(begin))
        || CALLS.split(' ').any(|call| call == code)
}

/// Text for a person: not empty, and cut where it is long.
fn text(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    if text.len() <= MAX_TEXT_BYTES {
        return (!text.is_empty()).then(|| text.to_owned());
    }
    let mut cut = text
        .get(..text.floor_char_boundary(MAX_TEXT_BYTES))?
        .to_owned();
    cut.push('…');
    Some(cut)
}

/// A code: one word. A number that is only a status, and a status phrase, say nothing new.
fn code(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => word(text),
        Value::Number(number) => {
            let number = number.as_i64()?;
            (number != 0 && !(100..=599).contains(&number)).then(|| number.to_string())
        }
        _ => None,
    }
}

fn word(text: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/#".contains(&byte);
    let word = (1..=MAX_CODE_BYTES).contains(&text.len())
        && text.bytes().all(fits)
        && text.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && !is_status(text)
        && !crate::titles::is_phrase(text);
    word.then(|| text.to_owned())
}

/// A status as text.
fn is_status(text: &str) -> bool {
    text.len() == 3
        && text
            .parse::<u16>()
            .is_ok_and(|status| (100..=599).contains(&status))
}
