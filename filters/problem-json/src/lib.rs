//! Every error leaves as problem details (RFC 9457) and leaks nothing.
//!
//! The pure part: what a client asked for ([`negotiate`]), our own words ([`titles`]) and the document in each format
//! ([`document`]).

pub mod document;
pub mod negotiate;
pub mod titles;
