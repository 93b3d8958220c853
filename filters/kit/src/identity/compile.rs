//! From what a user writes of identities to what requests use.

use std::fmt;

use super::{From, Source, settings};
use crate::config::{ConfigError, Path};
use crate::headers::is_token;

type Result<T> = std::result::Result<T, ConfigError>;

/// What is wrong, and what to change.
#[derive(Debug)]
pub enum Mistake {
    NoIdentity,
    HeaderName,
    GuessableHeader,
    BothHashAndTrusted,
    NoListedKeys,
    EmptyPath,
    WholeObject,
    SameSpace,
    NeverReached,
    Ipv4Prefix,
    Ipv6Prefix,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoIdentity => "the list is empty, so nobody could be told apart; name a source, such as `client_address: {}`",
            Self::HeaderName => "not a header name (RFC 9110 section 5.1)",
            Self::GuessableHeader => "any client can send this header and be whoever it likes; set `hash: true` if it is a credential that nobody can guess, or `trusted: true` if an earlier filter sets it and removes the client's own",
            Self::BothHashAndTrusted => "a header is either a client's credential (`hash`) or set by an earlier filter (`trusted`); keep one",
            Self::NoListedKeys => "no `tier.from[].api_keys` lists keys of this header; list them, or take `listed_only` out",
            Self::EmptyPath => "the path is empty; name the keys that lead to the value, such as `[payload, sub]`",
            Self::WholeObject => "what jwt_authn keeps under this key is an object, which tells no client from another; name the claim in it as well, such as `[payload, sub]`",
            Self::SameSpace => "identities of this source could be those of an earlier one; keep one, or take another claim",
            Self::NeverReached => "every client has an address, so this source is never asked; make `client_address` the last one",
            Self::Ipv4Prefix => "an IPv4 prefix has 1 to 32 bits",
            Self::Ipv6Prefix => "an IPv6 prefix has 1 to 128 bits",
        })
    }
}

#[cold]
#[inline(never)]
fn refuse<T>(path: Path, mistake: Mistake) -> Result<T> {
    Err(ConfigError::rule(path, mistake))
}

/// Where identities come from.
///
/// `listed` gives the SHA-256 of all keys that are known for a header. Paths of mistakes start at the list.
///
/// # Errors
/// What is wrong, and where.
#[inline(never)]
pub fn sources(
    identities: &[settings::Identity],
    listed: &dyn Fn(&str) -> Vec<[u8; 32]>,
) -> Result<Vec<Source>> {
    let here = Path::top;
    if identities.is_empty() {
        return refuse(here(), Mistake::NoIdentity);
    }
    let mut sources: Vec<Source> = Vec::with_capacity(identities.len());
    for (at, identity) in identities.iter().enumerate() {
        let here = || here().index(at);
        if let Some(From::Address { .. }) = sources.last().map(|last| &last.from) {
            return refuse(here(), Mistake::NeverReached);
        }
        let source = match identity {
            settings::Identity::JwtClaim(claim) => Source {
                space: claim_space(claim),
                from: From::Claim(claim_path(claim, here().key("jwt_claim"))?),
            },
            settings::Identity::Header(header) => {
                header_source(header, listed, &here().key("header"))?
            }
            settings::Identity::ClientAddress(address) => {
                let here = || here().key("client_address");
                if !(1..=32).contains(&address.ipv4_prefix) {
                    return refuse(here().key("ipv4_prefix"), Mistake::Ipv4Prefix);
                }
                if !(1..=128).contains(&address.ipv6_prefix) {
                    return refuse(here().key("ipv6_prefix"), Mistake::Ipv6Prefix);
                }
                Source {
                    space: "address".to_owned(),
                    from: From::Address {
                        ipv4_prefix: address.ipv4_prefix,
                        ipv6_prefix: address.ipv6_prefix,
                    },
                }
            }
        };
        // `a:b` + `c` and `a` + `b:c` would be one identity.
        let begins = |one: &Source, other: &Source| {
            let rest = one.space.strip_prefix(&other.space);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        if sources
            .iter()
            .any(|other| begins(&source, other) || begins(other, &source))
        {
            return refuse(here(), Mistake::SameSpace);
        }
        sources.push(source);
    }
    Ok(sources)
}

/// `jwt:payload.sub`; what another filter than jwt_authn verified has that filter's name before it.
fn claim_space(claim: &settings::Claim) -> String {
    let path = claim.path.join(".");
    match claim.metadata.as_str() {
        settings::JWT_AUTHN => format!("jwt:{path}"),
        metadata => format!("metadata:{metadata}:{path}"),
    }
}

fn header_source(
    header: &settings::IdentityHeader,
    listed: &dyn Fn(&str) -> Vec<[u8; 32]>,
    here: &Path,
) -> Result<Source> {
    let here = || here.clone();
    let name = header_name(&header.name, here().key("name"))?;
    match (header.hash, header.trusted) {
        (false, false) => return refuse(here(), Mistake::GuessableHeader),
        (true, true) => return refuse(here(), Mistake::BothHashAndTrusted),
        _ => {}
    }
    let known = match header.listed_only.then(|| listed(&name)) {
        Some(listed) if listed.is_empty() => {
            return refuse(here().key("listed_only"), Mistake::NoListedKeys);
        }
        known => known,
    };
    Ok(Source {
        space: format!("header:{name}"),
        from: From::Header {
            name,
            credential: header.hash,
            known,
        },
    })
}

/// The host's property path of a claim.
///
/// # Errors
/// It is empty, or leads to an object.
pub fn claim_path(claim: &settings::Claim, here: Path) -> Result<Vec<String>> {
    if claim.path.is_empty() || claim.path.iter().any(String::is_empty) {
        return refuse(here.key("path"), Mistake::EmptyPath);
    }
    if claim.metadata == settings::JWT_AUTHN && claim.path.len() == 1 {
        return refuse(here.key("path"), Mistake::WholeObject);
    }
    let mut path = vec![
        "metadata".to_owned(),
        "filter_metadata".to_owned(),
        claim.metadata.clone(),
    ];
    path.extend(claim.path.iter().cloned());
    Ok(path)
}

/// A header's name in lower case.
///
/// # Errors
/// It is none.
pub fn header_name(name: &str, here: Path) -> Result<String> {
    if is_token(name.as_bytes()) {
        Ok(name.to_ascii_lowercase())
    } else {
        refuse(here, Mistake::HeaderName)
    }
}
