//! Paths that a client can spell in another way, where the connection manager takes them as they come.

use ::rate_limit::settings::Settings;
use portcullis_kit::config::{Path, from_value};
use portcullis_kit::routes::{PathMatch, Route};
use serde_json::Value;

use super::super::rate_limit::Profile;
use super::{Place, Told};

const NORMAL: &str =
    "write `normalize_path: true` and `merge_slashes: true` in the connection manager";

/// Settings of a profile that change nothing of who may send how much.
const TELLING: [&str; 4] = ["filter_state", "headers", "near_limit_percent", "upgrade"];

impl Place<'_> {
    /// Paths that are exempt, and so is every other one behind them.
    pub(super) fn exempt_paths(&self, settings: &Settings) -> Option<Told> {
        if self.manager.is_true(&["normalize_path"]) {
            return None;
        }
        let mut paths = settings.exempt.paths.iter().enumerate();
        let (at, spelling) = paths.find_map(|(at, path)| Some((at, around(path)?)))?;
        Some(Told {
            setting: "exempt",
            path: Path::top().key("exempt").key("paths").index(at),
            message: format!(
                "every path is exempt as `{spelling}`: the connection manager takes paths as they come"
            ),
            help: NORMAL,
        })
    }

    /// Paths that choose a profile with other limits: spelled otherwise they do not, and others do.
    pub(super) fn routes(&self, profile: &Profile<'_>) -> Option<Told> {
        let normal = |setting| self.manager.is_true(&[setting]);
        if !profile.is_top || normal("normalize_path") && normal("merge_slashes") {
            return None;
        }
        let routes: Vec<Route> = from_value(profile.over.get("routes")?).ok()?;
        let limits = |route: &Route| {
            let named = profile
                .over
                .get("profiles")
                .and_then(|all| all.get(&route.profile));
            let settings = named.and_then(Value::as_object).into_iter().flatten();
            settings
                .into_iter()
                .any(|(key, _)| !TELLING.contains(&key.as_str()))
        };
        let mut chosen = routes.iter().enumerate().filter(|(_, route)| limits(route));
        let (at, route, path) =
            chosen.find_map(|(at, route)| Some((at, route, route.paths.first()?)))?;
        let before = if normal("normalize_path") { "/" } else { "/." };
        let spelling = format!("{before}{}", text(path));
        Some(Told {
            setting: "routes",
            path: Path::top().key("routes").index(at).key("paths").index(0),
            message: format!(
                "a client that writes `{spelling}` has not the limits of profile `{}`: the connection manager takes paths as they come",
                route.profile
            ),
            help: NORMAL,
        })
    }
}

/// How every path is one of these, if it can be.
fn around(path: &PathMatch) -> Option<String> {
    match path {
        PathMatch::Exact(_) => None,
        PathMatch::Prefix(prefix) => Some(format!("{}/../PATH", prefix.trim_end_matches('/'))),
        PathMatch::Template(template) => {
            let (before, _) = template.split_once('{')?;
            let rest = template.ends_with("...}");
            rest.then(|| format!("{}/../PATH", before.trim_end_matches('/')))
        }
    }
}

fn text(path: &PathMatch) -> &str {
    match path {
        PathMatch::Exact(text) | PathMatch::Prefix(text) | PathMatch::Template(text) => text,
    }
}
