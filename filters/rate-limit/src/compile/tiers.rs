//! Tiers and their limits.

use portcullis_kit::identity::claim_path;
use portcullis_kit::table::Table;
use portcullis_kit::{Compiling, Path};

use super::declared::{agree_within, declare};
use super::{Mistake, Result, find, is_anybodys, refuse};
use crate::counter::{Algorithm, gcra};
use crate::decide::Rule;
use crate::headers::{self, Quota};
use crate::period::Period;
use crate::plan::{Declared, Dynamic, Limit, Tier, Upgrade};
use crate::preset;
use crate::refusal;
use crate::settings::{self, LimitMode, Settings};
use crate::window::Window;

const MAX_COUNT: u32 = 1_000_000_000;
/// The largest log: what it remembers of one identity must fit beside that of others.
const MAX_LOG: u32 = 512;

/// A name that headers, metrics and settings can hold.
pub fn is_name(name: &str) -> bool {
    let legal = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
    };
    (1..=32).contains(&name.len()) && name.bytes().all(legal)
}

fn is_tier_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(legal)
}

/// All tiers, each with the limits that count for the profile's resource, and all limits that were declared.
pub fn compile(
    settings: &Settings,
    offset_ms: i64,
    compiling: &Compiling<'_>,
) -> Result<(Vec<Tier>, Vec<Declared>)> {
    let written = written(settings)?;
    let mut tiers = Vec::with_capacity(written.len());
    let mut declared: Vec<Declared> = Vec::new();
    for (name, (own, tier)) in &written {
        let here = Path::top().key("tiers").key(name.as_str());
        let limits = limits(tier, offset_ms, *own, &here)?;
        declared.extend(limits.iter().map(|limit| limit.declared.clone()));
        let anybodys = is_anybodys(settings, name);
        let name = name.to_ascii_lowercase();
        let mut counted: Vec<Limit> = Vec::with_capacity(limits.len());
        for limit in limits {
            let resource = limit.declared.resource.as_ref();
            if resource.is_some_and(|resource| *resource != settings.resource) {
                continue;
            }
            if anybodys {
                limit.admits(&name, settings.cost)?;
            }
            counted.push(limit.finish(&name, settings.cost, compiling));
        }
        let varies = counted
            .iter()
            .any(|limit| limit.dynamic.is_some() || !matches!(limit.enforce_percent, 0 | 100));
        let month = has_month(&counted);
        let rules: Vec<Rule> = counted.iter().map(|limit| limit.rule).collect();
        let quotas = counted.iter().filter(|limit| limit.rule.enforced);
        let quotas = quotas.map(|limit| (limit, Quota::of(&limit.rule, 0)));
        let policy = headers::policies(quotas, None);
        tiers.push(Tier {
            policy: (!varies && !month).then_some(policy),
            rules: (!varies).then_some(rules),
            refusal: None,
            next: None,
            allowed: compiling.counter("allowed", &[("tier", &name)]),
            limits: counted,
            name,
        });
    }
    agree_within(&declared)?;
    link(&mut tiers, &written)?;
    Ok((tiers, declared))
}

/// Whether the windows are longer at one time than at another.
fn has_month(limits: &[Limit]) -> bool {
    let algorithms = limits.iter().map(|limit| &limit.rule.algorithm);
    algorithms
        .into_iter()
        .any(|algorithm| matches!(algorithm, Algorithm::Fixed(Period::Month { .. })))
}

/// Writes what every refusal says alike.
pub fn render(tiers: &mut [Tier], upgrade: &Upgrade) {
    let rendered: Vec<Option<Vec<u8>>> = tiers
        .iter()
        .map(|tier| {
            let next = tier.next.and_then(|next| tiers.get(next));
            let month = next.is_some_and(|next| has_month(&next.limits));
            (!month).then(|| refusal::rest(tier, next, upgrade, 0))
        })
        .collect();
    for (tier, refusal) in tiers.iter_mut().zip(rendered) {
        tier.refusal = refusal;
        for limit in &mut tier.limits {
            if !has_month(std::slice::from_ref(limit)) {
                let quota = Quota::of(&limit.rule, 0);
                limit.used_up = Some(refusal::used_up(&tier.name, limit, quota));
            }
        }
    }
}

/// Tiers by their names as written, and whether a user wrote them.
type Written = Table<String, (bool, settings::Tier)>;

fn written(settings: &Settings) -> Result<Written> {
    // One by one: collecting them would bring a whole sort into the module.
    let mut all = Written::new();
    for (name, tier) in preset::tiers(settings.plans) {
        all.insert(name, (false, tier));
    }
    for (name, tier) in &settings.tiers {
        let here = || Path::top().key("tiers").key(name.as_str());
        if !is_tier_name(name) {
            return refuse(here(), Mistake::TierName);
        }
        let twice = settings
            .tiers
            .keys()
            .any(|other| other != name && other.eq_ignore_ascii_case(name));
        if twice {
            return refuse(here(), Mistake::TierTwice { name: name.clone() });
        }
        all.retain(|other, _| !other.eq_ignore_ascii_case(name));
        all.insert(name.clone(), (true, tier.clone()));
    }
    if all.is_empty() {
        return refuse(Path::top().key("plans"), Mistake::NoTiers);
    }
    Ok(all)
}

/// Finds each tier's next one.
fn link(tiers: &mut [Tier], written: &Written) -> Result<()> {
    for (at, (name, (_, tier))) in written.iter().enumerate() {
        let here = || {
            Path::top()
                .key("tiers")
                .key(name.as_str())
                .key("upgrade_to")
        };
        let Some(next) = &tier.upgrade_to else {
            continue;
        };
        let next = find(tiers, next, here())?;
        if let Some(tier) = tiers.get_mut(at) {
            tier.next = Some(next);
        }
    }
    for (at, name) in written.keys().enumerate() {
        let mut seen = 0;
        let mut next = tiers.get(at).and_then(|tier| tier.next);
        while let Some(tier) = next.and_then(|next| tiers.get(next)) {
            seen += 1;
            if seen > tiers.len() {
                let here = Path::top().key("tiers").key(name.as_str());
                let name = tier.name.clone();
                return refuse(here.key("upgrade_to"), Mistake::UpgradeCircle { name });
            }
            next = tier.next;
        }
    }
    Ok(())
}

/// A limit as far as it does not depend on the profile.
struct Draft {
    declared: Declared,
    algorithm: Algorithm,
    count: u32,
    enforced: bool,
    enforce_percent: u8,
    count_denied: bool,
    dynamic: Option<Dynamic>,
    about_ms: u64,
}

impl Draft {
    /// What one request takes, and the most that there ever is.
    fn most(&self, cost: u32) -> (u64, u64) {
        match self.algorithm {
            Algorithm::Concurrency { .. } => (1, 1),
            Algorithm::Gcra { burst, .. } => (u64::from(cost), burst),
            _ => (u64::from(cost), u64::from(self.count)),
        }
    }

    fn is_enforced(&self) -> bool {
        self.enforced && self.enforce_percent > 0
    }

    /// Refuses a cost that this limit never admits. One in shadow refuses nothing, and metadata may raise a dynamic one.
    fn admits(&self, tier: &str, cost: u32) -> Result<()> {
        let (cost, most) = self.most(cost);
        if cost <= most || !self.is_enforced() || self.dynamic.is_some() {
            return Ok(());
        }
        let mistake = Mistake::CostTooMuch {
            tier: tier.to_owned(),
            limit: self.declared.name.clone(),
            count: most,
            own: self.declared.own,
        };
        refuse(Path::top().key("cost"), mistake)
    }

    fn finish(self, tier: &str, cost: u32, compiling: &Compiling<'_>) -> Limit {
        let (cost, _) = self.most(cost);
        let enforced = self.is_enforced();
        let name = self.declared.name;
        let labels = [("tier", tier), ("limit", name.as_str())];
        Limit {
            rule: Rule {
                tag: self.declared.tag,
                algorithm: self.algorithm,
                limit: u64::from(self.count),
                cost,
                enforced,
                count_denied: self.count_denied,
            },
            enforce_percent: self.enforce_percent,
            dynamic: self.dynamic,
            used_up: None,
            remaining: format!(", \"{name}\";r="),
            denied_state: format!("denied:{name}"),
            shadow_denied_state: format!("shadow_denied:{name}"),
            near: compiling.counter("near_limit", &labels),
            denied: compiling.counter("denied", &labels),
            shadow_denied: compiling.counter("shadow_denied", &labels),
            name,
        }
    }
}

fn limits(tier: &settings::Tier, offset_ms: i64, own: bool, here: &Path) -> Result<Vec<Draft>> {
    let mut drafts: Vec<Draft> = Vec::new();
    for (at, limit) in tier.limits.iter().enumerate() {
        let path = here.clone().key("limits").index(at);
        let twice = drafts.iter().any(|other| other.declared.name == limit.name);
        if twice {
            let name = limit.name.clone();
            return refuse(path.key("name"), Mistake::LimitTwice { name });
        }
        let draft =
            draft(limit, offset_ms, own, &path).map_err(|error| error.below(path.clone()))?;
        drafts.push(draft);
    }
    fewer_in_more(tier, &drafts, here)?;
    if let Some(burst) = &tier.burst {
        let path = here.clone().key("burst");
        // Its mistakes are told in its own terms: it has a count and a window, and no other key of a limit.
        let Some(Window::Length(window_ms)) = Window::parse(&burst.window) else {
            return refuse(path.key("window"), Mistake::Length);
        };
        if u64::from(burst.count) > gcra::largest_burst(window_ms) {
            return refuse(path.key("window"), Mistake::LongBurst);
        }
        let limit = settings::Limit {
            name: "burst".to_owned(),
            count: burst.count,
            window: burst.window.clone(),
            algorithm: Some(settings::Algorithm::Gcra),
            burst: None,
            resource: None,
            mode: LimitMode::Enforce,
            enforce_percent: 100,
            count_denied: false,
            dynamic: None,
        };
        let draft =
            draft(&limit, offset_ms, own, &path).map_err(|error| error.below(path.clone()))?;
        drafts.push(draft);
    }
    if let Some(concurrency) = &tier.concurrency {
        let path = here.clone().key("concurrency");
        count(concurrency.max).map_err(|error| error.below(path.clone().key("max")))?;
        let Some(Window::Length(lease_ms)) = Window::parse(&concurrency.lease) else {
            return refuse(path.key("lease"), Mistake::Length);
        };
        let algorithm = Algorithm::Concurrency { lease_ms };
        drafts.push(Draft {
            declared: declare("concurrency", &algorithm, concurrency.max, None, own, path),
            algorithm,
            count: concurrency.max,
            enforced: true,
            enforce_percent: 100,
            count_denied: false,
            dynamic: None,
            about_ms: 0,
        });
    }
    for (at, draft) in drafts.iter().enumerate() {
        let name = &draft.declared.name;
        if drafts
            .iter()
            .take(at)
            .any(|other| other.declared.name == *name)
        {
            let name = name.clone();
            return refuse(draft.declared.path.clone(), Mistake::LimitTwice { name });
        }
    }
    match (tier.unlimited, drafts.is_empty()) {
        (true, false) => refuse(here.clone().key("unlimited"), Mistake::UnlimitedWithLimits),
        (false, true) => refuse(here.clone(), Mistake::NoLimits),
        _ => Ok(drafts),
    }
}

fn count(count: u32) -> Result<()> {
    match count {
        0 => refuse(Path::top(), Mistake::ZeroCount),
        1..=MAX_COUNT => Ok(()),
        _ => refuse(Path::top(), Mistake::LargeCount),
    }
}

/// One limit. Paths in mistakes start at it.
fn draft(limit: &settings::Limit, offset_ms: i64, own: bool, path: &Path) -> Result<Draft> {
    let at = |key: &str| Path::top().key(key);
    if !is_name(&limit.name) {
        return refuse(at("name"), Mistake::LimitName);
    }
    count(limit.count).map_err(|error| error.below(at("count")))?;
    let Some(window) = Window::parse(&limit.window) else {
        return refuse(at("window"), Mistake::Window);
    };
    if limit.enforce_percent > 100 {
        return refuse(at("enforce_percent"), Mistake::Percent);
    }
    if let Some(resource) = &limit.resource
        && !is_name(resource)
    {
        return refuse(at("resource"), Mistake::Resource);
    }
    match limit.burst {
        Some(0) => return refuse(at("burst"), Mistake::ZeroBurst),
        Some(burst) => count(burst).map_err(|error| error.below(at("burst")))?,
        None => {}
    }
    let dynamic = match &limit.dynamic {
        None => None,
        Some(claim) => Some(Dynamic {
            path: claim_path(claim, at("dynamic"))?,
            unit: window.unit(),
            burst: limit.burst.map(u64::from),
        }),
    };
    let algorithm = algorithm(limit, window, offset_ms)?;
    if let Algorithm::Log { .. } = algorithm {
        if dynamic.is_some() {
            return refuse(at("dynamic"), Mistake::DynamicLog);
        }
        if limit.count_denied {
            return refuse(at("count_denied"), Mistake::LogOfDenied);
        }
    }
    Ok(Draft {
        declared: declare(
            &limit.name,
            &algorithm,
            limit.count,
            limit.resource.as_deref(),
            own,
            path.clone(),
        ),
        algorithm,
        count: limit.count,
        enforced: limit.mode == LimitMode::Enforce,
        enforce_percent: limit.enforce_percent,
        count_denied: limit.count_denied,
        dynamic,
        about_ms: window.about_ms(),
    })
}

fn algorithm(limit: &settings::Limit, window: Window, offset_ms: i64) -> Result<Algorithm> {
    const HOUR_MS: u64 = 3_600_000;
    let at = |key: &str| Path::top().key(key);
    let chosen = limit.algorithm.unwrap_or(match window {
        Window::Length(length) if length <= HOUR_MS => settings::Algorithm::Sliding,
        _ => settings::Algorithm::Fixed,
    });
    if limit.burst.is_some() && chosen != settings::Algorithm::Gcra {
        return refuse(at("burst"), Mistake::BurstWithoutGcra);
    }
    let Window::Length(window_ms) = window else {
        return match chosen {
            settings::Algorithm::Fixed => Ok(Algorithm::Fixed(Period::Month { offset_ms })),
            _ => refuse(at("algorithm"), Mistake::MonthIsFixed),
        };
    };
    Ok(match chosen {
        settings::Algorithm::Sliding => Algorithm::Sliding { window_ms },
        settings::Algorithm::Fixed => Algorithm::Fixed(Period::Every {
            window_ms,
            offset_ms,
        }),
        settings::Algorithm::Log if limit.count > MAX_LOG => {
            return refuse(at("count"), Mistake::LongLog);
        }
        settings::Algorithm::Log => Algorithm::Log { window_ms },
        settings::Algorithm::Gcra => {
            let burst = u64::from(limit.burst.unwrap_or(limit.count));
            if burst > gcra::largest_burst(window_ms) {
                return refuse(at("window"), Mistake::LongPace);
            }
            Algorithm::Gcra { window_ms, burst }
        }
    })
}

/// A limit that allows fewer than another one in less time makes that one idle: more likely a slip than meant.
fn fewer_in_more(tier: &settings::Tier, drafts: &[Draft], here: &Path) -> Result<()> {
    for (at, (longer, written)) in drafts.iter().zip(&tier.limits).enumerate() {
        for shorter in drafts {
            let covers = longer.declared.resource.is_none()
                || longer.declared.resource == shorter.declared.resource;
            let fixed = longer.dynamic.is_none() && shorter.dynamic.is_none();
            let gcra = matches!(longer.algorithm, Algorithm::Gcra { .. });
            if covers
                && fixed
                && !gcra
                && longer.enforced
                && shorter.enforced
                && longer.about_ms > shorter.about_ms
                && longer.count < shorter.count
            {
                return refuse(
                    here.clone().key("limits").index(at).key("count"),
                    Mistake::FewerInMore {
                        longer: written.name.clone(),
                        shorter: shorter.declared.name.clone(),
                    },
                );
            }
        }
    }
    Ok(())
}
