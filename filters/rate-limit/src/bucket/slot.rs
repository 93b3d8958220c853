//! A slot of a bucket: one identity's counters, and what tells whether it stays where others need the place.

use super::Entry;
use crate::counter::AHEAD_MS;
use crate::varint;

/// The length, the fingerprint and the visits of a slot.
const HEAD: usize = 11;
/// Marks beside a slot's lifetime: which times follow.
const FULL: u64 = 1;
const HELD: u64 = 2;
const HOUR_S: u64 = 3_600;

/// One identity's counters as they stand in the value, read no further than needed: most slots are passed over.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'a> {
    /// All of it, with its length.
    pub bytes: &'a [u8],
    pub fingerprint: u64,
    pub visits: u8,
}

/// The rest of a slot. Times are in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content<'a> {
    /// When the last of the counters lapses.
    pub expires: u64,
    pub full_until: u64,
    pub held_until: u64,
    /// Whether a clock that was too far ahead wrote it.
    is_ahead: bool,
    pub counters: &'a [u8],
}

impl Content<'_> {
    /// Whether it is in nobody's way. (Of an identity's own slot each counter decides that for itself.)
    #[inline]
    pub fn has_lapsed(&self, now_s: u64) -> bool {
        self.is_ahead || self.expires <= now_s
    }

    /// Whether it is at a limit.
    #[inline]
    pub fn is_full(&self, now_s: u64) -> bool {
        self.full_until.max(self.held_until) > now_s
    }
}

impl<'a> Slot<'a> {
    #[inline]
    pub fn take(rest: &mut &'a [u8]) -> Option<Self> {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let size = usize::from(u16::from_le_bytes(*length)).checked_add(2)?;
        let (fingerprint, after) = after.split_first_chunk::<8>()?;
        let (visits, _) = after.split_first()?;
        let (bytes, next) = rest.split_at_checked(size)?;
        // A length that ends within the head is none.
        bytes.get(HEAD..)?;
        *rest = next;
        Some(Self {
            bytes,
            fingerprint: u64::from_le_bytes(*fingerprint),
            visits: *visits,
        })
    }

    /// What is not of this form has expired. Times that a clock wrote which was too far ahead then are brought back.
    #[inline]
    pub fn content(&self, now_s: u64) -> Content<'a> {
        let read = || {
            let mut counters = self.bytes.get(HEAD..)?;
            let expires = varint::take(&mut counters)?;
            let marks = varint::take(&mut counters)?;
            let (mut full_until, mut held_until) = (0, 0);
            // Nearly all are neither.
            if marks & (FULL | HELD) != 0 {
                if marks & FULL != 0 {
                    full_until = varint::take(&mut counters)?;
                }
                if marks & HELD != 0 {
                    held_until = varint::take(&mut counters)?;
                }
            }
            // Saturating would cost more, and what was written does not wrap.
            let lifetime = (marks >> 2).wrapping_mul(HOUR_S);
            let written = expires.saturating_sub(lifetime);
            if written > now_s.saturating_add(AHEAD_MS / 1_000) {
                return Some(Content {
                    expires: now_s.saturating_add(lifetime),
                    is_ahead: true,
                    counters,
                    ..Content::default()
                });
            }
            Some(Content {
                expires,
                full_until,
                held_until,
                is_ahead: false,
                counters,
            })
        };
        read().unwrap_or_default()
    }
}

/// Appends a slot.
#[inline]
pub fn put(value: &mut Vec<u8>, entry: &Entry<'_>, visits: u8, now_s: u64) {
    let begin = value.len();
    value.extend_from_slice(&[0; 2]);
    value.extend_from_slice(&entry.fingerprint.to_le_bytes());
    value.push(visits);
    varint::put(value, entry.expires);
    // Rounded up, so that it was written no earlier than it seems: nothing is brought back before its time.
    let hours = entry.expires.saturating_sub(now_s) / HOUR_S + 1;
    let (full, held) = (entry.full_until > now_s, entry.held_until > now_s);
    varint::put(
        value,
        hours * 4 + u64::from(full) * FULL + u64::from(held) * HELD,
    );
    if full {
        varint::put(value, entry.full_until);
    }
    if held {
        varint::put(value, entry.held_until);
    }
    value.extend_from_slice(entry.counters);
    match (
        u16::try_from(value.len() - begin - 2),
        value.get_mut(begin..begin + 2),
    ) {
        (Ok(length), Some(place)) => place.copy_from_slice(&length.to_le_bytes()),
        // The settings refuse limits that could fill a slot. A false length would take those after it along.
        _ => value.truncate(begin),
    }
}
