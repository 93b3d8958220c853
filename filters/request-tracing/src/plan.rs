//! What one request's headers lead to, decided before any of them is changed.

use std::rc::Rc;

use portcullis_kit::Headers;
use portcullis_kit::exchange::{Clock, MalformedIds, Metrics, Randomness};
use portcullis_kit::random::Random;

use crate::baggage::{self, Policy};
use crate::carried::Carried;
use crate::compile::Profile;
use crate::context::{DEBUG, RANDOM, SAMPLED, TraceContext};
use crate::formats::{Extracted, Format, extract, fields, is_context_header};
use crate::opentelemetry;
use crate::request_id::{self, Choice};
use crate::sampling::Threshold;
use crate::traceparent::Restart;
use crate::tracestate::TraceState;

/// What is to be done to the request.
pub struct Plan {
    /// The id, and whether the header must be written.
    pub id: Rc<str>,
    pub id_is_new: bool,
    /// Our own span's context: its `parent_id` is our span id.
    pub context: TraceContext,
    pub sampled: bool,
    /// The caller's span.
    pub parent: Option<[u8; 8]>,
    /// Whether `tracestate` must be written or removed; else the caller's lines stay as they are.
    pub state_changed: bool,
    /// Headers that must go.
    pub remove: Vec<String>,
    pub baggage: baggage::Decision,
    pub carried: Carried,
    /// What the peer sent and is replaced because it breaks its rules.
    pub malformed: Option<MalformedIds>,
}

/// Reads the request headers and decides.
pub fn plan<H: Clock + Randomness + Metrics>(
    profile: &Profile,
    headers: &Headers,
    trusted: bool,
    now: u64,
    random: &Random,
    host: &H,
) -> Plan {
    let (id, id_is_new, id_is_invalid) = id(profile, headers, trusted, now, random, host);
    let found = if trusted && !profile.extract.is_empty() {
        extract(headers, &profile.extract)
    } else {
        Extracted::None
    };
    if let Extracted::Restart(why) = &found {
        host.increment(profile.counters.restart(*why), 1);
    }
    let restarted = matches!(&found, Extracted::Restart(why) if *why != Restart::Absent);
    let continued = matches!(found, Extracted::Context { .. });
    let (mut context, parent, decision) = match found {
        Extracted::Context {
            context, sampled, ..
        } => {
            let parent = context.parent_id;
            let parent = parent.iter().any(|byte| *byte != 0).then_some(parent);
            (context, parent, sampled)
        }
        Extracted::Decision { sampled, .. } => (new_context(random, host), None, Some(sampled)),
        Extracted::None | Extracted::Restart(_) => (new_context(random, host), None, None),
    };
    if continued {
        context.parent_id = non_zero(random.bytes(host));
        context.flags &= RANDOM | DEBUG;
    }

    let decided = profile
        .sampler
        .decide(decision, || randomness(&context), now);
    if decided.capped {
        host.increment(profile.counters.capped, 1);
    }
    if decided.sampled {
        context.flags |= SAMPLED;
    }
    let changed = set_threshold(&mut context.tracestate, decided.threshold);
    let state_changed = profile.inject.contains(&Format::W3c)
        && (changed || !is_as_sent(headers, &context.tracestate));
    let carried = if trusted {
        let followed = decided.is_followed().then_some(decided.sampled);
        Carried::read(headers, &profile.inject, followed)
    } else {
        Carried::default()
    };
    Plan {
        id,
        id_is_new,
        sampled: decided.sampled,
        parent,
        state_changed,
        remove: removals(profile, headers, trusted),
        baggage: if trusted {
            baggage::filter(headers.get_all("baggage"), &profile.baggage)
        } else {
            baggage::filter(headers.get_all("baggage"), &Policy::Drop)
        },
        context,
        carried,
        malformed: MalformedIds::of(id_is_invalid, restarted),
    }
}

/// The id, whether it is new, and whether it stands for one that breaks the rules.
fn id<H: Clock + Randomness + Metrics>(
    profile: &Profile,
    headers: &Headers,
    trusted: bool,
    now: u64,
    random: &Random,
    host: &H,
) -> (Rc<str>, bool, bool) {
    let mut lines = headers.get_all(request_id::HEADER);
    let first = lines.next();
    let count = usize::from(first.is_some()) + lines.count();
    match request_id::choose(profile.id_source, trusted, first, count) {
        Choice::Keep(id) => (id.into(), false, false),
        Choice::New { invalid } => {
            if invalid {
                host.increment(profile.counters.invalid_ids, 1);
            }
            (
                request_id::new(profile.id_format, random.bytes(host), now).into(),
                true,
                invalid,
            )
        }
    }
}

fn new_context(random: &Random, host: &impl Randomness) -> TraceContext {
    TraceContext {
        trace_id: non_zero(random.bytes(host)),
        parent_id: non_zero(random.bytes(host)),
        flags: RANDOM,
        tracestate: TraceState::default(),
    }
}

/// Zero is no id (W3C Trace Context). No generator gives it in our time, but a broken host may.
fn non_zero<const N: usize>(mut id: [u8; N]) -> [u8; N] {
    if id.iter().all(|byte| *byte == 0)
        && let Some(last) = id.last_mut()
    {
        *last = 1;
    }
    id
}

/// What the caller's tracestate says, or else the trace id.
#[inline]
fn randomness(context: &TraceContext) -> u64 {
    let member = context.tracestate.get(opentelemetry::KEY);
    member
        .and_then(|value| opentelemetry::randomness(value.as_bytes()))
        .unwrap_or_else(|| last_56_bits(context.trace_id))
}

#[inline]
fn last_56_bits(trace_id: [u8; 16]) -> u64 {
    u128::from_be_bytes(trace_id) as u64 & ((1 << 56) - 1)
}

/// Whether the member changed.
#[inline]
fn set_threshold(state: &mut TraceState, threshold: Threshold) -> bool {
    if threshold == Threshold::Keep {
        return false;
    }
    let before = state.get(opentelemetry::KEY).map(str::as_bytes);
    let wanted = match threshold {
        Threshold::Keep => return false,
        Threshold::Clear if !before.is_some_and(opentelemetry::has_threshold) => return false,
        Threshold::Clear => None,
        Threshold::Set(threshold) => Some(threshold),
    };
    let value = opentelemetry::with_threshold(before, wanted);
    match String::from_utf8(value) {
        Ok(value) if !value.is_empty() => state.set_leftmost(opentelemetry::KEY, &value),
        _ => state.remove(opentelemetry::KEY),
    }
    true
}

/// Whether the caller's one line already says what we would write.
#[inline]
fn is_as_sent(headers: &Headers, state: &TraceState) -> bool {
    let mut lines = headers.get_all("tracestate");
    match (lines.next(), lines.next()) {
        (None, _) => state.is_empty(),
        (Some(line), None) => state.text() == line && !line.is_empty(),
        (Some(_), Some(_)) => false,
    }
}

/// The context headers that must go before anything is written: every one of an untrusted peer, and those of formats
/// that we read or write and that would else contradict what we write.
#[inline]
fn removals(profile: &Profile, headers: &Headers, trusted: bool) -> Vec<String> {
    let mut remove: Vec<String> = Vec::new();
    if trusted && profile.clears.is_empty() {
        return remove;
    }
    for (name, _) in headers.iter().filter(|(name, _)| may_be_context(name)) {
        // Baggage and tracestate have decisions of their own.
        if name.eq_ignore_ascii_case(b"baggage")
            || name.eq_ignore_ascii_case(b"tracestate") && written_by_w3c(profile)
        {
            continue;
        }
        let goes = if trusted {
            profile
                .clears
                .iter()
                .any(|field| name.eq_ignore_ascii_case(field.as_bytes()))
        } else {
            is_context_header(name) && !is_replaced(&profile.inject, name)
        };
        if goes
            && let Ok(name) = std::str::from_utf8(name)
            && !remove.iter().any(|listed| listed == name)
        {
            remove.push(name.to_owned());
        }
    }
    remove
}

/// Whether a name begins as a context header's does. Most do not, and this runs for each header of each request of a
/// peer that is not trusted.
#[inline]
fn may_be_context(name: &[u8]) -> bool {
    match name {
        [b'x' | b'X', b'-', third, ..] => matches!(third, b'a' | b'b' | b'd' | b'A' | b'B' | b'D'),
        [b'b' | b'B', second, ..] => matches!(second, b'3' | b'a' | b'A'),
        [b't' | b'T', second, ..] => matches!(second, b'r' | b'R'),
        _ => false,
    }
}

/// The fields that go from a trusted peer's request: those of formats that are read or written, save what has a decision
/// of its own or is written anyway.
#[inline]
pub fn clears(extract: &[Format], inject: &[Format]) -> Vec<&'static str> {
    let all = extract.iter().chain(inject);
    all.flat_map(|format| fields(*format))
        .copied()
        .filter(|name| !is_replaced(inject, name.as_bytes()))
        .filter(|name| *name != "tracestate" || !inject.contains(&Format::W3c))
        .collect()
}

/// Whether writing a format always sets this header, so that removing it first would be a call for nothing.
#[inline]
fn is_replaced(inject: &[Format], name: &[u8]) -> bool {
    inject.iter().any(|format| {
        let always: &[u8] = match format {
            Format::W3c => b"traceparent",
            Format::B3 => b"b3",
            Format::Xray => b"x-amzn-trace-id",
            Format::B3Multi | Format::Datadog => return false,
        };
        name.eq_ignore_ascii_case(always)
    })
}

#[inline]
fn written_by_w3c(profile: &Profile) -> bool {
    profile.inject.contains(&Format::W3c)
}
