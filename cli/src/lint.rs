//! What breaks on a host although every setting is right.

mod cors;
pub mod failure;
mod order;
mod pause;
mod profiles;

use crate::diagnostic::Diagnostic;
use crate::find::Findings;

/// All that can only be seen once every file has been read.
pub fn all(findings: &Findings) -> Vec<Diagnostic> {
    let mut found = order::check(findings);
    found.extend(profiles::check(findings));
    found.extend(pause::check(findings));
    found.extend(cors::check(findings));
    found
}
