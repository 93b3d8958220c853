//! A plugin as an access logger: which filters can be one, and never beside the same filter.

use crate::diagnostic::{Diagnostic, Severity};
use crate::find::{Findings, Found, Role};
use crate::registry::Entry;

pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    let loggers = findings.plugins.iter();
    let loggers = loggers.filter(|plugin| plugin.role == Role::AccessLogger);
    loggers
        .flat_map(|logger| {
            let idle = members(logger)
                .into_iter()
                .filter(|entry| !entry.logs_access);
            let idle = idle.map(|entry| does_nothing(logger, entry));
            idle.chain(twice(findings, logger))
                .chain(waits(logger))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn members(plugin: &Found) -> Vec<&'static Entry> {
    let settings = plugin.settings.value.as_ref();
    let members = settings.map(|settings| plugin.bundle.members(settings));
    let members = members.unwrap_or_default().into_iter();
    members.map(|member| member.entry).collect()
}

fn error(plugin: &Found, message: String, help: &str) -> Diagnostic {
    Diagnostic::new(plugin.file, plugin.place, Severity::Error, message).help(help)
}

fn does_nothing(logger: &Found, entry: &Entry) -> Diagnostic {
    let message = format!("`{}` does nothing as an access logger", entry.name);
    error(
        logger,
        message,
        "write it under `http_filters`; of these plugins, audit-log alone works here",
    )
}

/// At a request's end nothing can wait or be refused any more.
fn waits(logger: &Found) -> Option<Diagnostic> {
    let settings = logger.settings.value.as_ref()?;
    let members = logger.bundle.members(settings);
    let waiting = members
        .iter()
        .find(|member| (member.entry.waits)(member.settings))?;
    let message = format!(
        "`{}` is to refuse requests whose records nobody has, and an access logger is told of a request at its end only",
        waiting.entry.name
    );
    Some(error(
        logger,
        message,
        "write it under `http_filters`, or take `fail_closed` and `overflow: deny` out",
    ))
}

/// The same filter in the same connection manager.
fn twice(findings: &Findings, logger: &Found) -> Option<Diagnostic> {
    let scope = logger.scope?;
    let ours = members(logger);
    let logs = |entry: &&Entry| entry.logs_access && ours.iter().any(|own| own.name == entry.name);
    let filters = findings.plugins.iter();
    let mut filters =
        filters.filter(|plugin| plugin.role == Role::HttpFilter && plugin.scope == Some(scope));
    let entry = filters.find_map(|filter| members(filter).into_iter().find(logs))?;
    let message = format!(
        "`{}` is an HTTP filter and an access logger of this connection manager: each request would have two records",
        entry.name
    );
    Some(error(
        logger,
        message,
        "keep one of them; the access logger also sees what is refused before any filter",
    ))
}
