//! Where counters live: the table in shared data, and the seam for an engine that answers later.

use std::cell::Cell;
use std::hash::Hasher as _;

use portcullis_kit::exchange::{Clock, Exchange, NotWritten, SharedData, Version};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::bucket::{Displaced, SLOTS};
use crate::counter::EPOCH_MS;
use crate::decide::{Decision, Rule, Taken, decide, release};

/// How often a decision is made anew because another worker wrote between. With W workers one of them succeeds in each
/// round, so this many failures in a row do not happen by chance.
const ATTEMPTS: u32 = 128;

/// An identity as shared data knows it: a keyed hash, so that nobody can choose whom to collide with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    bucket: u64,
    slot: u64,
}

impl Fingerprint {
    /// The part that stands in the slot, for logs.
    #[inline]
    pub fn short(self) -> u64 {
        self.slot
    }
}

/// Size and place of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    buckets: u64,
    namespace: u32,
}

impl Table {
    /// A table for about that many identities; tables of other namespaces are apart.
    pub fn new(max_identities: u32, namespace: &str) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write(namespace.as_bytes());
        Self {
            buckets: u64::from(max_identities).div_ceil(SLOTS as u64).max(1),
            namespace: hasher.finish128().h1 as u32,
        }
    }

    /// How many buckets there are.
    pub fn size(&self) -> u64 {
        self.buckets
    }

    /// The key of a bucket: short enough for a host's short-string form.
    #[inline]
    pub fn key(&self, fingerprint: Fingerprint) -> [u8; 12] {
        // The high bits of a product spread a 64-bit number over any range evenly.
        let bucket = (u128::from(fingerprint.bucket) * u128::from(self.buckets)) >> 64;
        let [a, b, c, d] = self.namespace.to_le_bytes();
        let [e, f, g, h] = (bucket as u32).to_le_bytes();
        [b'p', b'r', b'l', 1, a, b, c, d, e, f, g, h]
    }

    /// The key under which the key of the fingerprints stands.
    fn secret_key(&self) -> [u8; 8] {
        let [a, b, c, d] = self.namespace.to_le_bytes();
        [b'p', b'r', b'k', 1, a, b, c, d]
    }
}

/// Why there is no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Too many other workers wrote between.
    Contention,
    /// The host refuses shared data.
    Refused,
}

/// A decision and how it came about.
#[derive(Debug)]
pub struct Outcome {
    pub result: Result<Decision, Trouble>,
    pub retries: u32,
    pub displaced: Displaced,
}

/// What a store answers.
#[derive(Debug)]
pub enum Answer {
    Now(Outcome),
    /// An engine elsewhere was asked: the request waits.
    Later,
}

/// Keeps the counters.
pub trait Store {
    fn start() -> Self;

    /// The identity as this store knows it.
    ///
    /// # Errors
    /// The store cannot be reached.
    fn fingerprint<X: Exchange>(
        &self,
        table: &Table,
        identity: &[u8],
        host: &X,
    ) -> Result<Fingerprint, Trouble>;

    /// Decides for a request and counts it. `now` as [`now_ms`] gives it.
    fn take<X: Exchange>(
        &self,
        table: &Table,
        identity: Fingerprint,
        rules: &[Rule],
        now: u64,
        host: &X,
    ) -> Answer;

    /// Gives back what a request held while it was in flight.
    fn release<X: Exchange>(
        &self,
        table: &Table,
        identity: Fingerprint,
        taken: &[Taken],
        host: &X,
    ) -> Result<(), Trouble>;
}

/// Counters in the host's shared data: exact over all workers of one proxy.
#[derive(Default)]
pub struct Shared {
    /// The key of the fingerprints, once it is known, and whose it is.
    secret: Cell<Option<(u32, [u8; 16])>>,
    /// Which version creates a value on this host.
    absent: Cell<Option<Version>>,
}

/// Milliseconds since [`EPOCH_MS`]; since 1970 where the clock shows a time before that, as a device does that has not been told the
/// date: its time must pass, too.
#[inline]
pub fn now_ms(host: &impl Clock) -> u64 {
    let unix_ms = host.now() / 1_000_000;
    unix_ms.checked_sub(EPOCH_MS).unwrap_or(unix_ms)
}

impl Shared {
    /// Writes a value that was read with this version, or not found.
    #[inline]
    fn write(
        &self,
        key: &[u8],
        value: &[u8],
        version: Option<Version>,
        host: &impl SharedData,
    ) -> Result<(), NotWritten> {
        let Some(version) = version else {
            let absent = self.absent.get().unwrap_or(Version::ABSENT);
            return host.share(key, value, absent);
        };
        host.share(key, value, version)
    }

    /// After a creation failed and the value still is not there: the host wants the other version for that.
    #[inline]
    fn learn_dialect(&self, tried_to_create: bool, found: bool) {
        if tried_to_create && !found {
            self.absent.set(Some(match self.absent.get() {
                Some(Version::STRICTLY_ABSENT) => Version::ABSENT,
                _ => Version::STRICTLY_ABSENT,
            }));
        }
    }

    /// Reads, changes, and writes until no other worker wrote between. `change` gives what to write, if anything.
    #[inline]
    fn update<T>(
        &self,
        key: &[u8],
        host: &impl SharedData,
        mut change: impl FnMut(&[u8]) -> (T, Option<Vec<u8>>),
    ) -> (Result<T, Trouble>, u32) {
        let mut created = false;
        for retries in 0..ATTEMPTS {
            let Ok(found) = host.shared(key) else {
                return (Err(Trouble::Refused), retries);
            };
            self.learn_dialect(created, found.is_some());
            let (value, version) = match &found {
                Some((value, version)) => (value.as_slice(), Some(*version)),
                None => (&[][..], None),
            };
            let (result, new) = change(value);
            let Some(new) = new else {
                return (Ok(result), retries);
            };
            match self.write(key, &new, version, host) {
                Ok(()) => return (Ok(result), retries),
                Err(NotWritten::Changed) => created = version.is_none(),
                Err(NotWritten::Refused) => return (Err(Trouble::Refused), retries),
            }
        }
        (Err(Trouble::Contention), ATTEMPTS)
    }
}

impl Store for Shared {
    fn start() -> Self {
        Self::default()
    }

    #[inline]
    fn fingerprint<X: Exchange>(
        &self,
        table: &Table,
        identity: &[u8],
        host: &X,
    ) -> Result<Fingerprint, Trouble> {
        let secret = match self.secret.get() {
            Some((namespace, secret)) if namespace == table.namespace => secret,
            _ => {
                // The first worker that asks makes the key for all.
                let (secret, _) = self.update(&table.secret_key(), host, |stored| {
                    if let Ok(secret) = <[u8; 16]>::try_from(stored) {
                        return (secret, None);
                    }
                    let mut secret = [0; 16];
                    host.fill(&mut secret);
                    (secret, Some(secret.to_vec()))
                });
                let secret = secret?;
                self.secret.set(Some((table.namespace, secret)));
                secret
            }
        };
        let mut hasher = SipHasher13::new_with_key(&secret);
        hasher.write(identity);
        let hash = hasher.finish128();
        Ok(Fingerprint {
            bucket: hash.h1,
            slot: hash.h2,
        })
    }

    #[inline]
    fn take<X: Exchange>(
        &self,
        table: &Table,
        identity: Fingerprint,
        rules: &[Rule],
        now: u64,
        host: &X,
    ) -> Answer {
        let (result, retries) = self.update(&table.key(identity), host, |value| {
            let decided = decide(value, identity.slot, rules, now);
            ((decided.decision, decided.displaced), decided.value)
        });
        let displaced = result
            .as_ref()
            .map_or_else(|_| Displaced::default(), |(_, displaced)| *displaced);
        Answer::Now(Outcome {
            result: result.map(|(decision, _)| decision),
            retries,
            displaced,
        })
    }

    #[inline]
    fn release<X: Exchange>(
        &self,
        table: &Table,
        identity: Fingerprint,
        taken: &[Taken],
        host: &X,
    ) -> Result<(), Trouble> {
        let now = now_ms(host);
        let (result, _) = self.update(&table.key(identity), host, |value| {
            ((), release(value, identity.slot, taken, now))
        });
        result
    }
}
