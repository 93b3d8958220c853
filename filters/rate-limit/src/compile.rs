//! From what a user wrote to what requests use.

mod mistake;
mod tiers;

use std::collections::{BTreeMap, BTreeSet};

use portcullis_kit::cidr::Cidr;
use portcullis_kit::headers::is_token;
use portcullis_kit::routes::Paths;
use portcullis_kit::{Compiling, ConfigError, Mode, Path};

pub use mistake::Mistake;

use crate::identity::{self, IdentityHash, Source};
use crate::plan::{
    Assignment, Exempt, Metrics, OnError, Profile, Style, Tier, TierSource, Upgrade,
};
use crate::settings::{self, Identity, Reset, Settings, Unknown};
use crate::store::Table;
use crate::window::offset_ms;

type Result<T> = std::result::Result<T, ConfigError>;

fn refuse<T>(path: Path, mistake: Mistake) -> Result<T> {
    Err(ConfigError::rule(path, mistake))
}

/// Compiles one profile.
pub fn compile(settings: Settings, compiling: &Compiling<'_>) -> Result<Profile> {
    let top = Path::top;
    if settings.cost == 0 {
        return refuse(top().key("cost"), Mistake::CostZero);
    }
    if !tiers::is_name(&settings.resource) {
        return refuse(top().key("resource"), Mistake::Resource);
    }
    if !(1..=100).contains(&settings.near_limit_percent) {
        return refuse(top().key("near_limit_percent"), Mistake::NearPercent);
    }
    if !(16..=16_777_216).contains(&settings.max_identities) {
        return refuse(top().key("max_identities"), Mistake::MaxIdentities);
    }
    if settings.namespace.is_empty() || settings.namespace.len() > 64 {
        return refuse(top().key("namespace"), Mistake::Namespace);
    }
    if let Some(url) = &settings.upgrade.url
        && !is_url(url)
    {
        return refuse(top().key("upgrade").key("url"), Mistake::UpgradeUrl);
    }
    let Some(offset_ms) = offset_ms(&settings.utc_offset) else {
        return refuse(top().key("utc_offset"), Mistake::Offset);
    };
    let (tiers, declared) = tiers::compile(&settings, offset_ms, compiling)?;
    let identity = sources(&settings)?;
    let assignment = assignment(&settings, &tiers, &identity)?;
    let counter = |what| compiling.counter(what, &[]);
    Ok(Profile {
        assignment,
        exempt: exempt(&settings.exempt)?,
        styles: styles(&settings.headers)?,
        upgrade: Upgrade {
            url: settings.upgrade.url.clone(),
            text: settings.upgrade.text.clone(),
        },
        on_error: match settings.on_error {
            settings::OnError::Allow => OnError::Allow,
            settings::OnError::Deny => OnError::Deny,
        },
        table: Table::new(settings.max_identities, &settings.namespace),
        shadow: compiling.mode() == Mode::Shadow,
        filter_state: settings.filter_state,
        near_percent: settings.near_limit_percent.into(),
        metrics: Metrics {
            exempt: counter("exempt"),
            unknown_tier: counter("unknown_tier"),
            invalid_dynamic: counter("invalid_dynamic"),
            cas_retries: counter("cas_retries"),
            cas_exhausted: counter("cas_exhausted"),
            store_errors: counter("store_errors"),
            evicted: counter("evicted"),
            table_full: counter("table_full"),
            in_flight: compiling.gauge("in_flight", &[]),
        },
        resource: settings.resource,
        identity,
        tiers,
        declared,
    })
}

/// Refuses what only all profiles together show. Each comes with its name, the default first.
pub fn check(profiles: &[(&str, &Profile)]) -> Result<()> {
    let place = |name: &str| match name {
        portcullis_kit::plugin::DEFAULT => Path::top(),
        name => Path::top().key("profiles").key(name),
    };
    let Some((_, first)) = profiles.first() else {
        return Ok(());
    };
    for (name, profile) in profiles {
        if profile.table != first.table {
            let what = if profile.table.size() == first.table.size() {
                "namespace"
            } else {
                "max_identities"
            };
            return refuse(place(name).key(what), Mistake::DiffersFromDefault { what });
        }
        for (other_name, other) in profiles {
            for declared in &profile.declared {
                tiers::agree(declared, other.declared.iter(), other_name)
                    .map_err(|error| error.below(place(name)))?;
            }
        }
        for declared in &profile.declared {
            if let Some(resource) = &declared.resource
                && declared.own
                && profiles
                    .iter()
                    .all(|(_, profile)| profile.resource != *resource)
            {
                return refuse(
                    declared.path.clone().key("resource").below(place(name)),
                    Mistake::UnusedResource {
                        resource: resource.clone(),
                    },
                );
            }
        }
    }
    Ok(())
}

fn sources(settings: &Settings) -> Result<Vec<Source>> {
    let here = || Path::top().key("identity");
    if settings.identity.is_empty() {
        return refuse(here(), Mistake::NoIdentity);
    }
    let mut sources = Vec::with_capacity(settings.identity.len());
    for (at, identity) in settings.identity.iter().enumerate() {
        let here = || here().index(at);
        sources.push(match identity {
            Identity::JwtClaim(claim) => Source {
                space: format!("jwt:{}", claim.path.join(".")),
                from: identity::From::Claim(property(claim, here().key("jwt_claim"))?),
            },
            Identity::Header(header) => {
                let here = || here().key("header");
                let name = header_name(&header.name, here().key("name"))?;
                match (header.hash, header.trusted) {
                    (false, false) => return refuse(here(), Mistake::GuessableHeader),
                    (true, true) => return refuse(here(), Mistake::BothHashAndTrusted),
                    _ => {}
                }
                let known = header
                    .listed_only
                    .then(|| listed(settings, &name))
                    .map(|listed| match listed.is_empty() {
                        true => refuse(here().key("listed_only"), Mistake::NoListedKeys),
                        false => Ok(listed),
                    })
                    .transpose()?;
                Source {
                    space: format!("header:{name}"),
                    from: identity::From::Header { name, known },
                }
            }
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
        });
    }
    Ok(sources)
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
fn property(claim: &settings::Claim, here: Path) -> Result<Vec<String>> {
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
fn hash(text: &str) -> Option<IdentityHash> {
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
fn find(tiers: &[Tier], name: &str, here: Path) -> Result<usize> {
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

fn assignment(settings: &Settings, tiers: &[Tier], identity: &[Source]) -> Result<Assignment> {
    let here = || Path::top().key("tier");
    let default = find(tiers, &settings.tier.default, here().key("default"))?;
    let anonymous = match &settings.tier.anonymous {
        Some(name) => find(tiers, name, here().key("anonymous"))?,
        None => default,
    };
    let mut overrides = BTreeMap::new();
    for (text, over) in &settings.overrides {
        let here = || Path::top().key("overrides").key(text.as_str());
        let Some(hash) = hash(text) else {
            return refuse(here(), Mistake::Hash);
        };
        overrides.insert(hash, find(tiers, &over.tier, here().key("tier"))?);
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
                let name = header_name(&header.name, here().key("header").key("name"))?;
                if header.trusted {
                    sources.push(TierSource::Header(name));
                } else {
                    untrusted.push(name);
                }
            }
            settings::TierSource::ApiKeys(keys) => {
                let here = || here().key("api_keys");
                let header = header_name(&keys.header, here().key("header"))?;
                let mut by_hash = BTreeMap::new();
                for (text, tier) in &keys.keys {
                    let here = || here().key("keys").key(text.as_str());
                    let Some(hash) = hash(text) else {
                        return refuse(here(), Mistake::Hash);
                    };
                    by_hash.insert(hash, find(tiers, tier, here())?);
                }
                sources.push(TierSource::Keys {
                    header,
                    tiers: by_hash,
                });
            }
        }
    }
    // What tells an identity is needed there, whatever tier it does not tell.
    untrusted.retain(|name| {
        identity.iter().all(|source| match &source.from {
            identity::From::Header { name: needed, .. } => needed != name,
            _ => true,
        })
    });
    Ok(Assignment {
        overrides,
        sources,
        default,
        anonymous,
        refuse_unknown: settings.tier.unknown == Unknown::Deny,
        untrusted,
    })
}

fn exempt(settings: &settings::Exempt) -> Result<Exempt> {
    let here = || Path::top().key("exempt");
    let mut cidrs = Vec::with_capacity(settings.cidrs.len());
    for (at, range) in settings.cidrs.iter().enumerate() {
        let Some(range) = Cidr::parse(range) else {
            return refuse(here().key("cidrs").index(at), Mistake::Cidr);
        };
        cidrs.push(range);
    }
    let mut identities = BTreeSet::new();
    for (at, text) in settings.identities.iter().enumerate() {
        let Some(hash) = hash(text) else {
            return refuse(here().key("identities").index(at), Mistake::Hash);
        };
        identities.insert(hash);
    }
    Ok(Exempt {
        cidrs,
        identities,
        paths: Paths::compile(&settings.paths).map_err(|error| error.below(here().key("paths")))?,
        preflight: settings.preflight,
    })
}

fn styles(headers: &settings::Headers) -> Result<Vec<Style>> {
    let here = || Path::top().key("headers");
    let mut styles = Vec::new();
    if headers.ietf {
        styles.push(Style::Ietf {
            partition_key: headers.partition_key,
        });
    } else if headers.partition_key {
        return refuse(here().key("partition_key"), Mistake::PartitionWithoutIetf);
    }
    let epoch = |reset| match reset {
        Reset::Off => None,
        Reset::Delta => Some(false),
        Reset::Epoch => Some(true),
    };
    if let Some(epoch) = epoch(headers.x_ratelimit) {
        if headers.envoy {
            return refuse(here().key("envoy"), Mistake::TwoStyles);
        }
        styles.push(Style::XRateLimit { epoch });
    }
    if let Some(epoch) = epoch(headers.x_ratelimit_window) {
        styles.push(Style::XRateLimitWindow { epoch });
    }
    if headers.envoy {
        styles.push(Style::Envoy);
    }
    Ok(styles)
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && rest.bytes().all(|byte| byte.is_ascii_graphic())
    })
}
