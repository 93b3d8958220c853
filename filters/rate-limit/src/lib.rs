//! Limits how often a client may call, by its plan, exactly.
//!
//! For each request, in this order:
//!
//! 1. Exempt paths, addresses and CORS preflights pass ([`exemption`]).
//! 2. The client is found out ([`identity`]) and its tier ([`assignment`]); what could count for two is refused
//!    ([`ambiguity`]).
//! 3. The store decides over all limits of the tier at once ([`decide`], [`store`]) and counts the request, or refuses
//!    it and counts nothing.
//! 4. A refused request is answered ([`refusal`]); every limited response says where the client stands ([`headers`]).
//! 5. At the end, what counts requests in flight is given back.

pub mod ambiguity;
pub mod assignment;
pub mod bucket;
pub mod compile;
pub mod counter;
pub mod decide;
pub mod dynamic;
pub mod exemption;
pub mod filter;
pub mod headers;
pub mod identity;
pub mod in_flight;
pub mod period;
pub mod plan;
pub mod preset;
pub mod refusal;
pub mod settings;
pub mod share;
pub mod store;
mod varint;
pub mod window;

pub use filter::{RateLimit, Stream};
pub use settings::Settings;
