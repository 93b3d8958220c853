//! A bucket of the table: the counters of a few identities in one shared value.
//!
//! ```text
//! bucket:  version (1 byte), slots, most recently used first
//! slot:    length of the rest (u16), fingerprint (u64), expires (varint), full until (varint), counters
//! counter: tag (u16), length (varint), state
//! ```
//!
//! Zeros fill a value up to one of a few sizes: hosts allocate a value anew with each write, and an allocator keeps what it once
//! used for each of its size classes. Full buckets that lie now in one class and now in the next cost the sum of both.
//!
//! Fixed numbers are little-endian; times are seconds since [`crate::counter::EPOCH_MS`]. A counter is known by its
//! tag, so limits may come and go while others keep their counts.

use crate::varint;

/// How many identities share a value.
pub const SLOTS: usize = 16;
/// Where a newcomer enters: in the middle, so that a flood of identities seen once displaces others of its kind and not
/// those that come again.
const NEWCOMER: usize = SLOTS / 2;
const VERSION: u8 = 1;
/// The length and the fingerprint of a slot.
const HEAD: usize = 10;
/// The sizes of values, and the step between larger ones: size classes of allocators, less the byte that ends a string. Wide
/// apart, so that buckets with as many clients are of one size.
const SIZES: [usize; 9] = [143, 287, 447, 639, 895, 1279, 1791, 2559, 3583];
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

/// One identity's counters as they stand in the value, read no further than needed: most slots are passed over.
#[derive(Clone, Copy, Debug)]
struct Slot<'a> {
    /// All of it, with its length.
    bytes: &'a [u8],
    fingerprint: u64,
}

/// The rest of a slot.
#[derive(Clone, Copy, Debug, Default)]
struct Content<'a> {
    expires: u64,
    full_until: u64,
    counters: &'a [u8],
}

impl<'a> Slot<'a> {
    #[inline]
    fn take(rest: &mut &'a [u8]) -> Option<Self> {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let size = usize::from(u16::from_le_bytes(*length)).checked_add(2)?;
        let (fingerprint, _) = after.split_first_chunk::<8>()?;
        let (bytes, next) = rest.split_at_checked(size)?;
        // A length that ends within the fingerprint is none.
        bytes.get(HEAD..)?;
        *rest = next;
        Some(Self {
            bytes,
            fingerprint: u64::from_le_bytes(*fingerprint),
        })
    }

    /// What is not of this form has expired.
    #[inline]
    fn content(&self) -> Content<'a> {
        let read = || {
            let mut counters = self.bytes.get(HEAD..)?;
            Some(Content {
                expires: varint::take(&mut counters)?,
                full_until: varint::take(&mut counters)?,
                counters,
            })
        };
        read().unwrap_or_default()
    }
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

    /// Every counter as tag and state; ends where the bytes are not of that form.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (tag, mut after) = rest.split_first_chunk::<2>()?;
            let length = usize::try_from(varint::take(&mut after)?).ok()?;
            let (state, next) = after.split_at_checked(length)?;
            rest = next;
            Some((u16::from_le_bytes(*tag), state))
        })
    }

    #[inline]
    pub fn get(self, tag: u16) -> Option<&'a [u8]> {
        self.iter()
            .find_map(|(found, state)| (found == tag).then_some(state))
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
        (Ok(short @ ..0x80), Some(place)) => *place = short,
        _ => {
            let mut long = Vec::with_capacity(10);
            varint::put(&mut long, length as u64);
            out.splice(begin..=begin, long);
        }
    }
}

/// A value, read.
pub struct Bucket<'a> {
    slots: Slots<'a>,
    len: usize,
    own: Option<(usize, Slot<'a>)>,
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

/// What a write did to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Displaced {
    /// An identity that was still counted had to go.
    pub evicted: bool,
    /// It was at its limit, as were all others.
    pub full: bool,
}

impl<'a> Bucket<'a> {
    /// Reads a value. What is not of this version or not of this form counts as empty.
    #[inline]
    pub fn read(value: &'a [u8], fingerprint: u64) -> Self {
        let slots = Slots(match value.split_first() {
            Some((&VERSION, rest)) => rest,
            _ => &[],
        });
        let (mut len, mut own) = (0, None);
        for slot in slots {
            if slot.fingerprint == fingerprint && own.is_none() {
                own = Some((len, slot));
            }
            len += 1;
        }
        Self { slots, len, own }
    }

    #[inline]
    fn own(&self) -> Option<Content<'a>> {
        self.own.map(|(_, slot)| slot.content())
    }

    /// The identity's counters; none if it is not here or they all have lapsed.
    #[inline]
    pub fn stored(&self, now_s: u64) -> Stored<'a> {
        self.own()
            .filter(|own| own.expires > now_s)
            .map_or_else(Stored::default, |own| Stored(own.counters))
    }

    /// When the last of the identity's counters lapses.
    #[inline]
    pub fn expires(&self) -> u64 {
        self.own().map_or(0, |own| own.expires)
    }

    /// Until when the identity was at its limit when it was last written.
    #[inline]
    pub fn full_until(&self) -> u64 {
        self.own().map_or(0, |own| own.full_until)
    }

    /// The value with the identity's counters replaced; who has to go for a newcomer: one that has expired, else the
    /// one not used for longest that is not at its limit, else the one not used for longest.
    #[inline]
    pub fn write(
        &self,
        fingerprint: u64,
        counters: &[u8],
        expires: u64,
        full_until: u64,
        now_s: u64,
    ) -> (Vec<u8>, Displaced) {
        let mut displaced = Displaced::default();
        let mut leaves = self.own.map(|(at, _)| at);
        if leaves.is_none() && self.len >= SLOTS {
            let last = |wanted: &dyn Fn(&Content<'_>) -> bool| {
                let slots = self.slots.enumerate();
                let wanted = slots.filter(|(_, slot)| wanted(&slot.content()));
                wanted.last().map(|(at, _)| at)
            };
            leaves = last(&|slot| slot.expires <= now_s);
            if leaves.is_none() {
                displaced.evicted = true;
                leaves = last(&|slot| slot.full_until <= now_s);
            }
            if leaves.is_none() {
                displaced.full = true;
                leaves = self.len.checked_sub(1);
            }
        }
        let others = self
            .slots
            .enumerate()
            .filter(|(at, _)| Some(*at) != leaves)
            .map(|(_, slot)| slot.bytes);
        let enters = if self.own.is_some() { 0 } else { NEWCOMER };

        let mut value = Vec::with_capacity(filled(self.slots.0.len() + counters.len() + 40));
        value.push(VERSION);
        let mut entered = false;
        for (at, bytes) in others.enumerate() {
            if at == enters {
                put_slot(&mut value, fingerprint, counters, expires, full_until);
                entered = true;
            }
            value.extend_from_slice(bytes);
        }
        if !entered {
            put_slot(&mut value, fingerprint, counters, expires, full_until);
        }
        value.resize(refilled(value.len(), self.slots.0.len() + 1), 0);
        (value, displaced)
    }
}

#[inline]
fn put_slot(value: &mut Vec<u8>, fingerprint: u64, counters: &[u8], expires: u64, full_until: u64) {
    let begin = value.len();
    value.extend_from_slice(&[0; 2]);
    value.extend_from_slice(&fingerprint.to_le_bytes());
    varint::put(value, expires);
    varint::put(value, full_until);
    value.extend_from_slice(counters);
    let length = value.len() - begin - 2;
    // A slot larger than this cannot be: the settings refuse limits that could fill one.
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    if let Some(place) = value.get_mut(begin..begin + 2) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}
