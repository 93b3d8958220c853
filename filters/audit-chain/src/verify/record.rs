//! One record: what its `chain` says, and whether its hash is right.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::finding::Because;
use crate::key::Hasher;
use crate::{Hash, Key, hex};

/// Keys by the name that records carry.
#[derive(Clone, Debug, Default)]
pub struct Keys(BTreeMap<String, Key>);

impl Keys {
    /// False if there is one of that name already.
    pub fn add(&mut self, key: Key) -> bool {
        self.0.insert(key.id().to_owned(), key).is_none()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A record whose hash is right.
#[derive(Clone, Debug)]
pub struct Record {
    pub emitter: String,
    pub seq: u64,
    pub prev: Hash,
    pub hash: Hash,
    pub keyed: bool,
    pub mark: Mark,
}

/// What the record says of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    None,
    Checkpoint { dropped: u64, retried: u64 },
    Dropped { first: u64, last: u64 },
    Restart { acknowledged: u64 },
}

/// Why an object is no record, or none that can be trusted.
#[derive(Clone, Debug)]
pub enum Fault {
    Unsealed,
    /// Whether it can be trusted is not known.
    MissingKey {
        id: String,
        emitter: String,
        seq: u64,
    },
    Forged {
        emitter: Option<String>,
        seq: Option<u64>,
        because: Because,
    },
}

/// Whether there is a `chain`: in the record itself, or in one of its members (`unmapped`, `portcullis`).
pub fn has_chain(record: &Value) -> bool {
    chain(record).is_some()
}

/// The record's `chain`.
pub fn chain(record: &Value) -> Option<&Map<String, Value>> {
    let record = record.as_object()?;
    match record.get("chain") {
        Some(chain) => chain.as_object(),
        None => record
            .values()
            .find_map(|member| member.get("chain")?.as_object()),
    }
}

fn chain_mut(record: &mut Value) -> Option<&mut Map<String, Value>> {
    let record = record.as_object_mut()?;
    if record.contains_key("chain") {
        return record.get_mut("chain")?.as_object_mut();
    }
    record
        .values_mut()
        .find_map(|member| member.get_mut("chain")?.as_object_mut())
}

/// Judges an object.
pub fn examine(mut value: Value, keys: &Keys) -> Result<Record, Fault> {
    let Some(chain) = chain_mut(&mut value) else {
        return Err(Fault::Unsealed);
    };
    let emitter = chain.get("emitter").and_then(Value::as_str);
    let emitter = emitter.map(str::to_owned);
    let seq = chain.get("seq").and_then(Value::as_u64);
    let forged = |because| Fault::Forged {
        emitter: emitter.clone(),
        seq,
        because,
    };
    let member = |name| forged(Because::Member(name));
    let known = |name: &String| MEMBERS.contains(&name.as_str());
    if !chain.keys().all(known) {
        return Err(member("`chain` has members of no meaning"));
    }
    let hash = match chain.remove("hash") {
        Some(Value::String(text)) => hex::decode(&text),
        _ => None,
    };
    let hash = hash.ok_or_else(|| member("`chain.hash` is no SHA-256"))?;
    let prev = chain.get("prev").and_then(Value::as_str);
    let prev = prev.and_then(hex::decode);
    let prev = prev.ok_or_else(|| member("`chain.prev` is no SHA-256"))?;
    let seq_found = seq.filter(|seq| *seq > 0);
    let seq_found = seq_found.ok_or_else(|| member("`chain.seq` is no number from 1"))?;
    let emitter_found = emitter.clone();
    let emitter_found = emitter_found.ok_or_else(|| member("`chain.emitter` is no text"))?;
    let mark = mark(chain).ok_or_else(|| {
        member("`checkpoint`, `dropped` or `restart` of `chain` is not as described")
    })?;
    let id = chain.get("key_id").map(|id| id.as_str());
    let algorithm = chain.get("alg").and_then(Value::as_str);
    let key = match (algorithm, id) {
        (Some("sha256"), None) => None,
        (Some("hmac-sha256"), Some(Some(id))) => match keys.0.get(id) {
            Some(key) => Some(key),
            None => {
                return Err(Fault::MissingKey {
                    id: id.to_owned(),
                    emitter: emitter_found,
                    seq: seq_found,
                });
            }
        },
        _ => return Err(member("`chain.alg` and `chain.key_id` do not go together")),
    };
    let mut hasher = Hasher::start(key);
    // A value can always be written; if not, nothing is hashed, and no hash is right.
    if let Ok(bytes) = serde_json_canonicalizer::to_vec(&value) {
        hasher.update(&bytes);
    }
    if !hasher.is(&hash) {
        return Err(forged(Because::Hash));
    }
    Ok(Record {
        emitter: emitter_found,
        seq: seq_found,
        prev,
        hash,
        keyed: key.is_some(),
        mark,
    })
}

const MEMBERS: [&str; 9] = [
    "alg",
    "checkpoint",
    "dropped",
    "emitter",
    "hash",
    "key_id",
    "prev",
    "restart",
    "seq",
];

fn mark(chain: &Map<String, Value>) -> Option<Mark> {
    let number = |of: &Value, name: &str| of.get(name).and_then(Value::as_u64);
    let marks = ["checkpoint", "dropped", "restart"].map(|name| chain.get(name));
    match marks {
        [None, None, None] => Some(Mark::None),
        [Some(counts), None, None] => Some(Mark::Checkpoint {
            dropped: number(counts, "dropped")?,
            retried: number(counts, "retried")?,
        }),
        [None, Some(range), None] => Some(Mark::Dropped {
            first: number(range, "first")?,
            last: number(range, "last")?,
        }),
        [None, None, Some(restart)] => Some(Mark::Restart {
            acknowledged: number(restart, "acknowledged")?,
        }),
        _ => None,
    }
}
