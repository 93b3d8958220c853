//! Sealing gives, byte for byte, what another implementation gives (`tests/golden`, written by Python's hashlib and hmac).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // A test may fail by panic.

use audit_chain::{Chain, Counts, Emitter, Key, KeyError, Mark, Schedule, StateError, Succession};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const KEYED: &str = include_str!("golden/keyed.ndjson");
const PLAIN: &str = include_str!("golden/plain.ndjson");

fn emitter() -> Emitter {
    Emitter::new("edge-1", 0x00c0_ffee_00c0_ffee, 0)
}

fn key() -> Key {
    Key::new("k1", b"0123456789abcdef0123456789abcdef").unwrap()
}

/// `before` is what a writer has written when `chain` would be next.
fn seal(chain: &mut Chain, before: &str, behind: &str, mark: Mark) -> String {
    let mut record = format!("{before}{behind}").into_bytes();
    chain.seal(&mut record, before.len(), mark).unwrap();
    String::from_utf8(record).unwrap()
}

fn three(mut chain: Chain) -> String {
    let one = seal(
        &mut chain,
        r#"{"action":{"method":"GET","path":"/v1/orders"}"#,
        r#","status":200,"time":1790000000000}"#,
        Mark::None,
    );
    let two = seal(
        &mut chain,
        r#"{"action":{"method":"POST","path":"/v1/ünïcode €"}"#,
        r#","status":403,"time":1790000000250}"#,
        Mark::None,
    );
    chain.count_retried(1);
    let three = seal(
        &mut chain,
        "{",
        r#""event":"checkpoint","time":1790000060000}"#,
        Mark::Checkpoint,
    );
    format!("{one}\n{two}\n{three}\n")
}

#[test]
fn records_are_sealed_as_another_implementation_seals_them() {
    assert_eq!(three(Chain::start(emitter(), Some(key()))), KEYED);
    assert_eq!(three(Chain::start(emitter(), None)), PLAIN);
}

#[test]
fn a_chain_goes_on_from_what_was_stored_as_if_nothing_had_happened() {
    let mut chain = Chain::start(emitter(), Some(key()));
    let mut stored = Vec::new();
    let mut lines = String::new();
    for line in KEYED.lines() {
        let mut value: serde_json_free::Line = serde_json_free::unsealed(line);
        if value.checkpoint {
            chain.count_retried(1);
        }
        let mark = if value.checkpoint {
            Mark::Checkpoint
        } else {
            Mark::None
        };
        let sealed = chain.seal(&mut value.record, value.at, mark).unwrap();
        lines.push_str(std::str::from_utf8(&value.record).unwrap());
        lines.push('\n');
        chain.acknowledge(sealed.seq);
        chain.store(&mut stored, Succession::Abrupt);
        let (next, succession) = Chain::resume(&stored, Some(key())).unwrap();
        assert_eq!(succession, Succession::Abrupt);
        assert_eq!(next.seq(), sealed.seq);
        assert_eq!(next.head(), &sealed.hash);
        assert_eq!(next.acknowledged(), sealed.seq);
        assert_eq!(next.counts(), chain.counts());
        assert_eq!(next.emitter(), &emitter());
        chain = next;
    }
    assert_eq!(lines, KEYED);
    chain.store(&mut stored, Succession::Orderly);
    assert_eq!(Chain::resume(&stored, None).unwrap().1, Succession::Orderly);
}

/// Takes `chain` out of a golden line again, with nothing but text search.
mod serde_json_free {
    pub struct Line {
        pub record: Vec<u8>,
        pub at: usize,
        pub checkpoint: bool,
    }

    pub fn unsealed(line: &str) -> Line {
        let start = line.find("\"chain\":").unwrap();
        let end = start + line[start..].find("\"seq\":").unwrap();
        let end = end + line[end..].find('}').unwrap() + 1;
        let checkpoint = line[start..end].contains("checkpoint");
        let (before, behind) = (&line[..start], &line[end..]);
        let (before, behind) = match before.strip_suffix(',') {
            Some(before) => (before, behind),
            None => (before, behind.strip_prefix(',').unwrap_or(behind)),
        };
        Line {
            record: format!("{before}{behind}").into_bytes(),
            at: before.len(),
            checkpoint,
        }
    }
}

#[test]
fn no_stored_bytes_make_resuming_panic_and_cut_ones_are_refused() {
    let mut chain = Chain::start(emitter(), None);
    seal(&mut chain, "{", "}", Mark::None);
    let mut stored = Vec::new();
    chain.store(&mut stored, Succession::Orderly);
    for length in 0..66 {
        let error = Chain::resume(&stored[..length], None).err();
        assert_eq!(error, Some(StateError::Cut), "{length}");
    }
    assert_eq!(
        Chain::resume(&stored[..66], None).err(),
        Some(StateError::Emitter)
    );
    stored[0] = 2;
    assert_eq!(
        Chain::resume(&stored, None).err(),
        Some(StateError::Version)
    );
    stored[0] = 1;
    stored.push(0xff);
    assert_eq!(
        Chain::resume(&stored, None).err(),
        Some(StateError::Emitter)
    );
}

#[test]
fn the_member_stands_wherever_the_writer_says_with_the_commas_it_needs() {
    for (before, behind, after) in [
        ("{", "}", "}}"),
        ("{", r#""d":1}"#, r#"},"d":1}"#),
        (r#"{"a":1"#, "}", "}}"),
        (r#"{"a":"x""#, r#","d":1}"#, r#"},"d":1}"#),
        (r#"{"a":null"#, r#","d":1}"#, r#"},"d":1}"#),
        (r#"{"a":false"#, "}", "}}"),
        (r#"{"a":[]"#, "}", "}}"),
        (r#"{"a":1,"unmapped":{"#, r#"}}"#, "}}}"),
        (
            r#"{"a":1,"unmapped":{"#,
            r#""d":2},"z":3}"#,
            r#"},"d":2},"z":3}"#,
        ),
        (
            r#"{"a":1,"portcullis":{"a":{}"#,
            r#"},"z":3}"#,
            r#"}},"z":3}"#,
        ),
    ] {
        let mut chain = Chain::start(emitter(), None);
        let sealed = seal(&mut chain, before, behind, Mark::None);
        let comma = if before.ends_with('{') { "" } else { "," };
        let start = format!("{before}{comma}\"chain\":{{\"alg\":\"sha256\",\"emitter\":");
        assert!(sealed.starts_with(&start), "{sealed}");
        assert!(sealed.ends_with(&format!("\"seq\":1{after}")), "{sealed}");
    }
}

#[test]
fn a_place_that_is_none_changes_neither_record_nor_chain() {
    let mut chain = Chain::start(emitter(), None);
    let whole = br#"{"a":1,"b":"x"}"#;
    for at in [
        0,
        2,
        3,
        4,
        5,
        7,
        8,
        whole.len(),
        whole.len() + 1,
        usize::MAX,
    ] {
        let mut record = whole.to_vec();
        let error = chain.seal(&mut record, at, Mark::None).unwrap_err();
        assert_eq!((error.at, error.length), (at, whole.len()));
        assert_eq!(record, whole);
    }
    assert_eq!(chain.seq(), 0);
}

#[test]
fn marks_say_what_the_chain_counted() {
    let mut chain = Chain::start(emitter(), Some(key()));
    for _ in 0..4 {
        seal(&mut chain, "{", "}", Mark::None);
    }
    chain.acknowledge(2);
    chain.acknowledge(1);
    chain.acknowledge(99);
    assert_eq!(chain.acknowledged(), 4);
    let dropped = seal(&mut chain, "{", "}", Mark::Dropped { first: 3, last: 4 });
    assert!(
        dropped.starts_with(
            r#"{"chain":{"alg":"hmac-sha256","dropped":{"first":3,"last":4},"emitter":"#
        ),
        "{dropped}"
    );
    chain.count_dropped(2);
    assert_eq!(
        chain.counts(),
        Counts {
            dropped: 2,
            retried: 0
        }
    );
    let restart = seal(&mut chain, "{", "}", Mark::Restart);
    assert!(
        restart.ends_with(r#""restart":{"acknowledged":4},"seq":6}}"#),
        "{restart}"
    );
}

#[test]
fn an_emitter_is_one_text_whatever_the_node_is_called() {
    let odd = Emitter::new("a \"b\"/é\n", 1, 12);
    assert_eq!(odd.as_str(), "a%20%22b%22%2F%C3%A9%0A/0000000000000001/12");
    let mut chain = Chain::start(odd.clone(), None);
    let mut stored = Vec::new();
    seal(&mut chain, "{", "}", Mark::None);
    chain.store(&mut stored, Succession::Orderly);
    assert_eq!(Chain::resume(&stored, None).unwrap().0.emitter(), &odd);
}

#[test]
fn a_key_has_a_name_that_needs_no_escapes_and_enough_bytes() {
    let long = [7; 32];
    assert_eq!(Key::new("", &long).unwrap_err(), KeyError::Id);
    assert_eq!(Key::new("k 1", &long).unwrap_err(), KeyError::Id);
    assert_eq!(Key::new("k\"", &long).unwrap_err(), KeyError::Id);
    assert_eq!(Key::new(&"k".repeat(65), &long).unwrap_err(), KeyError::Id);
    let short = Key::new("k", &long[..31]).unwrap_err();
    assert_eq!(short, KeyError::Short { bytes: 31 });
    assert!(short.to_string().contains("31 bytes"), "{short}");
    assert_eq!(format!("{:?}", key()), "Key(k1)");
}

#[test]
fn a_checkpoint_is_due_by_records_or_by_time_and_idle_too() {
    let mut schedule = Schedule::start(3, 1000, 10, 5000);
    assert!(!schedule.is_due(12, 5999));
    assert!(schedule.is_due(13, 5000));
    assert!(schedule.is_due(10, 6000));
    schedule.done(14, 6000);
    assert!(!schedule.is_due(16, 6999));
    assert_eq!(schedule.age_ms(6999), 999);
    // The clock was set back by an hour: a second later a checkpoint is due all the same.
    assert!(!schedule.is_due(14, 2400));
    assert!(schedule.is_due(14, 3400));
}
