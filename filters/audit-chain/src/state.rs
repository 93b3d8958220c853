//! Where a chain stands, as bytes for shared data.

use std::fmt;

use crate::chain::Texts;
use crate::{Chain, Counts, Emitter, Hash, Key};

/// Layout: version, how it was left, four numbers (little-endian), then the head, then the emitter's text.
const VERSION: u8 = 1;

/// How the one who resumes came after the one who stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// Everything sealed was handed over: new settings in a running machine, or a drained end.
    Orderly,
    /// The machine was gone: the next record should be sealed with [`crate::Mark::Restart`].
    Abrupt,
}

/// Why bytes are no chain's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    Version,
    Cut,
    Emitter,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "the stored chain is of another version; a new one has to begin",
            Self::Cut => "the stored chain is cut short; a new one has to begin",
            Self::Emitter => "the stored chain names no emitter; a new one has to begin",
        })
    }
}

impl Chain {
    /// Where the chain stands, replacing what `out` held.
    #[inline]
    pub fn store(&self, out: &mut Vec<u8>, succession: Succession) {
        out.clear();
        out.push(VERSION);
        out.push(u8::from(succession == Succession::Abrupt));
        for number in [
            self.seq,
            self.acknowledged,
            self.counts.dropped,
            self.counts.retried,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.head);
        out.extend_from_slice(self.emitter.as_str().as_bytes());
    }

    /// The chain that was stored, with the key of today: keys may change along a chain.
    ///
    /// It says how it was left: a machine that runs stores [`Succession::Abrupt`] with each record, so that this is what
    /// is found if it ends without notice; one that hands over stores [`Succession::Orderly`] as its last word.
    #[inline(never)]
    pub fn resume(bytes: &[u8], key: Option<Key>) -> Result<(Self, Succession), StateError> {
        let mut rest = bytes;
        let [version, succession] = take(&mut rest)?;
        if version != VERSION {
            return Err(StateError::Version);
        }
        let seq = u64::from_le_bytes(take(&mut rest)?);
        let acknowledged = u64::from_le_bytes(take(&mut rest)?);
        let counts = Counts {
            dropped: u64::from_le_bytes(take(&mut rest)?),
            retried: u64::from_le_bytes(take(&mut rest)?),
        };
        let head: Hash = take(&mut rest)?;
        let emitter = std::str::from_utf8(rest).ok().and_then(Emitter::from_text);
        let emitter = emitter.ok_or(StateError::Emitter)?;
        let chain = Self {
            texts: Texts::new(&emitter, key.as_ref()),
            emitter,
            key,
            seq,
            head,
            acknowledged,
            counts,
        };
        let succession = match succession {
            0 => Succession::Orderly,
            _ => Succession::Abrupt,
        };
        Ok((chain, succession))
    }
}

/// The first bytes of what is left.
fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], StateError> {
    let (first, behind) = rest.split_first_chunk().ok_or(StateError::Cut)?;
    *rest = behind;
    Ok(*first)
}
