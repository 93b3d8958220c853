//! The rules for single headers: the preset's, overridden by the settings', and the names that are removed.

use portcullis_kit::headers::is_token;
use portcullis_kit::{ConfigError, Mistake, Path};

use super::policies::Report;
use crate::leaks;
use crate::mistake::SettingsMistake;
use crate::presets::CACHE_CONTROL;
use crate::profile::{Action, Rule};
use crate::settings::{HeaderRule, LeakList, Reportable, Settings};
use crate::values::{self, ValueMistake};

/// What becomes of single headers.
#[derive(Default)]
pub(super) struct Headers {
    pub(super) rules: Vec<Rule>,
    /// For each rule, the names of the headers it looks for.
    pub(super) watched: Vec<Vec<String>>,
    pub(super) removed: Vec<String>,
    pub(super) vary: Vec<Vec<u8>>,
}

/// Headers that other settings write.
const OWN_SETTINGS: [(&str, &str); 9] = [
    ("content-security-policy", "csp"),
    ("content-security-policy-report-only", "report_only"),
    ("cross-origin-opener-policy-report-only", "report_only"),
    ("cross-origin-embedder-policy-report-only", "report_only"),
    ("permissions-policy-report-only", "report_only"),
    ("reporting-endpoints", "report_only"),
    ("strict-transport-security", "hsts"),
    ("set-cookie", "cookies"),
    ("clear-site-data", "clear_site_data"),
];
/// Headers that say how a message is sent (RFC 9110 §7.6.1, RFC 9112 §6).
const FRAMING: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "date",
];
/// What keeps caches from reading `Cache-Control` (RFC 9213, Surrogate-Control).
const CDN_CACHE_CONTROLS: [&str; 2] = ["cdn-cache-control", "surrogate-control"];

pub(super) fn compile(
    settings: &Settings,
    report: Option<&Report>,
    nonces: bool,
) -> Result<Headers, ConfigError> {
    let given = given(settings)?;
    let ruled = |name: &str| given.iter().any(|(known, _)| known == name);
    let mut headers = Headers::default();
    for header in settings.preset.headers() {
        let replaced_by_nonces = nonces && header.name == CACHE_CONTROL;
        if !ruled(header.name) && !replaced_by_nonces {
            let action = match header.replaces {
                true => Action::Set,
                false => Action::Default,
            };
            headers.push(header.name, header.value, action, report);
        }
    }
    if nonces && !ruled(CACHE_CONTROL) {
        headers.push(
            CACHE_CONTROL,
            "private, no-store",
            Action::Uncacheable,
            None,
        );
    }
    for (name, rule) in &given {
        headers.rule(name, rule, report, nonces)?;
    }
    headers.removed.extend(leaking(settings, ruled)?);
    if nonces {
        headers
            .removed
            .extend(CDN_CACHE_CONTROLS.map(str::to_owned));
    }
    Ok(headers)
}

/// The settings' rules under names in lower case.
fn given(settings: &Settings) -> Result<Vec<(String, &HeaderRule)>, ConfigError> {
    let path = |name: &str| Path::top().key("headers").key(name);
    let mut given: Vec<(String, &HeaderRule)> = Vec::new();
    for (name, rule) in &settings.headers {
        let lower = legal_name(name, path(name))?;
        if let Some((_, setting)) = OWN_SETTINGS.iter().find(|(own, _)| *own == lower) {
            return Err(ConfigError::rule(
                path(name),
                SettingsMistake::OwnSetting(setting),
            ));
        }
        if given.iter().any(|(known, _)| *known == lower) {
            let name = lower;
            return Err(ConfigError::new(
                Path::top().key("headers"),
                Mistake::Duplicate { name },
            ));
        }
        given.push((lower, rule));
    }
    Ok(given)
}

/// A header's name in lower case, if a filter may touch that header.
fn legal_name(name: &str, path: Path) -> Result<String, ConfigError> {
    if !is_token(name.as_bytes()) {
        return Err(ConfigError::rule(path, ValueMistake::NotAToken));
    }
    let lower = name.to_ascii_lowercase();
    if FRAMING.contains(&lower.as_str()) {
        return Err(ConfigError::rule(path, SettingsMistake::Framing));
    }
    if lower.starts_with("access-control-") {
        return Err(ConfigError::rule(path, SettingsMistake::CorsHeader));
    }
    Ok(lower)
}

impl Headers {
    fn rule(
        &mut self,
        name: &str,
        rule: &HeaderRule,
        report: Option<&Report>,
        nonces: bool,
    ) -> Result<(), ConfigError> {
        let path = Path::top().key("headers").key(name);
        let (value, action, key) = match rule {
            HeaderRule::Off => (None, Action::Default, ""),
            HeaderRule::Remove => (None, Action::Set, ""),
            HeaderRule::Set(value) => (Some(value), Action::Set, "set"),
            HeaderRule::Default(value) => (Some(value), Action::Default, "default"),
            HeaderRule::Append(value) => (Some(value), Action::Append, "append"),
        };
        if nonces && makes_cacheable(name, rule) {
            return Err(ConfigError::rule(path, SettingsMistake::NonceCacheable));
        }
        if name == "vary" && *rule != HeaderRule::Off && action != Action::Append {
            return Err(ConfigError::rule(path, SettingsMistake::VaryOnlyGrows));
        }
        let Some(value) = value else {
            if *rule == HeaderRule::Remove {
                self.removed.push(name.to_owned());
            }
            return Ok(());
        };
        let path = path.key(key);
        values::check(name, value).map_err(|mistake| ConfigError::new(path.clone(), mistake))?;
        if action == Action::Append && values::is_single(name) {
            return Err(ConfigError::rule(path, ValueMistake::SingleValued));
        }
        if name == "vary" {
            for member in value.split(',').map(str::trim_ascii) {
                if !is_token(member.as_bytes()) {
                    return Err(ConfigError::rule(path, ValueMistake::NotAToken));
                }
                self.vary.push(member.as_bytes().to_vec());
            }
            return Ok(());
        }
        self.push(name, value, action, report);
        Ok(())
    }

    fn push(&mut self, name: &str, value: &str, action: Action, report: Option<&Report>) {
        let policy = report.and_then(|report| report.policy(name));
        let (sent, value) = match (policy, report) {
            (Some(policy), Some(report)) => {
                let value = match policy {
                    _ if value.contains("report-to") => value.to_owned(),
                    Reportable::PermissionsPolicy => report.endpoint.in_members(value),
                    _ => report.endpoint.in_item(value),
                };
                (format!("{name}-report-only"), value)
            }
            _ => (name.to_owned(), value.to_owned()),
        };
        let mut watched = vec![name.to_owned()];
        if sent != name {
            watched.push(sent.clone());
        }
        self.watched.push(watched);
        self.rules.push(Rule {
            name: sent,
            value: value.into_bytes(),
            action,
            reports: policy.is_some(),
        });
    }
}

/// Whether a rule could let a response be cached.
fn makes_cacheable(name: &str, rule: &HeaderRule) -> bool {
    let for_cdns = CDN_CACHE_CONTROLS.contains(&name);
    if name != CACHE_CONTROL && !for_cdns {
        return false;
    }
    match rule {
        HeaderRule::Set(value) => !value
            .split(',')
            .any(|part| part.trim_ascii().eq_ignore_ascii_case("no-store")),
        HeaderRule::Remove => !for_cdns,
        _ => true,
    }
}

/// The names that are removed because they tell what the servers are made of.
fn leaking(settings: &Settings, ruled: impl Fn(&str) -> bool) -> Result<Vec<String>, ConfigError> {
    let list = settings
        .leaks
        .list
        .unwrap_or(match settings.preset.protects() {
            true => LeakList::Owasp,
            false => LeakList::Off,
        });
    let path = |key: &str, at: usize| Path::top().key("leaks").key(key).index(at);
    let mut kept: Vec<String> = Vec::new();
    for (at, name) in settings.leaks.keep.iter().enumerate() {
        let here = path("keep", at);
        let lower = legal_name(name, here.clone())?;
        if list == LeakList::Off {
            return Err(ConfigError::rule(here, SettingsMistake::KeepWithoutList));
        }
        if !leaks::is_listed(&lower) {
            return Err(ConfigError::rule(here, SettingsMistake::KeepNotListed));
        }
        kept.push(lower);
    }
    let mut removed: Vec<String> = match list {
        LeakList::Owasp => leaks::all()
            .filter(|name| !kept.iter().any(|kept| kept == name) && !ruled(name))
            .map(str::to_owned)
            .collect(),
        LeakList::Off => Vec::new(),
    };
    for (at, name) in settings.leaks.remove.iter().enumerate() {
        let here = path("remove", at);
        let lower = legal_name(name, here.clone())?;
        if let Some((_, setting)) = OWN_SETTINGS.iter().find(|(own, _)| *own == lower) {
            return Err(ConfigError::rule(
                here,
                SettingsMistake::OwnSetting(setting),
            ));
        }
        if lower == "vary" {
            return Err(ConfigError::rule(here, SettingsMistake::VaryOnlyGrows));
        }
        if kept.contains(&lower) {
            return Err(ConfigError::rule(here, SettingsMistake::KeptAndRemoved));
        }
        if ruled(&lower) {
            return Err(ConfigError::rule(here, SettingsMistake::RemovedAndRuled));
        }
        if !removed.contains(&lower) {
            removed.push(lower);
        }
    }
    Ok(removed)
}
