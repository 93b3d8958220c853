//! Sealing: a record gets its number, its link and its hash.

use std::fmt;

use crate::key::{Hasher, algorithm};
use crate::mark::number;
use crate::{Counts, Emitter, GENESIS, Hash, Key, Mark, hex};

/// One emitter's chain, at its latest record.
pub struct Chain {
    pub(crate) emitter: Emitter,
    pub(crate) key: Option<Key>,
    /// Of the latest record; 0 before the first.
    pub(crate) seq: u64,
    pub(crate) head: Hash,
    pub(crate) acknowledged: u64,
    pub(crate) counts: Counts,
    pub(crate) texts: Texts,
}

/// The parts of `chain` that are the same in every record.
pub struct Texts {
    algorithm: Vec<u8>,
    emitter: Vec<u8>,
    key: Vec<u8>,
}

impl Texts {
    #[inline(never)]
    pub fn new(emitter: &Emitter, key: Option<&Key>) -> Self {
        Self {
            algorithm: format!("\"chain\":{{\"alg\":\"{}\",", algorithm(key)).into_bytes(),
            emitter: format!("\"emitter\":\"{emitter}\",").into_bytes(),
            key: key.map_or_else(Vec::new, |key| {
                format!("\"key_id\":\"{}\",", key.id()).into_bytes()
            }),
        }
    }
}

/// What a record was sealed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub seq: u64,
    pub hash: Hash,
}

/// `at` is no place for a member; the record is as it was, and the chain too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced {
    pub at: usize,
    pub length: usize,
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "byte {} of {} is not where a member of an object can begin or has ended",
            self.at, self.length
        )
    }
}

impl Chain {
    /// A new chain. Its emitter must never have had one.
    #[inline(never)]
    pub fn start(emitter: Emitter, key: Option<Key>) -> Self {
        Self {
            texts: Texts::new(&emitter, key.as_ref()),
            emitter,
            key,
            seq: 0,
            head: GENESIS,
            acknowledged: 0,
            counts: Counts::default(),
        }
    }

    /// Seals under another key from the next record on.
    #[inline(never)]
    pub fn set_key(&mut self, key: Option<Key>) {
        self.texts = Texts::new(&self.emitter, key.as_ref());
        self.key = key;
    }

    pub fn emitter(&self) -> &Emitter {
        &self.emitter
    }

    /// Of the latest record; 0 before the first.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Hash of the latest record.
    pub fn head(&self) -> &Hash {
        &self.head
    }

    /// The last record of which it and all before it were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// A sink has all records up to this one. What is lower than before changes nothing.
    pub fn acknowledge(&mut self, seq: u64) {
        self.acknowledged = self.acknowledged.max(seq.min(self.seq));
    }

    /// Records were given up, sealed or not.
    pub fn count_dropped(&mut self, records: u64) {
        self.counts.dropped = self.counts.dropped.saturating_add(records);
    }

    /// A batch is sent once more.
    pub fn count_retried(&mut self, batches: u64) {
        self.counts.retried = self.counts.retried.saturating_add(batches);
    }

    /// Makes `record` the chain's next one: inserts `"chain":{…}` at byte `at`.
    ///
    /// `record` is a JSON object in JCS form; in the object in which `at` lies, everything before `at` sorts before `chain`
    /// and everything behind it after. `at` is the record's length at the moment at which a writer would have written `chain`:
    /// behind the brace that opens the object (of the record, or of `unmapped` and the like in it), or behind a member's
    /// value. Commas are seen to.
    ///
    /// Decide *before* whether the record is kept: what was sealed and then thrown away is a gap, and has to be told of
    /// with [`Mark::Dropped`]. Store the chain ([`Chain::store`]) before the record can be seen by anyone.
    pub fn seal(
        &mut self,
        record: &mut Vec<u8>,
        at: usize,
        mark: Mark,
    ) -> Result<Sealed, Misplaced> {
        let length = record.len();
        let misplaced = Misplaced { at, length };
        let (before, behind) = record.split_at_checked(at).ok_or(misplaced)?;
        let (comma_before, comma_behind) = match (before.last(), behind.first()) {
            (Some(b'{'), Some(b'}')) => (false, false),
            (Some(b'{'), Some(b'"')) => (false, true),
            (Some(b'"' | b'}' | b']' | b'0'..=b'9' | b'e' | b'l'), Some(b',' | b'}')) => {
                (true, false)
            }
            _ => return Err(misplaced),
        };
        let seq = self.seq.saturating_add(1);
        let mut member = Vec::with_capacity(512);
        if comma_before {
            member.push(b',');
        }
        self.until_hash(&mut member, seq, mark);
        let place = member.len();
        // `"hash":"…",` stands here in the end, and is not hashed.
        member.extend_from_slice(&self.texts.key);
        member.extend_from_slice(b"\"prev\":\"");
        member.extend_from_slice(&hex::encode(&self.head));
        member.extend_from_slice(b"\",");
        if mark == Mark::Restart {
            member.extend_from_slice(b"\"restart\":{");
            number(&mut member, "acknowledged", self.acknowledged);
            member.extend_from_slice(b"},");
        }
        number(&mut member, "seq", seq);
        member.push(b'}');
        if comma_behind {
            member.push(b',');
        }

        let mut hasher = Hasher::start(self.key.as_ref());
        hasher.update(before);
        hasher.update(&member);
        hasher.update(behind);
        let hash = hasher.finish();

        let mut text =
            *b"\"hash\":\"................................................................\",";
        if let Some(digits) = text.get_mut(8..72) {
            digits.copy_from_slice(&hex::encode(&hash));
        }
        insert(&mut member, place, &text);
        insert(record, at, &member);
        self.seq = seq;
        self.head = hash;
        Ok(Sealed { seq, hash })
    }

    /// The members of `chain` that sort before `hash`.
    #[inline]
    fn until_hash(&self, out: &mut Vec<u8>, seq: u64, mark: Mark) {
        out.extend_from_slice(&self.texts.algorithm);
        match mark {
            Mark::None | Mark::Restart => {}
            Mark::Checkpoint => {
                out.extend_from_slice(b"\"checkpoint\":{");
                number(out, "dropped", self.counts.dropped);
                out.push(b',');
                number(out, "emitted", seq);
                out.push(b',');
                number(out, "retried", self.counts.retried);
                out.extend_from_slice(b"},");
            }
            Mark::Dropped { first, last } => {
                out.extend_from_slice(b"\"dropped\":{");
                number(out, "first", first);
                out.push(b',');
                number(out, "last", last);
                out.extend_from_slice(b"},");
            }
        }
        out.extend_from_slice(&self.texts.emitter);
    }
}

/// Makes room at `at`, which is at most the length, and fills it.
#[inline]
fn insert(into: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let length = into.len();
    into.resize(length + bytes.len(), 0);
    into.copy_within(at..length, at + bytes.len());
    if let Some(room) = into.get_mut(at..at + bytes.len()) {
        room.copy_from_slice(bytes);
    }
}
