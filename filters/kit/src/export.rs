//! Delivers records to HTTP sinks: bounded, batched, at least once, and never in a request's way.
//!
//! 1. A record is queued ([`Exporter::push`]). Where the queue is full, its policy drops one, and the drop is counted.
//! 2. On a tick ([`Exporter::tick`]) what is due becomes a batch, and the batch a callout; at most so many at a time.
//! 3. An answer ([`Exporter::answered`]) acknowledges the batch, keeps it for another try ([`retry`]), or refuses it. A
//!    refused batch is split until the records that the sink cannot take stand alone; those are dropped and counted.
//! 4. Every record that was pushed is acknowledged, dropped and counted under a reason, or still held.
//!
//! # Reloads
//!
//! An exporter that is dropped with records in it leaves them in its VM, and the next one of the same sinks takes them
//! over ([`park`]). A host that makes a new VM (another module, another environment) keeps the old one until its last
//! request is done; what that one could not deliver by then ends with it.

mod batch;
mod bytes;
mod clock;
mod exporter;
mod metrics;
mod park;
mod plan;
mod queue;
mod request;
pub mod retry;
mod send;
pub mod settings;
mod sink;
mod state;

pub use bytes::ByteExporter;
pub use clock::Steady;
pub use exporter::{Exporter, Pushed, Settled};
pub use metrics::Reason;
pub use plan::{Mistake, Plan, SinkSettings};

use crate::exchange::CalloutAnswer;

/// What is delivered.
pub trait Record: 'static {
    /// About how many bytes it takes, in memory and in a body.
    fn size(&self) -> usize;

    /// Whether somebody waits for its acknowledgement: it is then sent as soon as a sink may be asked, with what else waits.
    fn is_urgent(&self) -> bool {
        false
    }
}

impl Record for Box<[u8]> {
    fn size(&self) -> usize {
        self.len()
    }
}

/// One sink's format.
pub trait Encode<R> {
    /// The media type of its bodies.
    fn content_type(&self) -> &'static str;

    /// Adds the body of a request that delivers these records.
    fn encode(&self, records: &[R], body: &mut Vec<u8>);

    /// Adds header lines that depend on the body, such as a signature.
    fn sign(&self, _body: &[u8], _headers: &mut Vec<(&'static str, String)>) {}

    /// How many of the records a sink refused for good while it took the others (status 2xx).
    fn rejected(&self, _answer: &CalloutAnswer) -> u64 {
        0
    }

    /// What else than records goes into its bodies. After a reload, records are handed over only to an encoder of the same
    /// identity.
    fn identity(&self) -> &[u8] {
        b""
    }
}
