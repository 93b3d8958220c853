//! Shared data on host calls.

use portcullis_kit::exchange::{NotWritten, Version};

use crate::host::{self, Refused};

const NOT_FOUND: u32 = 1;
const CAS_MISMATCH: u32 = 8;

pub fn get(key: &[u8]) -> Result<Option<(Vec<u8>, Version)>, NotWritten> {
    match host::shared(key) {
        Ok((value, version)) => Ok(Some((value, Version(version)))),
        Err(Refused(NOT_FOUND)) => Ok(None),
        Err(_) => Err(NotWritten::Refused),
    }
}

pub fn set(key: &[u8], value: &[u8], version: Version) -> Result<(), NotWritten> {
    host::share(key, value, version.0).map_err(|refused| match refused {
        Refused(CAS_MISMATCH) => NotWritten::Changed,
        _ => NotWritten::Refused,
    })
}
