//! The records of one emitter, in their order, whatever order they came in.
//!
//! What follows without a gap, link by link, is kept as one run: its ends. So an orderly log of any length is one run.

use std::collections::BTreeMap;

use super::finding::{Because, Break, Kind, Place};
use super::record::{Mark, Record};
use super::{Breaks, Head, Terms};
use crate::{GENESIS, Hash};

/// So many forged records of an emitter are kept; more are counted.
const MAX_FORGED: usize = 1000;

#[derive(Default)]
pub struct Ledger {
    runs: BTreeMap<u64, Run>,
    after: Option<Head>,
    expected: Option<Head>,
    expected_seen: bool,
    forged: BTreeMap<u64, Break>,
    /// Ranges that are there, hashed with keys that are not known.
    unjudged: Vec<(u64, u64)>,
    /// Ranges that the emitter says it gave up.
    dropped: Vec<(u64, u64)>,
    /// Up to which record all was acknowledged, by the numbers of the restarts that say so.
    restarts: BTreeMap<u64, u64>,
    /// Parts of the hashes of the records with the highest numbers.
    window: BTreeMap<u64, u64>,
    pub records: u64,
    pub duplicates: u64,
    /// Records that came behind a later one.
    pub disordered: u64,
    /// Records from before the beginning that was asked for.
    pub earlier: u64,
    pub keyed: u64,
    latest: u64,
    pub checkpoint: Option<Checkpoint>,
}

/// The latest one.
#[derive(Clone, Copy)]
pub struct Checkpoint {
    pub seq: u64,
    pub dropped: u64,
    pub retried: u64,
}

struct Run {
    last: u64,
    prev: Hash,
    head: Hash,
    /// Of the first record.
    place: Place,
    only_checkpoints: bool,
}

/// What can be said when everything was read.
pub struct Closing {
    pub breaks: Vec<Break>,
    /// First and last number, and the last hash.
    pub first: u64,
    pub last: u64,
    pub head: Hash,
    /// Records that the emitter says it gave up, and that are not there.
    pub given_up: u64,
    /// Records that a restart may have lost.
    pub lost: u64,
}

impl Ledger {
    pub fn new(after: Option<Head>, expected: Option<Head>) -> Self {
        Self {
            after,
            expected,
            ..Self::default()
        }
    }

    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// False if it is not kept.
    pub fn forged(&mut self, seq: u64, found: Break) -> bool {
        if self.forged.len() >= MAX_FORGED || self.forged.contains_key(&seq) {
            return false;
        }
        self.forged.insert(seq, found);
        true
    }

    /// A record that is there, but cannot be judged.
    pub fn unjudged(&mut self, seq: u64) {
        extend(&mut self.unjudged, seq, seq);
    }

    pub fn insert(&mut self, record: &Record, place: Place, terms: &Terms, breaks: &mut Breaks) {
        let seq = record.seq;
        let broken = |kind, because| {
            Break::at(place, kind)
                .of(&record.emitter, seq)
                .because(because)
        };
        if let Some(after) = self.after.filter(|after| seq <= after.seq) {
            self.earlier += 1;
            if seq == after.seq && after.hash.is_some_and(|hash| hash != record.hash) {
                breaks.add(broken(Kind::Splice, Because::Head));
            }
            return;
        }
        if let Some(expected) = self.expected.filter(|expected| seq == expected.seq) {
            let other = expected.hash.is_some_and(|hash| hash != record.hash);
            if other && !self.expected_seen {
                breaks.add(broken(Kind::Splice, Because::Head));
            }
            self.expected_seen = true;
        }
        if self.has(seq) {
            match self.compare(record) {
                Some(true) => self.duplicates += 1,
                None if record.keyed => self.duplicates += 1,
                Some(false) => breaks.add(broken(Kind::Insertion, Because::Taken)),
                None => breaks.add(broken(Kind::Insertion, Because::Late)),
            }
            return;
        }
        self.records += 1;
        self.keyed += u64::from(record.keyed);
        if seq < self.latest {
            self.disordered += 1;
            if terms.in_order {
                breaks.add(broken(Kind::Reordering, Because::Plain));
            }
        }
        self.latest = self.latest.max(seq);
        self.remember(record, terms.window);
        match record.mark {
            Mark::Checkpoint { dropped, retried } => {
                if self.checkpoint.is_none_or(|known| known.seq < seq) {
                    self.checkpoint = Some(Checkpoint {
                        seq,
                        dropped,
                        retried,
                    });
                }
            }
            Mark::Dropped { first, last } => extend(&mut self.dropped, first, last),
            Mark::Restart { acknowledged } => {
                self.restarts.insert(seq, acknowledged);
            }
            Mark::None => {}
        }
        self.join(record, place);
    }

    fn has(&self, seq: u64) -> bool {
        let run = self.runs.range(..=seq).next_back();
        run.is_some_and(|(_, run)| run.last >= seq)
    }

    /// Puts a record that is not there yet at the end of a run, at the beginning of one, between two, or alone.
    fn join(&mut self, record: &Record, place: Place) {
        let seq = record.seq;
        let checkpoint = matches!(record.mark, Mark::Checkpoint { .. });
        let mut run = Run {
            last: seq,
            prev: record.prev,
            head: record.hash,
            place,
            only_checkpoints: checkpoint,
        };
        let next = seq.saturating_add(1);
        let linked = |behind: &Run| behind.prev == run.head;
        if self.runs.get(&next).is_some_and(linked)
            && let Some(behind) = self.runs.remove(&next)
        {
            run.last = behind.last;
            run.head = behind.head;
            run.only_checkpoints &= behind.only_checkpoints;
        }
        let before = self.runs.range_mut(..seq).next_back();
        match before {
            Some((_, before)) if before.last == seq - 1 && before.head == run.prev => {
                before.last = run.last;
                before.head = run.head;
                before.only_checkpoints &= run.only_checkpoints;
            }
            _ => {
                self.runs.insert(seq, run);
            }
        }
    }

    /// Whether the record is the one that came before with its number. `None` if that is not known any more.
    fn compare(&self, record: &Record) -> Option<bool> {
        let tag = self.window.get(&record.seq)?;
        Some(*tag == part(&record.hash))
    }

    fn remember(&mut self, record: &Record, window: usize) {
        self.window.insert(record.seq, part(&record.hash));
        if self.window.len() > window {
            self.window.pop_first();
        }
    }

    /// Looks along the runs.
    pub fn close(&mut self, emitter: &str, terms: &Terms) -> Closing {
        let forged = std::mem::take(&mut self.forged);
        self.dropped = disjoint(std::mem::take(&mut self.dropped));
        self.unjudged = disjoint(std::mem::take(&mut self.unjudged));
        let (start, mut head) = match self.after {
            Some(after) => (after.seq, after.hash),
            None => (0, Some(GENESIS)),
        };
        let mut closing = Closing {
            breaks: Vec::new(),
            first: self.runs.keys().next().copied().unwrap_or(0),
            last: start,
            head: head.unwrap_or(GENESIS),
            given_up: 0,
            lost: 0,
        };
        if terms.partial && self.after.is_none() && closing.first > 1 {
            closing.last = closing.first - 1;
            head = None;
        }
        // From here on there is nothing but checkpoints.
        let tail = self.runs.iter().rev();
        let tail = tail.take_while(|(_, run)| run.only_checkpoints).last();
        let tail = tail.map_or(u64::MAX, |(first, _)| *first);

        let mut blamed = false;
        let mut runs = self.runs.iter().peekable();
        while let Some((&first, run)) = runs.next() {
            if first > closing.last + 1 {
                let gap = (closing.last + 1, first - 1);
                let before_tail = first >= tail;
                self.gap(emitter, gap, run, before_tail, &forged, terms, &mut closing);
                blamed = false;
            } else if blamed {
                // The record before was from elsewhere, and told of.
                blamed = false;
            } else if head.is_some_and(|head| head != run.prev) {
                let linked_next = runs.peek().is_none_or(|(next, _)| **next != run.last + 1);
                let one = run.last == first && !linked_next;
                blamed = one;
                let because = if first == 1 {
                    Because::Genesis
                } else {
                    Because::Link { one }
                };
                let found = Break::at(run.place, Kind::Splice).of(emitter, first);
                closing.breaks.push(found.because(because));
            }
            closing.last = run.last;
            closing.head = run.head;
            head = Some(run.head);
        }
        if let Some(expected) = self.expected.filter(|head| head.seq > closing.last) {
            let found = Break::at(Place::END, Kind::CutTail)
                .of(emitter, closing.last + 1)
                .to(expected.seq);
            let there = within(&self.unjudged, expected.seq, expected.seq).next();
            if there.is_none() && !forged.contains_key(&expected.seq) {
                closing.breaks.push(found.because(Because::Head));
            }
        }
        for (seq, mut found) in forged {
            if self.has(seq) {
                found.kind = Kind::Insertion;
                found.because = Because::Taken;
            }
            closing.breaks.push(found);
        }
        closing
    }

    /// Says of each record that is missing why: given up, forged, lost, or deleted.
    #[expect(
        clippy::too_many_arguments,
        reason = "one question, asked in one place"
    )]
    fn gap(
        &self,
        emitter: &str,
        (from, to): (u64, u64),
        behind: &Run,
        before_tail: bool,
        forged: &BTreeMap<u64, Break>,
        terms: &Terms,
        closing: &mut Closing,
    ) {
        let mut pieces = Vec::new();
        let mut next = from;
        let known = forged.range(from..=to).map(|(seq, _)| (*seq, *seq, false));
        let unjudged = within(&self.unjudged, from, to).map(|(first, last)| (first, last, false));
        let given_up = within(&self.dropped, from, to).map(|(first, last)| (first, last, true));
        let mut known: Vec<(u64, u64, bool)> = known.chain(unjudged).chain(given_up).collect();
        known.sort_unstable();
        for (first, last, dropped) in known {
            let (first, last) = (first.max(next), last.min(to));
            if first > last {
                continue;
            }
            if first > next {
                pieces.push((next, first - 1));
            }
            if dropped {
                closing.given_up += last - first + 1;
            }
            next = last + 1;
        }
        if next <= to {
            pieces.push((next, to));
        }
        let kind = if before_tail {
            Kind::CutTail
        } else {
            Kind::Deletion
        };
        let because = if before_tail {
            Because::Checkpoint
        } else {
            Because::Plain
        };
        for (first, last) in pieces {
            // The next restart tells of it, also where some records between arrived. What was acknowledged is not lost with
            // a machine.
            let restart = self.restarts.range(last..).next();
            let restart = restart.map(|(_, acknowledged)| *acknowledged);
            let sure = restart.map_or(last, |acknowledged| acknowledged.min(last));
            if first <= sure {
                let found = Break::at(behind.place, kind).of(emitter, first).to(sure);
                closing.breaks.push(found.because(because.clone()));
            }
            let Some(acknowledged) = restart.filter(|_| last > sure) else {
                continue;
            };
            let first = first.max(sure + 1);
            closing.lost += last - first + 1;
            if !terms.allow_restart_gaps {
                let found = Break::at(behind.place, Kind::RestartGap)
                    .of(emitter, first)
                    .to(last);
                closing
                    .breaks
                    .push(found.because(Because::Restart { acknowledged }));
            }
        }
    }
}

/// Adds a range: to the last one if it goes on from there.
fn extend(ranges: &mut Vec<(u64, u64)>, first: u64, last: u64) {
    match ranges.last_mut() {
        Some(latest) if latest.1.checked_add(1) == Some(first) => latest.1 = latest.1.max(last),
        _ => ranges.push((first, last)),
    }
}

/// Those of the ranges that meet this one. They must be disjoint and in order.
fn within(ranges: &[(u64, u64)], from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
    let begin = ranges.partition_point(|(_, last)| *last < from);
    let rest = ranges.iter().skip(begin).copied();
    rest.take_while(move |(first, _)| *first <= to)
}

/// The same numbers in ranges that neither touch nor overlap, in order.
fn disjoint(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut out: Vec<(u64, u64)> = Vec::new();
    for (first, last) in ranges.into_iter().filter(|(first, last)| first <= last) {
        match out.last_mut() {
            Some(latest) if latest.1.saturating_add(1) >= first => latest.1 = latest.1.max(last),
            _ => out.push((first, last)),
        }
    }
    out
}

fn part(hash: &Hash) -> u64 {
    let first = hash.first_chunk::<8>().copied().unwrap_or_default();
    u64::from_le_bytes(first)
}
