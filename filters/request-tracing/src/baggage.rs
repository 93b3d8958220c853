//! The `baggage` field (W3C Baggage, "Baggage HTTP Header Format"): what may go on to the upstream.

use crate::context::trim_ows;

/// The most list members carried (W3C Baggage, "Limits").
pub const MAX_MEMBERS: usize = 64;
/// The longest field carried, in bytes, all lines joined by commas (W3C Baggage, "Limits").
pub const MAX_LEN: usize = 8192;

/// Which baggage goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// None.
    Drop,
    /// Only members with one of these keys, compared exactly.
    Allow(Vec<String>),
    /// All, within the limits.
    Pass,
}

/// What becomes of the `baggage` lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The lines stay as they are, or there are none.
    Unchanged,
    /// Every line goes.
    Remove,
    /// One line with this value takes their place.
    Replace(Vec<u8>),
}

/// Decides over all lines of a message. Kept members keep every byte, properties and percent-encoding included. A
/// member beyond a limit goes whole, and those after it that still fit stay.
pub fn filter<'a>(lines: impl Iterator<Item = &'a [u8]>, policy: &Policy) -> Decision {
    let mut kept: Vec<u8> = Vec::new();
    let mut count = 0_usize;
    let mut total = 0_usize;
    let mut present = false;
    let mut changed = false;
    for line in lines {
        total = total
            .saturating_add(line.len())
            .saturating_add(usize::from(present));
        present = true;
        if matches!(policy, Policy::Drop) {
            return Decision::Remove;
        }
        for member in line.split(|byte| *byte == b',') {
            let member = trim_ows(member);
            if member.is_empty() {
                continue;
            }
            let len = member.len() + usize::from(!kept.is_empty());
            let fits = count < MAX_MEMBERS && kept.len().saturating_add(len) <= MAX_LEN;
            if !fits || !allowed(member, policy) {
                changed = true;
                continue;
            }
            if !kept.is_empty() {
                kept.push(b',');
            }
            kept.extend_from_slice(member);
            count += 1;
        }
    }
    if !present {
        Decision::Unchanged
    } else if kept.is_empty() {
        Decision::Remove
    } else if changed || total > MAX_LEN {
        Decision::Replace(kept)
    } else {
        Decision::Unchanged
    }
}

#[inline]
fn allowed(member: &[u8], policy: &Policy) -> bool {
    match policy {
        Policy::Drop => false,
        Policy::Pass => true,
        Policy::Allow(keys) => {
            let key = key(member);
            keys.iter()
                .any(|allowed| key.is_some_and(|key| allowed.as_bytes() == key))
        }
    }
}

/// The part before `=`; a member without one has no key.
#[inline]
fn key(member: &[u8]) -> Option<&[u8]> {
    let end = member.iter().position(|byte| matches!(byte, b'=' | b';'))?;
    (member.get(end) == Some(&b'=')).then_some(trim_ows(member.get(..end)?))
}
