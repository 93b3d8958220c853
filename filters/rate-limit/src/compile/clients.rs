//! Who a request counts for, and which tier a client gets.

use std::collections::BTreeMap;

use portcullis_kit::headers::is_token;
use portcullis_kit::{ConfigError, Path};

use super::{Mistake, Result, refuse};
use crate::identity::{self, IdentityHash, Source};
use crate::plan::{Assignment, Tier, TierSource};
use crate::settings::{self, Identity, Settings, Unknown};

/// Where identities come from.
pub fn sources(settings: &Settings) -> Result<Vec<Source>> {
    let here = || Path::top().key("identity");
    if settings.identity.is_empty() {
        return refuse(here(), Mistake::NoIdentity);
    }
    let mut sources: Vec<Source> = Vec::with_capacity(settings.identity.len());
    for (at, identity) in settings.identity.iter().enumerate() {
        let here = || here().index(at);
        if let Some(identity::From::Address { .. }) = sources.last().map(|last| &last.from) {
            return refuse(here(), Mistake::NeverReached);
        }
        let source = match identity {
            Identity::JwtClaim(claim) => Source {
                space: claim_space(claim),
                from: identity::From::Claim(property(claim, here().key("jwt_claim"))?),
            },
            Identity::Header(header) => header_source(header, settings, &here().key("header"))?,
            Identity::ClientAddress(address) => {
                let here = || here().key("client_address");
                if !(1..=32).contains(&address.ipv4_prefix) {
                    return refuse(here().key("ipv4_prefix"), Mistake::Ipv4Prefix);
                }
                if !(1..=128).contains(&address.ipv6_prefix) {
                    return refuse(here().key("ipv6_prefix"), Mistake::Ipv6Prefix);
                }
                Source {
                    space: "address".to_owned(),
                    from: identity::From::Address {
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
    settings: &Settings,
    here: &Path,
) -> Result<Source> {
    let here = || here.clone();
    let name = header_name(&header.name, here().key("name"))?;
    match (header.hash, header.trusted) {
        (false, false) => return refuse(here(), Mistake::GuessableHeader),
        (true, true) => return refuse(here(), Mistake::BothHashAndTrusted),
        _ => {}
    }
    let known = match header.listed_only.then(|| listed(settings, &name)) {
        Some(listed) if listed.is_empty() => {
            return refuse(here().key("listed_only"), Mistake::NoListedKeys);
        }
        known => known,
    };
    Ok(Source {
        space: format!("header:{name}"),
        from: identity::From::Header { name, known },
    })
}

/// The hashes of the API keys that are listed for a header, in order.
fn listed(settings: &Settings, name: &str) -> Vec<[u8; 32]> {
    let mut hashes: Vec<_> = settings
        .tier
        .from
        .iter()
        .filter_map(|source| match source {
            settings::TierSource::ApiKeys(keys) if keys.header.eq_ignore_ascii_case(name) => {
                Some(keys.keys.keys())
            }
            _ => None,
        })
        .flatten()
        .filter_map(|text| hash(text))
        .collect();
    hashes.sort_unstable();
    hashes
}

/// The host's property path of a claim.
pub fn property(claim: &settings::Claim, here: Path) -> Result<Vec<String>> {
    if claim.path.is_empty() || claim.path.iter().any(String::is_empty) {
        return refuse(here.key("path"), Mistake::EmptyPath);
    }
    let mut path = vec![
        "metadata".to_owned(),
        "filter_metadata".to_owned(),
        claim.metadata.clone(),
    ];
    path.extend(claim.path.iter().cloned());
    Ok(path)
}

fn header_name(name: &str, here: Path) -> Result<String> {
    if is_token(name.as_bytes()) {
        Ok(name.to_ascii_lowercase())
    } else {
        refuse(here, Mistake::HeaderName)
    }
}

/// 64 hex digits.
pub fn hash(text: &str) -> Option<IdentityHash> {
    let mut hash = [0; 32];
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != hash.len() {
        return None;
    }
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        *byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    }
    Some(hash)
}

/// The place of a tier.
pub fn find(tiers: &[Tier], name: &str, here: Path) -> Result<usize> {
    let found = tiers
        .iter()
        .position(|tier| tier.name.eq_ignore_ascii_case(name));
    found.map_or_else(
        || {
            refuse(
                here,
                Mistake::NoSuchTier {
                    name: name.to_owned(),
                    defined: tiers.iter().map(|tier| tier.name.clone()).collect(),
                },
            )
        },
        Ok,
    )
}

/// Which tier a client gets.
pub fn assignment(settings: &Settings, tiers: &[Tier], identity: &[Source]) -> Result<Assignment> {
    let here = || Path::top().key("tier");
    let default = find(tiers, &settings.tier.default, here().key("default"))?;
    let anonymous = match &settings.tier.anonymous {
        Some(name) => find(tiers, name, here().key("anonymous"))?,
        None => default,
    };
    let mut overrides = BTreeMap::new();
    for (text, over) in &settings.overrides {
        let here = || Path::top().key("overrides").key(text.as_str());
        let hash = hash(text).ok_or_else(|| ConfigError::rule(here(), Mistake::Hash))?;
        let tier = find(tiers, &over.tier, here().key("tier"))?;
        if overrides.insert(hash, tier).is_some() {
            return refuse(here(), Mistake::HashTwice);
        }
    }
    let mut sources = Vec::new();
    let mut untrusted = Vec::new();
    for (at, source) in settings.tier.from.iter().enumerate() {
        let here = || here().key("from").index(at);
        match source {
            settings::TierSource::JwtClaim(claim) => {
                let path = property(claim, here().key("jwt_claim"))?;
                sources.push(TierSource::Claim(path));
            }
            settings::TierSource::Header(header) => {
                let here = || here().key("header").key("name");
                let name = header_name(&header.name, here())?;
                if header.trusted {
                    sources.push(TierSource::Header(name));
                } else {
                    untrusted.push((name, here()));
                }
            }
            settings::TierSource::ApiKeys(keys) => {
                sources.push(api_keys(keys, tiers, &here().key("api_keys"))?);
            }
        }
    }
    for (name, here) in &untrusted {
        let by_tier = sources.iter().any(|source| match source {
            TierSource::Header(header) | TierSource::Keys { header, .. } => header == name,
            TierSource::Claim(_) => false,
        });
        let by_identity = identity.iter().any(|source| match &source.from {
            identity::From::Header { name: header, .. } => header == name,
            _ => false,
        });
        if by_tier || by_identity {
            return refuse(here.clone(), Mistake::TrustedAndNot);
        }
    }
    Ok(Assignment {
        overrides,
        sources,
        default,
        anonymous,
        refuse_unknown: settings.tier.unknown == Unknown::Deny,
        untrusted: untrusted.into_iter().map(|(name, _)| name).collect(),
    })
}

fn api_keys(keys: &settings::ApiKeys, tiers: &[Tier], here: &Path) -> Result<TierSource> {
    let header = header_name(&keys.header, here.clone().key("header"))?;
    let mut by_hash = BTreeMap::new();
    for (text, tier) in &keys.keys {
        let here = || here.clone().key("keys").key(text.as_str());
        let hash = hash(text).ok_or_else(|| ConfigError::rule(here(), Mistake::Hash))?;
        if by_hash.insert(hash, find(tiers, tier, here())?).is_some() {
            return refuse(here(), Mistake::HashTwice);
        }
    }
    Ok(TierSource::Keys {
        header,
        tiers: by_hash,
    })
}
