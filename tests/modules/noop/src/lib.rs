//! A filter of ours with the two header callbacks and nothing in them: what the adapter alone costs.

#![cfg(target_arch = "wasm32")]

use portcullis_kit::plugin::Plugin;
use portcullis_kit::{Callbacks, Compiling, ConfigError, Filter};

/// The filter that does nothing.
pub struct Noop;

/// It has no settings.
#[derive(portcullis_kit::config::Setting)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

impl Filter for Noop {
    const NAME: &'static str = "noop";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS.and(Callbacks::RESPONSE_HEADERS);
    type Settings = Settings;
    type Profile = ();
    type Stream = ();

    fn start() -> Self {
        Self
    }

    fn compile(_: Settings, _: &Compiling<'_>) -> Result<(), ConfigError> {
        Ok(())
    }
}

portcullis_adapter::export!(Plugin<Noop>);
