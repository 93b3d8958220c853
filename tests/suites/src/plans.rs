//! Settings of rate-limit, and clients by the thousand.

use std::cell::RefCell;

use portcullis_harness::{Filter, Listener, Request, Response, Route, load};
use serde_json::{Value, json};

/// Clients are known by this header.
pub const KEY: &str = "x-api-key";

/// Whether the run is the long one: `make test-rate-limit-full`.
pub fn full() -> bool {
    std::env::var_os("RATE_LIMIT_FULL").is_some()
}

/// One tier for all, `t`, with these limits; clients by [`KEY`].
pub fn settings(limits: &Value) -> Value {
    json!({
        "identity": [{"header": {"name": KEY, "hash": true}}],
        "plans": "none",
        "tier": {"default": "t"},
        "tiers": {"t": {"limits": limits}},
    })
}

/// Requests of clients by their [`KEY`], to a proxy whose tier [`filter`] makes.
pub trait Clients {
    /// The port of a listener.
    fn port(&self, listener: &str) -> u16;

    #[track_caller]
    fn send(&self, listener: &str, client: &str, request: Request) -> Response {
        request.header(KEY, client).send(self.port(listener))
    }

    #[track_caller]
    fn get(&self, listener: &str, client: &str) -> Response {
        self.send(listener, client, Request::get("/text"))
    }

    /// A client that has used all of its three requests.
    #[track_caller]
    fn spent(&self, listener: &str, client: &str) {
        for _ in 0..3 {
            assert_eq!(self.get(listener, client).status, 200);
        }
    }
}

/// Where refusals say that there is more.
pub const URL: &str = "https://example.com/plans";

/// Three a minute and a hundred a day, and a larger tier `gold`, with these keys replaced.
pub fn filter(namespace: &str, change: &Value) -> Filter {
    let mut settings = settings(&json!([
        {"name": "minute", "count": 3, "window": "1m"},
        {"name": "day", "count": 100, "window": "1d"},
    ]));
    settings["namespace"] = namespace.into();
    settings["tiers"]["t"]["upgrade_to"] = "gold".into();
    settings["tiers"]["gold"] = json!({"limits": [{"name": "minute", "count": 9, "window": "1m"}]});
    settings["upgrade"] = json!({"url": URL});
    for (key, value) in change.as_object().unwrap() {
        settings[key] = value.clone();
    }
    Filter::wasm("rate_limit", settings)
}

/// So many an hour. The counters of each namespace are apart.
pub fn hourly(count: u64, namespace: &str) -> Value {
    let mut settings = settings(&json!([{"name": "hour", "count": count, "window": "1h"}]));
    settings["namespace"] = namespace.into();
    settings
}

/// A listener that answers by itself and writes no access log: as quick as there is.
pub fn quick(name: &str, filter: Filter) -> Listener {
    Listener::new(name)
        .filter(filter)
        .route(Route::prefix("/").direct(200, "ok"))
        .hcm(&json!({"access_log": [], "generate_request_id": false}))
}

/// The bytes of a client's request.
pub fn get(client: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"GET / HTTP/1.1\r\nhost: a\r\n");
    out.extend_from_slice(format!("{KEY}: {client}\r\n\r\n").as_bytes());
}

/// What one client tried, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub tries: u64,
    pub admitted: u64,
    /// Sent, and the connection ended before the answer.
    pub lost: u64,
}

impl Tally {
    /// Whether exactly as many were admitted as the limit and the tries allow. Nobody knows of a lost request whether it
    /// was counted.
    pub fn is_exact(&self, limit: u64) -> bool {
        let right = limit.min(self.tries);
        (self.admitted..=self.admitted + self.lost).contains(&right)
    }
}

/// Sends requests of clients `<name>-0`, `<name>-1`, … from so many connections; `tries` says how many of each, and all of
/// one client's are sent one right after the other, so that they meet. Panics at an answer that is neither 200 nor 429.
#[track_caller]
pub fn drive(port: u16, connections: usize, name: &str, tries: &[u64]) -> Vec<Tally> {
    let tallies = RefCell::new(vec![Tally::default(); tries.len()]);
    let mut next = tries
        .iter()
        .enumerate()
        .flat_map(|(client, tries)| (0..*tries).map(move |_| client));
    let lost = load::run(
        port,
        connections,
        |out| {
            let client = next.next()?;
            get(&format!("{name}-{client}"), out);
            tallies.borrow_mut()[client].tries += 1;
            Some(client)
        },
        |client, answer| match answer.status {
            200 => tallies.borrow_mut()[client].admitted += 1,
            429 => {}
            status => panic!("{status}: {}", String::from_utf8_lossy(answer.head)),
        },
    );
    for client in lost {
        tallies.borrow_mut()[client].lost += 1;
    }
    tallies.into_inner()
}

/// The clients that were admitted once too often or once too seldom, with what they got.
pub fn wrong(tallies: &[Tally], limit: u64) -> Vec<(usize, Tally)> {
    let wrong = |(_, tally): &(usize, &Tally)| !tally.is_exact(limit);
    let all = tallies.iter().enumerate().filter(wrong);
    all.map(|(client, tally)| (client, *tally)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_or_too_few_is_wrong() {
        let of = |tries, admitted, lost| Tally {
            tries,
            admitted,
            lost,
        };
        for (tally, exact) in [
            (of(5, 5, 0), true),
            (of(20, 10, 0), true),
            (of(20, 11, 0), false),
            (of(20, 9, 0), false),
            (of(20, 9, 1), true),
            (of(5, 4, 0), false),
        ] {
            assert_eq!(tally.is_exact(10), exact, "{tally:?}");
        }
    }
}
