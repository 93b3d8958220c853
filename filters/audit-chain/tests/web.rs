//! The same cases on a 32-bit target, in Node.
#![cfg(all(target_arch = "wasm32", target_os = "unknown"))]

#[path = "sealing.rs"]
mod sealing;
