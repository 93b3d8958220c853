//! The policy: what each rule matches, and that each can be reached.

use portcullis_kit::Path;
use portcullis_kit::headers::is_token;
use portcullis_kit::routes::{PathMatch, Paths};

use super::{Mistake, Result, refuse, stages};
use crate::flags::Flags;
use crate::policy::{self, Stages, Statuses};
use crate::settings::Rule;

/// Paths of mistakes start at the list. `waits`: whether requests wait for their records.
#[inline(never)]
pub fn compile(rules: &[Rule], waits: bool) -> Result<Vec<policy::Rule>> {
    if rules.is_empty() {
        return refuse(Path::top(), Mistake::NoRules);
    }
    let mut compiled: Vec<policy::Rule> = Vec::with_capacity(rules.len());
    for (at, rule) in rules.iter().enumerate() {
        let here = || Path::top().index(at);
        let own = one(rule)
            .and_then(|own| stages::compile(own, rule, waits))
            .map_err(|error| error.below(here()))?;
        if matches_all(rule) && at + 1 < rules.len() {
            return refuse(here(), Mistake::CatchAll);
        }
        let earlier = rules.iter().zip(&compiled);
        let by = earlier
            .enumerate()
            .position(|(_, (other, other_compiled))| covers(other, other_compiled, rule, &own));
        if let Some(by) = by {
            return refuse(here(), Mistake::Unreachable { by });
        }
        compiled.push(own);
    }
    Ok(compiled)
}

fn one(rule: &Rule) -> Result<policy::Rule> {
    let here = |list: &str, at: usize| Path::top().key(list).index(at);
    for (at, method) in rule.methods.iter().enumerate() {
        if !is_token(method.as_bytes()) || method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return refuse(here("methods", at), Mistake::Method);
        }
    }
    for (list, names) in [("routes", &rule.routes), ("tiers", &rule.tiers)] {
        if let Some(at) = names.iter().position(String::is_empty) {
            return refuse(here(list, at), Mistake::EmptyName);
        }
    }
    for (at, name) in rule.headers.iter().enumerate() {
        if !is_token(name.as_bytes()) {
            return refuse(here("headers", at), Mistake::HeaderName);
        }
    }
    let mut flags = Flags::NONE;
    for (at, name) in rule.flags.iter().enumerate() {
        let Some(flag) = Flags::named(name) else {
            return refuse(here("flags", at), Mistake::Flag(name.clone()));
        };
        flags = flags.and(flag);
    }
    let mut statuses = Statuses::default();
    for (at, text) in rule.statuses.iter().enumerate() {
        if !add(&mut statuses, text) {
            return refuse(here("statuses", at), Mistake::Status(text.clone()));
        }
    }
    let paths =
        Paths::compile(&rule.paths).map_err(|error| error.below(Path::top().key("paths")))?;
    Ok(policy::Rule {
        level: rule.level,
        methods: rule.methods.clone(),
        paths,
        routes: rule.routes.clone(),
        statuses: (!rule.statuses.is_empty()).then_some(statuses),
        tiers: rule.tiers.clone(),
        flags: (!rule.flags.is_empty()).then_some(flags),
        headers: rule.headers.clone(),
        stages: Stages {
            received: true,
            complete: true,
        },
    })
}

/// `404`, `4xx`, `none`.
fn add(statuses: &mut Statuses, text: &str) -> bool {
    if text == "none" {
        statuses.none = true;
        return true;
    }
    let class = text
        .strip_suffix("xx")
        .and_then(|class| class.parse::<u8>().ok());
    if let Some(class) = class.filter(|class| (1..=5).contains(class)) {
        statuses.classes |= 1 << class;
        return true;
    }
    match text.parse::<u16>() {
        Ok(code) if (100..=599).contains(&code) && text.len() == 3 => {
            statuses.codes.push(code);
            true
        }
        _ => false,
    }
}

fn matches_all(rule: &Rule) -> bool {
    rule.methods.is_empty()
        && rule.paths.is_empty()
        && rule.routes.is_empty()
        && rule.statuses.is_empty()
        && rule.tiers.is_empty()
        && rule.flags.is_empty()
        && rule.headers.is_empty()
}

/// Whether the earlier rule matches all that the later one does, as far as the lists show it.
fn covers(earlier: &Rule, own: &policy::Rule, later: &Rule, other: &policy::Rule) -> bool {
    let among = |all: &[String], some: &[String]| {
        all.is_empty() || !some.is_empty() && some.iter().all(|name| all.contains(name))
    };
    let folded = |names: &[String]| -> Vec<String> {
        names.iter().map(|name| name.to_ascii_lowercase()).collect()
    };
    let statuses = match (&own.statuses, &other.statuses) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(all), Some(some)) => all.covers(some),
    };
    let flags = match (own.flags, other.flags) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(all), Some(some)) => some.0 & !all.0 == 0,
    };
    let paths = earlier.paths.is_empty()
        || !later.paths.is_empty()
            && later.paths.iter().all(|later| {
                earlier
                    .paths
                    .iter()
                    .any(|earlier| path_covers(earlier, later))
            });
    statuses
        && flags
        && paths
        && among(&earlier.methods, &later.methods)
        && among(&earlier.routes, &later.routes)
        && among(&earlier.tiers, &later.tiers)
        && among(&folded(&earlier.headers), &folded(&later.headers))
}

fn path_covers(earlier: &PathMatch, later: &PathMatch) -> bool {
    match (earlier, later) {
        (PathMatch::Exact(one), PathMatch::Exact(other))
        | (PathMatch::Template(one), PathMatch::Template(other)) => one == other,
        (PathMatch::Prefix(prefix), PathMatch::Exact(path) | PathMatch::Prefix(path)) => path
            .strip_prefix(prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/')),
        (PathMatch::Prefix(prefix), PathMatch::Template(_)) => prefix == "/",
        _ => false,
    }
}
