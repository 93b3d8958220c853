//! Whose word is taken: who may hand us a trace, an id, baggage.

use std::net::IpAddr;

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

/// A range of addresses (RFC 4632, RFC 4291 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// IPv4 addresses in their IPv6-mapped form.
    network: u128,
    mask: u128,
}

impl Cidr {
    /// `10.0.0.0/8`, `2001:db8::/32`, or one address. `None` for anything else, bits beside the network included: they
    /// are more likely a slip than meant.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length: u32 = match length {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|length| *length <= width)?
            }
            Some(_) => return None,
            None => width,
        };
        let mask = u128::MAX.checked_shl(width - length).unwrap_or_default();
        let network = bits(address);
        // A mapped range covers its last 32 bits only.
        let mask = if width == 32 {
            mask | !u128::from(u32::MAX)
        } else {
            mask
        };
        (network & mask == network).then_some(Self { network, mask })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.network
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        for (range, address, inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7/32", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "192.0.2.7", true),
        ] {
            let parsed = Cidr::parse(range).unwrap();
            assert_eq!(
                parsed.contains(address.parse().unwrap()),
                inside,
                "{range} {address}"
            );
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0/8",
            "::/129",
            "a/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/ 8",
        ] {
            assert!(Cidr::parse(bad).is_none(), "{bad}");
        }
    }
}
