//! The gauge of requests in flight. It is moved on ticks, by all that changed since the last one, and as what this VM holds: a
//! request costs no call of the host for it, and what a VM held that ended without notice is taken out again.

use std::cell::RefCell;

use portcullis_kit::exchange::Metrics;
use portcullis_kit::metrics::MetricId;

/// How often, in milliseconds.
pub const TICK_MS: u32 = 1_000;

/// One gauge of this VM.
struct Gauge {
    id: MetricId,
    in_flight: i64,
    shown: i64,
}

thread_local! {
    // Of all configurations of the VM: requests of an earlier one end when the next one ticks.
    static GAUGES: RefCell<Vec<Gauge>> = const { RefCell::new(Vec::new()) };
}

/// So many more are in flight.
#[inline(never)]
pub fn count(id: MetricId, by: i64) {
    GAUGES.with_borrow_mut(
        |gauges| match gauges.iter_mut().find(|gauge| gauge.id == id) {
            Some(gauge) => gauge.in_flight = gauge.in_flight.saturating_add(by),
            None => gauges.push(Gauge {
                id,
                in_flight: by,
                shown: 0,
            }),
        },
    );
}

/// Whether the VM has anything that a tick is to show.
pub fn is_any() -> bool {
    GAUGES.with_borrow(|gauges| {
        gauges
            .iter()
            .any(|gauge| gauge.in_flight != 0 || gauge.shown != 0)
    })
}

/// Shows what changed.
#[inline(never)]
pub fn show(metrics: &impl Metrics) {
    GAUGES.with_borrow_mut(|gauges| {
        for gauge in gauges.iter_mut() {
            let by = gauge.in_flight.saturating_sub(gauge.shown);
            if by != 0 {
                metrics.hold(gauge.id, by);
                gauge.shown = gauge.in_flight;
            }
        }
    });
}
