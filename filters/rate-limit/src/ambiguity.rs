//! The answer to a request that could count for two clients.

use portcullis_kit::exchange::Reply;
use portcullis_kit::problem::{Client, Problem};

use crate::identity::Ambiguous;

/// What filter state says of it.
pub const STATE: &str = "denied:ambiguous_client";

/// gRPC's status code.
const INVALID_ARGUMENT: u8 = 3;

/// 400: a header that tells who the client is, or its tier, stands in several lines.
#[cold]
#[inline(never)]
pub fn refusal(ambiguous: &Ambiguous, client: &Client) -> Reply {
    let header = &ambiguous.header;
    let problem = Problem::new(400, "Bad Request").detail(format!(
        "The header `{header}` stands in several lines. Send one."
    ));
    problem.answer("rate_limit_ambiguous_client", INVALID_ARGUMENT, client)
}
