//! From the settings of one profile to what requests use. Every mistake is found here.

mod headers;
mod policies;

use portcullis_kit::cookies::{Names, Rules};
use portcullis_kit::filter::Compiling;
use portcullis_kit::metrics::MetricId;
use portcullis_kit::{ConfigError, Mistake, Path};

use crate::csrf::Reason;
use crate::lookup::{Lookup, Role};
use crate::mistake::SettingsMistake;
use crate::origin::Origin;
use crate::profile::{Cors, Counters, Csrf, Hsts, Profile};
use crate::response::CLEAR_SITE_DATA;
use crate::settings::{
    CookieRule, Cookies, CsrfMode, HstsWhen, Settings, SiteData, Switch, Upstream,
};
use crate::{csp, hsts};

/// Compiles one profile.
///
/// # Errors
/// The first setting that cannot be meant, with its path and what to change.
pub fn compile(settings: &Settings, compiling: &Compiling<'_>) -> Result<Profile, ConfigError> {
    let report = policies::report(settings)?;
    let csp = policies::csp(settings, report.as_ref())?;
    let nonces = policies::uses_nonces(settings, &csp);
    let headers = headers::compile(settings, report.as_ref(), nonces)?;
    let reports = csp.is_reported() || headers.rules.iter().any(|rule| rule.reports);
    if let Some(report) = &report {
        report.check_use(&csp, &headers.rules)?;
    }
    let cors = cors_rules(settings)?;
    let cookies = cookie_rules(settings)?;
    let csrf = csrf(settings, compiling)?;

    let mut lookup = Lookup::default();
    for (name, role) in [
        (":status", Role::Status),
        ("set-cookie", Role::SetCookie),
        (CLEAR_SITE_DATA, Role::ClearSiteData),
        (csp::HEADER, Role::Csp),
        (csp::REPORT_ONLY, Role::CspReportOnly),
        ("strict-transport-security", Role::Hsts),
        ("vary", Role::Vary),
        ("access-control-allow-origin", Role::AllowOrigin),
        ("access-control-allow-credentials", Role::AllowCredentials),
    ] {
        lookup.insert(name, role);
    }
    for (at, watched) in headers.watched.iter().enumerate() {
        for name in watched {
            lookup.insert(name, Role::Ruled(at));
        }
    }
    for (at, name) in headers.removed.iter().enumerate() {
        lookup.insert(name, Role::Removed(at));
    }
    Ok(Profile {
        lookup,
        removed: headers.removed,
        rules: headers.rules,
        csp: csp.into_profile(),
        hsts: hsts_rule(settings)?,
        tls: settings.tls,
        counters: counters(cookies.is_some(), cors.is_some(), compiling),
        cookies,
        cors,
        vary: headers.vary,
        clear_site_data: clear_site_data(&settings.clear_site_data)?,
        endpoint: report
            .filter(|_| reports)
            .map(|report| report.endpoint.definition().into_bytes()),
        nonces,
        strips_nonce: nonces
            || matches!(
                settings.preset,
                crate::settings::Preset::Web | crate::settings::Preset::WebNonce
            ),
        csrf,
    })
}

fn hsts_rule(settings: &Settings) -> Result<Option<Hsts>, ConfigError> {
    let given = match &settings.hsts {
        Some(given) => given.clone(),
        None if settings.preset.protects() => crate::settings::Hsts::default(),
        None => return Ok(None),
    };
    let path = || Path::top().key("hsts").key("preload");
    if given.preload && given.max_age < hsts::PRELOAD_MIN_MAX_AGE {
        return Err(ConfigError::rule(path(), SettingsMistake::PreloadMaxAge));
    }
    if given.preload && !given.include_subdomains {
        return Err(ConfigError::rule(
            path(),
            SettingsMistake::PreloadSubdomains,
        ));
    }
    let value = hsts::value(given.max_age, given.include_subdomains, given.preload);
    Ok((given.when != HstsWhen::Off).then(|| Hsts {
        value: value.into_bytes(),
        replaces: given.upstream == Upstream::Replace,
        always: given.when == HstsWhen::Always,
    }))
}

fn cookie_rules(settings: &Settings) -> Result<Option<Rules>, ConfigError> {
    let given = match &settings.cookies {
        Some(given) => given.clone(),
        None if settings.preset.protects() => Cookies::default(),
        None => return Ok(None),
    };
    let path = |key: &str| Path::top().key("cookies").key(key);
    let rules = Rules {
        secure: cookie_names(&given.secure, path("secure"))?,
        http_only: cookie_names(&given.http_only, path("http_only"))?,
        same_site: cookie_names(&given.same_site, path("same_site"))?,
    };
    Ok((!rules.is_off()).then_some(rules))
}

fn cookie_names(rule: &CookieRule, path: Path) -> Result<Names, ConfigError> {
    let (names, key) = match rule {
        CookieRule::On => return Ok(Names::All),
        CookieRule::Off => return Ok(Names::None),
        CookieRule::Only(names) => (names, "only"),
        CookieRule::Except(names) => (names, "except"),
    };
    let path = path.key(key);
    if names.is_empty() {
        return Err(ConfigError::rule(path, SettingsMistake::NoCookieNames));
    }
    for (at, name) in names.iter().enumerate() {
        let separators = b"()<>@,;:\\\"/[]?={}";
        let legal = |byte: u8| byte.is_ascii_graphic() && !separators.contains(&byte);
        if name.is_empty() || !name.bytes().all(legal) {
            return Err(ConfigError::rule(
                path.index(at),
                SettingsMistake::CookieName,
            ));
        }
    }
    unique(names.iter(), &path)?;
    let names = names.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(match rule {
        CookieRule::Only(_) => Names::Only(names),
        _ => Names::Except(names),
    })
}

fn cors_rules(settings: &Settings) -> Result<Option<Cors>, ConfigError> {
    let given = match &settings.cors {
        Some(given) => given.clone(),
        None if settings.preset.protects() => crate::settings::Cors::default(),
        None => return Ok(None),
    };
    let path = Path::top().key("cors").key("allowed_origins");
    let allowed = given
        .allowed_origins
        .map(|list| origins(&list, &path))
        .transpose()?;
    Ok((given.repair == Switch::On).then_some(Cors { allowed }))
}

fn csrf(settings: &Settings, compiling: &Compiling<'_>) -> Result<Option<Csrf>, ConfigError> {
    let given = match &settings.csrf {
        Some(given) => given.clone(),
        None if settings.preset.checks_csrf() => crate::settings::Csrf::default(),
        None => return Ok(None),
    };
    let trusted = origins(
        &given.trusted_origins,
        &Path::top().key("csrf").key("trusted_origins"),
    )?;
    if given.mode == CsrfMode::Off {
        return Ok(None);
    }
    let enforce = given.mode == CsrfMode::Enforce;
    let outcome = if enforce { "refused" } else { "shadow" };
    let refusal = |reason: Reason| {
        compiling.counter("csrf", &[("outcome", outcome), ("reason", reason.label())])
    };
    Ok(Some(Csrf {
        enforce,
        trusted,
        trusted_passes: compiling.counter("csrf", &[("outcome", "passed"), ("reason", "trusted")]),
        refusals: Reason::ALL.map(refusal),
    }))
}

fn counters(cookies: bool, cors: bool, compiling: &Compiling<'_>) -> Counters {
    let counter = |wanted: bool, what: &str, labels: &[(&str, &str)]| match wanted {
        true => compiling.counter(what, labels),
        false => MetricId(None),
    };
    Counters {
        cookies_hardened: counter(cookies, "cookies_hardened", &[]),
        cors_vary: counter(cors, "cors_repaired", &[("what", "vary")]),
        cors_credentials: counter(cors, "cors_repaired", &[("what", "credentials")]),
    }
}

fn clear_site_data(given: &[SiteData]) -> Result<Option<Vec<u8>>, ConfigError> {
    let path = Path::top().key("clear_site_data");
    let mut words: Vec<&str> = Vec::new();
    for (at, data) in given.iter().enumerate() {
        if given.len() > 1 && *data == SiteData::All {
            return Err(ConfigError::rule(
                path.index(at),
                SettingsMistake::AllIncludesThis,
            ));
        }
        words.push(match data {
            SiteData::Cache => "\"cache\"",
            SiteData::Cookies => "\"cookies\"",
            SiteData::Storage => "\"storage\"",
            SiteData::ExecutionContexts => "\"executionContexts\"",
            SiteData::ClientHints => "\"clientHints\"",
            SiteData::All => "\"*\"",
        });
    }
    unique(words.iter(), &path)?;
    Ok((!words.is_empty()).then(|| words.join(", ").into_bytes()))
}

fn origins(list: &[String], path: &Path) -> Result<Vec<Origin>, ConfigError> {
    let mut origins = Vec::with_capacity(list.len());
    for (at, text) in list.iter().enumerate() {
        let origin = Origin::parse(text)
            .map_err(|mistake| ConfigError::rule(path.clone().index(at), mistake))?;
        origins.push(origin);
    }
    unique(origins.iter().map(ToString::to_string), path)?;
    Ok(origins)
}

/// Refuses a list that names something twice.
fn unique<T: PartialEq + ToString>(
    items: impl Iterator<Item = T>,
    path: &Path,
) -> Result<(), ConfigError> {
    let mut known: Vec<T> = Vec::new();
    for (at, item) in items.enumerate() {
        if known.contains(&item) {
            let name = item.to_string();
            return Err(ConfigError::new(
                path.clone().index(at),
                Mistake::Duplicate { name },
            ));
        }
        known.push(item);
    }
    Ok(())
}
