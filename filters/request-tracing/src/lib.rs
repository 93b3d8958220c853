//! Gives every request an id and a place in a trace, and tells how long it took.
//!
//! For each request, in this order:
//!
//! 1. The peer is trusted or not ([`trust`]).
//! 2. `x-request-id` is kept if it is valid and its source believed, else made anew ([`request_id`]).
//! 3. A trusted peer's trace is continued under a new parent id ([`formats`]); everyone else's context is removed and a
//!    new trace starts.
//! 4. The trace is sampled or not ([`sampling`]); baggage passes or not ([`baggage`]).
//! 5. The context is written for the upstream in each format asked for.
//! 6. The response carries the id, and the times for those who may know them.
//! 7. At the end, a slow request is counted and logged, and a span queued for the sink ([`export`]).
//!
//! # Deployment
//!
//! Envoy's own `x-request-id` handling runs before any filter; see `request_id.source`.

pub mod b3;
pub mod baggage;
pub mod carried;
pub mod compile;
pub mod context;
pub mod datadog;
pub mod duration;
pub mod export;
pub mod filter;
pub mod formats;
pub mod hex;
pub mod opentelemetry;
pub mod plan;
pub mod request_id;
pub mod sampling;
pub mod settings;
pub mod spans;
pub mod traceparent;
pub mod tracestate;
pub mod trust;
pub mod xray;

pub use filter::{RequestTracing, Stream};
pub use settings::Settings;
