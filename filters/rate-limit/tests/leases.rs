//! Requests in flight that are counted together and have different leases: of two profiles, or before a reload and after it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A test may fail by panic.

use proptest::prelude::*;
use rate_limit::counter::Algorithm;
use rate_limit::decide::{Rule, Taken, decide, release};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// The beginning of an eighth of an hour, and the last of its seconds.
const START: u64 = 444_444 * 450 * SECOND;
const LATE: u64 = START + 449 * SECOND;
const TAG: u16 = 9;

/// One client's value.
#[derive(Default)]
struct Client(Vec<u8>);

impl Client {
    /// A request under a lease (ms): what it holds until its end, if it is admitted.
    fn begin(&mut self, lease_ms: u64, limit: u64, now: u64) -> Option<Taken> {
        let rule = Rule {
            tag: TAG,
            algorithm: Algorithm::Concurrency { lease_ms },
            limit,
            cost: 1,
            enforced: true,
            count_denied: false,
        };
        let decided = decide(&self.0, 7, &[rule], now);
        if let Some(value) = decided.value {
            self.0 = value;
        }
        let flight = decided.decision.standings.first()?.flight?;
        Some(Taken { tag: TAG, flight })
    }

    /// Whether it was still remembered.
    fn end(&mut self, taken: Taken, now: u64) -> bool {
        match release(&self.0, 7, &[taken], now) {
            Some(value) => {
                self.0 = value;
                true
            }
            None => false,
        }
    }
}

#[test]
fn a_request_under_a_short_lease_does_not_forget_a_stream_under_a_long_one() {
    let mut client = Client::default();
    let (short, long) = (8 * SECOND, HOUR);
    let stream = client.begin(long, 1, LATE).unwrap();
    // The other limit allows one more beside the stream.
    let other = client.begin(short, 2, LATE + SECOND).unwrap();
    assert!(client.begin(long, 1, LATE + 2 * SECOND).is_none());
    assert!(client.begin(short, 2, LATE + 2 * SECOND).is_none());
    assert!(client.end(other, LATE + 3 * SECOND));
    assert!(client.begin(long, 1, LATE + 30 * MINUTE).is_none());
    assert!(client.end(stream, LATE + 40 * MINUTE));
    assert!(client.begin(long, 1, LATE + 40 * MINUTE).is_some());
}

#[test]
fn a_request_whose_lease_is_short_is_forgotten_after_it_whatever_the_lease_of_the_next_one() {
    let mut client = Client::default();
    client.begin(8 * SECOND, 1, START).unwrap();
    assert!(client.begin(HOUR, 1, START + 8 * SECOND - 1).is_none());
    assert!(client.begin(HOUR, 1, START + 9 * SECOND).is_some());
}

#[test]
fn a_reload_that_shortens_the_lease_forgets_nothing_that_is_in_flight() {
    let mut client = Client::default();
    let (before, after) = (HOUR, 5 * MINUTE);
    let earlier = client.begin(before, 1, LATE).unwrap();
    assert!(client.begin(after, 1, LATE + 10 * SECOND).is_none());
    assert!(client.end(earlier, LATE + 10 * MINUTE));
    assert!(client.begin(after, 1, LATE + 10 * MINUTE).is_some());
}

#[test]
fn a_lease_that_lapses_far_ahead_is_no_mistake_of_the_clock() {
    for lease in [HOUR, 2 * DAY, 366 * DAY] {
        let mut client = Client::default();
        client.begin(lease, 1, START).unwrap();
        assert!(client.begin(lease, 1, START + SECOND).is_none(), "{lease}");
        assert!(
            client.begin(SECOND, 1, START + lease - 1).is_none(),
            "{lease}"
        );
    }
}

#[test]
fn what_began_by_a_clock_more_than_25_hours_ahead_has_lapsed_whatever_its_lease() {
    for lease in [SECOND, HOUR, 366 * DAY] {
        let mut client = Client::default();
        client.begin(lease, 1, START + 25 * HOUR + 1).unwrap();
        assert!(client.begin(lease, 1, START).is_some(), "{lease}");

        let mut client = Client::default();
        client.begin(lease, 1, START + 25 * HOUR).unwrap();
        assert!(client.begin(lease, 1, START).is_none(), "{lease}");
    }
}

#[test]
fn many_requests_under_two_leases_take_the_bytes_of_their_parts_only() {
    let mut client = Client::default();
    let mut most = 0;
    for tenth in 0..36_000 {
        let now = START + tenth * 100;
        let lease = if tenth % 3 == 0 { 8 * SECOND } else { HOUR };
        assert!(client.begin(lease, 100_000, now).is_some());
        let bucket = rate_limit::bucket::Bucket::read(&client.0, 7, now / 1_000);
        most = most.max(bucket.stored().len());
    }
    assert!(most < 160, "{most}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_request_counts_for_its_own_lease_and_at_most_an_eighth_more(
        steps in prop::collection::vec(
            (
                prop_oneof![4 => 0..SECOND, 4 => 0..20 * SECOND, 2 => 0..10 * MINUTE, 1 => 0..2 * HOUR],
                prop_oneof![Just(SECOND), Just(7_777), Just(8 * SECOND), Just(5 * MINUTE), Just(HOUR)],
                // A request, or the end of one of those in flight.
                prop::option::of(any::<prop::sample::Index>()),
            ),
            1..200,
        ),
        limit in 1_u64..12,
    ) {
        let mut client = Client::default();
        let mut flying: Vec<(u64, u64, Taken)> = Vec::new();
        let mut now = START;
        for (step, lease, end) in steps {
            now += step;
            let held = |flying: &[(u64, u64, Taken)], parts: u64| {
                let held = flying.iter().filter(|(begun, lease, _)| now < begun + lease.div_ceil(8) * parts);
                held.count() as u64
            };
            if let Some(end) = end.filter(|_| !flying.is_empty()) {
                let (begun, lease, taken) = flying.swap_remove(end.index(flying.len()));
                let remembered = client.end(taken, now);
                prop_assert!(remembered || now >= begun + lease);
                continue;
            }
            let (least, most) = (held(&flying, 8), held(&flying, 9));
            match client.begin(lease, limit, now) {
                Some(taken) => {
                    prop_assert!(least < limit);
                    flying.push((now, lease, taken));
                }
                None => prop_assert!(most >= limit),
            }
        }
    }
}
