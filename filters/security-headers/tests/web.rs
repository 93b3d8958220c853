//! The same cases on a 32-bit target, in Node.
#![cfg(all(target_arch = "wasm32", target_os = "unknown"))]
#![allow(
    clippy::duplicate_mod,
    reason = "each of the files is a test of its own natively"
)]

#[path = "cookies.rs"]
mod cookies;
#[path = "policies.rs"]
mod policies;
#[path = "repairs.rs"]
mod repairs;
#[path = "requests.rs"]
mod requests;
#[path = "responses.rs"]
mod responses;
#[path = "settings.rs"]
mod settings;
