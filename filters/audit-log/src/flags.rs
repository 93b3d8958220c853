//! Envoy's response flags (`%RESPONSE_FLAGS%`): bits of a number, and their short names.

/// The short names, lowest bit first (Envoy 1.40, `stream_info/response_flag`).
const NAMES: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC",
    "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
    "UDO",
];

/// The flags of one response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u64);

impl Flags {
    pub const NONE: Self = Self(0);
    /// The client went away: its connection ended, or it reset the stream.
    pub const CLIENT_LEFT: Self = Self(1 << 14 | 1 << 28);
    /// The client broke the protocol.
    pub const MALFORMED: Self = Self(1 << 17 | 1 << 18);
    /// Another service refused the client.
    pub const UNAUTHORIZED: Self = Self(1 << 12);
    /// A rate limiter of the proxy's own refused the request.
    pub const RATE_LIMITED: Self = Self(1 << 11);
    /// Something between the proxy and the upstream went wrong.
    pub const UPSTREAM: Self = Self(
        1 << 1
            | 1 << 2
            | 1 << 4
            | 1 << 5
            | 1 << 6
            | 1 << 7
            | 1 << 15
            | 1 << 19
            | 1 << 23
            | 1 << 24
            | 1 << 26,
    );

    /// The flag of a short name.
    pub fn named(name: &str) -> Option<Self> {
        let at = NAMES.iter().position(|known| *known == name)?;
        Some(Self(1 << at))
    }

    /// All short names.
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    #[inline]
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[inline]
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The short names of the flags that are set, in the order of their bits.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        NAMES
            .iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, name)| *name)
    }
}
