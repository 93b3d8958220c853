//! Whether the proxy's log takes records: a proxy that logs above `info` writes none of them, and says so only when it is asked.

use std::cell::Cell;

use portcullis_kit::exchange::{Log, Metrics};
use portcullis_kit::metrics::MetricId;

/// What the proxy said last.
#[derive(Debug, Default)]
pub struct ProxyLog(Cell<Option<bool>>);

impl ProxyLog {
    /// What it said last. Before the first record it is asked; after that [`ProxyLog::ask`] does, which no request waits for.
    #[inline]
    pub fn takes<H: Log + Metrics>(&self, down: MetricId, host: &H) -> bool {
        self.0.get().unwrap_or_else(|| self.hear(down, host))
    }

    /// What it said last; a log that was never asked is taken to take records.
    #[inline]
    pub fn took(&self) -> bool {
        self.0.get().unwrap_or(true)
    }

    /// Asks again, where somebody had records for it. `down` is the gauge of workers that it takes none of.
    pub fn ask<H: Log + Metrics>(&self, down: MetricId, host: &H) {
        if self.0.get().is_some() {
            self.hear(down, host);
        }
    }

    #[inline(never)]
    fn hear<H: Log + Metrics>(&self, down: MetricId, host: &H) -> bool {
        let takes = host.writes(log::Level::Info);
        let took = self.0.replace(Some(takes)).unwrap_or(true);
        let change = i64::from(took) - i64::from(takes);
        if change != 0 {
            host.hold(down, change);
        }
        takes
    }

    /// Nobody has records for it any more.
    pub fn forget<H: Metrics>(&self, down: MetricId, host: &H) {
        if self.0.take() == Some(false) {
            host.hold(down, -1);
        }
    }
}
