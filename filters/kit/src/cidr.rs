//! Ranges of addresses.

use std::net::IpAddr;

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
