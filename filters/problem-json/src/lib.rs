//! Every error leaves as problem details (RFC 9457) and leaks nothing.
//!
//! What a client asked for ([`negotiate`]), what an upstream said ([`upstream`]), what of it may pass ([`redact`]), our own
//! words ([`titles`]) and the document in each format ([`document`]) know no host; the filter applies them to an exchange.

mod answer;
mod asked;
mod body;
mod compile;
mod connect;
pub mod document;
mod filter;
mod headers;
mod inside;
mod local_reply;
mod mistake;
pub mod negotiate;
mod profile;
mod protocol;
pub mod redact;
mod reply;
pub mod settings;
pub mod titles;
pub mod upstream;

pub use filter::{ProblemJson, Stream};
pub use local_reply::LocalReply;
pub use profile::Profile;
pub use settings::Settings;

#[cfg(all(target_os = "wasi", feature = "module"))]
portcullis_adapter::export!(portcullis_kit::plugin::Plugin<ProblemJson>);
