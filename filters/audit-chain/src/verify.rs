//! Judging logs: is every record there, unchanged, once, in its place?
//!
//! 1. [`input`] cuts what is read into JSON objects, and unpacks those that carry records (OTLP, access logs).
//! 2. [`record`] finds `chain` in a record and says whether the hash is right.
//! 3. [`ledger`] puts the records of one emitter into their order, whatever order they came in.
//! 4. [`verdict`] looks at all ledgers in the end, and names the first break.

pub mod finding;
pub mod input;
mod ledger;
pub mod record;
mod strict;
pub mod verdict;

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use finding::{Break, Kind, Place};
use input::{Item, Splitter};
use ledger::Ledger;
use record::{Fault, Keys};
pub use strict::parse;

use crate::{Hash, hex};

/// A record's number and hash that are known from elsewhere. Without a hash, only that it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub seq: u64,
    pub hash: Option<Hash>,
}

impl Head {
    /// `SEQ` or `SEQ:HASH`.
    pub fn from_text(text: &str) -> Option<Self> {
        let (seq, hash) = match text.split_once(':') {
            Some((seq, hash)) => (seq, Some(hex::decode(hash)?)),
            None => (text, None),
        };
        let seq = seq.parse().ok().filter(|seq| *seq <= strict::MAX_INTEGER)?;
        Some(Self { seq, hash })
    }

    pub fn to_text(self) -> String {
        let hash = self.hash.map(|hash| hex::encode(&hash));
        match hash.as_ref().map(|hash| String::from_utf8_lossy(hash)) {
            Some(hash) => format!("{}:{hash}", self.seq),
            None => self.seq.to_string(),
        }
    }
}

/// What is known beforehand, and how strict to be.
#[derive(Clone, Debug)]
pub struct Terms {
    pub keys: Keys,
    /// Where each emitter stood at the end of what was verified before: its records go on from there.
    pub after: BTreeMap<String, Head>,
    /// Records that must be there.
    pub heads: BTreeMap<String, Head>,
    /// An emitter's first records may be missing (a rotated log): nothing is said of them.
    pub partial: bool,
    /// Records hashed without a key are fine though there are keys.
    pub allow_unkeyed: bool,
    /// What may have been lost with a machine that ended without notice is no break.
    pub allow_restart_gaps: bool,
    /// Records of one emitter stand in their order.
    pub in_order: bool,
    /// What carries no `chain`, or is no JSON, is somebody else's and is passed over.
    pub skip_others: bool,
    /// How many of an emitter's latest records are compared with a duplicate.
    pub window: usize,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            keys: Keys::default(),
            after: BTreeMap::new(),
            heads: BTreeMap::new(),
            partial: false,
            allow_unkeyed: false,
            allow_restart_gaps: false,
            in_order: false,
            skip_others: false,
            window: 16_384,
        }
    }
}

/// More gaps than this are not kept apart: the input is in no order at all, or mostly missing.
const MAX_RUNS: usize = 262_144;
/// So many breaks are kept; more are counted.
const MAX_BREAKS: usize = 1000;

/// Reads logs, one after the other, and judges them together.
pub struct Verifier {
    terms: Terms,
    ledgers: BTreeMap<String, Ledger>,
    breaks: Breaks,
    missing_keys: BTreeMap<String, Break>,
    files: Vec<String>,
    records: u64,
    unjudged: u64,
    others: u64,
    runs: usize,
}

/// The first breaks, and how many there are.
#[derive(Default)]
pub(crate) struct Breaks {
    list: Vec<Break>,
    more: u64,
}

impl Breaks {
    pub(crate) fn add(&mut self, found: Break) {
        if self.list.len() < MAX_BREAKS {
            self.list.push(found);
        } else {
            self.more += 1;
        }
    }
}

/// Whether to go on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    More,
    /// Too many gaps are open. What was read is judged; what follows is not.
    Enough,
}

impl Verifier {
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            ledgers: BTreeMap::new(),
            breaks: Breaks::default(),
            missing_keys: BTreeMap::new(),
            files: Vec::new(),
            records: 0,
            unjudged: 0,
            others: 0,
            runs: 0,
        }
    }

    /// Reads one log to its end. An error is one of reading, not of what was read.
    pub fn read(&mut self, name: &str, from: &mut dyn BufRead) -> io::Result<Progress> {
        let file = self.files.len();
        self.files.push(name.to_owned());
        let mut splitter = Splitter::new(from);
        while let Some(piece) = splitter.next()? {
            let line = piece.line;
            let mut part = 0;
            input::unpack(piece.text, &mut |item| {
                part += 1;
                self.take(item, Place { file, line, part });
            });
            if self.runs > MAX_RUNS {
                return Ok(Progress::Enough);
            }
        }
        Ok(Progress::More)
    }

    fn take(&mut self, item: Item, place: Place) {
        let value = match item {
            Item::Object(value) => value,
            Item::Other if self.terms.skip_others => {
                self.others += 1;
                return;
            }
            Item::Other => {
                return self.breaks.add(Break::at(place, Kind::Unreadable));
            }
            // Where there is a chain, a flaw is never somebody else's.
            Item::Flawed(flaw) => {
                let found = Break::at(place, Kind::Unreadable).because(flaw);
                return self.breaks.add(found);
            }
        };
        let record = match record::examine(value, &self.terms.keys) {
            Ok(record) => record,
            Err(Fault::Unsealed) if self.terms.skip_others => {
                self.others += 1;
                return;
            }
            Err(Fault::Unsealed) => {
                self.breaks
                    .add(Break::at(place, Kind::Insertion).because(finding::Because::Unsealed));
                return;
            }
            Err(Fault::MissingKey { id, emitter, seq }) => {
                self.unjudged += 1;
                self.ledger(&emitter).unjudged(seq);
                let found = Break::at(place, Kind::Unjudged).of(&emitter, seq);
                self.missing_keys.entry(id).or_insert(found);
                return;
            }
            Err(Fault::Forged {
                emitter,
                seq,
                because,
            }) => {
                self.records += 1;
                let mut found = Break::at(place, Kind::Edit).because(because);
                found.seq = seq;
                match (emitter, seq) {
                    (Some(emitter), Some(seq)) => {
                        found.emitter = Some(emitter.clone());
                        if !self.ledger(&emitter).forged(seq, found) {
                            self.breaks.more += 1;
                        }
                    }
                    (emitter, _) => {
                        found.emitter = emitter;
                        self.breaks.add(found);
                    }
                }
                return;
            }
        };
        self.records += 1;
        if !record.keyed && !self.terms.keys.is_empty() && !self.terms.allow_unkeyed {
            let found = Break::at(place, Kind::Unkeyed).of(&record.emitter, record.seq);
            return self.breaks.add(found);
        }
        let runs = self.ledger(&record.emitter).runs();
        if let Some(ledger) = self.ledgers.get_mut(&record.emitter) {
            ledger.insert(&record, place, &self.terms, &mut self.breaks);
            self.runs = self.runs + ledger.runs() - runs;
        }
    }

    fn ledger(&mut self, emitter: &str) -> &mut Ledger {
        let after = self.terms.after.get(emitter).copied();
        let expected = self.terms.heads.get(emitter).copied();
        self.ledgers
            .entry(emitter.to_owned())
            .or_insert_with(|| Ledger::new(after, expected))
    }
}
