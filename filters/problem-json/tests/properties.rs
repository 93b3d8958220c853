//! Whatever an upstream sends: a valid document with the right status, and nothing that breaks out of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A test may fail by panic.

mod merged;
mod schema;

use std::time::{Duration, Instant};

use merged::document;
use problem_json::document::Document;
use problem_json::redact::{Kinds, MAX_TEXT_BYTES, Mode, Redaction};
use problem_json::upstream::read;
use proptest::prelude::*;
use serde_json::{Map, Value};

/// JSON as upstreams write it, with the names that are looked at.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "(password=|at a\\.b\\(|Bearer |/etc/|SELECT a FROM |\\\\\\\\|::|@)[ -~]{0,20}"
            .prop_map(Value::from),
    ];
    let names = "(error|errors|message|code|detail|details|status|title|type|timestamp|path|kind|loc|source|field|__type|Message|error_description|@type|[^a-z]{0,3})";
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((names, inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

const CONTENT_TYPES: [&str; 6] = [
    "application/json",
    "application/xml",
    "text/html",
    "",
    "application/graphql-response+json",
    "application/problem+json",
];

/// Every format of it parses or is balanced, and its status is the one sent.
fn assert_sound(status: u16, content_type: &str, body: &[u8]) {
    let text = document(status, content_type, body);
    schema::assert_valid(&text);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["status"], status);
}

proptest! {
    #[test]
    fn any_bytes_give_a_valid_document(body in prop::collection::vec(any::<u8>(), 0..300), status in 400u16..600, at in 0usize..6) {
        assert_sound(status, CONTENT_TYPES[at], &body);
    }

    #[test]
    fn any_json_gives_a_valid_document(body in any_json(), status in 400u16..600, cut in 0usize..200) {
        let text = body.to_string();
        assert_sound(status, "application/json", text.as_bytes());
        assert_sound(status, "application/json", text.as_bytes().get(..cut).unwrap_or_default());
    }

    #[test]
    fn any_xml_gives_a_valid_document(body in "(<Error>|<Code>|</Code>|<Message>|</Message>|&|;|#x|[a-z0-9 ]|é){0,40}", status in 400u16..600) {
        assert_sound(status, "application/xml", body.as_bytes());
    }

    #[test]
    fn any_extension_is_safe_in_every_format(value in any_json(), name in ".{0,12}") {
        let document = Document {
            title: "Bad Request".into(),
            status: 400,
            request_id: Some("r-1".into()),
            extensions: Map::from_iter([(name, value)]),
            ..Document::default()
        };
        let json: Value = serde_json::from_str(&document.to_json()).unwrap();
        let names = json.as_object().unwrap().keys();
        assert!(names.clone().all(|name| name.len() >= 3 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')));
        let page = document.to_html("en");
        assert_eq!((page.matches("<script").count(), page.matches("</script").count(), page.matches("<!--").count()), (1, 1, 0));
        let xml = document.to_xml();
        assert!(!xml.contains(|character| matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')));
        assert_eq!(xml.matches("</").count() + 1, xml.matches('<').count() - xml.matches("</").count(), "every element ends");
        document.to_markdown();
    }

    #[test]
    fn redaction_is_stable_on_any_text(text in ".{0,200}") {
        let redaction = Redaction::new(Kinds::ALL, Mode::DenyList, &[]).unwrap();
        let (once, marks) = redaction.text(&text);
        assert_eq!(marks.found == 0, once == text);
        assert_eq!(redaction.found_in(&text), marks.found);
    }
}

/// Texts that make a careless scanner read the same bytes over and over.
#[test]
fn no_text_keeps_a_scanner_busy() {
    let redaction = Redaction::new(Kinds::ALL, Mode::DenyList, &["(a*)*b", "x+x+y"]).unwrap();
    for unit in [
        "select ",
        "select * from ",
        "x://a:/",
        "ftp://",
        "a@",
        "a/",
        "::",
        "1.",
        "4 ",
        "at a.b(",
        ".py:",
        "token ",
        "token '",
        "password=",
        "cookie: is ",
        "eyJ",
        "-----BEGIN ",
        "server=",
        "\\\\a ",
        "C:\\",
        "bearer a",
        "\"",
        "\\",
        "&",
        "aA1+",
        "update x",
        "x",
        "create ",
        "goroutine ",
        "..",
        "/../",
        "é@",
    ] {
        let text = unit.repeat(MAX_TEXT_BYTES / unit.len());
        let start = Instant::now();
        redaction.text(&text);
        // A debug build takes some ten milliseconds; a quadratic scanner, minutes.
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{unit}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn no_body_keeps_the_reader_busy() {
    for unit in [
        "&",
        "<Error><Code>&",
        "<Message>&a",
        "{\"errors\":[",
        "{\"a\":",
        "[",
        "\"",
        "\\",
        "&#",
        "<Error",
    ] {
        for content_type in ["application/json", "application/xml"] {
            let body = unit.repeat(64 * 1024 / unit.len());
            let body = if content_type.ends_with("xml") {
                ["<Error><Message>", &body, ";</Message>"].concat()
            } else {
                body
            };
            let start = Instant::now();
            read(body.as_bytes(), content_type.as_bytes(), true);
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{unit}: {:?}",
                start.elapsed()
            );
        }
    }
}
