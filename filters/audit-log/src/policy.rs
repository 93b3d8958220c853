//! Which rule a request falls under.

use portcullis_kit::Headers;
use portcullis_kit::exchange::Exchange;
use portcullis_kit::routes::Paths;

use crate::flags::Flags;
use crate::seen::Seen;
use crate::settings::{Level, Stage};

/// One compiled rule. Everything that is given must match.
#[derive(Debug)]
pub struct Rule {
    pub level: Level,
    pub methods: Vec<String>,
    pub paths: Paths,
    pub routes: Vec<String>,
    pub statuses: Option<Statuses>,
    pub tiers: Vec<String>,
    pub flags: Option<Flags>,
    pub headers: Vec<String>,
    pub stages: Stages,
}

/// The stages at which a rule records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stages {
    pub received: bool,
    pub complete: bool,
}

impl Stages {
    pub fn is_empty(self) -> bool {
        !self.received && !self.complete
    }

    #[inline]
    fn contain(self, stage: Stage) -> bool {
        match stage {
            Stage::RequestReceived => self.received,
            Stage::ResponseComplete => self.complete,
        }
    }
}

impl Rule {
    /// Whether only a request's end decides it: before that, such a rule is passed over.
    #[inline]
    pub fn asks_for_the_end(&self) -> bool {
        self.statuses.is_some() || self.flags.is_some() || !self.tiers.is_empty()
    }
}

/// A set of statuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses {
    /// Bit n: the class n00.
    pub classes: u8,
    pub codes: Vec<u16>,
    /// No response at all.
    pub none: bool,
}

impl Statuses {
    #[inline]
    pub fn contains(&self, status: Option<u16>) -> bool {
        match status {
            None => self.none,
            Some(status) => {
                let class = 1_u8.checked_shl(u32::from(status / 100)).unwrap_or(0);
                self.classes & class != 0 || self.codes.contains(&status)
            }
        }
    }

    /// Whether every status of the other is one of this.
    pub fn covers(&self, other: &Self) -> bool {
        other.classes & !self.classes == 0
            && (self.none || !other.none)
            && other.codes.iter().all(|code| self.contains(Some(*code)))
    }
}

/// How much the first rule that matches records at this stage.
#[inline]
pub fn level<X: Exchange>(rules: &[Rule], seen: &mut Seen<'_, X>) -> Level {
    let stage = seen.stage();
    rules
        .iter()
        .filter(|rule| stage == Stage::ResponseComplete || !rule.asks_for_the_end())
        .find(|rule| matches(rule, seen))
        .filter(|rule| rule.stages.contain(stage))
        .map_or(Level::None, |rule| rule.level)
}

/// Whether bodies are recorded, as far as the request's headers tell: where its end decides, they may be.
#[inline]
pub fn may_record_bodies(rules: &[Rule], request: &Headers) -> bool {
    for rule in rules {
        if !matches_headers(rule, request) {
            continue;
        }
        if rule.level == Level::Body {
            return true;
        }
        let decides = rule.statuses.is_none()
            && rule.flags.is_none()
            && rule.tiers.is_empty()
            && rule.routes.is_empty();
        if decides {
            return false;
        }
    }
    false
}

#[inline]
fn matches_headers(rule: &Rule, request: &Headers) -> bool {
    if !rule.methods.is_empty() {
        let method = request.get(":method").unwrap_or_default();
        if !rule.methods.iter().any(|known| known.as_bytes() == method) {
            return false;
        }
    }
    if !rule.paths.is_empty() {
        let target = request.get(":path").unwrap_or_default();
        if !rule.paths.match_target(target) {
            return false;
        }
    }
    rule.headers.is_empty() || rule.headers.iter().any(|name| request.contains(name))
}

/// What the headers say is asked first: the rest may cost a host call.
#[inline]
fn matches<X: Exchange>(rule: &Rule, seen: &mut Seen<'_, X>) -> bool {
    if !matches_headers(rule, &seen.request) {
        return false;
    }
    if let Some(statuses) = &rule.statuses
        && !statuses.contains(seen.status())
    {
        return false;
    }
    if let Some(flags) = rule.flags
        && !flags.intersects(seen.flags())
    {
        return false;
    }
    is_one_of(&rule.tiers, || seen.tier()) && is_one_of(&rule.routes, || seen.route())
}

/// An empty list is any.
#[inline]
fn is_one_of<'s>(names: &[String], value: impl FnOnce() -> Option<&'s [u8]>) -> bool {
    names.is_empty()
        || value().is_some_and(|value| names.iter().any(|name| name.as_bytes() == value))
}
