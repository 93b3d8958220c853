//! What breaks on a host although every setting is right.
//!
//! An **error** breaks, or does not do what is written: no FAIL_RELOAD where the host can be asked for it, a `root_id`
//! that the module refuses, a profile that no plugin defines, a plugin that runs twice (as a filter and as an access
//! logger, too) or stands behind one whose replies it should see, a filter that would do nothing as an access logger, or
//! could not do there what it is to do, credentials for every origin, a held message the host is not told of, records for
//! an access log that an access logger cannot reach, a sink in a cluster that is not defined,
//! bodies that are to be recorded where none is seen. A
//! **warning** works, and is most likely not what is wanted: metadata where no plugin reads it, a profile whose plugin is
//! in none of the files, a native filter that answers before ours see it, a host that cannot be asked for FAIL_RELOAD, a tier or a resource that nothing
//! tells or counts, limits that clients choose by an address, a path, a token or a header, a proxy's request id that is the client's, replies of problem-json without the headers of
//! security-headers, problems that name no request, records that no access log reads,
//! errors of the proxy's own that look unlike the others. Warnings leave the exit status at 0 unless
//! `--deny-warnings` is given.

mod access_log_sink;
mod access_logger;
mod bodies;
mod clients;
mod clusters;
mod cors;
pub mod failure;
mod local_replies;
mod order;
mod pause;
mod problem_json;
mod profiles;
mod rate_limit;
mod request_id;

use crate::diagnostic::Diagnostic;
use crate::find::Findings;
use crate::finding::Check;

type Run = fn(&Findings) -> Vec<Diagnostic>;

/// What can only be seen once every file has been read.
const CHECKS: [(Check, Run); 13] = [
    (Check::Order, order::check),
    (Check::Profiles, profiles::check),
    (Check::Pause, pause::check),
    (Check::Cors, cors::check),
    (Check::RateLimit, rate_limit::check),
    (Check::Clients, clients::check),
    (Check::RequestId, request_id::check),
    (Check::ProblemJson, problem_json::check),
    (Check::LocalReplies, local_replies::check),
    (Check::Clusters, clusters::check),
    (Check::AccessLogger, access_logger::check),
    (Check::AccessLogSink, access_log_sink::check),
    (Check::Bodies, bodies::check),
];

pub fn all(findings: &Findings) -> Vec<Diagnostic> {
    let told = |(check, run): &(Check, Run)| {
        let found = run(findings).into_iter();
        found
            .map(|diagnostic| diagnostic.of(*check))
            .collect::<Vec<_>>()
    };
    CHECKS.iter().flat_map(told).collect()
}
