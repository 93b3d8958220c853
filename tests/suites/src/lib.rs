//! The suites on a real Envoy, and the scenarios wherever they run.
//!
//! [`scenario`] reads the declarative files of `tests/scenarios`, [`expect`] compares what happened with what they say, and
//! [`traffic`] is what suites send that compare two proxies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only tests use this crate; a panic is how a test fails"
)]

pub mod errors;
pub mod everything;
pub mod evidence;
pub mod expect;
pub mod hardened;
pub mod mistakes;
pub mod native;
pub mod piecemeal;
pub mod plans;
pub mod scenario;
pub mod standing;
pub mod trace;
pub mod traffic;
pub mod w3c;
