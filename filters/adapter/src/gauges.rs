//! The metrics of this VM, and what it holds of its gauges.

use std::cell::RefCell;

use portcullis_kit::exchange::{NotWritten, Randomness, SharedData, Version};
use portcullis_kit::gauges::Gauges;
use portcullis_kit::metrics::{Defined, Kind, MetricId};

use crate::{host, randomness, shared};

#[derive(Default)]
struct State {
    gauges: Gauges,
    defined: Defined,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

struct Host;

impl Randomness for Host {
    fn fill(&self, out: &mut [u8]) {
        randomness::fill(out);
    }
}

impl SharedData for Host {
    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, Version)>, NotWritten> {
        shared::get(key)
    }

    fn share(&self, key: &[u8], value: &[u8], version: Version) -> Result<(), NotWritten> {
        shared::set(key, value, version)
    }
}

/// The metric of that name.
pub fn define(kind: Kind, name: &str) -> MetricId {
    STATE.with_borrow_mut(|state| of_name(&mut state.defined, kind, name))
}

fn of_name(defined: &mut Defined, kind: Kind, name: &str) -> MetricId {
    defined.define(kind, name, &|kind, name| {
        let kind = match kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 2,
        };
        host::define_metric(kind, name).ok()
    })
}

/// Moves a gauge by what this VM holds of it.
pub fn hold(gauge: MetricId, by: i64) {
    let Some(id) = gauge.0 else {
        return;
    };
    let _ = host::increment_metric(id, by);
    STATE.with_borrow_mut(|State { gauges, defined }| {
        if let Some(name) = defined.name(id) {
            let mut adjust = |gauge: &str, by| adjust(defined, gauge, by);
            gauges.hold(&name, by, host::now(), &Host, &mut adjust);
        }
    });
}

/// Looks after what VMs held that are gone.
pub fn tick() {
    STATE.with_borrow_mut(|State { gauges, defined }| {
        let mut adjust = |gauge: &str, by| adjust(defined, gauge, by);
        gauges.tick(host::now(), &Host, &mut adjust);
    });
}

fn adjust(defined: &mut Defined, gauge: &str, by: i64) {
    if let Some(id) = of_name(defined, Kind::Gauge, gauge).0 {
        let _ = host::increment_metric(id, by);
    }
}
