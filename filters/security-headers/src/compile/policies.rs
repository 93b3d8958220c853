//! Content-Security-Policy and the policies that only report.

use portcullis_kit::{ConfigError, Path};

use crate::csp::{self, CspMistake, Policy};
use crate::mistake::SettingsMistake;
use crate::presets::{COEP, COOP, PERMISSIONS};
use crate::profile::{Csp, CspAction, Rule};
use crate::reporting::Endpoint;
use crate::settings::{CspRule, Preset, Reportable, Settings};

use super::unique;

/// The rollout that the settings ask for.
pub(super) struct Report {
    pub(super) endpoint: Endpoint,
    /// Each policy once.
    policies: Vec<Reportable>,
    /// Whether the settings name them.
    named: bool,
}

impl Report {
    pub(super) fn covers(&self, policy: Reportable) -> bool {
        self.policies.contains(&policy)
    }

    /// The policy that a header of that name is, if it is to report only.
    pub(super) fn policy(&self, header: &str) -> Option<Reportable> {
        let policy = match header {
            COOP => Reportable::Coop,
            COEP => Reportable::Coep,
            PERMISSIONS => Reportable::PermissionsPolicy,
            _ => return None,
        };
        self.covers(policy).then_some(policy)
    }

    /// A policy that is to report and is not sent at all is a mistake.
    pub(super) fn check_use(&self, csp: &Compiled, rules: &[Rule]) -> Result<(), ConfigError> {
        let used = |policy: &Reportable| {
            let header = match policy {
                Reportable::Csp => return csp.is_reported(),
                Reportable::Coop => COOP,
                Reportable::Coep => COEP,
                Reportable::PermissionsPolicy => PERMISSIONS,
            };
            rules
                .iter()
                .any(|rule| rule.reports && rule.name.starts_with(header))
        };
        let path = Path::top().key("report_only");
        let unused = match self.named {
            true => self.policies.iter().position(|policy| !used(policy)),
            false => None,
        };
        if let Some(at) = unused {
            let path = path.key("policies").index(at);
            return Err(ConfigError::rule(path, SettingsMistake::NothingToReport));
        }
        match self.policies.iter().any(used) {
            true => Ok(()),
            false => Err(ConfigError::rule(path, SettingsMistake::NothingToReport)),
        }
    }
}

pub(super) fn report(settings: &Settings) -> Result<Option<Report>, ConfigError> {
    let Some(given) = &settings.report_only else {
        return Ok(None);
    };
    let path = Path::top().key("report_only");
    let endpoint = Endpoint::new(&given.name, &given.endpoint).map_err(|(uri, mistake)| {
        let key = if uri { "endpoint" } else { "name" };
        ConfigError::rule(path.clone().key(key), mistake)
    })?;
    let policies = given.policies.clone();
    let names = policies.iter().flatten().map(|policy| match policy {
        Reportable::Csp => "csp",
        Reportable::Coop => "coop",
        Reportable::Coep => "coep",
        Reportable::PermissionsPolicy => "permissions_policy",
    });
    unique(names, &path.key("policies"))?;
    Ok(Some(Report {
        endpoint,
        named: policies.is_some(),
        policies: policies.unwrap_or_else(|| Reportable::ALL.to_vec()),
    }))
}

/// What the settings say about Content-Security-Policy.
pub(super) enum Compiled {
    Off,
    Remove,
    Send {
        policy: Policy,
        how: CspAction,
        report_only: bool,
    },
}

impl Compiled {
    pub(super) fn is_reported(&self) -> bool {
        matches!(
            self,
            Self::Send {
                report_only: true,
                ..
            }
        )
    }

    pub(super) fn into_profile(self) -> Csp {
        match self {
            Self::Off => Csp::Off,
            Self::Remove => Csp::Remove,
            Self::Send {
                policy,
                how,
                report_only,
            } => Csp::Send {
                uses_nonce: policy.uses_nonce(),
                policy: policy.template(),
                how,
                report_only,
            },
        }
    }
}

pub(super) fn csp(settings: &Settings, report: Option<&Report>) -> Result<Compiled, ConfigError> {
    let path = Path::top().key("csp");
    let preset = settings.preset.csp().map(str::to_owned);
    let (how, text, key) = match (&settings.csp, preset) {
        (None, None) | (Some(CspRule::Off), _) => return Ok(Compiled::Off),
        (Some(CspRule::Remove), _) => return Ok(Compiled::Remove),
        (None, Some(policy)) => (CspAction::Default, policy, "default"),
        (Some(CspRule::Set(policy)), _) => (CspAction::Set, policy.clone(), "set"),
        (Some(CspRule::Default(policy)), _) => (CspAction::Default, policy.clone(), "default"),
        (Some(CspRule::Merge(policy)), _) => (CspAction::Merge, policy.clone(), "merge"),
    };
    let path = path.key(key);
    let policy = csp::parse(&text).map_err(|mistake| ConfigError::new(path.clone(), mistake))?;
    // A merged policy may leave scripts to the upstream's, which has the nonce.
    if settings.preset == Preset::WebNonce && how != CspAction::Merge && !policy.uses_nonce() {
        return Err(ConfigError::rule(path, CspMistake::NoNonce));
    }
    let Some(report) = report.filter(|report| report.covers(Reportable::Csp)) else {
        return Ok(Compiled::Send {
            policy,
            how,
            report_only: false,
        });
    };
    let policy = policy
        .report_only(report.endpoint.uri(), report.endpoint.name())
        .ok_or_else(|| ConfigError::rule(path, SettingsMistake::NothingToReport))?;
    Ok(Compiled::Send {
        policy,
        how,
        report_only: true,
    })
}

pub(super) fn uses_nonces(settings: &Settings, csp: &Compiled) -> bool {
    let in_policy = match csp {
        Compiled::Send { policy, .. } => policy.uses_nonce(),
        Compiled::Off | Compiled::Remove => false,
    };
    in_policy || settings.preset == Preset::WebNonce
}
