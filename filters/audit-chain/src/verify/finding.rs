//! What is wrong, where, and how it is told.

use std::fmt;

use serde_json::{Value, json};

/// Where in the input. Places compare in the order of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which of the files, from 0.
    pub file: usize,
    /// From 1.
    pub line: u64,
    /// Which record of the export, or of the line, that begins there, from 1.
    pub part: u64,
}

impl Place {
    /// Behind everything that was read.
    pub const END: Self = Self {
        file: usize::MAX,
        line: u64::MAX,
        part: u64::MAX,
    };
}

/// What was done to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A record is not what was sealed.
    Edit,
    /// Records are missing.
    Deletion,
    /// A record that was never emitted, or another one with a number that is taken.
    Insertion,
    /// A record stands behind a later one, where order was asked for.
    Reordering,
    /// A record, or all from it on, was sealed after another one than stands before it.
    Splice,
    /// The last records are missing: a checkpoint or a known head tells of them.
    CutTail,
    /// Records are missing before a restart, which may have lost them.
    RestartGap,
    /// No key was used, where keys are.
    Unkeyed,
    /// The key is not known: neither right nor wrong.
    Unjudged,
    /// No record can be read there.
    Unreadable,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Deletion => "deletion",
            Self::Insertion => "insertion",
            Self::Reordering => "reordering",
            Self::Splice => "splice",
            Self::CutTail => "cut-tail",
            Self::RestartGap => "restart-gap",
            Self::Unkeyed => "unkeyed",
            Self::Unjudged => "unjudged",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// The kind says it.
    Plain,
    Hash,
    /// A member of `chain` is not what an emitter writes.
    Member(&'static str),
    Json(String),
    Unsealed,
    /// The record with this number is there, unchanged, and this is another one.
    Taken,
    /// No key, and too late to be compared with the one that has the number.
    Late,
    /// The first record of a chain follows on nothing.
    Genesis,
    /// It was sealed after another record than the one with the number before.
    Link {
        one: bool,
    },
    Head,
    Checkpoint,
    Restart {
        acknowledged: u64,
    },
}

/// Where a log is not what was emitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    pub place: Place,
    pub kind: Kind,
    pub emitter: Option<String>,
    /// As the record says; the first one, of several that are missing.
    pub seq: Option<u64>,
    /// The last one that is missing.
    pub last: Option<u64>,
    pub because: Because,
}

impl Break {
    pub(crate) fn at(place: Place, kind: Kind) -> Self {
        Self {
            place,
            kind,
            emitter: None,
            seq: None,
            last: None,
            because: Because::Plain,
        }
    }

    pub(crate) fn of(mut self, emitter: &str, seq: u64) -> Self {
        self.emitter = Some(emitter.to_owned());
        self.seq = Some(seq);
        self
    }

    pub(crate) fn to(mut self, last: u64) -> Self {
        self.last = Some(last);
        self
    }

    pub(crate) fn because(mut self, because: Because) -> Self {
        self.because = because;
        self
    }

    /// `FILE:LINE`, with the record's place in an export.
    pub fn location(&self, files: &[String]) -> String {
        let Place { file, line, part } = self.place;
        match files.get(file) {
            None => "end of input".to_owned(),
            Some(name) if part <= 1 => format!("{name}:{line}"),
            Some(name) => format!("{name}:{line} (record {part} there)"),
        }
    }

    pub fn to_json(&self, files: &[String]) -> Value {
        let end = self.place == Place::END;
        json!({
            "kind": self.kind.name(),
            "file": files.get(self.place.file),
            "line": (!end).then_some(self.place.line),
            "part": (!end).then_some(self.place.part),
            "emitter": self.emitter,
            "sequence": self.seq,
            "last": self.last,
            "text": self.to_string(),
        })
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind.name())?;
        match (self.seq, self.last) {
            (Some(seq), Some(last)) if last > seq => write!(f, "records {seq} to {last}")?,
            (Some(seq), _) => write!(f, "record {seq}")?,
            _ => f.write_str("a record")?,
        }
        if let Some(emitter) = &self.emitter {
            write!(f, " of {emitter}")?;
        }
        f.write_str(match (self.kind, &self.because) {
            (_, Because::Hash) => " is not what was sealed: its hash is another",
            (_, Because::Member(what)) => {
                return write!(f, " is not as an emitter seals it: {what}");
            }
            (_, Because::Json(error)) => return write!(f, " cannot be read: {error}"),
            (_, Because::Unsealed) => " has no `chain`; if the log holds records of others too, add --skip-others",
            (_, Because::Taken) => " is another one than the record with this number, which is there too",
            (_, Because::Late) => {
                " comes again, too late to be compared with the first, and no key vouches for it; raise --window"
            }
            (_, Because::Genesis) => " is the first of its emitter, but was sealed after another one",
            (_, Because::Link { one: true }) => {
                " belongs elsewhere: it was not sealed after the record before it, nor the next one after it"
            }
            (_, Because::Link { one: false }) => {
                " was not sealed after the record before it: that one was replaced, or all from here on are from elsewhere"
            }
            (Kind::CutTail, Because::Checkpoint) => " missing: only checkpoints tell of them",
            (Kind::CutTail, _) => " missing at the end: it is known that they were emitted",
            (_, Because::Head) => " has another hash than is known from elsewhere",
            (_, Because::Restart { acknowledged }) => {
                return write!(
                    f,
                    " missing before a restart: lost in memory (all up to {acknowledged} were acknowledged), or deleted; --allow-restart-gaps takes the first for granted"
                );
            }
            (Kind::Deletion, _) => " missing",
            (Kind::Reordering, _) => " stands behind a later one",
            (Kind::Unkeyed, _) => {
                " was hashed without a key, though there are keys; --allow-unkeyed takes it as it is"
            }
            (Kind::Unreadable, _) => {
                " cannot be read: this is no JSON object; if the log holds lines of others too, add --skip-others"
            }
            _ => " is not what was emitted",
        })
    }
}
