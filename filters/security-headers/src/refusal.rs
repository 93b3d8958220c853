//! What a request that may be a forged one gets as its answer.

use portcullis_kit::exchange::Reply;
use portcullis_kit::problem::Problem;

use crate::csrf::Reason;

/// 403 with a problem document (RFC 9457). It depends on the request headers that it names in `Vary`, and is not stored.
#[inline]
pub fn refusal(reason: Reason, request_id: Option<&str>) -> Reply {
    let mut reply = Problem::new(403, "Forbidden")
        .detail(reason.explanation())
        .request_id(request_id)
        .reply(reason.details());
    reply.headers.add("vary", "Sec-Fetch-Site, Origin");
    reply
}
