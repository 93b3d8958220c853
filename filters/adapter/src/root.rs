//! The root context: one plugin configuration on one worker.

use std::cell::RefCell;
use std::rc::Rc;

use portcullis_kit::chain::Bundle;
use portcullis_kit::config::{ConfigError, fingerprint, log_line, read};
use portcullis_kit::exchange::{CalloutAnswer, CalloutId, Resume};
use portcullis_kit::metrics::{Kind, MetricId, Registry};
use proxy_wasm::types::Action;

use crate::callout::Caller;
use crate::contexts::{HttpContext, RootContext};
use crate::environment::Variables;
use crate::exchange::{HostExchange, Phase, Place, State};
use crate::host::{self, Buffer};
use crate::http::Http;
use crate::randomness;
use crate::worker::HostWorker;

/// A bundle that its configuration compiled to.
pub struct Loaded<B: Bundle> {
    pub bundle: B,
    pub refused: MetricId,
}

impl<B: Bundle + 'static> Caller for Loaded<B> {
    fn answered(self: Rc<Self>, context_id: u32, id: CalloutId, answer: &CalloutAnswer) {
        let mut worker = HostWorker {
            context_id,
            caller: Rc::<Self>::clone(&self),
        };
        self.bundle.callout(id, answer, &mut worker);
    }
}

/// The plugin of one bundle.
pub struct Root<B: Bundle> {
    context_id: u32,
    loaded: Option<Rc<Loaded<B>>>,
}

impl<B: Bundle> Root<B> {
    pub fn new(context_id: u32) -> Self {
        Self {
            context_id,
            loaded: None,
        }
    }
}

struct HostRegistry;

impl Registry for HostRegistry {
    fn define(&mut self, kind: Kind, name: &str) -> MetricId {
        let kind = match kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 2,
        };
        MetricId(host::define_metric(kind, name).ok())
    }
}

impl<B: Bundle> Root<B> {
    fn load(configuration: &[u8], fingerprint: &str) -> Result<Loaded<B>, ConfigError> {
        let settings = read(configuration)?;
        let registry = RefCell::new(HostRegistry);
        let environment = Variables {
            configuration: fingerprint.to_owned(),
        };
        let bundle = B::load(&settings, &environment, &registry)?;
        let refused = format!(
            "portcullis_{}_host_refusals_total",
            B::NAME.replace('-', "_")
        );
        let refused = registry.borrow_mut().define(Kind::Counter, &refused);
        Ok(Loaded { bundle, refused })
    }
}

/// Logs why a configuration is refused. A host shows the line beside its own refusal.
pub fn reject(plugin: &str, why: &str) -> bool {
    let line = log_line(
        "configuration_rejected",
        &[("plugin", plugin.into()), ("error", why.into())],
    );
    host::log(log::Level::Error, &line);
    false
}

impl<B: Bundle + 'static> RootContext for Root<B> {
    fn configure(&mut self, size: usize) -> bool {
        if !randomness::is_available() {
            return reject(B::NAME, "the host gives no random bytes (WASI random_get)");
        }
        let configuration = match size {
            0 => Vec::new(),
            size => match host::buffer(Buffer::PluginConfiguration, 0, size) {
                Ok(bytes) => bytes,
                Err(_) => {
                    return reject(B::NAME, "the host does not hand over the configuration");
                }
            },
        };
        let fingerprint = fingerprint(&configuration);
        match Self::load(&configuration, &fingerprint) {
            Ok(loaded) => {
                let line = log_line(
                    "configuration_loaded",
                    &[
                        ("plugin", B::NAME.into()),
                        ("version", env!("CARGO_PKG_VERSION").into()),
                        ("sha256", fingerprint.into()),
                    ],
                );
                host::log(log::Level::Info, &line);
                if let Some(period) = loaded.bundle.tick_period_ms()
                    && host::set_tick_period(period).is_err()
                {
                    return reject(B::NAME, "the host refuses a tick period");
                }
                self.loaded = Some(Rc::new(loaded));
                true
            }
            Err(error) => reject(B::NAME, &error.to_string()),
        }
    }

    fn tick(&mut self) {
        if let Some(loaded) = &self.loaded {
            let mut worker = HostWorker {
                context_id: self.context_id,
                caller: Rc::<Loaded<B>>::clone(loaded),
            };
            loaded.bundle.tick(&mut worker);
        }
    }

    fn log(&mut self) {
        let Some(loaded) = self.loaded.as_ref().filter(|_| B::LOGS_ACCESS) else {
            return;
        };
        let mut state = State::default();
        state.enter(Phase::Finished);
        let caller = || Rc::<Loaded<B>>::clone(loaded) as Rc<dyn Caller>;
        let mut exchange = HostExchange {
            state: &mut state,
            place: Place {
                id: self.context_id,
                root_id: self.context_id,
                caller: &caller,
            },
            shares_response: B::SHARES_RESPONSE,
            refused: loaded.refused,
        };
        loaded.bundle.log_access(&mut exchange);
    }

    fn new_request(&self, id: u32) -> Box<dyn HttpContext> {
        match &self.loaded {
            Some(loaded) => Box::new(Http::new(id, self.context_id, Rc::clone(loaded))),
            // A host asks only after it accepted a configuration; if one does not, requests pass as they are.
            None => Box::new(Idle),
        }
    }
}

/// Does nothing.
struct Idle;

impl HttpContext for Idle {
    fn request_headers(&mut self, _: bool) -> Action {
        Action::Continue
    }

    fn request_body(&mut self, _: usize, _: bool) -> Action {
        Action::Continue
    }

    fn request_trailers(&mut self) -> Action {
        Action::Continue
    }

    fn response_headers(&mut self, _: bool) -> Action {
        Action::Continue
    }

    fn response_body(&mut self, _: usize, _: bool) -> Action {
        Action::Continue
    }

    fn response_trailers(&mut self) -> Action {
        Action::Continue
    }

    fn resume(&mut self, _: Resume) {}

    fn log(&mut self) {}
}

/// The plugin of a `root_id` that the module does not have.
pub struct Unknown {
    pub root_id: String,
    pub known: Vec<&'static str>,
}

impl RootContext for Unknown {
    fn configure(&mut self, _: usize) -> bool {
        let why = format!(
            "this module has no plugin of root_id `{}`; it has {}",
            self.root_id,
            self.known.join(", ")
        );
        reject("portcullis", &why)
    }

    fn tick(&mut self) {}

    fn log(&mut self) {}

    fn new_request(&self, _: u32) -> Box<dyn HttpContext> {
        Box::new(Idle)
    }
}
