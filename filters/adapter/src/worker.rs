//! What a filter can do outside of a request.

use std::rc::Rc;

use portcullis_kit::exchange::{
    Callout, CalloutError, CalloutId, Callouts, Clock, ExchangeId, Log, Metrics, NotWritten,
    Randomness, Resume, SharedData, Version, Worker,
};
use portcullis_kit::metrics::MetricId;

use crate::callout::{self, Caller};
use crate::{contexts, gauges, host, randomness, shared};

/// The host outside of a request, for one plugin.
pub struct HostWorker {
    pub context_id: u32,
    pub caller: Rc<dyn Caller>,
}

impl Clock for HostWorker {
    fn now(&self) -> u64 {
        host::now()
    }
}

impl Randomness for HostWorker {
    fn fill(&self, out: &mut [u8]) {
        randomness::fill(out);
    }
}

impl SharedData for HostWorker {
    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, Version)>, NotWritten> {
        shared::get(key)
    }

    fn share(&self, key: &[u8], value: &[u8], version: Version) -> Result<(), NotWritten> {
        shared::set(key, value, version)
    }
}

impl Metrics for HostWorker {
    fn increment(&self, metric: MetricId, by: u64) {
        if let Some(id) = metric.0 {
            let _ = host::increment_metric(id, i64::try_from(by).unwrap_or(i64::MAX));
        }
    }

    fn adjust(&self, gauge: MetricId, by: i64) {
        if let Some(id) = gauge.0 {
            let _ = host::increment_metric(id, by);
        }
    }

    fn hold(&self, gauge: MetricId, by: i64) {
        gauges::hold(gauge, by);
    }

    fn record(&self, metric: MetricId, value: u64) {
        if let Some(id) = metric.0 {
            let _ = host::record_metric(id, value);
        }
    }
}

impl Log for HostWorker {
    fn log(&self, level: log::Level, line: &str) {
        host::log(level, line);
    }

    fn writes(&self, level: log::Level) -> bool {
        host::writes(level)
    }
}

impl Callouts for HostWorker {
    fn call(&mut self, callout: Callout<'_>) -> Result<CalloutId, CalloutError> {
        callout::send(callout, self.context_id, Rc::clone(&self.caller))
    }
}

impl Worker for HostWorker {
    fn resume(&mut self, request: ExchangeId, how: Resume) {
        contexts::resume(request.0, how, self.context_id);
    }
}
