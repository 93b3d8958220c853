//! What the filters of a chain do one after the other, and its end, which does nothing.

use std::cell::RefCell;

use serde_json::Value;

use crate::config::{ConfigError, Environment};
use crate::exchange::{CalloutAnswer, CalloutId, Exchange, Worker};
use crate::filter::{Callbacks, Flow};
use crate::metrics::Registry;

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
