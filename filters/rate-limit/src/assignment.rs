//! Which tier a client gets, and why.

use portcullis_kit::exchange::Properties;
use portcullis_kit::headers::Headers;
use sha2::{Digest as _, Sha256};

use crate::identity::{self, Ambiguous, Identity};
use crate::plan::{Profile, TierSource};

/// A client's tier: its place among the profile's, or none where a source names one that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    pub tier: Option<usize>,
    pub why: Why,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// An override of the identity.
    Override,
    /// A source, by its place among the assignment's.
    Source(usize),
    /// No source said anything of a client known by its address only.
    Anonymous,
    /// No source said anything.
    Default,
}

/// The client's tier.
///
/// # Errors
/// A header that would tell it stands in several lines.
pub fn tier<X: Properties>(
    profile: &Profile,
    identity: &Identity,
    headers: &Headers,
    host: &X,
) -> Result<Assigned, Box<Ambiguous>> {
    let assignment = &profile.assignment;
    if !assignment.overrides.is_empty()
        && let Some(tier) = assignment.overrides.get(&identity.hash())
    {
        return Ok(Assigned {
            tier: Some(*tier),
            why: Why::Override,
        });
    }
    let by_name = |name: &[u8]| {
        profile
            .tiers
            .iter()
            .position(|tier| tier.name.as_bytes().eq_ignore_ascii_case(name))
    };
    for (at, source) in assignment.sources.iter().enumerate() {
        let why = Why::Source(at);
        match source {
            TierSource::Claim(path) => {
                if let Some(name) = identity::claim(path, host) {
                    let tier = by_name(&name);
                    return Ok(Assigned { tier, why });
                }
            }
            TierSource::Header(name) => {
                if let Some(name) = identity::only_line(headers, name)? {
                    let tier = by_name(name);
                    return Ok(Assigned { tier, why });
                }
            }
            TierSource::Keys { header, tiers } => {
                if let Some(key) = identity::only_line(headers, header)? {
                    let hash: [u8; 32] = Sha256::digest(identity::credential(key)).into();
                    if let Some(tier) = tiers.get(&hash) {
                        let tier = Some(*tier);
                        return Ok(Assigned { tier, why });
                    }
                }
            }
        }
    }
    let (tier, why) = if identity.anonymous {
        (assignment.anonymous, Why::Anonymous)
    } else {
        (assignment.default, Why::Default)
    };
    Ok(Assigned {
        tier: Some(tier),
        why,
    })
}
