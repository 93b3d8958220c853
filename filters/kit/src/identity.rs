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
    /// A request header, by its name in lower case. `credential`: the client's own, not one that an earlier filter sets.
    /// `known`: only values with one of these SHA-256 count.
    Header {
        name: String,
        credential: bool,
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

/// A header that tells who a request counts for stands in several lines. Filters and applications disagree about which one is
/// the client's: the first (Envoy's api_key_auth), the last, or all of them joined. To go on with the next source would let
/// every client choose whether its key counts.
#[derive(Debug, PartialEq, Eq)]
pub struct Ambiguous {
    /// The header's name in lower case.
    pub header: String,
    /// Who the first line names, where the header is a credential: who sent it has it.
    pub first: Option<Identity>,
}

/// The first source that yields a value.
///
/// # Errors
/// The source that is asked next is a header in several lines.
pub fn find<X: Properties>(
    sources: &[Source],
    headers: &Headers,
    host: &X,
) -> Result<Option<Identity>, Box<Ambiguous>> {
    for (at, source) in sources.iter().enumerate() {
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
        let found = match &source.from {
            From::Claim(path) => claim(path, host).map(|value| identity(&value, false)),
            From::Header {
                name,
                credential: is_credential,
                known,
            } => {
                let value = |line| match is_credential {
                    true => credential(line),
                    false => line,
                };
                match only_line(headers, name) {
                    Ok(line) => line
                        .map(value)
                        .filter(|value| is_known(known.as_deref(), value))
                        .map(|value| identity(value, false)),
                    Err(ambiguous) => {
                        let line = headers.get(name).filter(|_| *is_credential);
                        let line = line.filter(|line| !line.is_empty());
                        let first = line.map(|line| identity(credential(line), false));
                        return Err(Box::new(Ambiguous {
                            first,
                            ..*ambiguous
                        }));
                    }
                }
            }
            From::Address {
                ipv4_prefix,
                ipv6_prefix,
            } => property::source_address(host).map(|address| {
                let cut = cut(address, *ipv4_prefix, *ipv6_prefix).to_string();
                identity(cut.as_bytes(), true)
            }),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[inline]
fn is_known(known: Option<&[[u8; 32]]>, value: &[u8]) -> bool {
    known.is_none_or(|known| {
        let hash: [u8; 32] = Sha256::digest(value).into();
        known.binary_search(&hash).is_ok()
    })
}

/// A header's value; an empty one is none.
///
/// # Errors
/// It stands in several lines, be they equal or empty.
#[inline]
pub fn only_line<'a>(headers: &'a Headers, name: &str) -> Result<Option<&'a [u8]>, Box<Ambiguous>> {
    let mut lines = headers.get_all(name);
    let line = lines.next();
    if lines.next().is_some() {
        return Err(ambiguous(name));
    }
    Ok(line.filter(|line| !line.is_empty()))
}

#[cold]
#[inline(never)]
fn ambiguous(name: &str) -> Box<Ambiguous> {
    Box::new(Ambiguous {
        header: name.to_owned(),
        first: None,
    })
}

/// A credential without its scheme, `Bearer` (RFC 6750 section 2.1) or `Basic` (RFC 7617), and without what pads the latter:
/// api_key_auth takes `Bearer KEY` and `KEY` in any header for the same key, basic_auth takes base64 with and without `=`. As
/// two identities one client would have two plans.
#[inline]
pub fn credential(line: &[u8]) -> &[u8] {
    let without = |scheme: &[u8]| match line.split_at_checked(scheme.len()) {
        // The space first: few keys have one there, and to compare without case is dear in wasm.
        Some((first, rest @ [b' ', ..])) if first.eq_ignore_ascii_case(scheme) => {
            Some(rest.trim_ascii_start())
        }
        _ => None,
    };
    if let Some(key) = without(b"bearer") {
        return key;
    }
    let Some(mut pair) = without(b"basic") else {
        return line;
    };
    while let [rest @ .., b'='] = pair {
        pair = rest;
    }
    pair
}

/// A property's bytes; an empty one is none, and so is an object: the host writes its members in an order that changes from
/// request to request, so that one client would be many.
pub fn claim<X: Properties>(path: &[String], host: &X) -> Option<Vec<u8>> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let value = host.property(&path)?;
    (!value.is_empty() && !is_object(&value)).then_some(value)
}

/// Whether these are pairs as hosts write them (proxy-wasm ABI, "serialization of maps"): how many, the lengths of each name
/// and value, then these with a zero byte behind each. No text, number or truth value is.
fn is_object(bytes: &[u8]) -> bool {
    let number = |at: usize| {
        let bytes = bytes.get(at..at.checked_add(4)?)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let pairs = || {
        let lengths = number(0)?.checked_mul(8)?;
        let mut end = lengths.checked_add(4)?;
        if end > bytes.len() {
            return None;
        }
        for at in (4..end).step_by(4) {
            end = end.checked_add(number(at)?)?.checked_add(1)?;
        }
        Some(end)
    };
    pairs() == Some(bytes.len())
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

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_credential_is_the_same_in_all_spellings_of_its_scheme() {
        for (line, key) in [
            ("key", "key"),
            ("key=", "key="),
            ("Bearer key", "key"),
            ("bearer   key==", "key=="),
            ("Basic dTpwcA==", "dTpwcA"),
            ("Basic dTpwcA=", "dTpwcA"),
            ("BASIC dTpwcA", "dTpwcA"),
            ("Bearer", "Bearer"),
            ("Bearerkey", "Bearerkey"),
            ("Bearer Bearer key", "Bearer key"),
            ("Basic", "Basic"),
            ("Digest key", "Digest key"),
            ("", ""),
        ] {
            assert_eq!(credential(line.as_bytes()), key.as_bytes(), "{line}");
        }
    }

    fn object(members: &[(&str, &str)]) -> Vec<u8> {
        let length = |text: &str| u32::try_from(text.len()).unwrap().to_le_bytes();
        let mut bytes = u32::try_from(members.len()).unwrap().to_le_bytes().to_vec();
        for (name, value) in members {
            bytes.extend(length(name));
            bytes.extend(length(value));
        }
        for (name, value) in members {
            bytes.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
        }
        bytes
    }

    #[test]
    fn an_object_is_no_claim_and_everything_else_is() {
        struct Host(Vec<u8>);
        impl Properties for Host {
            fn property(&self, _: &[&str]) -> Option<Vec<u8>> {
                Some(self.0.clone())
            }
        }
        let read = |bytes: &[u8]| claim(&["x".to_owned()], &Host(bytes.to_vec()));
        for none in [
            vec![],
            object(&[]),
            object(&[("sub", "alice")]),
            object(&[("sub", "alice"), ("", ""), ("plan", "free")]),
        ] {
            assert_eq!(read(&none), None, "{none:?}");
        }
        for value in [
            b"alice".to_vec(),
            b"1".to_vec(),
            vec![1],
            vec![0],
            0_f64.to_le_bytes().to_vec(),
            12345_f64.to_le_bytes().to_vec(),
            object(&[("sub", "alice")])[1..].to_vec(),
            [object(&[("sub", "alice")]), vec![0]].concat(),
            vec![0xff; 64],
        ] {
            assert_eq!(read(&value).as_deref(), Some(&value[..]), "{value:?}");
        }
    }
}
