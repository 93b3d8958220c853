//! Who a request comes from, and counts for.

mod compile;
pub mod settings;

pub use compile::{Mistake, claim_path, header_name, sources};

use std::net::IpAddr;

use crate::exchange::Properties;
use crate::headers::Headers;
use crate::property;
use sha2::{Digest as _, Sha256};

/// SHA-256 of `<key space>:<value>`: how the settings name an identity without holding it.
pub type IdentityHash = [u8; 32];

/// Where an identity comes from. Each source is a key space of its own: the same value from two sources is two
/// identities.
#[derive(Debug)]
pub struct Source {
    /// The key space: `jwt:payload.sub`, `header:x-api-key`, `address`.
    pub space: String,
    pub from: From,
}

#[derive(Debug)]
pub enum From {
    /// A property path of verified metadata.
    Claim(Vec<String>),
    /// A request header, by its name in lower case. `known`: only values with one of these SHA-256 count.
    Header {
        name: String,
        known: Option<Vec<[u8; 32]>>,
    },
    /// The client's address (`source.address`), cut to so many bits.
    Address { ipv4_prefix: u8, ipv6_prefix: u8 },
}

/// An identity: the bytes that are hashed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which source gave it.
    pub source: usize,
    /// `<key space>:<value>`.
    pub bytes: Vec<u8>,
    /// Whether only the address is known.
    pub anonymous: bool,
}

impl Identity {
    /// Who cannot be told apart shares one identity: being unknown must not be a way around the limits.
    #[inline]
    pub fn unknown() -> Self {
        Self {
            source: usize::MAX,
            bytes: b"unknown:".to_vec(),
            anonymous: true,
        }
    }

    #[inline]
    pub fn hash(&self) -> IdentityHash {
        Sha256::digest(&self.bytes).into()
    }
}

/// The first source that yields a value.
pub fn find<X: Properties>(sources: &[Source], headers: &Headers, host: &X) -> Option<Identity> {
    sources.iter().enumerate().find_map(|(at, source)| {
        let identity = |value: &[u8], anonymous| {
            let mut bytes = Vec::with_capacity(source.space.len() + 1 + value.len());
            bytes.extend_from_slice(source.space.as_bytes());
            bytes.push(b':');
            bytes.extend_from_slice(value);
            Identity {
                source: at,
                bytes,
                anonymous,
            }
        };
        match &source.from {
            From::Claim(path) => {
                let value = claim(path, host)?;
                Some(identity(&value, false))
            }
            From::Header { name, known } => {
                let value = only_line(headers, name)?;
                if let Some(known) = known {
                    let hash: [u8; 32] = Sha256::digest(value).into();
                    if known.binary_search(&hash).is_err() {
                        return None;
                    }
                }
                Some(identity(value, false))
            }
            From::Address {
                ipv4_prefix,
                ipv6_prefix,
            } => {
                let address = property::source_address(host)?;
                let cut = cut(address, *ipv4_prefix, *ipv6_prefix).to_string();
                Some(identity(cut.as_bytes(), true))
            }
        }
    })
}

/// A header's value where it stands in one line: with two, a client could be one identity and have the tier of another.
#[inline]
pub fn only_line<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name);
    let value = lines.next().filter(|value| !value.is_empty())?;
    lines.next().is_none().then_some(value)
}

/// A property's bytes; an empty one is none.
pub fn claim<X: Properties>(path: &[String], host: &X) -> Option<Vec<u8>> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    host.property(&path).filter(|value| !value.is_empty())
}

/// The network that an address is in.
#[inline]
pub fn cut(address: IpAddr, ipv4_prefix: u8, ipv6_prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(ipv4_prefix.into()))
                .unwrap_or_default();
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(ipv6_prefix.into()))
                .unwrap_or_default();
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}
