//! `omit_stages`: what a rule leaves out, and that it still does something.

use portcullis_kit::Path;

use super::{Mistake, Result, refuse};
use crate::policy;
use crate::profile::Profile;
use crate::settings::{Level, Rule, Stage};

/// Paths of mistakes start at the rule. `waits`: whether requests wait for their records.
pub fn compile(mut rule: policy::Rule, written: &Rule, waits: bool) -> Result<policy::Rule> {
    let here = || Path::top().key("omit_stages");
    for (at, stage) in written.omit_stages.iter().enumerate() {
        let here = || here().index(at);
        let asks_for_the_end = rule.asks_for_the_end();
        let records = match stage {
            Stage::RequestReceived => &mut rule.stages.received,
            Stage::ResponseComplete => &mut rule.stages.complete,
        };
        if !std::mem::replace(records, false) {
            return refuse(here(), Mistake::OmittedTwice);
        }
        match stage {
            _ if rule.level == Level::None => return refuse(here(), Mistake::StageOfNothing),
            _ if rule.stages.is_empty() => return refuse(here(), Mistake::EveryStage),
            Stage::RequestReceived if asks_for_the_end => {
                return refuse(here(), Mistake::NotAskedBefore);
            }
            Stage::ResponseComplete if asks_for_the_end || !waits => {
                return refuse(here(), Mistake::OnlyStage { waits });
            }
            _ => {}
        }
    }
    Ok(rule)
}

/// Refuses to leave out what no profile records. Each comes with its name, the default first.
pub fn check(profiles: &[(&str, &Profile)]) -> Result<()> {
    let waits = |profile: &Profile| {
        profile
            .guard
            .as_ref()
            .is_some_and(|guard| guard.wait.is_some())
    };
    if profiles.iter().any(|(_, profile)| waits(profile)) {
        return Ok(());
    }
    for (at, (name, profile)) in profiles.iter().enumerate() {
        let omits = |rule: &policy::Rule| !rule.stages.received;
        if let Some(rule) = profile.rules.iter().position(omits) {
            let top = match at {
                0 => Path::top(),
                _ => Path::top().key("profiles").key(*name),
            };
            let path = top.key("rules").index(rule).key("omit_stages");
            return refuse(path, Mistake::NobodyWaits);
        }
    }
    Ok(())
}
