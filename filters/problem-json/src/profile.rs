//! What requests use, computed at load.

use portcullis_kit::metrics::MetricId;
use portcullis_kit::presets::Preset;
use portcullis_kit::table::Table;

use crate::negotiate::Offers;
use crate::redact::Redaction;
use crate::settings::{Category, Instance, KeepOrEnrich, KeepOrMerge, MergeOrDrop};
use crate::titles::Language;

/// A set of status codes from 400 to 599.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statuses([u128; 2]);

impl Statuses {
    pub fn insert(&mut self, status: u16) {
        if let Some((half, bit)) = Self::place(status)
            && let Some(half) = self.0.get_mut(half)
        {
            *half |= bit;
        }
    }

    pub fn contains(self, status: u16) -> bool {
        Self::place(status)
            .and_then(|(half, bit)| self.0.get(half).map(|half| half & bit != 0))
            .unwrap_or_default()
    }

    fn place(status: u16) -> Option<(usize, u128)> {
        let at = status.checked_sub(400).filter(|at| *at < 200)?;
        Some((usize::from(at / 100), 1 << (at % 100)))
    }
}

/// What an error code of the upstream means.
#[derive(Clone, Debug, Default)]
pub struct Code {
    pub kind: Option<String>,
    pub title: Option<String>,
    pub detail: Option<String>,
    pub status: Option<u16>,
}

/// One profile.
#[derive(Debug)]
pub struct Profile {
    pub statuses: Statuses,
    pub map_status: Table<u16, u16>,
    pub types: Table<u16, String>,
    pub codes: Table<String, Code>,
    /// The default first.
    pub languages: Vec<Language>,
    pub instance: Instance,
    pub categories: Table<u16, Category>,
    pub retryable: Table<u16, bool>,
    pub timestamp: bool,
    pub problem: KeepOrEnrich,
    pub json: MergeOrDrop,
    pub oauth: KeepOrMerge,
    pub allow_server_text: Vec<String>,
    pub max_bytes: usize,
    pub redaction: Redaction,
    pub offers: Offers,
    /// Whether the document depends on what the client asks for.
    pub negotiates: bool,
    pub varies_by: Vec<&'static str>,
    pub hold: bool,
    pub reply_to_empty: bool,
    /// What a reply carries that outer filters do not see.
    pub reply_headers: Preset,
    pub remove_headers: Vec<String>,
    /// Of those that are removed by default.
    pub keep_headers: Vec<String>,
    pub counters: Counters,
}

impl Profile {
    /// Whether the settings write that URI as a `type`.
    pub fn names_type(&self, kind: &str) -> bool {
        let of_codes = self.codes.values().filter_map(|code| code.kind.as_ref());
        self.types
            .values()
            .chain(of_codes)
            .any(|named| named == kind)
    }
}

/// `portcullis_problem_json_*_total`.
#[derive(Debug)]
pub struct Counters {
    /// Errors that were rewritten, by where their document came from.
    pub rewritten: [MetricId; Source::ALL.len()],
    /// Errors that were left, by why.
    pub left: [MetricId; Left::ALL.len()],
    /// Marks that redaction made.
    pub redacted: MetricId,
    /// Bodies longer than is read.
    pub too_large: MetricId,
}

/// Where a document came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The status alone: the body was none of use.
    Status,
    /// What the upstream said, in a shape that is known.
    Merged,
    /// The upstream's own document, with ids added.
    Enriched,
    /// An error that had no body.
    Empty,
}

impl Source {
    pub const ALL: [Self; 4] = [Self::Status, Self::Merged, Self::Enriched, Self::Empty];

    pub fn label(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Merged => "merged",
            Self::Enriched => "enriched",
            Self::Empty => "empty",
        }
    }
}

/// Why an error was left as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It is a problem document.
    Problem,
    /// The client speaks a protocol that has its own errors.
    Protocol,
    /// It is an error of OAuth 2.0.
    OAuth,
    /// It has no body.
    Empty,
}

impl Left {
    pub const ALL: [Self; 4] = [Self::Problem, Self::Protocol, Self::OAuth, Self::Empty];

    pub fn label(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Protocol => "protocol",
            Self::OAuth => "oauth",
            Self::Empty => "empty",
        }
    }
}

impl Counters {
    pub fn rewritten(&self, source: Source) -> MetricId {
        let named = Source::ALL.iter().zip(self.rewritten);
        find(named, source)
    }

    pub fn left(&self, why: Left) -> MetricId {
        find(Left::ALL.iter().zip(self.left), why)
    }
}

fn find<'a, T: PartialEq + 'a>(
    mut named: impl Iterator<Item = (&'a T, MetricId)>,
    wanted: T,
) -> MetricId {
    named
        .find(|(name, _)| **name == wanted)
        .map_or(MetricId(None), |(_, metric)| metric)
}
