//! Whose word is taken: who may hand us a trace, an id, baggage.

use portcullis_kit::cidr::Cidr;
use portcullis_kit::exchange::Properties;
use portcullis_kit::property;

use crate::settings;

/// Who is trusted.
#[derive(Clone, Debug)]
pub enum Trust {
    Nobody,
    Everybody,
    /// Costs a read of the peer's address on each request.
    Peers(Vec<Cidr>),
}

impl Trust {
    /// # Errors
    /// The index of a range that is none.
    pub fn compile(trust: &settings::Trust) -> Result<Self, usize> {
        Ok(match trust {
            settings::Trust::Edge => Self::Nobody,
            settings::Trust::Internal => Self::Everybody,
            settings::Trust::Cidrs(ranges) => {
                let mut peers = Vec::with_capacity(ranges.len());
                for (at, range) in ranges.iter().enumerate() {
                    peers.push(Cidr::parse(range).ok_or(at)?);
                }
                Self::Peers(peers)
            }
        })
    }

    /// Whether this request's peer is trusted. One whose address is unknown is not.
    pub fn covers(&self, host: &impl Properties) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Peers(ranges) => property::source_address(host)
                .is_some_and(|address| ranges.iter().any(|range| range.contains(address))),
        }
    }
}
