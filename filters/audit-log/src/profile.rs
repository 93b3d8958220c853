//! One compiled profile.

use std::rc::Rc;

use portcullis_kit::glob::PathTemplate;
use portcullis_kit::identity::Source;
use portcullis_kit::metrics::MetricId;

use crate::body::Places;
use crate::emission::Emission;
use crate::ending::Outcome;
use crate::guard::Guard;
use crate::policy::Rule;
use crate::redact::Key;
use crate::settings::{ClientAddress, Shown, Unmatched};

/// What requests of one profile use.
pub struct Profile {
    pub rules: Vec<Rule>,
    pub identity: Vec<Source>,
    pub jwt: Option<Jwt>,
    pub client_address: ClientAddress,
    pub templates: Vec<(String, PathTemplate)>,
    pub unmatched: Unmatched,
    /// In the order of their names, as lists of headers are.
    pub query: Vec<Listed>,
    pub request_headers: Vec<Listed>,
    pub response_headers: Vec<Listed>,
    /// Where a rule has `level: body`.
    pub bodies: Option<Places>,
    pub omit: Omit,
    pub key: Option<Key>,
    pub emission: Emission,
    /// What a request must pass before it goes on, if anything.
    pub guard: Option<Rc<Guard>>,
    pub metrics: Metrics,
}

/// Where the claims of verified tokens stand.
#[derive(Debug)]
pub struct Jwt {
    pub payload: String,
    pub subject: Shown,
}

/// A header or parameter that is recorded.
#[derive(Debug)]
pub struct Listed {
    /// Of a header in lower case.
    pub name: String,
    /// What its value is hashed as, where it is.
    pub hashed_as: Option<String>,
    /// Whether the value is an address of a page, whose query is not recorded.
    pub is_url: bool,
}

/// What is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Omit {
    pub request_bytes: bool,
    pub response_bytes: bool,
    pub upstream: bool,
    pub route: bool,
    pub user_agent: bool,
    pub malformed_ids: bool,
}

/// What is counted.
#[derive(Debug)]
pub struct Metrics {
    records: [MetricId; 4],
    /// Requests that the rules leave out.
    pub skipped: MetricId,
}

impl Metrics {
    pub fn new(records: [MetricId; 4], skipped: MetricId) -> Self {
        Self { records, skipped }
    }

    #[inline]
    pub fn records(&self, outcome: Outcome) -> MetricId {
        let [success, denied, failure, aborted] = self.records;
        match outcome {
            Outcome::Success => success,
            Outcome::Denied => denied,
            Outcome::Failure => failure,
            Outcome::Aborted => aborted,
            // Counted where it waits.
            Outcome::Unknown => MetricId(None),
        }
    }
}
