//! What a request must pass before it goes on: that there is room for its record (`overflow: deny`), and that a sink has it
//! (`fail_closed`).

use portcullis_kit::Compiling;
use portcullis_kit::filter::Mode;
use portcullis_kit::metrics::MetricId;
use portcullis_kit::routes::Paths;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nobody acknowledged its record in time.
    Timeout,
    /// No sink is asked again in time, because all of them failed.
    SinkDown,
    /// As many requests wait as may.
    Limit,
    /// There is no room for its record.
    Overflow,
    /// The sink refused its record.
    Refused,
}

impl Reason {
    pub const ALL: [Self; 5] = [
        Self::Timeout,
        Self::SinkDown,
        Self::Limit,
        Self::Overflow,
        Self::Refused,
    ];

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::SinkDown => "sink_down",
            Self::Limit => "limit",
            Self::Overflow => "overflow",
            Self::Refused => "refused",
        }
    }

    /// What `%RESPONSE_CODE_DETAILS%` shows.
    pub const fn details(self) -> &'static str {
        match self {
            Self::Timeout => "audit_log_timeout",
            Self::SinkDown => "audit_log_sink_down",
            Self::Limit => "audit_log_limit",
            Self::Overflow => "audit_log_overflow",
            Self::Refused => "audit_log_refused",
        }
    }
}

impl Reason {
    /// Whether these are the details of a reply of ours.
    #[inline]
    pub fn is_one_of(details: &[u8]) -> bool {
        details.starts_with(b"audit_log_")
    }
}

/// How requests of one profile wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Nanoseconds.
    pub timeout: u64,
    pub max_waiting: usize,
}

/// What requests of one profile must pass.
#[derive(Debug)]
pub struct Guard {
    /// Whether it acts; in shadow mode it only counts.
    pub acts: bool,
    /// None where requests need room for their records, and no acknowledgement.
    pub wait: Option<Wait>,
    pub exempt: Paths,
    pub metrics: Metrics,
}

/// What is counted. Of a guard that does not act, under names of its own.
#[derive(Debug)]
pub struct Metrics {
    pub waits: MetricId,
    pub waiting: MetricId,
    refusals: [MetricId; Reason::ALL.len()],
}

impl Metrics {
    #[inline(never)]
    pub fn define(compiling: &Compiling<'_>) -> Self {
        let (waits, refusals) = match compiling.mode() {
            Mode::Shadow => ("fail_closed_shadow_waits", "fail_closed_shadow_denials"),
            Mode::Enforce | Mode::Off => ("fail_closed_waits", "fail_closed_denials"),
        };
        Self {
            waits: compiling.counter(waits, &[]),
            waiting: compiling.gauge("fail_closed_waiting", &[]),
            refusals: Reason::ALL
                .map(|reason| compiling.counter(refusals, &[("reason", reason.name())])),
        }
    }

    pub fn refused(&self, reason: Reason) -> MetricId {
        let found = self.refusals.get(reason as usize);
        found.copied().unwrap_or(MetricId(None))
    }
}
