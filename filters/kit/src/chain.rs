//! A chain of filters that is itself what a host loads: one context, one read of the request headers, one pass.

mod bundle;
mod link;
mod links;

pub use bundle::Bundle;
pub use link::{Link, LinkStream};
pub use links::{End, Links};

use std::cell::RefCell;

use serde_json::Value;

use crate::config::{ConfigError, Environment, Mistake, Path};
use crate::exchange::{CalloutAnswer, CalloutId, Exchange, Worker};
use crate::filter::{Callbacks, Flow};
use crate::metrics::Registry;
use crate::plugin::wrong;

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
