//! A chain of filters that is itself what a host loads: one context, one read of the request headers, one pass.

use std::cell::RefCell;

use serde_json::Value;

use crate::config::{ConfigError, Environment, Mistake, Path};
use crate::exchange::{CalloutAnswer, CalloutId, Exchange, Worker};
use crate::filter::{Callbacks, Filter, Flow};
use crate::metrics::Registry;
use crate::plugin::{Plugin, Stream, wrong};

/// What the adapter runs: one filter with its profiles, or a chain of them.
pub trait Bundle: Sized {
    /// The plugin's `root_id`.
    const NAME: &'static str;
    const CALLBACKS: Callbacks;
    /// Whether several filters read response headers, so that one read of all of them serves best.
    const SHARES_RESPONSE: bool;
    /// See [`Filter::LOGS_ACCESS`].
    const LOGS_ACCESS: bool;
    type Stream: Default;

    fn load(
        settings: &Value,
        environment: &dyn Environment,
        registry: &RefCell<dyn Registry + '_>,
    ) -> Result<Self, ConfigError>;

    fn request_headers<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        end_of_stream: bool,
    ) -> Flow;

    fn request_body<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        size: usize,
        end_of_stream: bool,
    );

    fn response_headers<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        end_of_stream: bool,
    ) -> Flow;

    fn response_body<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        size: usize,
        end_of_stream: bool,
    ) -> Flow;

    fn response_trailers<X: Exchange>(&self, stream: &mut Self::Stream, exchange: &mut X) -> Flow;
    /// The request phase of the filters that a paused request has not reached.
    fn resume<X: Exchange>(&self, stream: &mut Self::Stream, exchange: &mut X) -> Flow;
    fn finished<X: Exchange>(&self, stream: &mut Self::Stream, exchange: &mut X);
    /// A request's end, as an access logger gets it.
    fn log_access<X: Exchange>(&self, exchange: &mut X);
    fn tick_period_ms(&self) -> Option<u32>;
    fn tick<W: Worker>(&self, worker: &mut W);
    fn stop<W: Worker>(&self, worker: &mut W);
    fn callout<W: Worker>(&self, id: CalloutId, answer: &CalloutAnswer, worker: &mut W);
}

/// The filters of a chain, outermost first: `Link<A, Link<B, End>>`.
pub trait Links: Sized {
    const CALLBACKS: Callbacks;
    const LOGS_ACCESS: bool;
    type Stream: Default;

    fn load(
        settings: &serde_json::Map<String, Value>,
        environment: &dyn Environment,
        registry: &RefCell<dyn Registry + '_>,
    ) -> Result<Self, ConfigError>;
    /// The members' keys in the settings, outermost first.
    fn keys() -> Vec<String>;
    fn request_headers<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        end_of_stream: bool,
    ) -> Flow;
    fn request_body<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        size: usize,
        end_of_stream: bool,
    );
    /// `all`: the request never reached the filters, so each one gets the response.
    fn response_headers<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        end_of_stream: bool,
        all: bool,
    ) -> Flow;
    fn response_body<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        size: usize,
        end_of_stream: bool,
        all: bool,
    ) -> Flow;
    fn response_trailers<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        all: bool,
    ) -> Flow;
    /// The request phase of the filters that a paused request has not reached.
    fn resume<X: Exchange>(&self, stream: &mut Self::Stream, exchange: &mut X) -> Flow;
    fn finished<X: Exchange>(&self, stream: &mut Self::Stream, exchange: &mut X);
    /// A request's end, as an access logger gets it.
    fn log_access<X: Exchange>(&self, exchange: &mut X);
    fn tick_period_ms(&self) -> Option<u32>;
    fn tick<W: Worker>(&self, worker: &mut W);
    fn stop<W: Worker>(&self, worker: &mut W);
    fn callout<W: Worker>(&self, id: CalloutId, answer: &CalloutAnswer, worker: &mut W);
}

/// The end of a chain.
pub struct End;

/// One filter and those inside of it. A filter whose key the settings do not have is not run.
pub struct Link<F: Filter, Rest: Links> {
    plugin: Option<Plugin<F>>,
    rest: Rest,
}

/// What a request remembers of one link.
pub struct LinkStream<F: Filter, Rest: Links> {
    reached: bool,
    /// Whether the request waits here, and if so, whether it ends with its headers.
    waits: Option<bool>,
    own: Stream<F>,
    rest: Rest::Stream,
}

impl<F: Filter, Rest: Links> Default for LinkStream<F, Rest> {
    fn default() -> Self {
        Self {
            reached: false,
            waits: None,
            own: Stream::default(),
            rest: Rest::Stream::default(),
        }
    }
}

/// The key of a filter in a chain's settings: its name with `_`.
fn key<F: Filter>() -> String {
    F::NAME.replace('-', "_")
}

impl Links for End {
    const CALLBACKS: Callbacks = Callbacks::NONE;
    const LOGS_ACCESS: bool = false;
    type Stream = ();

    fn load(
        _: &serde_json::Map<String, Value>,
        _: &dyn Environment,
        _: &RefCell<dyn Registry + '_>,
    ) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn keys() -> Vec<String> {
        Vec::new()
    }

    fn request_headers<X: Exchange>(&self, (): &mut (), _: &mut X, _: bool) -> Flow {
        Flow::Continue
    }

    fn request_body<X: Exchange>(&self, (): &mut (), _: &mut X, _: usize, _: bool) {}

    fn response_headers<X: Exchange>(&self, (): &mut (), _: &mut X, _: bool, _: bool) -> Flow {
        Flow::Continue
    }

    fn response_body<X: Exchange>(
        &self,
        (): &mut (),
        _: &mut X,
        _: usize,
        _: bool,
        _: bool,
    ) -> Flow {
        Flow::Continue
    }

    fn response_trailers<X: Exchange>(&self, (): &mut (), _: &mut X, _: bool) -> Flow {
        Flow::Continue
    }

    fn resume<X: Exchange>(&self, (): &mut (), _: &mut X) -> Flow {
        Flow::Continue
    }

    fn finished<X: Exchange>(&self, (): &mut (), _: &mut X) {}

    fn log_access<X: Exchange>(&self, _: &mut X) {}

    fn tick_period_ms(&self) -> Option<u32> {
        None
    }

    fn tick<W: Worker>(&self, _: &mut W) {}

    fn stop<W: Worker>(&self, _: &mut W) {}

    fn callout<W: Worker>(&self, _: CalloutId, _: &CalloutAnswer, _: &mut W) {}
}

impl<F: Filter, Rest: Links> Links for Link<F, Rest> {
    const CALLBACKS: Callbacks = F::CALLBACKS.and(Rest::CALLBACKS);
    const LOGS_ACCESS: bool = F::LOGS_ACCESS || Rest::LOGS_ACCESS;
    type Stream = LinkStream<F, Rest>;

    fn load(
        settings: &serde_json::Map<String, Value>,
        environment: &dyn Environment,
        registry: &RefCell<dyn Registry + '_>,
    ) -> Result<Self, ConfigError> {
        let key = key::<F>();
        let plugin = settings
            .get(&key)
            .map(|own| Plugin::load(own, environment, registry))
            .transpose()
            .map_err(|error| error.below(Path::top().key(key)))?;
        Ok(Self {
            plugin,
            rest: Rest::load(settings, environment, registry)?,
        })
    }

    fn keys() -> Vec<String> {
        let mut keys = vec![key::<F>()];
        keys.extend(Rest::keys());
        keys
    }

    fn request_headers<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        end_of_stream: bool,
    ) -> Flow {
        stream.reached = true;
        if let Some(plugin) = &self.plugin {
            match plugin.request_headers(&mut stream.own, exchange, end_of_stream) {
                Flow::Continue => {}
                stopped => {
                    stream.waits = (stopped == Flow::Pause).then_some(end_of_stream);
                    return stopped;
                }
            }
        }
        self.rest
            .request_headers(&mut stream.rest, exchange, end_of_stream)
    }

    fn request_body<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        size: usize,
        end_of_stream: bool,
    ) {
        if !stream.reached || !Self::CALLBACKS.contains(Callbacks::REQUEST_BODY) {
            return;
        }
        if F::CALLBACKS.contains(Callbacks::REQUEST_BODY)
            && let Some(plugin) = &self.plugin
        {
            plugin.request_body(&mut stream.own, exchange, size, end_of_stream);
        }
        self.rest
            .request_body(&mut stream.rest, exchange, size, end_of_stream);
    }

    fn resume<X: Exchange>(&self, stream: &mut Self::Stream, exchange: &mut X) -> Flow {
        match stream.waits.take() {
            Some(end_of_stream) => {
                self.rest
                    .request_headers(&mut stream.rest, exchange, end_of_stream)
            }
            None => self.rest.resume(&mut stream.rest, exchange),
        }
    }

    fn response_headers<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        end_of_stream: bool,
        all: bool,
    ) -> Flow {
        // A response walks outwards, as it does through separate filters.
        let inner = self
            .rest
            .response_headers(&mut stream.rest, exchange, end_of_stream, all);
        let Some(plugin) = self.plugin.as_ref().filter(|_| stream.reached || all) else {
            return inner;
        };
        // Also what an inner filter holds back, or puts in the response's place: the outer ones' headers belong on it.
        match plugin.response_headers(&mut stream.own, exchange, end_of_stream) {
            Flow::Continue => inner,
            stopped => stopped,
        }
    }

    fn response_body<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        size: usize,
        end_of_stream: bool,
        all: bool,
    ) -> Flow {
        let inner = self
            .rest
            .response_body(&mut stream.rest, exchange, size, end_of_stream, all);
        match &self.plugin {
            Some(plugin) if inner == Flow::Continue && (stream.reached || all) => {
                plugin.response_body(&mut stream.own, exchange, size, end_of_stream)
            }
            _ => inner,
        }
    }

    fn response_trailers<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        all: bool,
    ) -> Flow {
        let inner = self.rest.response_trailers(&mut stream.rest, exchange, all);
        match &self.plugin {
            Some(plugin) if inner == Flow::Continue && (stream.reached || all) => {
                plugin.response_trailers(&mut stream.own, exchange)
            }
            _ => inner,
        }
    }

    fn finished<X: Exchange>(&self, stream: &mut Self::Stream, exchange: &mut X) {
        self.rest.finished(&mut stream.rest, exchange);
        if let Some(plugin) = &self.plugin {
            plugin.finished(&mut stream.own, exchange);
        }
    }

    fn log_access<X: Exchange>(&self, exchange: &mut X) {
        if let Some(plugin) = &self.plugin {
            plugin.log_access(exchange);
        }
        self.rest.log_access(exchange);
    }

    fn tick_period_ms(&self) -> Option<u32> {
        let own = self.plugin.as_ref().and_then(Plugin::tick_period_ms);
        own.into_iter().chain(self.rest.tick_period_ms()).min()
    }

    fn tick<W: Worker>(&self, worker: &mut W) {
        if let Some(plugin) = &self.plugin {
            plugin.tick(worker);
        }
        self.rest.tick(worker);
    }

    fn stop<W: Worker>(&self, worker: &mut W) {
        if let Some(plugin) = &self.plugin {
            plugin.stop(worker);
        }
        self.rest.stop(worker);
    }

    fn callout<W: Worker>(&self, id: CalloutId, answer: &CalloutAnswer, worker: &mut W) {
        if let Some(plugin) = &self.plugin {
            plugin.callout(id, answer, worker);
        }
        self.rest.callout(id, answer, worker);
    }
}

/// A chain as a host loads it. Its settings have one key per filter, `request_tracing: {…}`; each value is what that
/// filter alone would take. A filter without its key is not run.
pub struct Chain<L: Links>(L);

/// What a request remembers of a chain.
pub struct ChainStream<L: Links> {
    seen_request: bool,
    links: L::Stream,
}

impl<L: Links> Default for ChainStream<L> {
    fn default() -> Self {
        Self {
            seen_request: false,
            links: L::Stream::default(),
        }
    }
}

impl<L: Links> Chain<L> {
    /// The keys of the settings, outermost filter first.
    pub fn keys() -> Vec<String> {
        L::keys()
    }
}

impl<L: Links> Bundle for Chain<L> {
    const NAME: &'static str = "portcullis";
    const CALLBACKS: Callbacks = L::CALLBACKS;
    const SHARES_RESPONSE: bool = true;
    const LOGS_ACCESS: bool = L::LOGS_ACCESS;
    type Stream = ChainStream<L>;

    fn load(
        settings: &Value,
        environment: &dyn Environment,
        registry: &RefCell<dyn Registry + '_>,
    ) -> Result<Self, ConfigError> {
        let Value::Object(members) = settings else {
            return Err(wrong(settings, Path::top()));
        };
        let keys = L::keys();
        if let Some(unknown) = members.keys().find(|key| !keys.contains(key)) {
            let mistake = Mistake::UnknownKey {
                key: unknown.clone(),
                allowed: keys.into_iter().map(Into::into).collect(),
            };
            return Err(ConfigError::new(Path::top(), mistake));
        }
        L::load(members, environment, registry).map(Self)
    }

    fn request_headers<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        end_of_stream: bool,
    ) -> Flow {
        stream.seen_request = true;
        self.0
            .request_headers(&mut stream.links, exchange, end_of_stream)
    }

    fn request_body<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        size: usize,
        end_of_stream: bool,
    ) {
        self.0
            .request_body(&mut stream.links, exchange, size, end_of_stream);
    }

    fn response_headers<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        end_of_stream: bool,
    ) -> Flow {
        let all = !stream.seen_request;
        self.0
            .response_headers(&mut stream.links, exchange, end_of_stream, all)
    }

    fn response_body<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        size: usize,
        end_of_stream: bool,
    ) -> Flow {
        let all = !stream.seen_request;
        self.0
            .response_body(&mut stream.links, exchange, size, end_of_stream, all)
    }

    fn response_trailers<X: Exchange>(&self, stream: &mut Self::Stream, exchange: &mut X) -> Flow {
        let all = !stream.seen_request;
        self.0.response_trailers(&mut stream.links, exchange, all)
    }

    fn finished<X: Exchange>(&self, stream: &mut Self::Stream, exchange: &mut X) {
        self.0.finished(&mut stream.links, exchange);
    }

    fn resume<X: Exchange>(&self, stream: &mut Self::Stream, exchange: &mut X) -> Flow {
        self.0.resume(&mut stream.links, exchange)
    }

    fn log_access<X: Exchange>(&self, exchange: &mut X) {
        self.0.log_access(exchange);
    }

    fn tick_period_ms(&self) -> Option<u32> {
        self.0.tick_period_ms()
    }

    fn tick<W: Worker>(&self, worker: &mut W) {
        self.0.tick(worker);
    }

    fn stop<W: Worker>(&self, worker: &mut W) {
        self.0.stop(worker);
    }

    fn callout<W: Worker>(&self, id: CalloutId, answer: &CalloutAnswer, worker: &mut W) {
        self.0.callout(id, answer, worker);
    }
}
