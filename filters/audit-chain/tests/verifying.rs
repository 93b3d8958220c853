//! Honest logs pass however they are delivered; whatever is done to one is found, and where.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // A test may fail by panic.

mod common;

use audit_chain::verify::Head;
use audit_chain::verify::finding::Kind;
use audit_chain::verify::verdict::{Outcome, Verdict};
use audit_chain::{Chain, Emitter, Mark, Succession};
use common::{Chance, Writer, deliver, emitters, forms, interleave, judge, key, terms};
use proptest::prelude::*;

/// Kind, emitter, number and line of the first break.
type First = (Kind, Option<String>, Option<u64>, u64);

fn first(verdict: &Verdict) -> First {
    let found = verdict.breaks.first().expect("a break");
    assert_eq!(verdict.outcome, Outcome::Broken);
    (
        found.kind,
        found.emitter.clone(),
        found.seq,
        found.place.line,
    )
}

/// Puts the changed log of one emitter among the others', in their order; and once more with duplicates and in any order.
/// Both give the same kind, emitter and number; the first, the line too, which is given.
fn told(
    chance: &mut Chance,
    keyed: bool,
    writers: &[Writer],
    victim: usize,
    changed: Vec<String>,
) -> (First, Vec<String>) {
    let logs = writers.iter().enumerate().map(|(at, writer)| {
        if at == victim {
            changed.clone()
        } else {
            writer.lines.clone()
        }
    });
    let lines = interleave(chance, logs.collect());
    let found = first(&judge(terms(keyed), &lines.join("\n")));
    let delivered = deliver(chance, &lines);
    for (form, text) in forms(chance, &delivered) {
        let again = first(&judge(terms(keyed), &text));
        assert_eq!(
            (again.0, &again.1, again.2),
            (found.0, &found.1, found.2),
            "{form}"
        );
    }
    (found, lines)
}

fn line_of(lines: &[String], line: &str) -> u64 {
    1 + lines.iter().position(|other| other == line).unwrap() as u64
}

/// Something else at one place of a record that says something: a digit of its `n`.
fn edited(line: &str) -> String {
    let at = line.rfind("\"n\":").unwrap() + 4;
    let digit = if &line[at..=at] == "7" { "8" } else { "7" };
    format!("{}{digit}{}", &line[..at], &line[at + 1..])
}

/// `chain`, without its name.
fn chain_of(line: &str) -> &str {
    let start = line.find("\"chain\":").unwrap();
    let end = line[start..].find("\"seq\":").unwrap() + start;
    &line[start..=line[end..].find('}').unwrap() + end]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn honest_logs_are_intact_in_every_form_with_duplicates_and_in_any_order(seed: u64, keyed: bool) {
        let chance = &mut Chance(seed);
        let writers = emitters(chance, keyed, 1);
        let lines = interleave(chance, writers.iter().map(|writer| writer.lines.clone()).collect());
        let delivered = deliver(chance, &lines);
        for lines in [&lines, &delivered] {
            for (form, text) in forms(chance, lines) {
                let mut terms = terms(keyed);
                for writer in &writers {
                    terms.heads.insert(writer.name(), Head::from_text(&writer.head()).unwrap());
                }
                let verdict = judge(terms, &text);
                prop_assert_eq!(verdict.outcome, Outcome::Intact, "{}: {}", form, verdict.to_text());
                prop_assert_eq!(verdict.records as usize, lines.len());
                let heads: Vec<String> = verdict.emitters.iter().map(|emitter| emitter.head()).collect();
                prop_assert_eq!(heads, writers.iter().map(Writer::head).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn an_edit_is_found_at_the_record_that_was_changed(seed: u64, keyed: bool) {
        let chance = &mut Chance(seed);
        let writers = emitters(chance, keyed, 1);
        let victim = chance.below(writers.len());
        let mut changed = writers[victim].lines.clone();
        let at = chance.below(changed.len());
        changed[at] = edited(&changed[at]);
        let record = changed[at].clone();
        let (found, lines) = told(chance, keyed, &writers, victim, changed);
        prop_assert_eq!(found, (Kind::Edit, Some(writers[victim].name()), Some(at as u64 + 1), line_of(&lines, &record)));
    }

    #[test]
    fn any_changed_byte_of_a_record_is_found_on_its_line(seed: u64, keyed: bool) {
        let chance = &mut Chance(seed);
        let writers = emitters(chance, keyed, 2);
        let lines = interleave(chance, writers.iter().map(|writer| writer.lines.clone()).collect());
        let at = chance.below(lines.len());
        let mut bytes = lines[at].clone().into_bytes();
        let place = chance.below(bytes.len());
        let byte = b"0f\"}{,:x\\"[chance.below(9)];
        prop_assume!(bytes[place] != byte);
        bytes[place] = byte;
        let Ok(record) = String::from_utf8(bytes) else { return Ok(()) };
        let same = |text: &str| audit_chain::verify::parse(text.as_bytes()).ok();
        prop_assume!(same(&record).is_none() || same(&record) != same(&lines[at]));
        let mut changed = lines.clone();
        changed[at] = record;
        let text = changed.join("\n");
        let verdict = judge(terms(keyed), &text);
        if let Some((_, found)) = verdict.missing_keys.first() {
            prop_assert_eq!((verdict.outcome, found.place.line), (Outcome::Unusable, at as u64 + 1));
            return Ok(());
        }
        prop_assert_eq!(verdict.outcome, Outcome::Broken, "{}", text);
        prop_assert_eq!(verdict.breaks[0].place.line, at as u64 + 1, "{}", verdict.to_text());
    }

    #[test]
    fn a_deletion_is_found_at_the_first_record_that_is_missing(seed: u64, keyed: bool) {
        let chance = &mut Chance(seed);
        let writers = emitters(chance, keyed, 3);
        let victim = chance.below(writers.len());
        let writer = &writers[victim];
        let mut changed = writer.lines.clone();
        let from = chance.below(changed.len() - 1);
        let to = from + chance.below(changed.len() - 1 - from);
        changed.drain(from..=to);
        let next = writer.lines[to + 1].clone();
        let tail = writer.marks[to + 1..].iter().all(|mark| *mark == Mark::Checkpoint);
        let (found, lines) = told(chance, keyed, &writers, victim, changed);
        let kind = if tail { Kind::CutTail } else { Kind::Deletion };
        prop_assert_eq!(found, (kind, Some(writer.name()), Some(from as u64 + 1), line_of(&lines, &next)));
    }

    #[test]
    fn an_inserted_record_is_found_where_it_stands(seed: u64, keyed: bool) {
        let chance = &mut Chance(seed);
        let writers = emitters(chance, keyed, 2);
        let victim = chance.below(writers.len());
        let mut changed = writers[victim].lines.clone();
        let at = chance.below(changed.len());
        let foreign = edited(&changed[at]);
        let place = chance.below(changed.len() + 1);
        changed.insert(place, foreign.clone());
        let (found, lines) = told(chance, keyed, &writers, victim, changed);
        prop_assert_eq!(found, (Kind::Insertion, Some(writers[victim].name()), Some(at as u64 + 1), line_of(&lines, &foreign)));
    }

    #[test]
    fn an_inserted_record_without_a_chain_is_found_where_it_stands(seed: u64, keyed: bool) {
        let chance = &mut Chance(seed);
        let writers = emitters(chance, keyed, 2);
        let mut changed = writers[0].lines.clone();
        let place = chance.below(changed.len() + 1);
        let foreign = "{\"n\":1,\"unmapped\":{\"x\":1}}".to_owned();
        changed.insert(place, foreign.clone());
        let (found, lines) = told(chance, keyed, &writers, 0, changed);
        prop_assert_eq!(found, (Kind::Insertion, None, None, line_of(&lines, &foreign)));
    }

    #[test]
    fn records_that_swap_their_places_in_the_chain_are_edits(seed: u64, keyed: bool) {
        let chance = &mut Chance(seed);
        let writers = emitters(chance, keyed, 2);
        let victim = chance.below(writers.len());
        let mut changed = writers[victim].lines.clone();
        let one = chance.below(changed.len() - 1);
        let two = one + 1 + chance.below(changed.len() - 1 - one);
        let chains = [one, two].map(|at| chain_of(&writers[victim].lines[at]).to_owned());
        changed[one] = changed[one].replace(&chains[0], &chains[1]);
        changed[two] = changed[two].replace(&chains[1], &chains[0]);
        // Where the matter is the same there is nothing to be told of.
        prop_assume!(!writers[victim].lines.contains(&changed[one]) || writers[victim].marks[one] != writers[victim].marks[two]);
        prop_assume!(changed[one] != writers[victim].lines[two]);
        let record = changed[one].clone();
        let logs = vec![changed];
        let lines = interleave(chance, logs);
        let found = first(&judge(terms(keyed), &lines.join("\n")));
        prop_assert_eq!(found, (Kind::Edit, Some(writers[victim].name()), Some(two as u64 + 1), line_of(&lines, &record)));
    }

    #[test]
    fn reordering_is_found_where_order_is_asked_for_and_only_there(seed: u64, keyed: bool) {
        let chance = &mut Chance(seed);
        let writers = emitters(chance, keyed, 3);
        let victim = chance.below(writers.len());
        let mut changed = writers[victim].lines.clone();
        let one = chance.below(changed.len() - 1);
        let two = one + 1 + chance.below(changed.len() - 1 - one);
        // A record is moved to behind a later one.
        let moved = changed.remove(one);
        changed.insert(two, moved.clone());
        let logs = writers.iter().enumerate().map(|(at, writer)| if at == victim { changed.clone() } else { writer.lines.clone() });
        let lines = interleave(chance, logs.collect());
        prop_assert_eq!(judge(terms(keyed), &lines.join("\n")).outcome, Outcome::Intact);
        let mut strict = terms(keyed);
        strict.in_order = true;
        let found = first(&judge(strict, &lines.join("\n")));
        prop_assert_eq!(found, (Kind::Reordering, Some(writers[victim].name()), Some(one as u64 + 1), line_of(&lines, &moved)));
    }

    #[test]
    fn a_record_of_another_chain_with_the_same_name_is_a_splice(seed: u64, keyed: bool) {
        let chance = &mut Chance(seed);
        let writers = emitters(chance, keyed, 4);
        let victim = chance.below(writers.len());
        let writer = &writers[victim];
        // The same emitter, key and numbers; another first record, so another chain.
        let key = keyed.then(|| key(["k1", "k2"][victim % 2]));
        let mut other = Writer::new(writer.chain.emitter().clone(), key, 0);
        for _ in 0..writer.lines.len() {
            other.emit(chance.below(1000), Mark::None);
        }
        let mut changed = writer.lines.clone();
        let at = 1 + chance.below(changed.len() - 1);
        changed[at] = other.lines[at].clone();
        let record = changed[at].clone();
        let (found, lines) = told(chance, keyed, &writers, victim, changed);
        prop_assert_eq!(found, (Kind::Splice, Some(writer.name()), Some(at as u64 + 1), line_of(&lines, &record)));
    }

    #[test]
    fn a_record_replaced_by_one_of_another_emitter_is_missing(seed: u64, keyed: bool) {
        let chance = &mut Chance(seed);
        let mut writers = emitters(chance, keyed, 3);
        let mut other = Writer::new(Emitter::new("other", 1, 0), keyed.then(|| key("k1")), 0);
        (0..3).for_each(|n| other.emit(n, Mark::None));
        writers.push(other);
        let victim = chance.below(writers.len() - 1);
        let mut changed = writers[victim].lines.clone();
        let at = chance.below(changed.len() - 1);
        let tail = writers[victim].marks[at + 1..].iter().all(|mark| *mark == Mark::Checkpoint);
        changed[at] = writers[writers.len() - 1].lines[1].clone();
        let next = writers[victim].lines[at + 1].clone();
        let (found, lines) = told(chance, keyed, &writers, victim, changed);
        let kind = if tail { Kind::CutTail } else { Kind::Deletion };
        prop_assert_eq!(found, (kind, Some(writers[victim].name()), Some(at as u64 + 1), line_of(&lines, &next)));
    }

    #[test]
    fn without_a_key_an_edit_with_a_new_hash_breaks_the_link_behind_it(seed: u64) {
        let chance = &mut Chance(seed);
        let writers = emitters(chance, false, 3);
        let victim = chance.below(writers.len());
        let writer = &writers[victim];
        let at = chance.below(writer.lines.len() - 1);
        let mut changed = writer.lines.clone();
        // The forger writes on from the record before, as anybody can where there is no key.
        let mut forger = Writer::new(writer.chain.emitter().clone(), None, 0);
        if at > 0 {
            let mut stored = Vec::new();
            let before = prefix(writer, at);
            before.store(&mut stored, Succession::Orderly);
            forger.chain = Chain::resume(&stored, None).unwrap().0;
        }
        forger.emit(1000, Mark::None);
        changed[at] = forger.lines[0].clone();
        let next = writer.lines[at + 1].clone();
        let (found, lines) = told(chance, false, &writers, victim, changed);
        prop_assert_eq!(found, (Kind::Splice, Some(writer.name()), Some(at as u64 + 2), line_of(&lines, &next)));
    }

    #[test]
    fn a_cut_tail_is_found_by_a_checkpoint_or_a_head_that_is_known(seed: u64, keyed: bool) {
        let chance = &mut Chance(seed);
        let mut writers = emitters(chance, keyed, 3);
        let victim = chance.below(writers.len());
        let records = writers[victim].lines.len();
        let keep = chance.below(records);
        let cut = writers[victim].lines[..keep].to_vec();
        let name = writers[victim].name();
        let tail = writers[victim].marks[..keep].iter().all(|mark| *mark == Mark::Checkpoint);
        let logs = |last: Option<String>| -> Vec<Vec<String>> {
            writers.iter().enumerate().map(|(at, writer)| if at == victim {
                cut.iter().cloned().chain(last.clone()).collect()
            } else {
                writer.lines.clone()
            }).collect()
        };
        // Nothing of it in the log: a shorter chain is a chain.
        let lines = interleave(chance, logs(None)).join("\n");
        if !lines.is_empty() {
            prop_assert_eq!(judge(terms(keyed), &lines).outcome, Outcome::Intact);
        }
        let head = Head::from_text(&writers[victim].head()).unwrap();
        for head in [head, Head { hash: None, ..head }] {
            let mut known = terms(keyed);
            known.heads.insert(name.clone(), head);
            let verdict = judge(known, &lines);
            if verdict.records == 0 {
                continue;
            }
            prop_assert_eq!(first(&verdict), (Kind::CutTail, Some(name.clone()), Some(keep as u64 + 1), u64::MAX));
        }
        writers[victim].emit(0, Mark::Checkpoint);
        let checkpoint = writers[victim].lines.last().cloned();
        let logs: Vec<Vec<String>> = writers.iter().enumerate().map(|(at, writer)| if at == victim {
            cut.iter().cloned().chain(checkpoint.clone()).collect()
        } else {
            writer.lines.clone()
        }).collect();
        let _ = tail;
        let lines = interleave(chance, logs);
        let found = first(&judge(terms(keyed), &lines.join("\n")));
        prop_assert_eq!(found, (Kind::CutTail, Some(name), Some(keep as u64 + 1), line_of(&lines, &checkpoint.unwrap())));
    }
}

/// The chain after its first records, as anybody can make it where there is no key.
fn prefix(writer: &Writer, records: usize) -> Chain {
    let mut bytes = Vec::new();
    let mut chain = Chain::start(writer.chain.emitter().clone(), None);
    chain.store(&mut bytes, Succession::Orderly);
    let hash = writer.lines[records - 1]
        .split("\"hash\":\"")
        .nth(1)
        .unwrap();
    let hash = &hash[..64];
    // Version, succession, four numbers, head.
    bytes[2..10].copy_from_slice(&(records as u64).to_le_bytes());
    for (at, byte) in bytes[34..66].iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).unwrap();
    }
    chain = Chain::resume(&bytes, None).unwrap().0;
    chain
}
