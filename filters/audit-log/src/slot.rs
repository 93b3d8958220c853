//! Where a chain stands in shared data, so that it goes on after its VM.
//!
//! Each emitter has a numbered slot. Its owner writes its chain's state and the time there with each record and each tick; a
//! slot whose owner was silent for [`SILENCE`] is an orphan, and whoever starts next may go on with its chain.

use audit_chain::{Chain, Succession};
use portcullis_kit::exchange::{NotWritten, Randomness, SharedData, Version};

/// After so many nanoseconds an owner that wrote nothing is taken for gone.
pub const SILENCE: u64 = 10_000_000_000;
/// More emitters than a proxy has workers, reloads counted in.
const MAX_SLOTS: u32 = 256;
/// The owner's mark, the time of its last word, and [`Held`].
const HEAD: usize = 40;
/// The time in a slot that its owner left in order: it may be taken at once.
const LEFT: u64 = 0;

/// What is lost with a VM that ends without notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Records that are sealed, and neither acknowledged nor given up.
    pub records: u64,
    /// What the gauges of the queue hold of it: records and bytes.
    pub shown: (u64, u64),
}

/// A slot of which this VM is the owner.
#[derive(Debug)]
pub struct Slot {
    key: Vec<u8>,
    pub number: u32,
    owner: u64,
    pub held: Held,
    value: Vec<u8>,
    chain: Vec<u8>,
}

/// What was found when a slot was taken.
pub enum Taken {
    /// Nobody had it.
    New(Slot),
    /// Its chain's state, as it was left, and what was lost.
    Orphan(Slot, Vec<u8>, Held),
}

/// Takes the first orphan, or else the first slot that nobody has. `None` where the host shares no data.
#[inline(never)]
pub fn take<H: SharedData + Randomness>(stream: &str, now: u64, host: &H) -> Option<Taken> {
    let mut number = 0;
    while number < MAX_SLOTS {
        let mut slot = Slot::of(key(stream, number), number, host);
        match host.shared(&slot.key).ok()? {
            None => {
                slot.fill(now, &[]);
                if slot.create(host) {
                    return Some(Taken::New(slot));
                }
                // Another worker was faster, or the host takes nothing: then there is no slot.
                host.shared(&slot.key).ok()?.as_ref()?;
            }
            Some((value, version)) => {
                let (_, time, held, state) = parts(&value);
                if now.saturating_sub(time) > SILENCE {
                    let state = state.to_vec();
                    slot.fill(now, &state);
                    if host.share(&slot.key, &slot.value, version).is_ok() {
                        return Some(match state.is_empty() {
                            true => Taken::New(slot),
                            false => Taken::Orphan(slot, state, held),
                        });
                    }
                }
            }
        }
        number += 1;
    }
    None
}

/// Takes an orphan whose chain was not ended, with that chain's state and what was lost. One that was is left to whoever starts next.
#[inline(never)]
pub fn take_orphan<H: SharedData + Randomness>(
    stream: &str,
    now: u64,
    host: &H,
) -> Option<(Slot, Vec<u8>, Held)> {
    for number in 0..MAX_SLOTS {
        let key = key(stream, number);
        let (value, version) = host.shared(&key).ok()??;
        let (_, time, held, state) = parts(&value);
        if state.is_empty() || time == LEFT || now.saturating_sub(time) <= SILENCE {
            continue;
        }
        let state = state.to_vec();
        let mut slot = Slot::of(key, number, host);
        slot.fill(now, &state);
        if host.share(&slot.key, &slot.value, version).is_ok() {
            return Some((slot, state, held));
        }
    }
    None
}

fn key(stream: &str, number: u32) -> Vec<u8> {
    let mut key = b"portcullis.audit ".to_vec();
    key.extend_from_slice(&number.to_le_bytes());
    key.extend_from_slice(stream.as_bytes());
    key
}

/// Owner, time, what it held, and the chain's state.
fn parts(value: &[u8]) -> (u64, u64, Held, &[u8]) {
    let number = |at: usize| {
        let bytes = value
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    let held = Held {
        records: number(16),
        shown: (number(24), number(32)),
    };
    let state = value.get(HEAD..).unwrap_or_default();
    (number(0), number(8), held, state)
}

impl Slot {
    fn of<H: Randomness>(key: Vec<u8>, number: u32, host: &H) -> Self {
        let mut owner = [0; 8];
        host.fill(&mut owner);
        Self {
            key,
            number,
            owner: u64::from_le_bytes(owner),
            held: Held::default(),
            value: Vec::new(),
            chain: Vec::new(),
        }
    }

    #[inline]
    fn fill(&mut self, now: u64, state: &[u8]) {
        self.value.clear();
        self.value.extend_from_slice(&self.owner.to_le_bytes());
        let Held { records, shown } = self.held;
        for number in [now, records, shown.0, shown.1] {
            self.value.extend_from_slice(&number.to_le_bytes());
        }
        self.value.extend_from_slice(state);
    }

    fn create<H: SharedData>(&self, host: &H) -> bool {
        [Version::ABSENT, Version::STRICTLY_ABSENT]
            .into_iter()
            .any(|version| {
                // Where the first dialect's answer is "changed", the key may be there, and the second would overwrite it.
                let is_free = matches!(host.shared(&self.key), Ok(None));
                is_free && host.share(&self.key, &self.value, version).is_ok()
            })
    }

    /// Whether the slot is still ours: ask after a silence.
    #[inline(never)]
    pub fn is_ours<H: SharedData>(&self, host: &H) -> bool {
        match host.shared(&self.key) {
            Ok(Some((value, _))) => parts(&value).0 == self.owner,
            _ => false,
        }
    }

    /// Writes where the chain stands. A host that does not take it costs a gap after a restart, no record.
    #[inline]
    pub fn keep<H: SharedData>(&mut self, chain: &Chain, now: u64, host: &H) {
        self.store(chain, Succession::Abrupt, now, host);
    }

    /// Writes where the chain stands as the last word of its owner, who is as good as silent for long.
    pub fn leave<H: SharedData>(&mut self, chain: &Chain, host: &H) {
        self.store(chain, Succession::Orderly, LEFT, host);
    }

    #[inline]
    fn store<H: SharedData>(&mut self, chain: &Chain, succession: Succession, now: u64, host: &H) {
        let mut state = std::mem::take(&mut self.chain);
        chain.store(&mut state, succession);
        self.fill(now, &state);
        self.chain = state;
        // Envoy takes 0 for "whatever stands there".
        let written = host.share(&self.key, &self.value, Version(0));
        if written == Err(NotWritten::Changed)
            && let Ok(Some((_, version))) = host.shared(&self.key)
        {
            let _ = host.share(&self.key, &self.value, version);
        }
    }
}
