//! What a filter can do on a worker's tick.

use std::time::Duration;

use portcullis_kit::exchange::{
    Callout, CalloutError, CalloutId, Clock, Log, Metrics, Randomness, Worker,
};
use portcullis_kit::metrics::MetricId;
use proxy_wasm::hostcalls;
use proxy_wasm::types::Status;

use crate::{host, randomness};

/// The host outside of a request.
pub struct HostWorker;

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

impl Metrics for HostWorker {
    fn increment(&self, metric: MetricId, by: u64) {
        if let Some(id) = metric.0 {
            let _ = host::increment_metric(id, by);
        }
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
}

impl Worker for HostWorker {
    fn call(&mut self, callout: Callout<'_>) -> Result<CalloutId, CalloutError> {
        // The SDK's own wrapper, because its dispatcher must learn the token to route the answer. It passes on both
        // statuses that hosts give for this call.
        let body = (!callout.body.is_empty()).then_some(callout.body);
        hostcalls::dispatch_http_call(
            callout.cluster,
            callout.headers.to_vec(),
            body,
            Vec::new(),
            Duration::from_millis(u64::from(callout.timeout_ms)),
        )
        .map(CalloutId)
        .map_err(|status| match status {
            Status::BadArgument => CalloutError::Refused,
            _ => CalloutError::Unavailable,
        })
    }
}
