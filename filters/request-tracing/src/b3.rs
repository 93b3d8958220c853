//! Zipkin's B3 propagation (openzipkin/b3-propagation): one `b3` field, or several `x-b3-` ones.

use portcullis_kit::Headers;

use crate::context::{DEBUG, TraceContext, left_padded, non_zero, trim_ows};
use crate::hex;
use crate::tracestate::TraceState;

/// What B3 headers say. Ids and the decision are independent: either may be absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct B3 {
    pub context: Option<TraceContext>,
    /// `None` leaves the decision to the receiver.
    pub sampled: Option<bool>,
}

/// Reads the one-field form, `{trace id}-{span id}-{0|1|d}-{parent span id}`, of which the last two may be missing,
/// or the decision alone. `None` if the field is absent, doubled or not of that form.
#[inline]
pub fn extract_single(headers: &Headers) -> Option<B3> {
    let value = only_line(headers, "b3")?;
    if let Some((sampled, debug)) = decision(value) {
        return Some(B3 {
            context: None,
            // A debug decision without ids is still one to sample.
            sampled: Some(sampled || debug),
        });
    }
    let mut parts = value.split(|byte| *byte == b'-');
    let (trace_id, span_id) = (parts.next()?, parts.next()?);
    let decided = match parts.next() {
        Some(text) => Some(decision(text)?),
        None => None,
    };
    if let Some(parent) = parts.next() {
        hex::decode_any_case::<8>(parent)?;
    }
    if parts.next().is_some() {
        return None;
    }
    let debug = decided.is_some_and(|(_, debug)| debug);
    Some(B3 {
        context: Some(context(trace_id, span_id, debug)?),
        sampled: decided.map(|(sampled, _)| sampled),
    })
}

/// Reads the form of several fields. `x-b3-flags: 1` is the debug flag and implies sampling. `None` if neither ids nor
/// a decision stand there.
#[inline]
pub fn extract_multi(headers: &Headers) -> Option<B3> {
    let debug = only_line(headers, "x-b3-flags") == Some(b"1");
    let sampled = match only_line(headers, "x-b3-sampled") {
        _ if debug => Some(true),
        Some(b"1" | b"true") => Some(true),
        Some(b"0" | b"false") => Some(false),
        _ => None,
    };
    let context = only_line(headers, "x-b3-traceid")
        .zip(only_line(headers, "x-b3-spanid"))
        .and_then(|(trace_id, span_id)| context(trace_id, span_id, debug));
    (context.is_some() || sampled.is_some()).then_some(B3 { context, sampled })
}

#[inline]
fn only_line<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name);
    let line = lines.next()?;
    lines.next().is_none().then_some(trim_ows(line))
}

/// `(sampled, debug)`.
#[inline]
fn decision(text: &[u8]) -> Option<(bool, bool)> {
    match text {
        b"0" => Some((false, false)),
        b"1" => Some((true, false)),
        b"d" => Some((true, true)),
        _ => None,
    }
}

#[inline]
fn context(trace_id: &[u8], span_id: &[u8], debug: bool) -> Option<TraceContext> {
    let trace_id = match trace_id.len() {
        16 => left_padded(hex::decode_any_case(trace_id)?),
        _ => hex::decode_any_case(trace_id)?,
    };
    Some(TraceContext {
        trace_id: non_zero(trace_id)?,
        parent_id: non_zero(hex::decode_any_case(span_id)?)?,
        flags: if debug { DEBUG } else { 0 },
        tracestate: TraceState::default(),
    })
}

/// Writes the one-field form.
pub fn inject_single(
    ctx: &TraceContext,
    sampled: bool,
    upstream_parent: Option<[u8; 8]>,
    put: &mut impl FnMut(&'static str, &[u8]),
) {
    let mut out = [b'-'; 68];
    let (ids, parent) = out.split_at_mut(51);
    put_id(ids, 0, &ctx.trace_id);
    put_id(ids, 33, &ctx.parent_id);
    if let Some(state) = ids.get_mut(50) {
        *state = match (sampled, ctx.flags & DEBUG != 0) {
            (true, true) => b'd',
            (true, false) => b'1',
            (false, _) => b'0',
        };
    }
    match upstream_parent.and_then(non_zero) {
        Some(id) => {
            put_id(parent, 1, &id);
            put("b3", &out);
        }
        None => put("b3", ids),
    }
}

#[inline]
fn put_id(out: &mut [u8], at: usize, id: &[u8]) {
    if let Some(field) = out.get_mut(at..at + 2 * id.len()) {
        hex::encode(id, field);
    }
}

/// Writes the form of several fields.
pub fn inject_multi(
    ctx: &TraceContext,
    sampled: bool,
    upstream_parent: Option<[u8; 8]>,
    put: &mut impl FnMut(&'static str, &[u8]),
) {
    let mut trace_id = [0; 32];
    let mut span_id = [0; 16];
    hex::encode(&ctx.trace_id, &mut trace_id);
    hex::encode(&ctx.parent_id, &mut span_id);
    put("x-b3-traceid", &trace_id);
    put("x-b3-spanid", &span_id);
    if let Some(id) = upstream_parent.and_then(non_zero) {
        hex::encode(&id, &mut span_id);
        put("x-b3-parentspanid", &span_id);
    }
    if sampled && ctx.flags & DEBUG != 0 {
        // The debug flag implies the decision; both together are not to be sent.
        put("x-b3-flags", b"1");
    } else {
        put("x-b3-sampled", if sampled { b"1" } else { b"0" });
    }
}
