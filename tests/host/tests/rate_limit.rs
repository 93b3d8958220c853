//! Workers that decide at the same time: every way in which their host calls can interleave, in both dialects of
//! shared data.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use portcullis_host::{
    Dialect, Failure, Form, Interruption, Module, Plugin, Script, SharedData, Status, dist,
};
use serde_json::{Value, json};

/// More host calls than one request makes before its answer, a retry included.
const MOST_CALLS: u32 = 20;

fn settings(limit: u64) -> Value {
    json!({
        "identity": [{"header": {"name": "x-api-key", "hash": true}}],
        "plans": "none",
        "tier": {"default": "t"},
        "tiers": {"t": {
            "limits": [
                {"name": "minute", "count": limit, "window": "1m"},
                {"name": "day", "count": 1000, "window": "1d"},
            ],
        }},
    })
}

/// Workers of one proxy: each a VM of its own, with one store between them.
struct Workers(Vec<Rc<RefCell<Plugin>>>);

impl Workers {
    fn start(module: &str, fault: Option<&str>, dialect: Dialect, limit: u64) -> Self {
        let shared = SharedData::of(dialect);
        let load = |seed| {
            let start = Module::load(&dist(module)).start().root_id("rate-limit");
            let start = match fault {
                Some(fault) => start.variable("FAULT", fault),
                None => start,
            };
            let configuration = Form::Struct.encode(&settings(limit));
            let loaded = start
                .configuration(&configuration)
                .shared(&shared)
                .seed(seed)
                .load();
            let plugin = loaded.unwrap_or_else(|refused| panic!("{refused}"));
            Rc::new(RefCell::new(plugin))
        };
        Self((0..3).map(load).collect())
    }

    /// One request of a client at a worker; at its host calls numbered `stops`, the next workers have their turn with
    /// one of the same client each, the last one first within the one before. Gives how many were admitted, and how many
    /// were tried.
    fn together(&self, worker: usize, client: &str, stops: &[u32]) -> (u32, u32) {
        let inner = Rc::new(Cell::new((0, 0)));
        if let Some((stop, rest)) = stops.split_first() {
            let workers = Self(self.0.clone());
            let (client, rest) = (client.to_owned(), rest.to_vec());
            let (calls, stop, told) = (Cell::new(0), *stop, Rc::clone(&inner));
            let interruption = Interruption(Rc::new(move |_| {
                calls.set(calls.get() + 1);
                if calls.get() == stop {
                    told.set(workers.together(worker + 1, &client, &rest));
                }
            }));
            self.0[worker].borrow_mut().world_mut().interruption = Some(interruption);
        }
        let script = Script::get("/").header("x-api-key", client);
        let outcome = self.0[worker].borrow_mut().request(&script).unwrap();
        self.0[worker].borrow_mut().world_mut().interruption = None;
        let (admitted, tried) = inner.get();
        (admitted + u32::from(outcome.forwarded), tried + 1)
    }
}

/// Tries all interleavings; gives those in which too many or too few were admitted.
fn wrong(module: &str, fault: Option<&str>, dialect: Dialect) -> Vec<String> {
    let mut wrong = Vec::new();
    for limit in 1..=3 {
        let workers = Workers::start(module, fault, dialect, limit);
        for before in 0..2 {
            for (first, second) in stops() {
                // A client of its own each time: mostly in a bucket that is not there yet.
                let client = format!("{before}-{first}-{second}");
                let mut total = (0, 0);
                let mut add = |(admitted, tried)| total = (total.0 + admitted, total.1 + tried);
                for _ in 0..before {
                    add(workers.together(0, &client, &[]));
                }
                add(workers.together(0, &client, &[first, second]));
                for worker in 0..2 {
                    add(workers.together(worker, &client, &[]));
                }
                let (admitted, tried) = total;
                if u64::from(admitted) != limit.min(tried.into()) {
                    wrong.push(format!("limit {limit}, {client}: {admitted} of {tried}"));
                }
            }
        }
    }
    wrong
}

/// Where the first worker is stopped, and where the second: all places. A number beyond the calls that are made stops
/// nobody.
fn stops() -> impl Iterator<Item = (u32, u32)> {
    (1..=MOST_CALLS).flat_map(|first| (1..=MOST_CALLS).map(move |second| (first, second)))
}

#[test]
fn no_interleaving_admits_one_too_many_or_one_too_few() {
    for dialect in [Dialect::Envoy, Dialect::Strict] {
        let wrong = wrong("rate_limit", None, dialect);
        assert!(wrong.is_empty(), "{dialect:?}: {wrong:#?}");
    }
}

#[test]
fn a_store_with_a_fault_is_found_out() {
    for fault in ["creates-blindly", "decides-once"] {
        let wrong = wrong("test/rate_limit_mutants", Some(fault), Dialect::Envoy);
        assert!(!wrong.is_empty(), "{fault}");
    }
}

#[test]
fn a_host_whose_shared_data_fails_is_answered_as_the_settings_say() {
    for (on_error, status) in [("allow", 200), ("deny", 503)] {
        let mut settings = settings(1);
        settings["on_error"] = on_error.into();
        let start = Module::load(&dist("rate_limit")).start();
        let loaded = start
            .root_id("rate-limit")
            .configuration(&Form::Struct.encode(&settings))
            .load();
        let mut plugin = loaded.unwrap_or_else(|refused| panic!("{refused}"));
        let mut ask = |failures: Vec<Failure>| {
            plugin.world_mut().failures = failures;
            let script = Script::get("/").header("x-api-key", "client");
            plugin.request(&script).unwrap()
        };
        for call in ["proxy_get_shared_data", "proxy_set_shared_data"] {
            let outcome = ask(vec![Failure::Status(call, Status::INTERNAL_FAILURE)]);
            assert_eq!(outcome.status(), Some(status), "{on_error}, {call}");
            assert_eq!(outcome.forwarded, on_error == "allow", "{on_error}, {call}");
        }
        assert!(ask(vec![]).forwarded, "nothing was counted meanwhile");
        assert!(!ask(vec![]).forwarded);
    }
}
