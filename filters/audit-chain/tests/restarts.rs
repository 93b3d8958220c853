//! What is missing before a restart may be lost, what was acknowledged before is not, and nothing else is excused by it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // A test may fail by panic.

mod common;

use audit_chain::verify::finding::Kind;
use audit_chain::verify::verdict::Outcome;
use audit_chain::{Emitter, Mark};
use common::{Writer, judge, key, terms};

/// Ten records of which three are acknowledged, a restart, and two more.
fn restarted() -> Writer {
    let mut writer = Writer::new(Emitter::new("edge", 7, 0), Some(key("k1")), 0);
    for matter in 0..10 {
        writer.emit(matter, Mark::None);
    }
    writer.chain.acknowledge(3);
    writer.emit(10, Mark::Restart);
    writer.emit(11, Mark::None);
    writer.emit(12, Mark::None);
    writer
}

/// The breaks of a log without those records: kind, first and last number.
fn without(writer: &Writer, missing: &[u64], allowed: bool) -> Vec<(Kind, u64, u64)> {
    let lines = (1..).zip(&writer.lines);
    let left = lines.filter(|(seq, _)| !missing.contains(seq));
    let text: String = left.map(|(_, line)| format!("{line}\n")).collect();
    let mut terms = terms(true);
    terms.allow_restart_gaps = allowed;
    let verdict = judge(terms, &text);
    let is_intact = verdict.outcome == Outcome::Intact;
    assert_eq!(is_intact, verdict.breaks.is_empty());
    let breaks = verdict.breaks.iter();
    let place = |found: &audit_chain::verify::finding::Break| {
        let seq = found.seq.unwrap();
        (found.kind, seq, found.last.unwrap_or(seq))
    };
    breaks.map(place).collect()
}

#[test]
fn what_was_not_acknowledged_may_be_lost_also_if_some_that_followed_it_arrived() {
    let writer = restarted();
    assert_eq!(without(&writer, &[], false), []);
    for (missing, lost) in [
        (vec![9, 10], vec![(9, 10)]),
        (vec![4, 5], vec![(4, 5)]),
        (vec![4, 6, 7, 10], vec![(4, 4), (6, 7), (10, 10)]),
    ] {
        let lost: Vec<_> = lost
            .into_iter()
            .map(|(first, last)| (Kind::RestartGap, first, last))
            .collect();
        assert_eq!(without(&writer, &missing, false), lost);
        assert_eq!(without(&writer, &missing, true), []);
    }
}

#[test]
fn what_was_acknowledged_or_came_after_the_restart_is_deleted() {
    let writer = restarted();
    let deletion = |first, last| (Kind::Deletion, first, last);
    for allowed in [false, true] {
        assert_eq!(without(&writer, &[2], allowed), [deletion(2, 2)]);
        assert_eq!(without(&writer, &[12], allowed), [deletion(12, 12)]);
        // Without the restart nothing excuses what is missing before it.
        let gap = [deletion(9, 11)];
        assert_eq!(without(&writer, &[9, 10, 11], allowed), gap);
    }
    let found = without(&writer, &[3, 4], false);
    assert_eq!(found, [deletion(3, 3), (Kind::RestartGap, 4, 4)]);
}

#[test]
fn a_restart_that_was_given_up_and_said_again_tells_of_the_same_gap() {
    let mut writer = restarted();
    let (first, last) = (11, 11);
    writer.emit(13, Mark::Dropped { first, last });
    writer.emit(14, Mark::Restart);
    let missing = [5, 6, 7, 8, 9, 10, 11];
    let found = without(&writer, &missing, false);
    assert_eq!(found, [(Kind::RestartGap, 5, 10)]);
    assert_eq!(without(&writer, &missing, true), []);
}
