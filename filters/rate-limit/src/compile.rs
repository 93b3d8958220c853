//! From what a user wrote to what requests use.

mod clients;
mod declared;
mod mistake;
mod tiers;

use std::collections::BTreeSet;

use portcullis_kit::cidr::Cidr;
use portcullis_kit::config::from_value;
use portcullis_kit::routes::Paths;
use portcullis_kit::{Compiling, ConfigError, Mode, Path};

use clients::{assignment, find, hash, is_anybodys, sources};
pub use mistake::Mistake;

use crate::plan::{Exempt, Metrics, OnError, Profile, Style, Upgrade};
use crate::settings::{self, Reset, Settings};
use crate::store::Table;
use crate::window::offset_ms;

type Result<T> = std::result::Result<T, ConfigError>;

#[cold]
#[inline(never)]
fn refuse<T>(path: Path, mistake: Mistake) -> Result<T> {
    Err(ConfigError::rule(path, mistake))
}

/// Reads one profile.
#[inline(never)]
pub fn read(settings: &serde_json::Value) -> Result<Settings> {
    from_value(settings)
}

/// Compiles one profile.
#[inline(never)]
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
    let upgrade = Upgrade {
        url: settings.upgrade.url.clone(),
        text: settings.upgrade.text.clone(),
    };
    let (mut tiers, declared) = tiers::compile(&settings, offset_ms, compiling)?;
    tiers::render(&mut tiers, &upgrade);
    let identity = sources(&settings)?;
    let assignment = assignment(&settings, &tiers, &identity)?;
    let counter = |what| compiling.counter(what, &[]);
    Ok(Profile {
        assignment,
        exempt: exempt(&settings.exempt)?,
        styles: styles(&settings.headers)?,
        upgrade,
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
#[inline(never)]
pub fn check(profiles: &[(&str, &Profile)]) -> Result<()> {
    let place = |name: &str| match name {
        portcullis_kit::plugin::DEFAULT => Path::top(),
        name => Path::top().key("profiles").key(name),
    };
    let Some((_, first)) = profiles.first() else {
        return Ok(());
    };
    for (at, (name, profile)) in profiles.iter().enumerate() {
        if profile.table != first.table {
            let what = if profile.table.size() == first.table.size() {
                "namespace"
            } else {
                "max_identities"
            };
            return refuse(place(name).key(what), Mistake::DiffersFromDefault { what });
        }
        for (earlier_name, earlier) in profiles.iter().take(at) {
            declared::agree_with(&profile.declared, &earlier.declared, earlier_name)
                .map_err(|error| error.below(place(name)))?;
        }
        for declared in profile.declared.iter().filter(|declared| declared.own) {
            let Some(resource) = &declared.resource else {
                continue;
            };
            if profiles
                .iter()
                .all(|(_, other)| other.resource != *resource)
            {
                let path = declared.path.clone().key("resource").below(place(name));
                let resource = resource.clone();
                return refuse(path, Mistake::UnusedResource { resource });
            }
        }
    }
    let places: Vec<Path> = profiles.iter().map(|(name, _)| place(name)).collect();
    let all = places.iter().zip(profiles);
    declared::fit(all.flat_map(|(place, (_, profile))| {
        profile
            .declared
            .iter()
            .map(move |declared| (place, declared))
    }))
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

/// An absolute URL of a web page, by the characters that RFC 3986 allows.
fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
    })
}
