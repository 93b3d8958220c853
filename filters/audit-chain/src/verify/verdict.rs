//! What comes out: intact or broken, and what that says.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::finding::{Break, Kind, Place};
use super::ledger::{Checkpoint, Closing};
use super::{Head, MAX_BREAKS, Verifier};
use crate::hex;

/// How it stands with the logs. Ordered by how much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Intact,
    Broken,
    /// No record could be judged, or some could not for want of a key.
    Unusable,
}

/// All that is known of one emitter.
pub struct Emitter {
    pub name: String,
    pub records: u64,
    pub duplicates: u64,
    pub disordered: u64,
    pub earlier: u64,
    pub unkeyed: u64,
    pub checkpoint: Option<(u64, u64, u64)>,
    pub closing: Closing,
}

pub struct Verdict {
    pub outcome: Outcome,
    /// In the order of reading. More of them may be counted than listed.
    pub breaks: Vec<Break>,
    pub more: u64,
    pub emitters: Vec<Emitter>,
    /// Keys that are not known, and the first record with each.
    pub missing_keys: Vec<(String, Break)>,
    pub records: u64,
    /// Records hashed with keys that are not known.
    pub unjudged: u64,
    pub others: u64,
    pub partial: bool,
    /// Where emitters stood before of which nothing came now.
    carried: Vec<(String, Head)>,
    files: Vec<String>,
}

impl Verifier {
    /// Judges all that was read.
    pub fn close(mut self) -> Verdict {
        let mut breaks = std::mem::take(&mut self.breaks);
        let mut emitters = Vec::new();
        for (name, ledger) in &mut self.ledgers {
            let mut closing = ledger.close(name, &self.terms);
            breaks.list.append(&mut closing.breaks);
            emitters.push(Emitter {
                name: name.clone(),
                records: ledger.records,
                duplicates: ledger.duplicates,
                disordered: ledger.disordered,
                earlier: ledger.earlier,
                unkeyed: ledger.records - ledger.keyed,
                checkpoint: ledger.checkpoint.map(
                    |Checkpoint {
                         seq,
                         dropped,
                         retried,
                     }| (seq, dropped, retried),
                ),
                closing,
            });
        }
        for (name, Head { seq, .. }) in &self.terms.heads {
            if !self.ledgers.contains_key(name) {
                let first = self.terms.after.get(name).map_or(0, |head| head.seq) + 1;
                if first <= *seq {
                    let found = Break::at(Place::END, Kind::CutTail);
                    breaks.list.push(found.of(name, first).to(*seq));
                }
            }
        }
        breaks.list.sort_by(|a, b| {
            let key = |found: &Break| (found.place, found.kind, found.seq);
            key(a).cmp(&key(b))
        });
        breaks.more += breaks.list.len().saturating_sub(MAX_BREAKS) as u64;
        breaks.list.truncate(MAX_BREAKS);
        let outcome = if !breaks.list.is_empty() {
            Outcome::Broken
        } else if self.records == 0 || !self.missing_keys.is_empty() {
            Outcome::Unusable
        } else {
            Outcome::Intact
        };
        // Nothing of ours in it: a wrong file, rather than evidence that was tampered with.
        let nothing = self.records == 0 && self.terms.heads.is_empty();
        let outcome = if nothing { Outcome::Unusable } else { outcome };
        Verdict {
            outcome,
            breaks: breaks.list,
            more: breaks.more,
            emitters,
            missing_keys: self.missing_keys.into_iter().collect(),
            records: self.records,
            unjudged: self.unjudged,
            others: self.others,
            partial: self.terms.partial,
            carried: {
                let seen = &self.ledgers;
                let after = self.terms.after.into_iter();
                after.filter(|(name, _)| !seen.contains_key(name)).collect()
            },
            files: self.files,
        }
    }
}

impl Verdict {
    /// The first line says it all; those after it say what it means.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        match (self.outcome, self.breaks.first()) {
            (Outcome::Broken, Some(first)) => {
                let _ = writeln!(text, "broken: {}: {first}", first.location(&self.files));
                let more = self.breaks.len() as u64 - 1 + self.more;
                if more > 0 {
                    let _ = writeln!(text, "  and {more} more; --format json lists them");
                }
            }
            (Outcome::Unusable, _) if self.missing_keys.is_empty() => {
                text.push_str("unusable: no sealed record in it\n");
            }
            (Outcome::Unusable, _) => {
                for (id, found) in &self.missing_keys {
                    let place = found.location(&self.files);
                    let (seq, emitter) = (found.seq.unwrap_or(0), found.emitter.as_deref());
                    let _ = writeln!(
                        text,
                        "unusable: {place}: record {seq} of {} was hashed with the key {id:?}, which is not here; give it with --key {id}=env:NAME or --key {id}=file:PATH",
                        emitter.unwrap_or_default()
                    );
                }
            }
            _ => {
                let emitters = self.emitters.len();
                let _ = writeln!(
                    text,
                    "intact: {} records of {emitters} emitter{}",
                    self.emitters.iter().map(|one| one.records).sum::<u64>(),
                    if emitters == 1 { "" } else { "s" },
                );
            }
        }
        for emitter in &self.emitters {
            emitter.describe(&mut text);
        }
        if self.others > 0 {
            let _ = writeln!(
                text,
                "note: {} lines or objects of others passed over",
                self.others
            );
        }
        for note in self.notes() {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }

    /// What this verdict does not say.
    fn notes(&self) -> Vec<&'static str> {
        let mut notes = Vec::new();
        if self.outcome != Outcome::Intact {
            return notes;
        }
        if self.emitters.iter().any(|emitter| emitter.unkeyed > 0) {
            notes.push("records without a key: whoever can write the log could have written it anew, with right hashes");
        }
        notes.push("a cut end, or an emitter of which nothing is left, shows only against what is known from elsewhere (--expect-head, --heads)");
        if self.partial {
            notes.push("--partial: what came before each emitter's first record was not asked for");
        }
        notes
    }

    pub fn to_json(&self) -> Value {
        let seen = self
            .emitters
            .iter()
            .filter(|emitter| emitter.closing.last > 0);
        let seen = seen.map(|emitter| (emitter.name.clone(), json!(emitter.head())));
        let carried = self.carried.iter();
        let carried = carried.map(|(name, head)| (name.clone(), json!(head.to_text())));
        let heads = carried.chain(seen);
        json!({
            "outcome": match self.outcome {
                Outcome::Intact => "intact",
                Outcome::Broken => "broken",
                Outcome::Unusable => "unusable",
            },
            "records": self.records,
            "others": self.others,
            "first_break": self.breaks.first().map(|found| found.to_json(&self.files)),
            "breaks": self.breaks.iter().map(|found| found.to_json(&self.files)).collect::<Vec<_>>(),
            "more_breaks": self.more,
            "unjudged": self.unjudged,
            "missing_keys": self.missing_keys.iter().map(|(id, _)| id).collect::<Vec<_>>(),
            "emitters": self.emitters.iter().map(Emitter::to_json).collect::<Vec<_>>(),
            "heads": heads.collect::<serde_json::Map<_, _>>(),
            "notes": self.notes(),
        })
    }
}

impl Emitter {
    /// `SEQ:HASH` of the last record, as --expect-head takes it.
    pub fn head(&self) -> String {
        let hash = hex::encode(&self.closing.head);
        format!("{}:{}", self.closing.last, String::from_utf8_lossy(&hash))
    }

    fn describe(&self, text: &mut String) {
        let Closing {
            first,
            last,
            given_up,
            lost,
            ..
        } = self.closing;
        let _ = write!(text, "  {}: {} records", self.name, self.records);
        if self.records > 0 {
            let _ = write!(text, ", {first} to {last}");
        }
        match self.checkpoint {
            Some((seq, dropped, retried)) => {
                let _ = write!(
                    text,
                    ", last checkpoint {seq} ({dropped} dropped, {retried} retried)"
                );
            }
            None => text.push_str(", no checkpoint"),
        }
        for (count, what) in [
            (
                last.saturating_sub(self.checkpoint.map_or(last, |it| it.0)),
                "behind it",
            ),
            (self.duplicates, "duplicates"),
            (self.disordered, "out of order"),
            (self.earlier, "from before"),
            (given_up, "given up by the emitter"),
            (lost, "perhaps lost at a restart"),
            (self.unkeyed, "without a key"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        let _ = writeln!(text, "\n    head {}", self.head());
    }

    fn to_json(&self) -> Value {
        json!({
            "emitter": self.name,
            "records": self.records,
            "first": self.closing.first,
            "last": self.closing.last,
            "head": self.head(),
            "duplicates": self.duplicates,
            "out_of_order": self.disordered,
            "earlier": self.earlier,
            "given_up": self.closing.given_up,
            "lost_at_restart": self.closing.lost,
            "without_key": self.unkeyed,
            "checkpoint": self.checkpoint.map(|(seq, dropped, retried)| json!({
                "sequence": seq, "dropped": dropped, "retried": retried,
            })),
        })
    }
}
