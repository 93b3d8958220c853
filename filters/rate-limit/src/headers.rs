//! What a client is told about its limits in headers.
//!
//! `RateLimit-Policy` and `RateLimit` are structured fields (RFC 9651) as in draft-ietf-httpapi-ratelimit-headers-11:
//! `q` quota, `w` window in seconds, `qu` quota unit, `pk` partition key, `r` remaining, `t` seconds until more comes
//! free.

use crate::counter::Algorithm;
use crate::decide::Standing;
use crate::plan::{Limit, Style, Tier};

/// One limit as it stands for a client.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    pub limit: &'a Limit,
    pub standing: &'a Standing,
}

/// The tier's limits as they stand.
pub fn told<'a>(
    tier: &'a Tier,
    standings: &'a [Standing],
) -> impl Iterator<Item = Told<'a>> + Clone {
    let limits = tier.limits.iter().zip(standings);
    limits.map(|(limit, standing)| Told { limit, standing })
}

/// Whole seconds, rounded up: who waits them has waited enough.
pub fn seconds(milliseconds: u64) -> u64 {
    milliseconds.div_ceil(1_000)
}

/// The window in seconds at this time (a month's length varies); none for what counts requests in flight.
pub fn window_s(algorithm: &Algorithm, now: u64) -> Option<u64> {
    Some(seconds(match algorithm {
        Algorithm::Sliding { window_ms }
        | Algorithm::Log { window_ms }
        | Algorithm::Gcra { window_ms, .. } => *window_ms,
        Algorithm::Fixed(period) => period.length_ms(now),
        Algorithm::Concurrency { .. } => return None,
    }))
}

/// Writes the headers of one style.
pub fn write<'a>(
    style: Style,
    told: impl Iterator<Item = Told<'a>> + Clone,
    policy: Option<&str>,
    partition: u64,
    now: u64,
    mut set: impl FnMut(&str, &[u8]),
) {
    match style {
        Style::Ietf { partition_key } => {
            let partition = partition_key.then_some(partition);
            match policy.filter(|_| partition.is_none()) {
                Some(policy) => set("ratelimit-policy", policy.as_bytes()),
                None => {
                    let limits = told.clone().map(|told| (told.limit, told.standing.limit));
                    set(
                        "ratelimit-policy",
                        policies(limits, partition, now).as_bytes(),
                    );
                }
            }
            set("ratelimit", remaining(told, partition).as_bytes());
        }
        Style::XRateLimit { epoch } => {
            if let Some(tightest) = tightest(told) {
                for (name, value) in triple(tightest, epoch, now) {
                    set(&format!("x-ratelimit-{name}"), value.to_string().as_bytes());
                }
            }
        }
        Style::XRateLimitWindow { epoch } => {
            for one in told {
                for (name, value) in triple(one, epoch, now) {
                    let name = format!("x-ratelimit-{name}-{}", one.limit.name);
                    set(&name, value.to_string().as_bytes());
                }
            }
        }
        Style::Envoy => {
            if let Some(tightest) = tightest(told.clone()) {
                set(
                    "x-ratelimit-limit",
                    draft_03(tightest, told, now).as_bytes(),
                );
                for (name, value) in triple(tightest, false, now).skip(1) {
                    set(&format!("x-ratelimit-{name}"), value.to_string().as_bytes());
                }
            }
        }
    }
}

/// `"minute";q=10;w=60, "day";q=1000;w=86400`
pub fn policies<'a>(
    limits: impl Iterator<Item = (&'a Limit, u64)>,
    partition: Option<u64>,
    now: u64,
) -> String {
    let mut value = String::with_capacity(128);
    for (limit, quota) in limits {
        item(&mut value, &limit.name, "\";q=", quota);
        match window_s(&limit.rule.algorithm, now) {
            Some(window) => {
                value.push_str(";w=");
                number(&mut value, window);
            }
            None => value.push_str(";qu=\"concurrent-requests\""),
        }
        partition_key(&mut value, partition);
    }
    value
}

/// `"minute";r=3;t=21`
fn remaining<'a>(told: impl Iterator<Item = Told<'a>>, partition: Option<u64>) -> String {
    let mut value = String::with_capacity(160);
    for Told { limit, standing } in told {
        let begin = if value.is_empty() { 2 } else { 0 };
        value.push_str(limit.remaining.get(begin..).unwrap_or_default());
        number(&mut value, standing.remaining);
        if standing.reset_ms > 0 {
            value.push_str(";t=");
            number(&mut value, seconds(standing.reset_ms));
        }
        partition_key(&mut value, partition);
    }
    value
}

/// Appends a number. `write!` takes several times as many instructions, on every response.
pub fn number(value: &mut String, number: u64) {
    let digit = |number: u64| char::from(b'0' + (number % 10) as u8);
    if number < 10 {
        value.push(digit(number));
        return;
    }
    // Nearly all are of four bytes: dividing those is the cheaper kind.
    let Ok(mut rest) = u32::try_from(number) else {
        value.push_str(&number.to_string());
        return;
    };
    let mut place = 1;
    while rest / place >= 10 {
        place *= 10;
    }
    while place > 0 {
        value.push(digit(u64::from(rest / place)));
        rest %= place;
        place /= 10;
    }
}

/// Appends a quoted name and a parameter: `"minute";q=10`.
fn item(value: &mut String, name: &str, parameter: &str, count: u64) {
    if !value.is_empty() {
        value.push_str(", ");
    }
    value.push('"');
    value.push_str(name);
    value.push_str(parameter);
    number(value, count);
}

/// A byte sequence of the identity's keyed hash: it tells partitions apart and nothing about who they are.
fn partition_key(value: &mut String, partition: Option<u64>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let Some(partition) = partition else { return };
    value.push_str(";pk=:");
    // Six of its bytes are eight digits without padding.
    let mut bits = partition >> 16;
    let mut digits = [0; 8];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS.get((bits & 63) as usize).copied().unwrap_or(b'A');
        bits >>= 6;
    }
    value.extend(digits.map(char::from));
    value.push(':');
}

/// The limit that will be met first: least left, then the longest to wait.
fn tightest<'a>(told: impl Iterator<Item = Told<'a>>) -> Option<Told<'a>> {
    told.min_by_key(|told| (told.standing.remaining, u64::MAX - told.standing.reset_ms))
}

/// Names and values. Nobody knows when a request in flight ends, so there a reset would be a promise.
fn triple(
    told: Told<'_>,
    epoch: bool,
    now: u64,
) -> impl Iterator<Item = (&'static str, u64)> + use<> {
    let in_flight = matches!(told.limit.rule.algorithm, Algorithm::Concurrency { .. });
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
        Some(("limit", told.standing.limit)),
        Some(("remaining", told.standing.remaining)),
        (!in_flight).then_some(("reset", reset)),
    ]
    .into_iter()
    .flatten()
}

/// `10, 10;w=60;name="minute", 1000;w=86400;name="day"`
fn draft_03<'a>(tightest: Told<'_>, told: impl Iterator<Item = Told<'a>>, now: u64) -> String {
    let mut value = tightest.standing.limit.to_string();
    for Told { limit, standing } in told {
        value.push_str(", ");
        number(&mut value, standing.limit);
        if let Some(window) = window_s(&limit.rule.algorithm, now) {
            value.push_str(";w=");
            number(&mut value, window);
        }
        value.push_str(";name=\"");
        value.push_str(&limit.name);
        value.push('"');
    }
    value
}
