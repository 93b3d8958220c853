//! All filters as one plugin in one module: one context, one read of the request headers, one pass.
//!
//! The `root_id` `portcullis` (or none) runs the chain. A filter's own name as `root_id` runs that filter alone, so that
//! several `http_filters` entries can share this module and its VM.

use audit_log::AuditLog;
use portcullis_kit::chain::{Chain, End, Link};
use problem_json::ProblemJson;
use rate_limit::RateLimit;
use request_tracing::RequestTracing;
use security_headers::SecurityHeaders;

/// The chain, outermost filter first. Tracing comes before the filters that answer requests themselves, so that their
/// answers carry a request id too, audit-log before those whose answers it records, and problem-json before those whose
/// errors it shapes.
pub type Portcullis = Chain<
    Link<
        RequestTracing,
        Link<SecurityHeaders, Link<AuditLog, Link<ProblemJson, Link<RateLimit, End>>>>,
    >,
>;

#[cfg(all(target_os = "wasi", feature = "module"))]
portcullis_adapter::export!(
    Portcullis,
    portcullis_kit::plugin::Plugin<RequestTracing>,
    portcullis_kit::plugin::Plugin<SecurityHeaders>,
    portcullis_kit::plugin::Plugin<AuditLog>,
    portcullis_kit::plugin::Plugin<ProblemJson>,
    portcullis_kit::plugin::Plugin<RateLimit>,
);
