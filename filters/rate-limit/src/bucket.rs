//! A bucket of the table: the counters of a few identities in one shared value.
//!
//! ```text
//! bucket:  version (1 byte), serial number of the write (u32), slots, those that come most first
//! slot:    length of the rest (u16), fingerprint (u64), visits (1 byte), expires (varint), hours from the write to then (varint,
//!          four times as many, 1 more if it is full and 2 more if it is held), full until (varint, if it is), held until
//!          (varint, if it is), counters
//! counter: tag (u16), length (varint, twice it), when it lapses (varint, if the length is odd), state
//! ```
//!
//! Who wrote a counter knows when it lapses; who does not know the limit keeps it until the time that stands there. From the
//! hours follows when a slot was written: by a clock that was wrong, if that is far ahead of the present.
//!
//! Zeros fill a value up to one of a few sizes: hosts allocate a value anew with each write, and an allocator keeps what it once
//! used for each of its size classes. Full buckets that lie now in one class and now in the next cost the sum of both.
//!
//! Fixed numbers are little-endian; times are seconds since [`crate::counter::EPOCH_MS`]. A counter is known by its
//! tag, so limits may come and go while others keep their counts.

mod slot;

use std::cmp::Reverse;

use crate::varint;
use slot::{Content, Slot};

/// How many identities share a value.
pub const SLOTS: usize = 16;
/// Where a newcomer enters: in the middle, so that a flood of identities seen once displaces others of its kind and not
/// those that come again.
const NEWCOMER: usize = SLOTS / 2;
/// The form of what is stored.
pub const VERSION: u8 = 3;
/// The version and the serial number.
const BUCKET_HEAD: usize = 5;
/// What the counters of one identity may take: the length of a slot has two bytes.
pub const MAX_COUNTERS: usize = 65_472;
/// The sizes of values, and the step between larger ones: size classes of allocators, less the byte that ends a string. Wide
/// apart, so that buckets with as many clients are of one size.
const SIZES: [usize; 10] = [143, 287, 447, 639, 895, 1023, 1279, 1791, 2559, 3583];
const STEP: usize = 1024;

/// The size that a value is filled up to.
#[inline]
fn filled(length: usize) -> usize {
    let small = SIZES.into_iter().find(|size| length <= *size);
    small.unwrap_or_else(|| (length + 1).next_multiple_of(STEP) - 1)
}

/// The same where there was a value: it does not go back by one size, or it would go to and fro.
#[inline]
fn refilled(length: usize, before: usize) -> usize {
    let size = filled(length);
    if size < before && filled(size + 1) >= before {
        return before;
    }
    size
}

/// The counters stored for one identity, by tag.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stored<'a>(&'a [u8]);

impl<'a> Stored<'a> {
    /// How many bytes they take.
    #[inline]
    pub fn len(self) -> usize {
        self.0.len()
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Every counter; ends where the bytes are not of that form.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = Kept<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (tag, mut after) = rest.split_first_chunk::<2>()?;
            let length = varint::take(&mut after)?;
            let lapses = match length & 1 {
                0 => None,
                _ => Some(varint::take(&mut after)?),
            };
            let (state, next) = after.split_at_checked(usize::try_from(length / 2).ok()?)?;
            rest = next;
            Some(Kept {
                tag: u16::from_le_bytes(*tag),
                lapses,
                state,
            })
        })
    }

    #[inline]
    pub fn get(self, tag: u16) -> Option<&'a [u8]> {
        self.iter()
            .find_map(|kept| (kept.tag == tag).then_some(kept.state))
    }
}

/// One counter as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    pub tag: u16,
    /// When it lapses (s), if whoever wrote it last did not know its limit: else the slot tells for all.
    pub lapses: Option<u64>,
    pub state: &'a [u8],
}

impl Kept<'_> {
    /// Appends it as it stands.
    #[inline(never)]
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tag.to_le_bytes());
        let length = self.state.len() as u64 * 2;
        match self.lapses {
            None => varint::put(out, length),
            Some(lapses) => {
                varint::put(out, length + 1);
                varint::put(out, lapses);
            }
        }
        out.extend_from_slice(self.state);
    }
}

/// Appends one counter, whose state `write` appends.
#[inline]
pub fn put_counter(out: &mut Vec<u8>, tag: u16, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&tag.to_le_bytes());
    let begin = out.len();
    out.push(0);
    write(out);
    let length = out.len() - begin - 1;
    match (u8::try_from(length), out.get_mut(begin)) {
        // Nearly all: the length takes the one byte that was kept for it.
        (Ok(short @ ..0x40), Some(place)) => *place = short * 2,
        _ => {
            let mut long = Vec::with_capacity(10);
            varint::put(&mut long, length as u64 * 2);
            out.splice(begin..=begin, long);
        }
    }
}

/// A value, read.
pub struct Bucket<'a> {
    serial: u32,
    slots: Slots<'a>,
    len: usize,
    own: Option<Own<'a>>,
    now_s: u64,
}

/// The identity's own slot.
struct Own<'a> {
    at: usize,
    visits: u8,
    content: Content<'a>,
}

/// The slots of a value, one after the other. Walked again where they are needed again: a list of them would cost more
/// than the walk.
#[derive(Clone, Copy, Debug)]
struct Slots<'a>(&'a [u8]);

impl<'a> Iterator for Slots<'a> {
    type Item = Slot<'a>;

    #[inline]
    fn next(&mut self) -> Option<Slot<'a>> {
        Slot::take(&mut self.0)
    }
}

/// What is to stand in an identity's slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry<'a> {
    pub fingerprint: u64,
    pub counters: &'a [u8],
    /// When the last of the counters lapses (s).
    pub expires: u64,
    /// Until when the identity is at a limit (s).
    pub full_until: u64,
    /// Until when it holds all that it may hold at the same time, if it gives nothing back (s).
    pub held_until: u64,
    /// Whether the identity came and was admitted: else it was refused, or gave something back.
    pub visit: bool,
}

/// What a write did to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Displaced {
    /// An identity that was still counted had to go.
    pub evicted: bool,
    /// It was at its limit, and all others either were or came more often.
    pub full: bool,
}

impl<'a> Bucket<'a> {
    /// Reads a value at this time. What is not of this version or not of this form counts as empty.
    #[inline]
    pub fn read(value: &'a [u8], fingerprint: u64, now_s: u64) -> Self {
        let (serial, slots) = match value.split_first_chunk::<BUCKET_HEAD>() {
            Some((&[VERSION, a, b, c, d], rest)) => (u32::from_le_bytes([a, b, c, d]), rest),
            _ => (0, &[][..]),
        };
        let slots = Slots(slots);
        let (mut len, mut own) = (0, None);
        for slot in slots {
            if slot.fingerprint == fingerprint && own.is_none() {
                own = Some(Own {
                    at: len,
                    visits: slot.visits,
                    content: slot.content(now_s),
                });
            }
            len += 1;
        }
        Self {
            serial,
            slots,
            len,
            own,
            now_s,
        }
    }

    /// The serial number of the next write: no two of a bucket's writes have the same, but for four billion between.
    #[inline]
    pub fn serial(&self) -> u32 {
        self.serial.wrapping_add(1)
    }

    /// The identity's counters; none if it is not here or they all have lapsed.
    #[inline]
    pub fn stored(&self) -> Stored<'a> {
        match &self.own {
            Some(own) if own.content.expires > self.now_s => Stored(own.content.counters),
            _ => Stored::default(),
        }
    }

    /// When the last of the identity's counters lapses.
    #[inline]
    pub fn expires(&self) -> u64 {
        self.own.as_ref().map_or(0, |own| own.content.expires)
    }

    /// Until when the identity was at its limit when it was last written.
    #[inline]
    pub fn full_until(&self) -> u64 {
        self.own.as_ref().map_or(0, |own| own.content.full_until)
    }

    /// Until when the identity held all that it may, as it was last written.
    #[inline]
    pub fn held_until(&self) -> u64 {
        self.own.as_ref().map_or(0, |own| own.content.held_until)
    }

    /// Where a slot goes that is visited: before all that were not visited more often. Who comes twice must not push back who
    /// comes every day; who comes no more has lapsed one day, and then is in nobody's way.
    #[inline]
    fn rises_to(&self, at: usize, visits: u8) -> usize {
        let before = self.slots.enumerate().take(at);
        let above = before.filter(|(_, slot)| slot.visits > visits);
        let above = above.filter(|(_, slot)| !slot.content(self.now_s).has_lapsed(self.now_s));
        above.last().map_or(0, |(above, _)| above + 1)
    }

    /// Who goes for a newcomer: one that has lapsed; else in the lower half, where newcomers enter, the last one that is not at
    /// its limit; else who came least often, of those as often one that is not at its limit, and then the last one. To be at
    /// a limit takes few requests where the limit is low: it does not outweigh that another came more often.
    #[inline]
    fn leaves(&self) -> Option<(usize, Displaced)> {
        let ranked = self.slots.enumerate().map(|(at, slot)| {
            let content = slot.content(self.now_s);
            let full = content.is_full(self.now_s);
            let rank = match at {
                _ if content.has_lapsed(self.now_s) => (0, 0, false),
                NEWCOMER.. if !full => (1, 0, false),
                _ => (2, slot.visits, full),
            };
            (rank, Reverse(at))
        });
        let ((kind, _, full), Reverse(at)) = ranked.min()?;
        let evicted = kind > 0;
        Some((at, Displaced { evicted, full }))
    }

    /// The value with the identity's slot replaced, which takes another one's place where there is none left.
    #[inline]
    pub fn write(&self, entry: &Entry<'_>) -> (Vec<u8>, Displaced) {
        let (leaves, displaced) = match &self.own {
            Some(own) => (Some(own.at), Displaced::default()),
            None if self.len < SLOTS => (None, Displaced::default()),
            None => match self.leaves() {
                Some((at, displaced)) => (Some(at), displaced),
                None => (None, Displaced::default()),
            },
        };
        let others = self
            .slots
            .enumerate()
            .filter(|(at, _)| Some(*at) != leaves)
            .map(|(_, slot)| slot.bytes);
        let (enters, visits) = match &self.own {
            None => (NEWCOMER, u8::from(entry.visit)),
            Some(own) if !entry.visit => (own.at, own.visits),
            Some(own) => {
                let visits = own.visits.saturating_add(1);
                (self.rises_to(own.at, visits), visits)
            }
        };

        let mut value = Vec::with_capacity(filled(self.slots.0.len() + entry.counters.len() + 48));
        value.push(VERSION);
        value.extend_from_slice(&self.serial().to_le_bytes());
        let mut entered = false;
        for (at, bytes) in others.enumerate() {
            if at == enters {
                slot::put(&mut value, entry, visits, self.now_s);
                entered = true;
            }
            value.extend_from_slice(bytes);
        }
        if !entered {
            slot::put(&mut value, entry, visits, self.now_s);
        }
        value.resize(refilled(value.len(), self.slots.0.len() + BUCKET_HEAD), 0);
        (value, displaced)
    }
}
