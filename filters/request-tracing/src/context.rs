//! The position of a request in a trace, whatever format carried it.

use crate::tracestate::TraceState;

/// The caller may have recorded the trace (W3C Trace Context Level 2, "Sampled flag").
pub const SAMPLED: u8 = 0b01;
/// The right 7 bytes of the trace id are random (W3C Trace Context Level 2, "Random Trace ID Flag").
pub const RANDOM: u8 = 0b10;
/// B3's debug flag. It stays inside the process and in B3 headers: `traceparent` has no such bit.
pub const DEBUG: u8 = 0b1000_0000;

/// A trace id with the id of the span that is the parent of what comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Never all zero. A 64-bit id of B3 or Datadog stands in the right 8 bytes.
    pub trace_id: [u8; 16],
    /// The caller's span. All zero only where X-Ray or Datadog named a trace and no span.
    pub parent_id: [u8; 8],
    /// [`SAMPLED`], [`RANDOM`] and [`DEBUG`]; no other bit.
    pub flags: u8,
    /// Empty for every format but W3C.
    pub tracestate: TraceState,
}

/// `None` if every byte is zero, which no format allows as an id.
pub(crate) fn non_zero<const N: usize>(id: [u8; N]) -> Option<[u8; N]> {
    id.iter().any(|byte| *byte != 0).then_some(id)
}

/// A 64-bit trace id in the right half of a 128-bit one.
#[inline]
pub(crate) fn left_padded(id: [u8; 8]) -> [u8; 16] {
    u128::from(u64::from_be_bytes(id)).to_be_bytes()
}

/// Without the optional whitespace around a field value (RFC 9110 §5.6.3).
#[inline]
pub(crate) fn trim_ows(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
