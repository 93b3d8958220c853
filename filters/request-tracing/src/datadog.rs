//! Datadog's `x-datadog-` fields (Datadog, "Trace Context Propagation"): decimal 64-bit ids, and the left half of a
//! 128-bit trace id as the tag `_dd.p.tid` in `x-datadog-tags`.

use portcullis_kit::Headers;

use crate::context::{TraceContext, trim_ows};
use crate::hex;
use crate::tracestate::TraceState;

const TRACE_ID: &str = "x-datadog-trace-id";
const PARENT_ID: &str = "x-datadog-parent-id";
const PRIORITY: &str = "x-datadog-sampling-priority";
pub const TAGS: &str = "x-datadog-tags";
const HIGH_HALF: &[u8] = b"_dd.p.tid=";

/// The context and the decision (a priority above 0 means to keep the trace). The parent id is zero where none stands.
#[inline]
pub fn extract(headers: &Headers) -> Option<(TraceContext, Option<bool>)> {
    let low = decimal(only_line(headers, TRACE_ID)?).filter(|id| *id != 0)?;
    let parent = match headers.contains(PARENT_ID) {
        true => decimal(only_line(headers, PARENT_ID)?)?,
        false => 0,
    };
    let high = only_line(headers, TAGS).and_then(high_half).unwrap_or(0);
    let context = TraceContext {
        trace_id: (u128::from(high) << 64 | u128::from(low)).to_be_bytes(),
        parent_id: parent.to_be_bytes(),
        flags: 0,
        tracestate: TraceState::default(),
    };
    Some((context, only_line(headers, PRIORITY).and_then(keep)))
}

#[inline]
fn only_line<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name);
    let line = lines.next()?;
    lines.next().is_none().then_some(trim_ows(line))
}

#[inline]
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then_some(byte & 15)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// `-1` and `0` drop, `1` and `2` keep.
#[inline]
fn keep(priority: &[u8]) -> Option<bool> {
    match priority.strip_prefix(b"-") {
        Some(digits) => decimal(digits).map(|_| false),
        None => decimal(priority).map(|number| number > 0),
    }
}

/// A priority that a user set (`2` keeps, `-1` drops), where the decision is its own.
#[inline]
pub fn users_priority(headers: &Headers, sampled: bool) -> Option<&'static [u8]> {
    match (only_line(headers, PRIORITY)?, sampled) {
        (b"2", true) => Some(b"2"),
        (b"-1", false) => Some(b"-1"),
        _ => None,
    }
}

#[inline]
fn high_half(tags: &[u8]) -> Option<u64> {
    tags.split(|byte| *byte == b',')
        .find_map(|tag| trim_ows(tag).strip_prefix(HIGH_HALF))
        .and_then(hex::decode)
        .map(u64::from_be_bytes)
}

/// Writes ids, priority and tags. `users_priority` takes the place of the one that says no more than the decision; `given`
/// are the caller's tags.
pub fn inject(
    ctx: &TraceContext,
    sampled: bool,
    users_priority: Option<&[u8]>,
    given: Option<&[u8]>,
    put: &mut impl FnMut(&'static str, &[u8]),
) {
    let id = u128::from_be_bytes(ctx.trace_id);
    let mut digits = [0; 20];
    // The right half, on purpose.
    put(TRACE_ID, write_decimal(id as u64, &mut digits));
    put(
        PARENT_ID,
        write_decimal(u64::from_be_bytes(ctx.parent_id), &mut digits),
    );
    let plain: &[u8] = if sampled { b"1" } else { b"0" };
    put(PRIORITY, users_priority.unwrap_or(plain));
    if let Some(tags) = tags(given, &ctx.trace_id) {
        put(TAGS, &tags);
    }
}

/// The tags a sender gave with the left half of this trace id in place of any other; `None` if nothing is left.
#[inline]
fn tags(given: Option<&[u8]>, trace_id: &[u8; 16]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (high, _) = trace_id.split_at(8);
    if high.iter().any(|byte| *byte != 0) {
        let mut digits = [0; 16];
        hex::encode(high, &mut digits);
        out.extend_from_slice(HIGH_HALF);
        out.extend_from_slice(&digits);
    }
    for tag in given.unwrap_or_default().split(|byte| *byte == b',') {
        let tag = trim_ows(tag);
        if tag.is_empty() || tag.starts_with(HIGH_HALF) {
            continue;
        }
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(tag);
    }
    (!out.is_empty()).then_some(out)
}

#[inline]
fn write_decimal(mut number: u64, out: &mut [u8; 20]) -> &[u8] {
    let mut start = out.len();
    for (at, digit) in out.iter_mut().enumerate().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start = at;
        if number == 0 {
            break;
        }
    }
    out.get(start..).unwrap_or_default()
}
