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
/// The owner's mark and the time of its last word.
const HEAD: usize = 16;

/// A slot of which this VM is the owner.
#[derive(Debug)]
pub struct Slot {
    key: Vec<u8>,
    pub number: u32,
    owner: u64,
    value: Vec<u8>,
    chain: Vec<u8>,
}

/// What was found when a slot was taken.
pub enum Taken {
    /// Nobody had it.
    New(Slot),
    /// Its chain's state, as it was left.
    Orphan(Slot, Vec<u8>),
}

/// Takes the first orphan, or else the first slot that nobody has. `None` where the host shares no data.
#[inline(never)]
pub fn take<H: SharedData + Randomness>(stream: &str, now: u64, host: &H) -> Option<Taken> {
    let mut owner = [0; 8];
    host.fill(&mut owner);
    let owner = u64::from_le_bytes(owner);
    let mut number = 0;
    while number < MAX_SLOTS {
        let key = key(stream, number);
        let mut slot = Slot {
            key,
            number,
            owner,
            value: Vec::new(),
            chain: Vec::new(),
        };
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
                let (_, time, state) = parts(&value);
                if now.saturating_sub(time) > SILENCE {
                    let state = state.to_vec();
                    slot.fill(now, &state);
                    if host.share(&slot.key, &slot.value, version).is_ok() {
                        return Some(match state.is_empty() {
                            true => Taken::New(slot),
                            false => Taken::Orphan(slot, state),
                        });
                    }
                }
            }
        }
        number += 1;
    }
    None
}

fn key(stream: &str, number: u32) -> Vec<u8> {
    let mut key = b"portcullis.audit ".to_vec();
    key.extend_from_slice(&number.to_le_bytes());
    key.extend_from_slice(stream.as_bytes());
    key
}

/// Owner, time and the chain's state.
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
    #[inline]
    fn fill(&mut self, now: u64, state: &[u8]) {
        self.value.clear();
        self.value.extend_from_slice(&self.owner.to_le_bytes());
        self.value.extend_from_slice(&now.to_le_bytes());
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
        let mut state = std::mem::take(&mut self.chain);
        chain.store(&mut state, Succession::Abrupt);
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
