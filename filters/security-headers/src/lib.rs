//! Response headers that protect the client, cookie hardening, CSRF protection.
//!
//! In the request phase:
//!
//! 1. With nonces, the upstream gets a new one as `x-csp-nonce`; a client's own never reaches it.
//! 2. Where CSRF protection is on, a request that a page of another origin made is refused ([`csrf`]).
//!
//! In the response phase, for every response the filter can see ([`response`]):
//!
//! 1. Leaking headers go ([`leaks`]).
//! 2. Each header gets the preset's value or the settings', by its rule.
//! 3. Content-Security-Policy likewise, with the nonce; an upstream's policy is never mixed with another text ([`csp`]).
//! 4. HSTS, on TLS ([`hsts`]); `Clear-Site-Data`, on 2xx and 3xx.
//! 5. CORS responses are repaired ([`cors`]), cookies hardened ([`portcullis_kit::cookies`]).
//!
//! # Deployment
//!
//! Put it first among the filters, so that the replies of all others pass it.

pub mod compile;
pub mod cors;
pub mod csp;
pub mod csrf;
mod filter;
pub mod hsts;
mod lookup;
mod mistake;
pub mod nonce;
pub mod origin;
mod profile;
mod refusal;
mod reporting;
pub mod response;
pub mod settings;
mod tls;
mod values;

pub use filter::{SecurityHeaders, Stream};
pub use portcullis_kit::{leaks, presets};
pub use profile::Profile;
pub use settings::Settings;
