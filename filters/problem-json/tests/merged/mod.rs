//! An upstream's error as the document that comes of it.

use std::borrow::Cow;

use problem_json::document::Document;
use problem_json::redact::{Kinds, Mode, Redaction};
use problem_json::titles::Language;
use problem_json::upstream::{Found, read};
use serde_json::Map;

/// The document of an error, merged as by default: an upstream's text only below 500, all of it redacted.
pub fn document(status: u16, content_type: &str, body: &[u8]) -> String {
    let english = Language::english();
    let redaction = Redaction::new(Kinds::ALL, Mode::DenyList, &[]).unwrap();
    let mut extensions = Map::new();
    let mut detail = Cow::Borrowed(english.detail(status));
    match read(body, content_type.as_bytes(), true) {
        Found::Known(mut said) | Found::OAuth(mut said) => {
            said.redact(&redaction);
            if status < 500 {
                extensions.extend(said.errors().map(|errors| ("errors".to_owned(), errors)));
                detail = said.message.map_or(detail, Cow::Owned);
            }
            extensions.extend(said.code.map(|code| ("code".to_owned(), code.into())));
        }
        Found::Problem | Found::Unknown => {}
    }
    Document {
        title: english.title(status).into(),
        status,
        detail: Some(detail),
        request_id: Some("r-1".into()),
        extensions,
        ..Document::default()
    }
    .to_json()
}
