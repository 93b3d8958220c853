//! The suites on a real Envoy, and the scenarios wherever they run.
//!
//! [`traffic`] is what suites send that compare two proxies; the other modules are what they share about one filter each.
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
pub mod fail_closed;
pub mod hardened;
pub mod held;
pub mod hostile_client;
pub mod mistakes;
pub mod native;
pub mod piecemeal;
pub mod plans;
pub mod records;
pub mod shipped;
pub mod standing;
pub mod trace;
pub mod traffic;
pub mod w3c;

pub use portcullis_harness::{expect, scenario};
