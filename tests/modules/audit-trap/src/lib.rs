//! audit-log, and beside it a filter that traps where a request asks for it: one module and so one VM, which ends for both.

#![cfg(target_arch = "wasm32")]

use audit_log::AuditLog;
use portcullis_kit::plugin::Plugin;
use portcullis_kit::{Callbacks, Compiling, ConfigError, Exchange, Filter, Flow};

/// The filter that traps on a request with the header `x-trap`.
pub struct Trap;

/// It has no settings.
#[derive(portcullis_kit::config::Setting)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

impl Filter for Trap {
    const NAME: &'static str = "trap";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS;
    type Settings = Settings;
    type Profile = ();
    type Stream = ();

    fn start() -> Self {
        Self
    }

    fn compile(_: Settings, _: &Compiling<'_>) -> Result<(), ConfigError> {
        Ok(())
    }

    fn request_headers<X: Exchange>(
        &self,
        (): &(),
        (): &mut (),
        exchange: &mut X,
        _: bool,
    ) -> Flow {
        if exchange.request_header("x-trap").is_some() {
            core::arch::wasm32::unreachable();
        }
        Flow::Continue
    }
}

portcullis_adapter::export!(Plugin<AuditLog>, Plugin<Trap>);
