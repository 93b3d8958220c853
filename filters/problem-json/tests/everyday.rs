//! Everyday messages: the inside of a service goes out of them, what helps people stays.
#![allow(clippy::unwrap_used)] // A test may fail by panic.

mod messages;

use std::fmt::Write as _;

use messages::{HELPFUL, LEAKS};
use problem_json::redact::{Kinds, MAX_TEXT_BYTES, Mode, Redaction};
use proptest::prelude::*;

fn all() -> Redaction {
    Redaction::new(Kinds::ALL, Mode::DenyList, &[]).unwrap()
}

#[test]
fn the_inside_of_a_service_goes_out_of_everyday_messages() {
    let redaction = all();
    let mut leaks = Vec::new();
    for (text, parts) in LEAKS {
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        let (after, marks) = redaction.text(text);
        if marks.found == 0 || parts.iter().any(|part| after.contains(part)) {
            leaks.push((text, after));
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[test]
fn helpful_messages_stay_as_they_are() {
    let redaction = all();
    let mut lost = Vec::new();
    for text in HELPFUL {
        let (after, marks) = redaction.text(text);
        if marks.found > 0 || after != *text {
            lost.push((text, after));
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

#[test]
fn what_is_redacted_once_stays_as_it_is() {
    let redaction = all();
    for (text, _) in LEAKS {
        let (once, _) = redaction.text(text);
        let (twice, _) = redaction.text(&once);
        assert_eq!(once, twice);
    }
}

#[test]
fn codes_of_words_stay_and_codes_that_are_secrets_go() {
    let redaction = all();
    for code in [
        "ThrottlingException",
        "ResourceNotFoundException",
        "ValidationError",
        "out_of_stock",
        "Orders.Limit.Reached",
        "urn:problem:limit",
    ] {
        assert_eq!(redaction.found_in_name(code), 0, "{code}");
    }
    for code in [
        "8f14e45fceea167a5a36dedd4bea2543",
        "com.acme.orders.LimitError",
        "Acme.Billing.Api.Models.OrderRequest",
        "orders-db-7.prod.acme.net:9876",
        "http://orders-db-7.prod.acme.net:9876/problems/db",
    ] {
        assert!(redaction.found_in_name(code) > 0, "{code}");
    }
}

/// One character in one of the spellings that are read.
fn spelled(byte: u8, how: u8) -> String {
    match how % 6 {
        0 => format!("%{byte:02x}"),
        1 => format!("%{byte:02X}"),
        2 => format!("&#{byte};"),
        3 => format!("&#x{byte:X};"),
        4 => format!("\\u{byte:04x}"),
        _ => char::from(byte).to_string(),
    }
}

proptest! {
    #[test]
    fn no_spelling_hides_an_address_however_often_it_is_applied(
        hows in prop::collection::vec(prop::collection::vec(0u8..6, 96), 1..3),
        before in "[a-z]{1,8}( [a-z]{1,8}){0,3}",
    ) {
        let mut text = "jd@q.example".to_owned();
        for how in &hows {
            let mut next = String::new();
            for (byte, how) in text.bytes().zip(how.iter().cycle()) {
                next.push_str(&spelled(byte, *how));
            }
            text = next;
        }
        let mut whole = before;
        write!(whole, " {text} end").unwrap();
        let (after, marks) = all().text(&whole);
        prop_assert!(marks.found > 0, "{whole}");
        prop_assert!(!after.contains(&text), "{whole}: {after}");
        prop_assert!(after.ends_with(" end"), "{whole}: {after}");
    }

    #[test]
    fn any_hex_digits_of_a_digest_go(word in "[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}") {
        prop_assume!(word.bytes().any(|byte| byte.is_ascii_digit()));
        prop_assume!(word.bytes().any(|byte| byte.is_ascii_alphabetic()));
        let text = format!("The word {word} is refused");
        let (after, _) = all().text(&text);
        prop_assert!(!after.contains(&word));
        prop_assert_eq!(all().text(&format!("trace id {word}")).1.found, u32::from(word.len() > 40));
    }

    #[test]
    fn any_uuid_is_an_id(id in "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}") {
        // A long run of digits in it may be a card's number, or groups of hexadecimal digits a name for something else.
        prop_assume!(id.bytes().filter(u8::is_ascii_alphabetic).count() > 8);
        let text = format!("Order {id} was not found");
        prop_assert_eq!(all().text(&text).0, text.as_str());
    }

    #[test]
    fn spellings_that_say_nothing_stay(text in "([a-z ]|%20|&amp;|&lt;|%C3%A9|\\u00e9){0,60}") {
        prop_assume!(!text.contains("token") && !text.contains("pass"));
        let (after, marks) = all().text(&text);
        prop_assert_eq!((after.as_ref(), marks.found), (text.as_str(), 0));
    }
}

/// Texts that make a careless reader of spellings read the same bytes over and over.
#[test]
fn no_spelling_keeps_the_reader_busy() {
    let redaction = all();
    for unit in [
        "%25",
        "%",
        "&#",
        "&amp;",
        "&#37;",
        "%2525",
        "\\u0025",
        "\\",
        "%%",
        "&a",
        "&#0",
        "&&#x2",
        "api key ",
        "key: ",
        "session ",
        "table '",
        "A.",
        "Aa.B",
        "type '",
        "key (",
        "abc1",
        "function ",
        "http://a",
        "/data/",
        "a.b:99 ",
        ".js:",
        "a1",
        "x://",
        "host=",
        "at x (",
    ] {
        let text = unit.repeat(MAX_TEXT_BYTES / unit.len());
        let start = std::time::Instant::now();
        redaction.text(&text);
        // A debug build takes some ten milliseconds; a quadratic scanner, minutes.
        assert!(
            start.elapsed() < std::time::Duration::from_secs(5),
            "{unit}"
        );
    }
}
