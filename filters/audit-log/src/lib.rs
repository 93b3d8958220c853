//! One record of every request, without what must not be recorded.
//!
//! At the end of each request, whatever its end, in this order:
//!
//! 1. The first rule that matches says how much is recorded ([`policy`]).
//! 2. What the host knows of the request is asked for ([`seen`]), and cut, hashed or left out ([`record`], [`redact`]).
//! 3. Its end gets an outcome, a category and, where it concerns security, the name of an event ([`ending`]).
//! 4. The record is written in its form ([`format`]), sealed ([`ledger`]) and handed over ([`emit`]).
//!
//! Before a request goes on, it may have to wait for its record ([`admission`]).

mod account;
mod admission;
mod body;
pub mod compile;
mod deliver;
mod emission;
mod emit;
pub mod ending;
pub mod filter;
pub mod flags;
pub mod format;
pub mod guard;
mod json;
mod ledger;
mod ledgers;
mod lines;
mod live;
pub mod mistake;
mod notice;
pub mod policy;
pub mod profile;
mod proxy_log;
pub mod record;
pub mod redact;
mod refusal;
mod secret_name;
pub mod seen;
pub mod settings;
mod untold;
mod waiting;

pub use filter::AuditLog;
pub use settings::Settings;

#[cfg(all(target_os = "wasi", feature = "module"))]
portcullis_adapter::export!(portcullis_kit::plugin::Plugin<AuditLog<false>>);
