//! Who a request counts for, and which tier a client gets.

use std::collections::BTreeMap;

use portcullis_kit::identity::{claim_path, header_name};
use portcullis_kit::{ConfigError, Path};

use super::{Mistake, Result, refuse};
use crate::identity::{self, IdentityHash, Source};
use crate::plan::{Assignment, Tier, TierSource};
use crate::settings::{self, Settings, Unknown};

/// Where identities come from.
pub fn sources(settings: &Settings) -> Result<Vec<Source>> {
    identity::sources(&settings.identity, &|name| listed(settings, name))
        .map_err(|error| error.below(Path::top().key("identity")))
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

/// Whether any client can get this tier.
pub fn is_anybodys(settings: &Settings, name: &str) -> bool {
    let of_tier = &settings.tier;
    let is_it = |other: &String| other.eq_ignore_ascii_case(name);
    is_it(&of_tier.default)
        || of_tier.anonymous.as_ref().is_some_and(is_it)
        || settings.overrides.values().any(|over| is_it(&over.tier))
        || of_tier.from.iter().any(|source| match source {
            // Any name can come.
            settings::TierSource::JwtClaim(_) => true,
            settings::TierSource::Header(header) => header.trusted,
            settings::TierSource::ApiKeys(keys) => keys.keys.values().any(is_it),
        })
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
                let path = claim_path(claim, here().key("jwt_claim"))?;
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
