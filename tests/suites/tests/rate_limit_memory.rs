//! Memory is bounded: a flood of identities that never come again takes what the table may have and no more, and does not
//! reset those that do come again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::Duration;

use portcullis_harness::{Config, Envoy, Filter, cases, load, suite};
use portcullis_suites::plans;
use serde_json::json;

const CONNECTIONS: usize = 64;
const LIMIT: u64 = 20;
const MEGABYTE: u64 = 1_000_000;
/// Clients that come again: the even ones are at their limit, the odd ones below it.
const REGULARS: usize = 1_000;
/// How often each comes again in one flood.
const VISITS: u64 = 5;

fn main() -> ExitCode {
    suite::run_in_order(
        || (),
        cases![a_flood_of_identities_fills_the_table_and_nothing_else],
    )
}

/// How many identities the table holds, how much memory it may take, and how many identities come: as many as it holds,
/// until it is full, and far more.
struct Size {
    max_identities: u64,
    megabytes: u64,
    floods: [u64; 3],
}

fn size() -> Size {
    match plans::full() {
        true => Size {
            max_identities: 1_000_000,
            megabytes: 80,
            floods: [1_000_000, 1_000_000, 3_000_000],
        },
        false => Size {
            max_identities: 65_536,
            megabytes: 12,
            floods: [65_536, 65_536, 131_072],
        },
    }
}

/// What is known of the clients that come again.
#[derive(Default)]
struct Regular {
    admitted: u64,
    refused: u64,
    /// Answers that did not follow from the ones before.
    reset: u64,
}

struct Flood<'a> {
    port: u16,
    regulars: &'a RefCell<Vec<Regular>>,
}

impl Flood<'_> {
    /// Sends these requests: a regular by its number, or a stranger. Gives the longest time that one took.
    fn send(&self, clients: impl Iterator<Item = Client>) -> Duration {
        let mut clients = clients;
        let mut longest = Duration::ZERO;
        let lost = load::run(
            self.port,
            CONNECTIONS,
            |out| {
                let client = clients.next()?;
                match client {
                    Client::Regular(number) => plans::get(&format!("regular-{number}"), out),
                    Client::Stranger(number) => plans::get(&format!("stranger-{number}"), out),
                }
                Some(client)
            },
            |client, answer| {
                longest = longest.max(answer.took);
                match client {
                    Client::Regular(number) => {
                        self.regulars.borrow_mut()[number].note(answer.status);
                    }
                    Client::Stranger(_) => assert_eq!(answer.status, 200),
                }
            },
        );
        assert!(lost.is_empty(), "no connection ends by itself");
        longest
    }

    /// So many strangers, and between them every regular, again and again.
    fn strangers(&self, from: u64, count: u64) -> Duration {
        let each = count / (VISITS * REGULARS as u64);
        let visit = (0..count).flat_map(|number| {
            let regular = (number / each) as usize % REGULARS;
            let comes = (number % each == 0).then_some(Client::Regular(regular));
            comes.into_iter().chain([Client::Stranger(from + number)])
        });
        self.send(visit)
    }
}

#[derive(Clone, Copy)]
enum Client {
    Regular(usize),
    Stranger(u64),
}

impl Regular {
    fn note(&mut self, status: u16) {
        match status {
            200 => self.admitted += 1,
            429 => self.refused += 1,
            other => panic!("{other}"),
        }
        // Within its limit it is admitted, beyond it refused.
        let tries = self.admitted + self.refused;
        if self.admitted != tries.min(LIMIT) {
            self.reset += 1;
        }
    }
}

fn a_flood_of_identities_fills_the_table_and_nothing_else(_: &()) {
    let size = size();
    // As many counters for each as the standard plan has.
    let limit = |window| json!({"name": window, "count": LIMIT, "window": window});
    let mut settings = plans::settings(&json!([limit("minute"), limit("hour"), limit("day")]));
    settings["max_identities"] = size.max_identities.into();
    let config = Config::new(1)
        .concurrency(2)
        .listener(plans::quick("main", Filter::wasm("rate_limit", settings)));
    let envoy =
        Envoy::start("rate-limit-memory", &config).unwrap_or_else(|error| panic!("{error}"));
    let regulars = RefCell::new(Vec::new());
    regulars
        .borrow_mut()
        .resize_with(REGULARS, Regular::default);
    let flood = Flood {
        port: envoy.port("main"),
        regulars: &regulars,
    };
    // Buffers and connections are there, and the even regulars are at their limit, the odd ones have come twice.
    let visits = |number: usize| if number.is_multiple_of(2) { LIMIT } else { 2 };
    let first =
        (0..REGULARS).flat_map(|number| (0..visits(number)).map(move |_| Client::Regular(number)));
    flood.send(first);

    let before = envoy.resident_bytes();
    let mut at = 0;
    let mut grown = [0; 3];
    for (count, grown) in size.floods.iter().zip(&mut grown) {
        let longest = flood.strangers(at, *count);
        at += count;
        *grown = envoy.resident_bytes().saturating_sub(before);
        println!(
            "{at} identities: {} kB more, longest request {longest:?}",
            *grown / 1_000
        );
    }

    let counted = |what: &str| -> u64 {
        let name = format!("portcullis_rate_limit_{what}_total");
        envoy.admin().stats(&name).values().sum()
    };
    println!(
        "{} evicted, {} of them at their limit",
        counted("evicted"),
        counted("table_full")
    );
    let reset: Vec<usize> = (0..REGULARS)
        .filter(|number| regulars.borrow()[*number].reset > 0)
        .collect();
    assert!(
        reset.is_empty(),
        "{} regulars were reset: {reset:?}",
        reset.len()
    );
    let refused = regulars
        .borrow()
        .iter()
        .filter(|regular| regular.refused > 0)
        .count();
    assert_eq!(refused, REGULARS / 2, "those at their limit, and no other");
    assert!(
        counted("evicted") > at - size.max_identities - size.max_identities / 8,
        "the flood was larger than the table"
    );
    let [_, full, last] = grown;
    assert!(
        last <= size.megabytes * MEGABYTE,
        "{last} bytes for {} identities",
        size.max_identities
    );
    // The allocator takes memory by the megabyte.
    let most = full + full / 10 + 2 * MEGABYTE;
    assert!(last <= most, "{full} bytes grew to {last}");
    assert_eq!(envoy.admin().vm_reloads(), 0);
}
