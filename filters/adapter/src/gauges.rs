//! The gauges of this VM: their names, and what it holds of them.

use std::cell::RefCell;

use portcullis_kit::exchange::{NotWritten, Randomness, SharedData, Version};
use portcullis_kit::gauges::Gauges;
use portcullis_kit::metrics::MetricId;

use crate::{host, randomness, shared};

/// A gauge, for the host.
pub const GAUGE: u32 = 1;

#[derive(Default)]
struct State {
    gauges: Gauges,
    names: Vec<(u32, Box<str>)>,
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

/// Remembers the name of a gauge.
pub fn defined(gauge: MetricId, name: &str) {
    let Some(id) = gauge.0 else {
        return;
    };
    STATE.with_borrow_mut(|state| {
        if !state.names.iter().any(|(known, _)| *known == id) {
            state.names.push((id, name.into()));
        }
    });
}

/// Moves a gauge by what this VM holds of it.
pub fn hold(gauge: MetricId, by: i64) {
    let Some(id) = gauge.0 else {
        return;
    };
    let _ = host::increment_metric(id, by);
    STATE.with_borrow_mut(|State { gauges, names }| {
        if let Some((_, name)) = names.iter().find(|(known, _)| *known == id) {
            gauges.hold(name, by, host::now(), &Host, &mut adjust);
        }
    });
}

/// Looks after what VMs held that are gone.
pub fn tick() {
    STATE.with_borrow_mut(|state| {
        state.gauges.tick(host::now(), &Host, &mut adjust);
    });
}

fn adjust(gauge: &str, by: i64) {
    if let Ok(id) = host::define_metric(GAUGE, gauge) {
        let _ = host::increment_metric(id, by);
    }
}
