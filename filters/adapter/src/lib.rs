//! The one crate that knows proxy-wasm: it maps the host's callbacks and calls onto the kit's traits.
//!
//! Of the SDK it takes the version of the ABI, types, the allocator and the start. Callbacks go to the contexts directly
//! ([`contexts`]), host calls straight to the ABI ([`host`]): the SDK's wrappers read header names as UTF-8 and panic on ids
//! and statuses they do not expect; here every status is a value.
//!
//! A module names what it holds once:
//!
//! ```ignore
//! portcullis_adapter::export!(portcullis_kit::plugin::Plugin<MyFilter>);
//! ```

#![cfg(target_arch = "wasm32")]

mod callout;
mod contexts;
mod environment;
mod exchange;
mod export;
mod gauges;
mod host;
mod http;
mod randomness;
mod root;
mod shared;
mod worker;

pub use contexts::{HttpContext, RootContext, start};
pub use export::Entry;
pub use root::Root;

#[doc(hidden)]
pub mod reexport {
    pub use portcullis_kit::chain::Bundle;
    pub use proxy_wasm;
}
