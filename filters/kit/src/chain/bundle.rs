//! What a host loads: one filter, or a chain of them.

use std::cell::RefCell;

use serde_json::Value;

use crate::config::{ConfigError, Environment};
use crate::exchange::{CalloutAnswer, CalloutId, Exchange, Worker};
use crate::filter::{Callbacks, Flow};
use crate::metrics::Registry;

/// What the adapter runs: one filter with its profiles, or a chain of them.
pub trait Bundle: Sized {
    /// The plugin's `root_id`.
    const NAME: &'static str;
    const CALLBACKS: Callbacks;
    /// Whether several filters read response headers, so that one read of all of them serves best.
    const SHARES_RESPONSE: bool;
    /// See [`crate::filter::Filter::LOGS_ACCESS`].
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
