//! What a request gets as its answer whose record nobody has.

use portcullis_kit::exchange::Reply;
use portcullis_kit::problem::{Client, GRPC_UNAVAILABLE, Problem, REDUCED_CAPACITY};

use crate::guard::Reason;

/// The longest time that a client is asked to wait, in seconds: a sink's own wish can be an hour, and end any moment.
const MAX_RETRY_AFTER: u64 = 60;

/// 503. `silence`: for how many nanoseconds no sink is asked again.
#[inline(never)]
pub fn refusal(reason: Reason, silence: u64, client: &Client) -> Reply {
    let seconds = silence.div_ceil(1_000_000_000).clamp(1, MAX_RETRY_AFTER);
    let unit = if seconds == 1 { "second" } else { "seconds" };
    let detail =
        format!("Requests cannot be recorded at the moment. Try again in {seconds} {unit}.");
    let problem = Problem::new(503, "Temporary reduced capacity")
        .kind(REDUCED_CAPACITY)
        .detail(detail);
    let mut reply = problem.answer(reason.details(), GRPC_UNAVAILABLE, client);
    reply.headers.add("retry-after", seconds.to_string());
    reply
}
