//! What lets clients choose the limits they have: addresses and paths that the connection manager takes as they come, and
//! tokens and headers that nothing before rate-limit vouches for.

mod keys;
mod paths;
mod tokens;

use ::rate_limit::settings::{Identity, Settings, TierSource, Unknown};
use ::rate_limit::{RateLimit, preset};
use portcullis_kit::Filter;
use portcullis_kit::config::Path;

use super::rate_limit::{Profile, profiles, warning};
use crate::diagnostic::Diagnostic;
use crate::document::Node;
use crate::find::{FilterList, Findings, Found, What};

pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    let plugins = findings.plugins.iter().enumerate();
    plugins
        .flat_map(|(number, plugin)| of_plugin(findings, number, plugin))
        .collect()
}

fn of_plugin(findings: &Findings, number: usize, plugin: &Found) -> Vec<Diagnostic> {
    let Some(settings) = &plugin.settings.value else {
        return Vec::new();
    };
    let places = places(findings, number);
    let members = plugin.bundle.members(settings).into_iter();
    let mut found = Vec::new();
    for member in members.filter(|member| member.entry.name == <RateLimit as Filter>::NAME) {
        for profile in profiles(member.settings) {
            let here = profile.path.clone().below(member.path.clone());
            for place in &places {
                let told = place.mistakes(&profile);
                // What the profile takes from the top is told there.
                let own = told.into_iter().filter(|told| told.is_of(&profile));
                found.extend(own.map(|told| told.diagnostic(plugin, &here)));
            }
        }
    }
    found
}

/// A list of filters with the plugin, and its connection manager.
struct Place<'a> {
    manager: &'a Node,
    /// What stands before the plugin.
    before: &'a [crate::find::Item],
    /// Filters that are resources of another file stand before it, or may.
    is_open: bool,
}

fn places(findings: &Findings, number: usize) -> Vec<Place<'_>> {
    let is_it = |what: &What| match what {
        What::Ours(other) => *other == number,
        What::Discovered(name) => findings.resources.get(name) == Some(&number),
        What::Native(..) => false,
    };
    let place = |list: &'_ FilterList| {
        let at = list.items.iter().position(|item| is_it(&item.what))?;
        let scope = list.scope?;
        let mut managers = findings.managers.iter();
        let manager = managers.find(|manager| manager.scope == scope)?;
        Some((manager, at, findings.open_scopes.contains(&scope)))
    };
    let lists = findings.lists.iter();
    lists
        .filter_map(|list| {
            let (manager, at, is_open) = place(list)?;
            let before = list.items.get(..at).unwrap_or_default();
            let unknown = before.iter().any(|item| match &item.what {
                What::Discovered(name) => !findings.resources.contains_key(name),
                _ => false,
            });
            Some(Place {
                manager: &manager.node,
                before,
                is_open: is_open || unknown,
            })
        })
        .collect()
}

/// What is wrong, and where below the profile.
struct Told {
    /// The setting at the profile's top that it is about.
    setting: &'static str,
    path: Path,
    message: String,
    help: &'static str,
}

impl Told {
    /// Whether it stands in this profile, or is a default of the top.
    fn is_of(&self, profile: &Profile<'_>) -> bool {
        profile.is_top || profile.over.get(self.setting).is_some()
    }

    fn diagnostic(self, plugin: &Found, here: &Path) -> Diagnostic {
        let path = self.path.below(here.clone());
        warning(plugin, path, self.message).help(self.help)
    }
}

const ADDRESS: &str = "write `use_remote_address: true` where clients connect directly; behind a proxy that you trust, say so by `xff_num_trusted_hops`";
const SET_BY: &str = "put the filter before it that sets the header and removes the client's own";

impl Place<'_> {
    fn mistakes(&self, profile: &Profile<'_>) -> Vec<Told> {
        let settings = &profile.merged;
        let address = self.address(settings).into_iter();
        let mut told: Vec<Told> = address.collect();
        told.extend(self.exempt_paths(settings));
        told.extend(self.routes(profile));
        told.extend(self.keys(settings));
        if !self.is_open {
            told.extend(self.tokens(settings));
            told.extend(self.headers(settings));
        }
        told
    }

    fn takes_any_address(&self) -> bool {
        let says = |name| self.manager.field(name).is_some();
        !self.manager.is_true(&["use_remote_address"])
            && !self.trusts_hops()
            && !says("original_ip_detection_extensions")
    }

    fn address(&self, settings: &Settings) -> Option<Told> {
        let by_address = |identity: &Identity| matches!(identity, Identity::ClientAddress(_));
        let (setting, what) = if settings.identity.iter().any(by_address) {
            ("identity", "counts for whatever address it likes")
        } else if !settings.exempt.cidrs.is_empty() {
            ("exempt", "can have an address that is exempt")
        } else {
            return None;
        };
        self.takes_any_address().then(|| Told {
            setting,
            path: Path::top().key(setting),
            message: format!("any client {what}: Envoy takes it from `x-forwarded-for` here"),
            help: ADDRESS,
        })
    }

    /// Headers that are trusted although every client can send them.
    fn headers(&self, settings: &Settings) -> Option<Told> {
        let early = self.manager.field("early_header_mutation_extensions");
        // Behind another proxy, that one can set them.
        let is_edge = self.manager.is_true(&["use_remote_address"]) && !self.trusts_hops();
        if !is_edge || early.is_some() || self.natives().any(|kind| !sets_nothing(kind)) {
            return None;
        }
        let mut identities = settings.identity.iter().enumerate();
        let of_identity = identities.find_map(|(at, identity)| match identity {
            Identity::Header(header) if header.trusted => {
                let path = Path::top().key("identity").index(at).key("header");
                Some(("identity", path, &header.name))
            }
            _ => None,
        });
        let mut tiers = settings.tier.from.iter().enumerate();
        let of_tier = || {
            tiers.find_map(|(at, source)| match source {
                TierSource::Header(header) if header.trusted => {
                    let path = Path::top().key("tier").key("from").index(at).key("header");
                    Some(("tier", path, &header.name))
                }
                _ => None,
            })
        };
        let (setting, path, name) = of_identity.or_else(of_tier)?;
        Some(Told {
            setting,
            path: path.key("trusted"),
            message: format!(
                "any client can send `{name}`: nothing stands before this filter that could set it"
            ),
            help: SET_BY,
        })
    }

    /// The configurations of the native filters of this kind.
    fn configurations(&self, kind: &str) -> impl Iterator<Item = &Node> {
        self.before.iter().filter_map(move |item| match &item.what {
            What::Native(own, config) if own.ends_with(kind) => Some(&**config),
            _ => None,
        })
    }

    /// Whether proxies before this one are trusted; 0 of them are none.
    fn trusts_hops(&self) -> bool {
        let hops = self.manager.text_at(&["xff_num_trusted_hops"]);
        hops.is_some_and(|hops| hops.trim().parse() != Ok(0_u32))
    }

    fn natives(&self) -> impl Iterator<Item = &str> {
        self.before.iter().filter_map(|item| match &item.what {
            What::Native(kind, _) => Some(kind.as_str()),
            What::Ours(_) | What::Discovered(_) => None,
        })
    }
}

/// Native filters that set no header of a request.
fn sets_nothing(kind: &str) -> bool {
    const NOTHING: [&str; 6] = [
        "Buffer",
        "Cors",
        "CorsPolicy",
        "CsrfPolicy",
        "HealthCheck",
        "LocalRateLimit",
    ];
    let short = kind.rsplit('.').next().unwrap_or_default();
    NOTHING.contains(&short)
}

/// What has no effect, as nothing else is written that it is about.
pub fn idle(profile: &Profile<'_>) -> Vec<(Path, &'static str, &'static str)> {
    let settings = &profile.merged;
    let mut told = Vec::new();
    let written = |names: [&str; 2]| {
        let [first, second] = names;
        profile
            .over
            .get(first)
            .and_then(|value| value.get(second))
            .is_some()
    };
    let standard = preset::tiers(settings.plans);
    let mut tiers = standard.iter().chain(&settings.tiers);
    if (written(["upgrade", "url"]) || written(["upgrade", "text"]))
        && !tiers.any(|(_, tier)| tier.upgrade_to.is_some())
    {
        told.push((
            Path::top().key("upgrade"),
            "nobody is told of this: no tier has `upgrade_to`",
            "name the next tier in each that has one, or take `upgrade` out",
        ));
    }
    let denies = written(["tier", "unknown"]) && settings.tier.unknown == Unknown::Deny;
    if denies && settings.tier.from.is_empty() {
        told.push((
            Path::top().key("tier").key("unknown"),
            "no client has an unknown tier: `tier.from` is empty",
            "name where tiers come from, or take `unknown` out",
        ));
    }
    told
}
