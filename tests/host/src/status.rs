//! What a host call returns.

/// A status of the ABI that is not OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    pub const OK: u32 = 0;
    pub const NOT_FOUND: Self = Self(1);
    pub const BAD_ARGUMENT: Self = Self(2);
    pub const SERIALIZATION_FAILURE: Self = Self(3);
    pub const INVALID_MEMORY_ACCESS: Self = Self(6);
    pub const CAS_MISMATCH: Self = Self(8);
    pub const INTERNAL_FAILURE: Self = Self(10);

    /// Every status that the ABI names, OK aside.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=12).map(Self)
    }
}
