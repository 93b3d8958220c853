//! What goes and what stays, by the tables in `texts`, the kinds and the patterns of the settings.
#![allow(clippy::unwrap_used)] // A test may fail by panic.

mod texts;

use problem_json::redact::{Kind, Kinds, MAX_TEXT_BYTES, Mode, PatternError, REDACTED, Redaction};

use texts::{HARMLESS, SECRETS};

fn all() -> Redaction {
    Redaction::new(Kinds::ALL, Mode::DenyList, &[]).unwrap()
}

#[test]
fn every_seeded_secret_goes() {
    assert!(SECRETS.len() >= 60);
    let redaction = all();
    let mut leaks = Vec::new();
    for (text, parts) in SECRETS {
        let (after, marks) = redaction.text(text);
        if marks.found == 0 || parts.iter().any(|part| after.contains(part)) {
            leaks.push((text, after));
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[test]
fn every_harmless_text_stays_as_it_is() {
    assert!(HARMLESS.len() >= 30);
    let redaction = all();
    let mut lost = Vec::new();
    for text in HARMLESS {
        let (after, marks) = redaction.text(text);
        if marks.found > 0 || after != *text {
            lost.push((text, after));
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

#[test]
fn what_is_redacted_stays_redacted_and_the_rest_stays() {
    let redaction = all();
    for (text, _) in SECRETS {
        let (once, _) = redaction.text(text);
        let (twice, _) = redaction.text(&once);
        assert_eq!(once, twice);
    }
    let (after, marks) = redaction.text("user bob@example.com from 10.0.0.1 failed");
    assert_eq!(after, "user [redacted] from [redacted] failed");
    assert_eq!(marks.found, 2);
}

#[test]
fn each_kind_is_what_finds_its_secrets() {
    for (kind, text) in [
        (Kind::Authorization, "Bearer 9f8e7d6c5b4a3210"),
        (Kind::Jwt, "eyJhbGciOiJub25lIn0.eyJhIjoxfQ."),
        (Kind::ApiKey, "AKIAIOSFODNN7EXAMPLE"),
        (Kind::Pem, "-----BEGIN KEY-----\nab"),
        (Kind::Named, "password=x1"),
        (Kind::Connection, "mysql://db/x"),
        (Kind::Email, "a@b.example"),
        (Kind::Ip, "10.0.0.1"),
        (Kind::Card, "4111111111111111"),
        (Kind::Path, "/etc/shadow"),
        (Kind::Sql, "SELECT a FROM b"),
        (Kind::Stack, "Caused by: x"),
        (Kind::Class, "ActiveRecord::Base"),
        (Kind::Host, "db.internal"),
    ] {
        let found = |kinds| {
            Redaction::new(kinds, Mode::DenyList, &[])
                .unwrap()
                .found_in(text)
        };
        assert_eq!(found(Kinds::NONE.with(kind)), 1, "{kind:?}");
        assert_eq!(found(Kinds::ALL.without(kind)), 0, "{kind:?}");
        assert_eq!(found(Kinds::NONE), 0);
    }
    assert_eq!(Kind::names().count(), 14);
    assert!(Kind::names().all(|name| Kind::named(name).is_some()));
    assert_eq!(Kind::named("emails"), None);
}

#[test]
fn patterns_of_the_settings_redact_too() {
    let patterns = ["ACME-[0-9]{4}", "(?i)project \\w+"];
    let redaction = Redaction::new(Kinds::ALL, Mode::DenyList, &patterns).unwrap();
    let (after, marks) = redaction.text("ACME-1234 of Project Aurora, bob@example.com");
    assert_eq!(after, "[redacted] of [redacted], [redacted]");
    assert_eq!(marks.found, 3);
}

#[test]
fn on_an_allow_list_only_whole_matches_pass_and_secrets_still_go() {
    let patterns = ["Only [0-9]+ left", "User .* not found"];
    let redaction = Redaction::new(Kinds::ALL, Mode::AllowList, &patterns).unwrap();
    assert_eq!(redaction.text("Only 3 left").0, "Only 3 left");
    assert_eq!(
        redaction.text("User bob@example.com not found").0,
        "User [redacted] not found"
    );
    for refused in ["Only 3 left!", "x Only 3 left", "Only 3 left\nx", ""] {
        let (after, marks) = redaction.text(refused);
        assert!(marks.refused && after == REDACTED, "{refused:?}");
    }
    assert_eq!(redaction.found_in("out_of_stock"), 1);
}

#[test]
fn a_pattern_that_cannot_be_used_is_refused_and_says_why() {
    let error = |pattern: &str| {
        Redaction::new(Kinds::ALL, Mode::DenyList, &["fine", pattern])
            .unwrap_err()
            .to_string()
    };
    assert!(error("(").contains("pattern 1 is no regular expression"));
    assert!(error("(?=x)").contains("look-around"));
    assert!(error("((a{100}){100}){100}").contains("pattern 1"));
    assert!(error("x*").contains("matches the empty text"));
    assert!(matches!(
        Redaction::new(Kinds::ALL, Mode::AllowList, &["["]),
        Err(PatternError::Syntax { index: 0, .. })
    ));
}

#[test]
fn a_text_that_is_too_long_is_refused_whole() {
    let redaction = all();
    assert!(redaction.text(&"a".repeat(MAX_TEXT_BYTES + 1)).1.refused);
    assert!(!redaction.text(&"a ".repeat(MAX_TEXT_BYTES / 2)).1.refused);
}
