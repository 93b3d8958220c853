//! A proxy-wasm host in this process, for tests: it runs a compiled module as Envoy would, counts what that costs, and
//! fails on demand.
//!
//! - Host calls are counted by name and phase; those that hand bytes to the guest apart, because each re-enters the
//!   guest's allocator and costs several times as much as any other.
//! - Guest instructions are counted exactly (wasmtime's fuel), so a budget can be held to the instruction.
//! - Any host call can be made to return any status, or bytes that lie.
//! - The clock stands still until a test moves it; randomness is a stream from a seed.
//!
//! What the host answers is what Envoy 1.40 answers, as far as the calls are there. A host call that is not there traps
//! with its name.
//!
//! ```no_run
//! use portcullis_host::{Module, Script};
//!
//! let module = Module::load(&portcullis_host::dist("security_headers"));
//! let mut plugin = module.start().root_id("security-headers").configuration(b"{}").load().unwrap();
//! let outcome = plugin.request(&Script::get("/")).unwrap();
//! assert!(outcome.response.get("x-frame-options").is_some());
//! assert!(outcome.cost.byte_returning() <= 2);
//! ```

// A host for tests stops the test when it cannot go on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod budget;
mod call;
mod cost;
mod failure;
mod guest;
mod imports;
mod lines;
mod metrics;
mod module;
mod plugin;
mod run;
mod script;
mod settings;
mod shared;
mod status;
mod stream;
mod wasi;
mod world;

pub use budget::Budgets;
pub use cost::{Cost, Phase};
pub use failure::Failure;
pub use lines::Lines;
pub use metrics::Metrics;
pub use module::{Module, Start, dist};
pub use plugin::{Plugin, Refused, Trap};
pub use run::Outcome;
pub use script::{Response, Script};
pub use settings::Form;
pub use shared::{Dialect, SharedData};
pub use status::Status;
pub use stream::Reply;
pub use world::{Callout, Interruption, World};
