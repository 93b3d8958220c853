//! The `traceparent` field (W3C Trace Context Level 2, "Traceparent Header").

use crate::context::{RANDOM, SAMPLED, non_zero, trim_ows};
use crate::hex;

/// Length of a version 00 value: `00-{32}-{16}-{2}`.
pub const LEN: usize = 55;

/// Why a trace starts anew instead of being continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// No `traceparent` line.
    Absent,
    /// More than one line, so the sender cannot be told.
    Duplicate,
    /// Not of the form the version asks for.
    Malformed,
    /// Version `ff`, which is forbidden.
    VersionFf,
    ZeroTraceId,
    ZeroParentId,
}

impl Restart {
    /// The name metrics and logs use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Duplicate => "duplicate",
            Self::Malformed => "malformed",
            Self::VersionFf => "version_ff",
            Self::ZeroTraceId => "zero_trace_id",
            Self::ZeroParentId => "zero_parent_id",
        }
    }
}

/// The trace id, the parent id, and the flags this level knows; every other flag reads as zero.
pub type Fields = ([u8; 16], [u8; 8], u8);

/// Reads all `traceparent` lines of a message. Optional whitespace around the value is legal. A version above 00 is
/// read by its first 55 characters, which must be all or be followed by `-`.
pub fn parse<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Result<Fields, Restart> {
    let line = lines.next().ok_or(Restart::Absent)?;
    if lines.next().is_some() {
        return Err(Restart::Duplicate);
    }
    let value = trim_ows(line);
    let version = version(value).ok_or(Restart::Malformed)?;
    if version == u8::MAX {
        return Err(Restart::VersionFf);
    }
    let (first, rest) = value.split_first_chunk::<LEN>().ok_or(Restart::Malformed)?;
    let more_allowed = version > 0 && rest.starts_with(b"-");
    if !rest.is_empty() && !more_allowed {
        return Err(Restart::Malformed);
    }
    let (trace_id, parent_id, flags) = fields(first).ok_or(Restart::Malformed)?;
    Ok((
        non_zero(trace_id).ok_or(Restart::ZeroTraceId)?,
        non_zero(parent_id).ok_or(Restart::ZeroParentId)?,
        flags & (SAMPLED | RANDOM),
    ))
}

#[inline]
fn version(value: &[u8]) -> Option<u8> {
    let [version] = hex::decode(value.get(..2)?)?;
    (value.get(2) == Some(&b'-')).then_some(version)
}

#[inline]
fn fields(value: &[u8; LEN]) -> Option<Fields> {
    let trace_id = hex::decode(value.get(3..35)?)?;
    let parent_id = hex::decode(value.get(36..52)?)?;
    let [flags] = hex::decode(value.get(53..)?)?;
    let dashes = value.get(35) == Some(&b'-') && value.get(52) == Some(&b'-');
    dashes.then_some((trace_id, parent_id, flags))
}

/// The version 00 value; flags other than sampled and random are written as zero.
#[inline]
pub fn write(trace_id: &[u8; 16], parent_id: &[u8; 8], flags: u8) -> [u8; LEN] {
    let mut out = [b'-'; LEN];
    let parts: [(usize, &[u8]); 4] = [
        (0, &[0]),
        (3, trace_id),
        (36, parent_id),
        (53, &[flags & (SAMPLED | RANDOM)]),
    ];
    for (at, bytes) in parts {
        if let Some(field) = out.get_mut(at..at + 2 * bytes.len()) {
            hex::encode(bytes, field);
        }
    }
    out
}
