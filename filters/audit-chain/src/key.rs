//! What is hashed with.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::{DOMAIN, Hash};

/// A secret and the name that records carry of it. Prints its name only.
#[derive(Clone)]
pub struct Key {
    id: String,
    /// The key's first block is hashed already.
    mac: Hmac<Sha256>,
}

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    Id,
    Short { bytes: usize },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => f.write_str("a key id has 1 to 64 of the characters A-Z a-z 0-9 . _ -"),
            Self::Short { bytes } => write!(
                f,
                "the key has {bytes} bytes; it needs at least {}, such as `openssl rand -hex 32` prints",
                Key::MIN_BYTES
            ),
        }
    }
}

impl Key {
    /// Less than what the hash puts out weakens it (RFC 2104, section 3).
    pub const MIN_BYTES: usize = 32;

    #[inline(never)]
    pub fn new(id: &str, secret: &[u8]) -> Result<Self, KeyError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=64).contains(&id.len()) || !id.bytes().all(plain) {
            return Err(KeyError::Id);
        }
        let short = KeyError::Short {
            bytes: secret.len(),
        };
        if secret.len() < Self::MIN_BYTES {
            return Err(short);
        }
        let mac = Hmac::new_from_slice(secret).map_err(|_| short)?;
        Ok(Self {
            id: id.to_owned(),
            mac,
        })
    }

    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// A hash under way.
pub enum Hasher {
    Keyed(Hmac<Sha256>),
    Plain(Sha256),
}

impl Hasher {
    #[inline]
    pub fn start(key: Option<&Key>) -> Self {
        let mut hasher = match key {
            Some(key) => Self::Keyed(key.mac.clone()),
            None => Self::Plain(Sha256::new()),
        };
        hasher.update(DOMAIN);
        hasher
    }

    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Keyed(mac) => mac.update(bytes),
            Self::Plain(hash) => hash.update(bytes),
        }
    }

    #[inline]
    pub fn finish(self) -> Hash {
        match self {
            Self::Keyed(mac) => mac.finalize().into_bytes().into(),
            Self::Plain(hash) => hash.finalize().into(),
        }
    }

    /// Whether this is the hash. Takes as long for every wrong one, where there is a key.
    #[cfg(feature = "verify")]
    pub fn is(self, hash: &Hash) -> bool {
        match self {
            Self::Keyed(mac) => mac.verify_slice(hash).is_ok(),
            Self::Plain(own) => own.finalize().as_slice() == hash,
        }
    }
}

/// `chain.alg` of records hashed with and without a key.
#[inline]
pub fn algorithm(key: Option<&Key>) -> &'static str {
    match key {
        Some(_) => "hmac-sha256",
        None => "sha256",
    }
}
