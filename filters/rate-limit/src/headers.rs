//! What a client is told about its limits in headers.
//!
//! `RateLimit-Policy` and `RateLimit` are structured fields (RFC 9651) as in draft-ietf-httpapi-ratelimit-headers-11:
//! `q` quota, `w` window in seconds, `qu` quota unit, `pk` partition key, `r` remaining, `t` seconds until more comes
//! free.

use crate::counter::{Algorithm, NEVER};
use crate::decide::{Rule, Standing};
use crate::plan::{Limit, Style, Tier};

/// One limit as it stands for a client.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    pub limit: &'a Limit,
    pub standing: &'a Standing,
}

/// The tier's limits as they stand.
#[inline]
pub fn told<'a>(
    tier: &'a Tier,
    standings: &'a [Standing],
) -> impl Iterator<Item = Told<'a>> + Clone {
    let limits = tier.limits.iter().zip(standings);
    limits.map(|(limit, standing)| Told { limit, standing })
}

/// Whole seconds, rounded up: who waits them has waited enough.
#[inline]
pub fn seconds(milliseconds: u64) -> u64 {
    milliseconds.div_ceil(1_000)
}

/// The window in seconds at this time (a month's length varies); none for what counts requests in flight.
#[inline]
fn window_s(algorithm: &Algorithm, now: u64) -> Option<u64> {
    Some(seconds(match algorithm {
        Algorithm::Sliding { window_ms }
        | Algorithm::Log { window_ms }
        | Algorithm::Gcra { window_ms, .. } => *window_ms,
        Algorithm::Fixed(period) => period.length_ms(now),
        Algorithm::Concurrency { .. } => return None,
    }))
}

/// Writes the headers of one style. Those of it that there is nothing to say in are to be removed (`None`): what the upstream wrote
/// there would seem to belong to the others.
#[inline]
pub fn write<'a>(
    style: Style,
    told: impl Iterator<Item = Told<'a>> + Clone,
    policy: Option<&[u8]>,
    partition: u64,
    now: u64,
    set: &mut dyn FnMut(&str, Option<&[u8]>),
) {
    match style {
        Style::Ietf { partition_key } => {
            let partition = partition_key.then_some(partition);
            match policy.filter(|_| partition.is_none()) {
                Some(policy) => set("ratelimit-policy", Some(policy)),
                None => {
                    let limits = told
                        .clone()
                        .map(|told| (told.limit, Quota::told(told, now)));
                    set("ratelimit-policy", Some(&policies(limits, partition)));
                }
            }
            set("ratelimit", Some(&remaining(told, partition)));
        }
        Style::XRateLimit { epoch } => {
            if let Some(tightest) = tightest(told) {
                for (name, value) in triple(tightest, epoch, now) {
                    set(name, value.map(text).as_deref());
                }
            }
        }
        Style::XRateLimitWindow { epoch } => {
            for one in told {
                for (name, value) in triple(one, epoch, now) {
                    set(
                        &[name, &one.limit.name].join("-"),
                        value.map(text).as_deref(),
                    );
                }
            }
        }
        Style::Envoy => {
            if let Some(tightest) = tightest(told.clone()) {
                set("x-ratelimit-limit", Some(&draft_03(tightest, told, now)));
                for (name, value) in triple(tightest, false, now).skip(1) {
                    set(name, value.map(text).as_deref());
                }
            }
        }
    }
}

/// What a client can have of a limit in which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub count: u64,
    /// In seconds; none for what counts requests in flight.
    pub window_s: Option<u64>,
}

impl Quota {
    /// As the settings say.
    pub fn of(rule: &Rule, now: u64) -> Self {
        Self::new(&rule.algorithm, rule.limit, rule.capacity(), now)
    }

    #[inline]
    pub fn told(told: Told<'_>, now: u64) -> Self {
        let Standing {
            limit, capacity, ..
        } = *told.standing;
        Self::new(&told.limit.rule.algorithm, limit, capacity, now)
    }

    /// Of a pace the burst and the time in which it comes back: of the count there might be left more than there is.
    #[inline]
    fn new(algorithm: &Algorithm, limit: u64, capacity: u64, now: u64) -> Self {
        let window_s = match *algorithm {
            Algorithm::Gcra { window_ms, .. } if capacity != limit && limit > 0 => {
                Some(seconds(capacity.saturating_mul(window_ms).div_ceil(limit)))
            }
            _ => window_s(algorithm, now),
        };
        Self {
            count: capacity,
            window_s,
        }
    }
}

/// `"minute";q=10;w=60, "day";q=1000;w=86400`
pub fn policies<'a>(
    limits: impl Iterator<Item = (&'a Limit, Quota)>,
    partition: Option<u64>,
) -> Vec<u8> {
    let mut value = Vec::with_capacity(128);
    for (limit, quota) in limits {
        if !value.is_empty() {
            put(&mut value, ", ");
        }
        put(&mut value, "\"");
        put(&mut value, &limit.name);
        put(&mut value, "\";q=");
        integer(&mut value, quota.count);
        match quota.window_s {
            Some(window) => {
                put(&mut value, ";w=");
                integer(&mut value, window);
            }
            None => put(&mut value, ";qu=\"concurrent-requests\""),
        }
        partition_key(&mut value, partition);
    }
    value
}

/// `"minute";r=3;t=21`
#[inline]
fn remaining<'a>(told: impl Iterator<Item = Told<'a>>, partition: Option<u64>) -> Vec<u8> {
    let mut value = Vec::with_capacity(160);
    for Told { limit, standing } in told {
        let begin = if value.is_empty() { 2 } else { 0 };
        put(&mut value, limit.remaining.get(begin..).unwrap_or_default());
        integer(&mut value, standing.remaining);
        if !matches!(standing.reset_ms, 0 | NEVER) {
            put(&mut value, ";t=");
            integer(&mut value, seconds(standing.reset_ms));
        }
        partition_key(&mut value, partition);
    }
    value
}

/// Appends text. (A `String` would look at every byte of a number again.)
#[inline]
pub fn put(value: &mut Vec<u8>, text: &str) {
    value.extend_from_slice(text.as_bytes());
}

/// Appends an integer of a structured field, which has no more than 15 digits (RFC 9651, section 3.3.1).
#[inline]
fn integer(value: &mut Vec<u8>, integer: u64) {
    const MOST: u64 = 999_999_999_999_999;
    number(value, integer.min(MOST));
}

/// Appends a number. `write!` takes several times as many instructions, on every response.
#[inline]
pub fn number(value: &mut Vec<u8>, number: u64) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    let mut large = number;
    // Nearly all are of four bytes: dividing those is the cheaper kind.
    let mut rest = loop {
        match u32::try_from(large) {
            Ok(rest) => break rest,
            Err(_) => {
                at -= 1;
                if let Some(place) = digits.get_mut(at) {
                    *place += (large % 10) as u8;
                }
                large /= 10;
            }
        }
    };
    loop {
        at -= 1;
        if let Some(place) = digits.get_mut(at) {
            *place += (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    value.extend_from_slice(digits.get(at..).unwrap_or_default());
}

#[inline]
fn text(count: u64) -> Vec<u8> {
    let mut value = Vec::with_capacity(20);
    number(&mut value, count);
    value
}

/// A byte sequence of the identity's keyed hash: it tells partitions apart and nothing about who they are.
fn partition_key(value: &mut Vec<u8>, partition: Option<u64>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let Some(partition) = partition else { return };
    put(value, ";pk=:");
    // Six of its bytes are eight digits without padding.
    let mut bits = partition >> 16;
    let mut digits = [0; 8];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS.get((bits & 63) as usize).copied().unwrap_or(b'A');
        bits >>= 6;
    }
    value.extend_from_slice(&digits);
    value.push(b':');
}

/// The limit that will be met first: least left, then the longest to wait.
#[inline]
fn tightest<'a>(told: impl Iterator<Item = Told<'a>>) -> Option<Told<'a>> {
    told.min_by_key(|told| (told.standing.remaining, u64::MAX - told.standing.reset_ms))
}

/// Names and values. Nobody knows when a request in flight ends, so there a reset would be a promise, as where none comes.
fn triple(
    told: Told<'_>,
    epoch: bool,
    now: u64,
) -> impl Iterator<Item = (&'static str, Option<u64>)> + use<> {
    let in_flight = matches!(told.limit.rule.algorithm, Algorithm::Concurrency { .. });
    let is_known = !in_flight && told.standing.reset_ms != NEVER;
    let reset = if epoch {
        seconds(
            crate::counter::EPOCH_MS
                .saturating_add(now)
                .saturating_add(told.standing.reset_ms),
        )
    } else {
        seconds(told.standing.reset_ms)
    };
    [
        ("x-ratelimit-limit", Some(told.standing.capacity)),
        ("x-ratelimit-remaining", Some(told.standing.remaining)),
        ("x-ratelimit-reset", is_known.then_some(reset)),
    ]
    .into_iter()
}

/// `10, 10;w=60;name="minute", 1000;w=86400;name="day"`
fn draft_03<'a>(tightest: Told<'_>, told: impl Iterator<Item = Told<'a>>, now: u64) -> Vec<u8> {
    let mut value = text(tightest.standing.capacity);
    for one in told {
        let quota = Quota::told(one, now);
        put(&mut value, ", ");
        integer(&mut value, quota.count);
        if let Some(window) = quota.window_s {
            put(&mut value, ";w=");
            integer(&mut value, window);
        }
        put(&mut value, ";name=\"");
        put(&mut value, &one.limit.name);
        put(&mut value, "\"");
    }
    value
}
