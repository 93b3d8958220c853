//! The gauge of requests in flight.
#![cfg(not(target_arch = "wasm32"))] // What a VM has in flight is its thread's, and in Node all tests have one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::{Proxy, by_key, only};
use portcullis_kit::chain::Bundle as _;
use portcullis_kit::testing::{Fake, FakeWorker};
use serde_json::json;

const GAUGE: &str = "portcullis_rate_limit_in_flight.profile=default";

#[test]
fn the_gauge_tells_on_each_tick_what_is_in_flight() {
    let proxy = Proxy::new(by_key(json!({
        "plans": "none",
        "tier": {"default": "t"},
        "tiers": {"t": {"concurrency": {"max": 2}}},
    })));
    assert_eq!(proxy.bench.bundle().tick_period_ms(), Some(1_000));
    let mut worker = FakeWorker::new(proxy.bench.names());
    let open = |client: &str| {
        let mut fake = Fake::get("/");
        fake.request.add("x-api-key", client.as_bytes());
        fake.now.set(proxy.now);
        fake.shared = proxy.shared.clone();
        let mut stream = Default::default();
        proxy.bench.request(&mut fake, &mut stream);
        (fake, stream)
    };
    let mut all: Vec<_> = ["a", "a", "a", "b"].map(open).into();
    assert_eq!(
        all.iter()
            .filter(|(fake, _)| fake.replies.is_empty())
            .count(),
        3
    );
    for in_flight in (0..=3).rev() {
        proxy.bench.bundle().tick(&mut worker);
        proxy.bench.bundle().tick(&mut worker);
        assert_eq!(worker.gauge(GAUGE), in_flight);
        // The refused one gives nothing back.
        if let Some((mut fake, mut stream)) = all.pop() {
            if !fake.replies.is_empty() {
                proxy.bench.finish(&mut fake, &mut stream);
                (fake, stream) = all.pop().unwrap();
            }
            proxy.bench.finish(&mut fake, &mut stream);
        }
    }
}

#[test]
fn what_ended_since_the_last_tick_is_told_when_the_plugin_stops() {
    let proxy = Proxy::new(by_key(json!({
        "plans": "none",
        "tier": {"default": "t"},
        "tiers": {"t": {"concurrency": {"max": 2}}},
    })));
    let mut worker = FakeWorker::new(proxy.bench.names());
    let mut fake = Fake::get("/");
    fake.request.add("x-api-key", b"a");
    fake.now.set(proxy.now);
    fake.shared = proxy.shared.clone();
    let mut stream = Default::default();
    proxy.bench.request(&mut fake, &mut stream);
    proxy.bench.bundle().tick(&mut worker);
    assert_eq!(worker.gauge(GAUGE), 1);
    proxy.bench.finish(&mut fake, &mut stream);
    proxy.bench.bundle().stop(&mut worker);
    assert_eq!(worker.gauge(GAUGE), 0);
}

#[test]
fn no_limit_but_one_of_requests_in_flight_needs_a_tick() {
    let proxy = Proxy::new(only(
        json!([{"name": "minute", "count": 10, "window": "1m"}]),
    ));
    proxy.key("k");
    assert_eq!(proxy.bench.bundle().tick_period_ms(), None);
}
