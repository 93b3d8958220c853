//! The same cases on a 32-bit target, in Node.
#![cfg(all(target_arch = "wasm32", target_os = "unknown"))]
#![allow(
    clippy::duplicate_mod,
    reason = "each of the files is a test of its own natively"
)]

#[path = "clients.rs"]
mod clients;
#[path = "clock.rs"]
mod clock;
#[path = "eviction.rs"]
mod eviction;
#[path = "filter.rs"]
mod filter;
#[path = "flood.rs"]
mod flood;
#[path = "limits.rs"]
mod limits;
#[path = "quota.rs"]
mod quota;
#[path = "settings.rs"]
mod settings;
#[path = "table.rs"]
mod table;
#[path = "told.rs"]
mod told;
