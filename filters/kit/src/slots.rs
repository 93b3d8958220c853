//! Numbered slots in shared data, each of one VM: what others are to know of it after its end.
//!
//! An owner writes its state there, and shows now and then that it lives ([`Slot::renew`]). Whoever watches ([`Watch`]) takes
//! a slot over once it saw no write to it for [`SILENCE`]. That time is told by the watcher's own looks: the wall clock may
//! step, and goes on while the whole proxy is stopped.

use crate::exchange::{NotWritten, Randomness, SharedData, Version};

/// After so many nanoseconds without a write an owner is taken for gone.
const SILENCE: u64 = 10 * SECOND;
/// So often a slot is to hear of its owner, and so often it is looked at.
pub const SECOND: u64 = 1_000_000_000;
/// An owner that wrote nothing for longer asks whether its slot still is its own; at work it writes each second.
const DOUBT: u64 = 3 * SECOND;
/// One look counts for so much time at most, however long ago the last one was.
const STEP: u64 = SECOND + SECOND / 2;
/// More owners than a proxy has workers, reloads counted in.
const MAX: u32 = 256;
/// The owner's mark, and its sign of life.
const HEAD: usize = 16;
/// The sign in a slot that its owner left: it may be taken at once.
const LEFT: u64 = 0;

/// Whether an owner that wrote last at `kept_at` must ask whether its slot still is its own ([`Slot::renew`]) before it goes on.
/// The wall clock alone tells of its silence: a step back by about as much, within three seconds, hides it.
#[inline]
pub fn is_in_doubt(kept_at: u64, now: u64) -> bool {
    now.checked_sub(kept_at).is_none_or(|time| time > DOUBT)
}

/// What slots ask of a host. Behind a pointer: all but the writing of a record's state is compiled once.
pub trait Host: SharedData + Randomness {}

impl<T: SharedData + Randomness> Host for T {}

/// A slot of which this VM is the owner.
#[derive(Debug)]
pub struct Slot {
    key: Vec<u8>,
    pub number: u32,
    owner: u64,
    value: Vec<u8>,
}

/// Takes the first slot of that name that was left or that nobody has; with it the state in which it was left, empty where
/// there is none. `None` where the host shares no data.
#[inline(never)]
pub fn take(name: &[u8], now: u64, host: &dyn Host) -> Option<(Slot, Vec<u8>)> {
    for number in 0..MAX {
        let mut slot = Slot::of(name, number, host);
        match host.shared(&slot.key).ok()? {
            None => {
                slot.fill(now, &[]);
                if slot.create(host) {
                    return Some((slot, Vec::new()));
                }
                // Another worker was faster, or the host takes nothing: then there is no slot.
                host.shared(&slot.key).ok()?.as_ref()?;
            }
            Some((value, version)) => {
                let (_, sign, state) = parts(&value);
                if sign == LEFT && slot.seize(now, state, version, host) {
                    return Some((slot, state.to_vec()));
                }
            }
        }
    }
    None
}

/// Owner, sign of life, and state.
fn parts(value: &[u8]) -> (u64, u64, &[u8]) {
    let number = |at: usize| {
        let bytes = value
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    (number(0), number(8), value.get(HEAD..).unwrap_or_default())
}

impl Slot {
    fn of(name: &[u8], number: u32, host: &dyn Host) -> Self {
        let mut owner = [0; 8];
        host.fill(&mut owner);
        Self {
            key: key(name, number),
            number,
            owner: u64::from_le_bytes(owner),
            value: Vec::new(),
        }
    }

    #[inline]
    fn fill(&mut self, sign: u64, state: &[&[u8]]) {
        self.value.clear();
        self.value.extend_from_slice(&self.owner.to_le_bytes());
        self.value.extend_from_slice(&sign.to_le_bytes());
        for part in state {
            self.value.extend_from_slice(part);
        }
    }

    fn create(&self, host: &dyn Host) -> bool {
        [Version::ABSENT, Version::STRICTLY_ABSENT]
            .into_iter()
            .any(|version| {
                // Where the first dialect's answer is "changed", the key may be there, and the second would overwrite it.
                let is_free = matches!(host.shared(&self.key), Ok(None));
                is_free && host.share(&self.key, &self.value, version).is_ok()
            })
    }

    /// Takes it over from another owner, whose state stays; false if that one, or a third, wrote meanwhile.
    fn seize(&mut self, now: u64, state: &[u8], version: Version, host: &dyn Host) -> bool {
        self.fill(now.max(1), &[state]);
        host.share(&self.key, &self.value, version).is_ok()
    }

    /// Writes the state, whatever stands there: ask [`Slot::renew`] after a silence. A host that does not take it costs what the
    /// slot is for, and nothing else.
    #[inline]
    pub fn write<H: SharedData + ?Sized>(&mut self, now: u64, state: &[&[u8]], host: &H) {
        self.store(now.max(1), state, host);
    }

    /// Writes the state as the owner's last word.
    #[inline(never)]
    pub fn leave(&mut self, state: &[&[u8]], host: &dyn Host) {
        self.store(LEFT, state, host);
    }

    #[inline]
    fn store<H: SharedData + ?Sized>(&mut self, sign: u64, state: &[&[u8]], host: &H) {
        self.fill(sign, state);
        // Envoy takes 0 for "whatever stands there".
        let written = host.share(&self.key, &self.value, Version(0));
        if written == Err(NotWritten::Changed)
            && let Ok(Some((_, version))) = host.shared(&self.key)
        {
            let _ = host.share(&self.key, &self.value, version);
        }
    }

    /// Writes the state if the slot still is ours; whether it is. Nobody can take it between the question and the answer.
    #[inline(never)]
    pub fn renew(&mut self, now: u64, state: &[&[u8]], host: &dyn Host) -> bool {
        match host.shared(&self.key) {
            Ok(Some((value, version))) if parts(&value).0 == self.owner => {
                self.fill(now.max(1), state);
                host.share(&self.key, &self.value, version) != Err(NotWritten::Changed)
            }
            Ok(_) => false,
            // Nobody else can take it either.
            Err(_) => true,
        }
    }
}

fn key(name: &[u8], number: u32) -> Vec<u8> {
    let mut key = b"portcullis.slot ".to_vec();
    key.extend_from_slice(&number.to_le_bytes());
    key.extend_from_slice(name);
    key
}

/// What one VM saw of all slots of a name.
#[derive(Debug, Default)]
pub struct Watch {
    looked_at: Option<u64>,
    seen: Vec<Seen>,
}

#[derive(Debug)]
struct Seen {
    number: u32,
    version: Version,
    silent: u64,
}

impl Watch {
    /// Looks at all slots, once a second however often it is called, and takes over those whose owners are gone: each with
    /// its state.
    #[inline(never)]
    pub fn look(&mut self, name: &[u8], now: u64, host: &dyn Host) -> Vec<(Slot, Vec<u8>)> {
        let step = self.looked_at.map(|at| now.saturating_sub(at));
        // A clock that was set back starts anew.
        let is_back = self.looked_at.is_some_and(|at| now < at);
        if !is_back && step.is_some_and(|step| step < SECOND) {
            return Vec::new();
        }
        self.looked_at = Some(now);
        self.take_silent(name, step.unwrap_or(0).min(STEP), now, host)
    }

    fn take_silent(
        &mut self,
        name: &[u8],
        step: u64,
        now: u64,
        host: &dyn Host,
    ) -> Vec<(Slot, Vec<u8>)> {
        let before = std::mem::take(&mut self.seen);
        let mut taken = Vec::new();
        for number in 0..MAX {
            let Ok(Some((value, version))) = host.shared(&key(name, number)) else {
                break;
            };
            let (_, sign, state) = parts(&value);
            if sign == LEFT {
                continue;
            }
            let is_same = |seen: &&Seen| seen.number == number && seen.version == version;
            let silent = before.iter().find(is_same).map_or(0, |s| s.silent + step);
            if silent > SILENCE {
                let mut slot = Slot::of(name, number, host);
                if slot.seize(now, state, version, host) {
                    taken.push((slot, state.to_vec()));
                }
            } else {
                self.seen.push(Seen {
                    number,
                    version,
                    silent,
                });
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Clock as _;
    use crate::testing::{Dialect, FakeWorker, Names, Shared};

    const NAME: &[u8] = b"test";

    fn host() -> FakeWorker {
        FakeWorker::new(&Names::default())
    }

    fn taken(host: &FakeWorker) -> (Slot, Vec<u8>) {
        take(NAME, host.now(), host).unwrap()
    }

    fn write(slot: &mut Slot, text: &[u8], host: &FakeWorker) {
        slot.write(host.now(), &[text], host);
    }

    fn renew(slot: &mut Slot, text: &[u8], host: &FakeWorker) -> bool {
        slot.renew(host.now(), &[text], host)
    }

    /// Looks so many times, a second apart; what was taken.
    fn looks(watch: &mut Watch, times: u32, host: &FakeWorker) -> Vec<(u32, Vec<u8>)> {
        let mut all = Vec::new();
        for _ in 0..times {
            host.pass_ms(1000);
            let taken = watch.look(NAME, host.now(), host).into_iter();
            all.extend(taken.map(|(slot, state)| (slot.number, state)));
        }
        all
    }

    #[test]
    fn a_slot_is_one_owners_until_it_is_left_and_then_the_nexts_with_its_state() {
        for dialect in [Dialect::Envoy, Dialect::Strict] {
            let mut host = host();
            host.shared = Shared::of(dialect);
            let (mut first, state) = taken(&host);
            assert_eq!((first.number, state.len()), (0, 0));
            write(&mut first, b"one", &host);
            host.pass_ms(100_000);
            let (second, _) = taken(&host);
            assert_eq!(second.number, 1, "no time alone makes a slot free");
            first.leave(&[b"last"], &host);
            let (third, state) = taken(&host);
            assert_eq!((third.number, state.as_slice()), (0, &b"last"[..]));
            assert!(!renew(&mut first, b"again", &host));
            assert_eq!(host.shared.keys(), 2);
        }
    }

    #[test]
    fn who_writes_nothing_for_ten_of_a_watchers_seconds_is_gone_and_one_watcher_takes_its_slot() {
        let host = host();
        let (mut silent, mut lively) = (taken(&host).0, taken(&host).0);
        write(&mut silent, b"held", &host);
        let (mut watch, mut other) = (Watch::default(), Watch::default());
        let mut all = Vec::new();
        for _ in 0..40 {
            assert!(renew(&mut lively, b"", &host));
            all.extend(looks(&mut watch, 1, &host));
            let later = other.look(NAME, host.now(), &host);
            assert!(
                later.is_empty(),
                "a watcher that comes later finds it taken"
            );
            if all.len() == 1 {
                break;
            }
        }
        assert_eq!(all, [(0, b"held".to_vec())]);
        assert!(
            !renew(&mut silent, b"", &host),
            "who was silent learns of it"
        );
        assert!(renew(&mut lively, b"", &host));
    }

    #[test]
    fn neither_a_step_of_the_clock_nor_a_stop_of_the_whole_proxy_makes_a_slot_silent() {
        let host = host();
        let (mut slot, _) = taken(&host);
        let mut watch = Watch::default();
        for step_ms in [3_600_000, 60_000, 11_000, 3_600_000] {
            // Everybody slept, and the watcher wakes up first.
            host.pass_ms(step_ms);
            assert_eq!(looks(&mut watch, 2, &host), []);
            host.now.set(host.now() - 20 * SECOND);
            assert_eq!(looks(&mut watch, 1, &host), []);
            assert!(renew(&mut slot, b"", &host));
        }
    }

    #[test]
    fn looks_between_two_seconds_count_nothing() {
        let host = host();
        let _slot = taken(&host);
        let mut watch = Watch::default();
        for _ in 0..1000 {
            host.pass_ms(9);
            assert!(watch.look(NAME, host.now(), &host).is_empty());
        }
        assert_eq!(looks(&mut watch, 4, &host).len(), 1);
    }

    #[test]
    fn without_shared_data_there_are_no_slots_and_an_owner_stays_one() {
        let host = host();
        let (mut slot, _) = taken(&host);
        host.shared.set_broken(true);
        assert!(take(NAME, host.now(), &host).is_none());
        assert!(renew(&mut slot, b"", &host));
        assert_eq!(looks(&mut Watch::default(), 20, &host), []);
    }
}
