//! One filter of a chain: a request walks inwards, a response outwards.

use std::cell::RefCell;

use serde_json::Value;

use super::bundle::Bundle;
use super::links::Links;
use crate::config::{ConfigError, Environment, Path};
use crate::exchange::{CalloutAnswer, CalloutId, Exchange, Worker};
use crate::filter::{Callbacks, Filter, Flow};
use crate::metrics::Registry;
use crate::plugin::{Plugin, Stream};

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
