//! Every error leaves as problem details (RFC 9457) and leaks nothing.
//!
//! The pure part: what a client asked for ([`negotiate`]), what an upstream said ([`upstream`]), what of it may pass
//! ([`redact`]), our own words ([`titles`]) and the document in each format ([`document`]).

pub mod document;
pub mod negotiate;
pub mod redact;
pub mod titles;
pub mod upstream;
