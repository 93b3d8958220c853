//! The one crate that knows proxy-wasm: it maps the host's callbacks and calls onto the kit's traits.
//!
//! Callbacks come through the SDK's dispatcher (answers to callouts excepted, see [`callout`]). Host calls go straight to the ABI ([`host`]), because the SDK's wrappers
//! read header names as UTF-8 and panic on statuses they do not expect; here every status is a value.
//!
//! A module names what it holds once:
//!
//! ```ignore
//! portcullis_adapter::export!(portcullis_kit::plugin::Plugin<MyFilter>);
//! ```

#![cfg(target_arch = "wasm32")]

mod callout;
mod environment;
mod exchange;
mod export;
mod host;
mod http;
mod randomness;
mod root;
mod shared;
mod unreachable;
mod worker;

pub use export::{Entry, new_root};
pub use root::Root;

#[doc(hidden)]
pub mod reexport {
    pub use portcullis_kit::chain::Bundle;
    pub use proxy_wasm;
}
