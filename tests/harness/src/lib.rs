//! Starts a real Envoy and speaks to it.
//!
//! * [`config`] writes an Envoy configuration from a few typed parts; [`template`] changes a configuration file.
//! * [`envoy`] starts the proxy on free ports, asks its admin interface, updates its listeners and ends it.
//! * [`raw`], [`http2`] and [`tls`] are clients that show every byte; [`load`] are many at once; [`compare`] tells two answers apart.
//! * [`scenario`] reads the declarative files of `tests/scenarios`, [`expect`] compares what happened with what they say.
//! * [`suite`] runs the cases of one theme against proxies that they share.
//!
//! Nothing waits for time to pass: [`wait`] polls with a deadline.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only tests depend on this crate; a panic is how a test fails"
)]

pub mod admin;
pub mod artifacts;
pub mod compare;
pub mod config;
pub mod envoy;
pub mod expect;
pub mod exposition;
pub mod http2;
pub mod load;
pub mod patch;
pub mod raw;
pub mod request;
pub mod response;
pub mod scenario;
pub mod sink;
pub mod suite;
pub mod template;
pub mod tls;
pub mod version;
pub mod wait;

pub use config::{Config, Filter, Listener, Route};
pub use envoy::{Envoy, StartError, Update};
pub use portcullis_upstream as upstream;
pub use raw::Connection;
pub use request::Request;
pub use response::{Ending, Response};
pub use sink::{Mood, Sink};
pub use template::Template;
pub use version::Version;
