//! A client that sends what nobody expects: random methods, hosts, paths, keys, tiers and ids, with what could pass for labels
//! of metrics among them.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

const METHODS: [&str; 9] = [
    "GET", "GET", "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND",
];
/// Headers that filters and the proxy decide by.
const HEADERS: [&str; 22] = [
    "x-api-key",
    "x-tier",
    "authorization",
    "x-request-id",
    "traceparent",
    "tracestate",
    "baggage",
    "cookie",
    "origin",
    "sec-fetch-site",
    "sec-fetch-mode",
    "user-agent",
    "accept",
    "accept-language",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-decorator-operation",
    "x-envoy-retry-on",
    "referer",
    "forwarded",
];
/// What names of metrics are made of.
const LABELS: [&str; 8] = [
    ".tier=gold",
    ".profile=mine",
    ".limit=none.tier=free",
    ".outcome=success",
    "reason=\"x\"}",
    "{le=\"1\"}",
    "wasmcustom.portcullis_x_total",
    "http.other.rq_total",
];
/// Bytes that may stand in a value, those beyond ASCII included.
const BYTES: &[u8] =
    b"abcdefghijklmnopqrstuvwxyzABCXYZ0123456789.-_~:;,=+*!$&'()<>@[]{}|\"\\^`\x80\xbf\xc3\xff";
/// Those of them that a request target may hold.
const TARGET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789.-_~:;,=+*!$&'()@/%?";

pub struct HostileClient {
    random: ChaCha12Rng,
}

impl HostileClient {
    /// Equal seeds send equal requests.
    pub fn new(seed: u64) -> Self {
        Self {
            random: ChaCha12Rng::seed_from_u64(seed),
        }
    }

    /// Appends the bytes of one request.
    pub fn request(&mut self, out: &mut Vec<u8>) {
        let method = METHODS[self.below(METHODS.len())];
        out.extend_from_slice(method.as_bytes());
        let known = ["/", "/text?", "/web/text?", "/status/404?"][self.below(4)];
        out.push(b' ');
        out.extend_from_slice(known.as_bytes());
        self.value(out, TARGET);
        out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        self.value(out, b"abcdefghijklmnopqrstuvwxyz0123456789.-");
        for _ in 0..self.below(8) {
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(HEADERS[self.below(HEADERS.len())].as_bytes());
            out.extend_from_slice(b": ");
            self.value(out, BYTES);
        }
        // An error that was rewritten has no length; its end is the connection's.
        if known == "/status/404?" {
            out.extend_from_slice(b"\r\nconnection: close");
        }
        out.extend_from_slice(b"\r\ncontent-length: 0\r\n\r\n");
    }

    /// Appends 1 to 40 random bytes of these, and sometimes a label where one may stand.
    fn value(&mut self, out: &mut Vec<u8>, of: &[u8]) {
        for _ in 0..=self.below(40) {
            out.push(of[self.below(of.len())]);
        }
        if of.len() == BYTES.len() && self.below(2) == 0 {
            out.extend_from_slice(LABELS[self.below(LABELS.len())].as_bytes());
        }
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("a small number");
        usize::try_from(u64::from(self.random.next_u32()) % end).expect("a small number")
    }
}
