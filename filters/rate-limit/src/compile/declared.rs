//! Limits as counters: which of them are one, and what one identity's take at most.

use std::hash::Hasher as _;

use portcullis_kit::Path;
use portcullis_kit::config::Segment;
use portcullis_kit::plugin::DEFAULT;
use siphasher::sip::SipHasher13;

use super::{Mistake, Result, refuse};
use crate::counter::{self, Algorithm};
use crate::period::Period;
use crate::plan::Declared;

pub fn declare(
    name: &str,
    algorithm: &Algorithm,
    count: u32,
    resource: Option<&str>,
    own: bool,
    path: Path,
) -> Declared {
    Declared {
        name: name.to_owned(),
        tag: tag(name, algorithm, resource),
        bytes: most_bytes(algorithm, count),
        algorithm: *algorithm,
        resource: resource.map(str::to_owned),
        own,
        path,
    }
}

/// The mark of a counter in what is stored: all that makes it another counter, and not how much it allows.
fn tag(name: &str, algorithm: &Algorithm, resource: Option<&str>) -> u16 {
    let mut hasher = SipHasher13::new();
    let mut number = |number: u64| hasher.write(&number.to_le_bytes());
    match *algorithm {
        Algorithm::Sliding { window_ms } => [0, window_ms, 0].map(&mut number),
        Algorithm::Fixed(Period::Every {
            window_ms,
            offset_ms,
        }) => [1, window_ms, offset_ms.cast_unsigned()].map(&mut number),
        Algorithm::Fixed(Period::Month { offset_ms }) => {
            [2, 0, offset_ms.cast_unsigned()].map(&mut number)
        }
        Algorithm::Log { window_ms } => [3, window_ms, 0].map(&mut number),
        Algorithm::Gcra { window_ms, .. } => [4, window_ms, 0].map(&mut number),
        // Whatever the lease: who changes it, or the profile, still has in flight what there is. Each request is kept with the
        // time when its own lease ends.
        Algorithm::Concurrency { .. } => [5, 0, 0].map(&mut number),
    };
    for text in [name, resource.unwrap_or_default()] {
        hasher.write(text.as_bytes());
        hasher.write(&[0]);
    }
    hasher.finish() as u16
}

/// Refuses two limits of one profile that are one counter and count differently.
pub fn agree_within(declared: &[Declared]) -> Result<()> {
    for (at, limit) in declared.iter().enumerate() {
        if !limit.own {
            continue;
        }
        let before = declared.iter().take(at).filter(|other| other.own);
        for other in declared.iter().filter(|other| !other.own).chain(before) {
            if let Some(mistake) = clash(limit, other, None) {
                return refuse(limit.path.clone(), mistake);
            }
        }
    }
    Ok(())
}

/// Refuses limits of a profile that an earlier one counts differently. Paths in mistakes start at the profile.
pub fn agree_with(declared: &[Declared], earlier: &[Declared], name: &str) -> Result<()> {
    for limit in declared {
        for other in earlier {
            if let Some(mistake) = clash(limit, other, Some(name)) {
                let path = match differs_in_offset(&limit.algorithm, &other.algorithm) {
                    true => Path::top().key("utc_offset"),
                    false => limit.path.clone(),
                };
                return refuse(path, mistake);
            }
        }
    }
    Ok(())
}

fn clash(limit: &Declared, other: &Declared, profile: Option<&str>) -> Option<Mistake> {
    let name = limit.name.clone();
    match (limit.name == other.name, limit.tag == other.tag) {
        (true, false) => {
            let other = whose(other, profile);
            Some(match limit.path.segments().last() {
                Some(Segment::Key(key)) if key == "burst" => Mistake::BurstRedefined { other },
                Some(Segment::Key(key)) if key == "concurrency" => {
                    Mistake::ConcurrencyRedefined { other }
                }
                _ => Mistake::LimitRedefined { name, other },
            })
        }
        (false, true) => Some(Mistake::SameTag {
            name,
            other: other.name.clone(),
        }),
        _ => None,
    }
}

fn whose(limit: &Declared, profile: Option<&str>) -> String {
    let place = match (limit.own, limit.path.segments().get(1)) {
        (false, Some(Segment::Key(tier))) => format!("the standard plan `{tier}`"),
        _ => format!("`{}`", limit.path),
    };
    match profile {
        None => place,
        Some(DEFAULT) => format!("{place} of the settings at the top"),
        Some(profile) => format!("{place} of the profile `{profile}`"),
    }
}

fn differs_in_offset(one: &Algorithm, other: &Algorithm) -> bool {
    let without = |algorithm: &Algorithm| match *algorithm {
        Algorithm::Fixed(Period::Every { window_ms, .. }) => Some(window_ms),
        Algorithm::Fixed(Period::Month { .. }) => Some(0),
        _ => None,
    };
    without(one).is_some() && without(one) == without(other)
}

/// What a slot of the table has room for. It could hold twice as much: limits of settings before these may still be
/// counted beside them.
const MAX_BYTES: usize = 32_768;

/// Refuses limits that could fill more than a slot, over all profiles: they are all kept for one identity.
pub fn fit<'a>(declared: impl Iterator<Item = (&'a Path, &'a Declared)>) -> Result<()> {
    let mut bytes: Vec<((u16, Option<u64>), usize)> = Vec::new();
    for (place, limit) in declared {
        // Under each lease there are other times when requests are forgotten.
        let lease = match limit.algorithm {
            Algorithm::Concurrency { lease_ms } => Some(lease_ms),
            _ => None,
        };
        let counter = (limit.tag, lease);
        match bytes.iter_mut().find(|(other, _)| *other == counter) {
            Some((_, most)) => *most = limit.bytes.max(*most),
            None => bytes.push((counter, limit.bytes)),
        }
        if bytes.iter().map(|(_, most)| most).sum::<usize>() > MAX_BYTES {
            let path = limit.path.clone().below(place.clone());
            return refuse(path, Mistake::TooMuchToKeep);
        }
    }
    Ok(())
}

/// How many bytes a counter takes at most, its head included.
fn most_bytes(algorithm: &Algorithm, count: u32) -> usize {
    const HEAD: usize = 5;
    /// The longest number.
    const NUMBER: usize = 10;
    HEAD + match algorithm {
        Algorithm::Sliding { .. } => (counter::sliding::PARTS + 2) * NUMBER,
        Algorithm::Fixed(_) | Algorithm::Gcra { .. } => 2 * NUMBER,
        // A time since the one before and a cost: 366 days of milliseconds take 5 bytes, 512 takes 2.
        Algorithm::Log { .. } => NUMBER + usize::try_from(count).unwrap_or(usize::MAX / 16) * 7,
        // In flight under one lease: fewer parts of it than this, each with its time and its count.
        Algorithm::Concurrency { .. } => 16 * 2 * NUMBER,
    }
}
