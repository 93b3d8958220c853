//! What a host call does instead of what it should.

use crate::status::Status;

/// A rule about host calls, in force until it is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The call of this name does nothing and returns this status.
    Status(&'static str, Status),
    /// Every call but `proxy_log` does nothing and returns this status.
    Everything(Status),
    /// The call of this name succeeds and hands these bytes over.
    Bytes(&'static str, Vec<u8>),
}

impl Failure {
    /// The status with which this call is to fail.
    pub(crate) fn status(&self, call: &str) -> Option<Status> {
        match self {
            Self::Status(name, status) => (*name == call).then_some(*status),
            Self::Everything(status) => (call != "proxy_log").then_some(*status),
            Self::Bytes(..) => None,
        }
    }

    /// The bytes that this call is to hand over.
    pub(crate) fn bytes(&self, call: &str) -> Option<&[u8]> {
        match self {
            Self::Bytes(name, bytes) if *name == call => Some(bytes),
            _ => None,
        }
    }
}
