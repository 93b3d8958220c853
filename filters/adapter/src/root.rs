//! The root context: one plugin configuration on one worker.

use std::cell::RefCell;
use std::rc::Rc;

use portcullis_kit::chain::Bundle;
use portcullis_kit::config::{ConfigError, fingerprint, log_line, read};
use portcullis_kit::exchange::{CalloutAnswer, CalloutId, Resume};
use portcullis_kit::metrics::{Kind, MetricId, Registry};
use proxy_wasm::types::Action;
use serde_json::Value;

use crate::callout::Caller;
use crate::contexts::{HttpContext, RootContext};
use crate::environment::Variables;
use crate::exchange::{HostExchange, Phase, Place, State};
use crate::gauges;
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
        gauges::define(kind, name)
    }
}

/// What loading takes beside the bundle itself. Not generic: a module with many bundles has it once.
struct Loading {
    plugin: &'static str,
    settings: Value,
    environment: Variables,
    registry: RefCell<HostRegistry>,
}

impl Loading {
    /// Reads the configuration; says in the log why it cannot be one.
    #[inline(never)]
    fn begin(plugin: &'static str, size: usize) -> Option<Self> {
        if !randomness::is_available() {
            reject(plugin, "the host gives no random bytes (WASI random_get)");
            return None;
        }
        let configuration = match size {
            0 => Vec::new(),
            size => match host::buffer(Buffer::PluginConfiguration, 0, size) {
                Ok(bytes) => bytes,
                Err(_) => {
                    reject(plugin, "the host does not hand over the configuration");
                    return None;
                }
            },
        };
        let environment = Variables {
            configuration: fingerprint(&configuration),
        };
        match read(&configuration) {
            Ok(settings) => Some(Self {
                plugin,
                settings,
                environment,
                registry: RefCell::new(HostRegistry),
            }),
            Err(error) => {
                reject(plugin, &error.to_string());
                None
            }
        }
    }

    /// The counter of calls that the host refuses.
    #[inline(never)]
    fn refused(&self) -> MetricId {
        let plugin = self.plugin.replace('-', "_");
        let name = format!("portcullis_{plugin}_host_refusals_total");
        self.registry.borrow_mut().define(Kind::Counter, &name)
    }

    /// Says what became of it.
    #[inline(never)]
    fn end(self, loaded: Result<Option<u32>, ConfigError>) -> bool {
        let tick_period = match loaded {
            Ok(tick_period) => tick_period,
            Err(error) => return reject(self.plugin, &error.to_string()),
        };
        let line = log_line(
            "configuration_loaded",
            &[
                ("plugin", self.plugin.into()),
                ("version", env!("CARGO_PKG_VERSION").into()),
                ("sha256", self.environment.configuration.into()),
            ],
        );
        host::log(log::Level::Info, &line);
        if let Some(period) = tick_period
            && host::set_tick_period(period).is_err()
        {
            return reject(self.plugin, "the host refuses a tick period");
        }
        true
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
        let Some(loading) = Loading::begin(B::NAME, size) else {
            return false;
        };
        let Loading {
            settings,
            environment,
            registry,
            ..
        } = &loading;
        match B::load(settings, environment, registry) {
            Ok(bundle) => {
                let tick_period = bundle.tick_period_ms();
                let refused = loading.refused();
                let accepted = loading.end(Ok(tick_period));
                if accepted {
                    self.loaded = Some(Rc::new(Loaded { bundle, refused }));
                }
                accepted
            }
            Err(error) => loading.end(Err(error)),
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

    fn stop(&mut self) {
        if let Some(loaded) = &self.loaded {
            let mut worker = HostWorker {
                context_id: self.context_id,
                caller: Rc::<Loaded<B>>::clone(loaded),
            };
            loaded.bundle.stop(&mut worker);
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

    fn stop(&mut self) {}

    fn log(&mut self) {}

    fn new_request(&self, _: u32) -> Box<dyn HttpContext> {
        Box::new(Idle)
    }
}
