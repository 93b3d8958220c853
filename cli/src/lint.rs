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
//! tells or counts, a proxy's request id that is the client's, replies of problem-json without the headers of
//! security-headers, records that no access log reads,
//! errors of the proxy's own that look unlike the others. Warnings leave the exit status at 0 unless
//! `--deny-warnings` is given.

mod access_log_sink;
mod access_logger;
mod bodies;
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

/// All that can only be seen once every file has been read.
pub fn all(findings: &Findings) -> Vec<Diagnostic> {
    let mut found = order::check(findings);
    found.extend(profiles::check(findings));
    found.extend(pause::check(findings));
    found.extend(cors::check(findings));
    found.extend(rate_limit::check(findings));
    found.extend(request_id::check(findings));
    found.extend(problem_json::check(findings));
    found.extend(local_replies::check(findings));
    found.extend(clusters::check(findings));
    found.extend(access_logger::check(findings));
    found.extend(access_log_sink::check(findings));
    found.extend(bodies::check(findings));
    found
}
