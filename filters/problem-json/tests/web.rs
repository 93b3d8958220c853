//! The same cases on a 32-bit target, in Node.
#![cfg(all(target_arch = "wasm32", target_os = "unknown"))]
#![allow(
    clippy::duplicate_mod,
    reason = "each of the files is a test of its own natively"
)]

#[path = "bodies.rs"]
mod bodies;
#[path = "filter.rs"]
mod filter;
#[path = "headers.rs"]
mod headers;
#[path = "negotiation.rs"]
mod negotiation;
#[path = "refusals.rs"]
mod refusals;
#[path = "replies.rs"]
mod replies;
#[path = "trailers.rs"]
mod trailers;
