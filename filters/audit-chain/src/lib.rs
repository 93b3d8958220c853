//! The hash chain of audit records: who emitted a record, as which of its records, after which one.
//!
//! A record is a JSON object in the canonical form of RFC 8785 (JCS). Sealing adds the member `chain`:
//!
//! ```json
//! {"alg":"hmac-sha256","emitter":"edge-1/6f1d…/0","hash":"…","key_id":"k1","prev":"…","seq":7}
//! ```
//!
//! 1. `seq` counts the records of one emitter, from 1 and without a gap.
//! 2. `prev` is the `hash` of the record before, 64 zeros in the first one.
//! 3. `hash` is HMAC-SHA-256 with a key, SHA-256 without, over [`DOMAIN`] and the record without `chain.hash`.
//!
//! Whoever holds the key can rewrite everything, and so can everybody where there is none: what no chain shows
//! is said in `docs/audit-evidence.md`, together with the format, to the byte.
//!
//! The crate knows no host, no clock and no format of records but JSON.

mod chain;
mod emitter;
mod hex;
mod key;
mod mark;
mod schedule;
mod state;
#[cfg(feature = "verify")]
pub mod verify;

pub use chain::{Chain, Misplaced, Sealed};
pub use emitter::Emitter;
pub use key::{Key, KeyError};
pub use mark::{Counts, Mark};
pub use schedule::Schedule;
pub use state::{StateError, Succession};

/// What is hashed before each record, so that no hash of it is one of something else.
pub const DOMAIN: &[u8] = b"portcullis/audit-chain/v1\n";

/// A record's hash.
pub type Hash = [u8; 32];

/// `prev` of an emitter's first record.
pub const GENESIS: Hash = [0; 32];
