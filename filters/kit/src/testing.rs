//! The role traits in memory, for tests.

mod bench;
mod fake;
mod names;
mod shared;
mod worker;

pub use bench::Bench;
pub use fake::{Fake, Phase};
pub use names::Names;
pub use shared::{Dialect, Shared};
pub use worker::{FakeWorker, Sent, answer};
