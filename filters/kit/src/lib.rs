//! What all filters share. Pure Rust: nothing here knows a host.
//!
//! A request walks one way: host → adapter → a filter's decision → adapter → host. The filters' logic sees the
//! host only through the small role traits of [`exchange`]; `portcullis-adapter` implements them once on
//! proxy-wasm's host calls, and [`testing`] implements them in memory.

// Derived code names the kit as a filter does.
extern crate self as portcullis_kit;

pub mod ascii;
pub mod chain;
pub mod cidr;
pub mod config;
pub mod cookies;
pub mod exchange;
pub mod export;
pub mod filter;
mod gate;
pub mod gauges;
pub mod glob;
pub mod headers;
pub mod identity;
pub mod leaks;
pub mod metrics;
pub mod otlp;
pub mod plugin;
pub mod presets;
pub mod problem;
pub mod property;
pub mod protect;
pub mod random;
pub mod routes;
pub mod slots;
pub mod span;
pub mod table;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use config::{ConfigError, Mistake, Path};
pub use exchange::Exchange;
pub use filter::{Callbacks, Compiling, Filter, Flow, Mode};
pub use headers::Headers;
