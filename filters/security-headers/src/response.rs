//! What is done to a response, decided by its headers alone.
//!
//! One pass over the headers that are there ([`Seen`]), then the plan: only what has to change becomes an [`Edit`], and
//! each edit is one call to the host.

use std::borrow::Cow;

use portcullis_kit::Headers;
use portcullis_kit::cookies;
use portcullis_kit::headers::is_safe_value;

use crate::cors;
use crate::lookup::Role;
use crate::nonce::Nonce;
use crate::presets::CACHE_CONTROL;
use crate::profile::{Action, Csp, CspAction, Profile, Rule};
use crate::{csp, reporting};

const HSTS: &str = "strict-transport-security";
const SET_COOKIE: &str = "set-cookie";
pub const CLEAR_SITE_DATA: &str = "clear-site-data";
const ALLOW_CREDENTIALS: &str = "access-control-allow-credentials";

/// One change of the response headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit<'p> {
    Add(&'p str, Cow<'p, [u8]>),
    Set(&'p str, Cow<'p, [u8]>),
    Remove(&'p str),
}

/// All changes, and what is worth counting.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan<'p> {
    pub edits: Vec<Edit<'p>>,
    pub cookies_hardened: u64,
    pub cors: cors::Repair,
}

/// What the plan depends on beside the headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Situation<'n> {
    pub tls: bool,
    pub nonce: Option<&'n Nonce>,
}

/// What of a header is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Presence {
    #[default]
    Absent,
    /// Only lines without a value: the upstream says nothing.
    Blank,
    /// One line with the very value that a rule would write.
    Same,
    Other,
}

impl Presence {
    #[inline]
    fn and(self, line: &[u8], ours: &[u8]) -> Self {
        match self {
            Self::Absent if line == ours => Self::Same,
            Self::Absent | Self::Blank if line.trim_ascii().is_empty() => Self::Blank,
            _ => Self::Other,
        }
    }

    #[inline]
    fn is_silent(self) -> bool {
        matches!(self, Self::Absent | Self::Blank)
    }
}

/// What of a rule's header is there.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    presence: Presence,
    /// Whether a line or list member says already what the rule wants said.
    says_it: bool,
}

/// The response's headers, as far as the profile is concerned with them.
pub struct Seen<'r> {
    status: u16,
    /// One for each rule.
    rules: Vec<Found>,
    /// Places of removed names that are there, once for each line.
    removed: Vec<usize>,
    csp: Vec<&'r [u8]>,
    csp_report_only: bool,
    hsts: Presence,
    cookies: Vec<&'r [u8]>,
    clear_site_data: Vec<&'r [u8]>,
    vary: Vec<&'r [u8]>,
    allow_origin: Vec<&'r [u8]>,
    allow_credentials: bool,
}

impl<'r> Seen<'r> {
    #[inline]
    pub fn new(profile: &Profile, response: &'r Headers) -> Self {
        let mut seen = Self {
            status: 0,
            rules: vec![Found::default(); profile.rules.len()],
            removed: Vec::new(),
            csp: Vec::new(),
            csp_report_only: false,
            hsts: Presence::Absent,
            cookies: Vec::new(),
            clear_site_data: Vec::new(),
            vary: Vec::new(),
            allow_origin: Vec::new(),
            allow_credentials: false,
        };
        for (name, value) in response.iter() {
            if let Some(role) = profile.lookup.find(name) {
                seen.note(profile, role, value);
            }
        }
        seen
    }

    #[inline]
    fn note(&mut self, profile: &Profile, role: Role, value: &'r [u8]) {
        match role {
            Role::Ruled(at) => {
                if let (Some(rule), Some(found)) = (profile.rules.get(at), self.rules.get_mut(at)) {
                    found.presence = found.presence.and(value, &rule.value);
                    found.says_it |= rule.action.looks_inside() && contains(value, rule);
                }
            }
            Role::Removed(at) => self.removed.push(at),
            Role::Status => self.status = status(value),
            Role::SetCookie => self.cookies.push(value),
            Role::ClearSiteData => self.clear_site_data.push(value),
            Role::Csp => self.csp.push(value),
            Role::CspReportOnly => self.csp_report_only = true,
            Role::Hsts => {
                let ours = profile.hsts.as_ref().map_or(&b""[..], |hsts| &hsts.value);
                self.hsts = self.hsts.and(value, ours);
            }
            Role::Vary => self.vary.push(value),
            Role::AllowOrigin => self.allow_origin.push(value),
            Role::AllowCredentials => self.allow_credentials = true,
        }
    }

    /// Whether the plan depends on the client's connection being TLS.
    #[inline]
    pub fn asks_tls(&self, profile: &Profile) -> bool {
        let hsts = profile.hsts.as_ref().is_some_and(|hsts| {
            !hsts.always && !self.is_informational() && (hsts.replaces || self.hsts.is_silent())
        });
        hsts || (profile.cookies.is_some() && !self.cookies.is_empty())
    }

    /// Whether the plan needs a nonce.
    #[inline]
    pub fn asks_nonce(&self, profile: &Profile) -> bool {
        matches!(
            profile.csp,
            Csp::Send {
                uses_nonce: true,
                ..
            }
        )
    }

    /// Whether the upstream clears all of this already.
    #[inline]
    fn clears(&self, ours: &[u8]) -> bool {
        let theirs = || self.clear_site_data.iter().flat_map(|line| members(line));
        members(ours).all(|wanted| theirs().any(|there| there == wanted || there == b"\"*\""))
    }

    /// 101 included: it ends the HTTP exchange, and nothing follows that a browser would protect.
    #[inline]
    fn is_informational(&self) -> bool {
        (100..200).contains(&self.status)
    }

    #[inline]
    fn is_not_modified(&self) -> bool {
        self.status == 304
    }

    /// What is to be done.
    #[inline]
    pub fn plan<'p>(&self, profile: &'p Profile, situation: Situation<'_>) -> Plan<'p> {
        let mut plan = Plan {
            edits: Vec::with_capacity(profile.rules.len() + self.removed.len() + 4),
            ..Plan::default()
        };
        let removed = self
            .removed
            .iter()
            .filter_map(|at| profile.removed.get(*at));
        plan.edits
            .extend(removed.map(|name| Edit::Remove(name.as_str())));
        if !self.is_informational() {
            let rules = self.rules(profile, &mut plan.edits);
            let csp = self.csp(profile, situation, &mut plan.edits);
            if let Some(endpoint) = profile.endpoint.as_ref().filter(|_| rules || csp) {
                plan.add(reporting::HEADER, endpoint);
            }
            self.hsts(profile, situation, &mut plan);
            if let Some(value) = &profile.clear_site_data
                && (200..400).contains(&self.status)
                && !self.clears(value)
            {
                plan.add(CLEAR_SITE_DATA, value);
            }
            self.cors(profile, &mut plan);
        }
        self.cookies(profile, situation, &mut plan);
        plan
    }

    /// Whether a policy that only reports is sent.
    #[inline]
    fn rules<'p>(&self, profile: &'p Profile, edits: &mut Vec<Edit<'p>>) -> bool {
        let mut reports = false;
        for (rule, found) in profile.rules.iter().zip(&self.rules) {
            // A 304 speaks for a response that is stored already: its own silence means "as before" (RFC 9110 §15.4.5).
            if self.is_not_modified() && rule.name == CACHE_CONTROL && rule.action != Action::Set {
                continue;
            }
            if let Some(edit) = edit(rule, *found) {
                reports |= rule.reports;
                edits.push(edit);
            }
        }
        reports
    }

    /// Whether a policy that only reports is sent.
    #[inline]
    fn csp<'p>(
        &self,
        profile: &'p Profile,
        situation: Situation<'_>,
        edits: &mut Vec<Edit<'p>>,
    ) -> bool {
        let (policy, how, report_only, uses_nonce) = match &profile.csp {
            Csp::Off => return false,
            Csp::Remove => {
                if !self.csp.is_empty() {
                    edits.push(Edit::Remove(csp::HEADER));
                }
                return false;
            }
            Csp::Send {
                policy,
                how,
                report_only,
                uses_nonce,
            } => (policy, *how, *report_only, *uses_nonce),
        };
        // The stored page carries the nonce of its own response; a new one would disable its scripts.
        if uses_nonce && self.is_not_modified() {
            return false;
        }
        let blank = self.csp.iter().all(|line| line.trim_ascii().is_empty());
        if how == CspAction::Default && !blank {
            return false;
        }
        let value = policy.render(situation.nonce);
        let name = match report_only {
            true => csp::REPORT_ONLY,
            false => csp::HEADER,
        };
        let is_there = !report_only && self.csp.iter().any(|line| *line == &*value);
        let replaces = match report_only {
            true => how == CspAction::Set && self.csp_report_only,
            false => how != CspAction::Merge && !self.csp.is_empty(),
        };
        match (how, replaces) {
            (CspAction::Set, _) if is_there && self.csp.len() == 1 => {}
            (CspAction::Merge, _) if is_there => {}
            (_, true) => edits.push(Edit::Set(name, value)),
            (_, false) => edits.push(Edit::Add(name, value)),
        }
        report_only
    }

    #[inline]
    fn hsts<'p>(&self, profile: &'p Profile, situation: Situation<'_>, plan: &mut Plan<'p>) {
        let Some(hsts) = &profile.hsts else { return };
        if !(hsts.always || situation.tls) {
            return;
        }
        let value = Cow::Borrowed(hsts.value.as_slice());
        match self.hsts {
            Presence::Absent => plan.edits.push(Edit::Add(HSTS, value)),
            Presence::Blank => plan.edits.push(Edit::Set(HSTS, value)),
            Presence::Other if hsts.replaces => plan.edits.push(Edit::Set(HSTS, value)),
            Presence::Same | Presence::Other => {}
        }
    }

    #[inline]
    fn cookies<'p>(&self, profile: &'p Profile, situation: Situation<'_>, plan: &mut Plan<'p>) {
        let Some(rules) = &profile.cookies else {
            return;
        };
        // They are written again only if all can be: a line that may not be sent would be lost.
        if !self.cookies.iter().all(|line| is_safe_value(line)) {
            return;
        }
        let harden = |line: &&[u8]| cookies::harden(line, situation.tls, rules);
        let hardened: Vec<Option<Vec<u8>>> = self.cookies.iter().map(harden).collect();
        plan.cookies_hardened = hardened.iter().flatten().count() as u64;
        if plan.cookies_hardened == 0 {
            return;
        }
        // The host cannot change one line of several, so all are written again, in their order. The first takes the place
        // of all that were there, and not a removal before it: a host that refuses to write leaves them as they were.
        for (at, (line, hardened)) in self.cookies.iter().zip(hardened).enumerate() {
            let value = Cow::Owned(hardened.unwrap_or_else(|| line.to_vec()));
            plan.edits.push(match at {
                0 => Edit::Set(SET_COOKIE, value),
                _ => Edit::Add(SET_COOKIE, value),
            });
        }
    }

    #[inline]
    fn cors<'p>(&self, profile: &'p Profile, plan: &mut Plan<'p>) {
        let mut repair = cors::Repair::default();
        if let Some(rules) = &profile.cors {
            repair = cors::repair(self.allow_origin.iter().copied(), rules.allowed.as_deref());
            repair.remove_credentials &= self.allow_credentials;
        }
        if repair.remove_credentials {
            plan.edits.push(Edit::Remove(ALLOW_CREDENTIALS));
        }
        let origin = repair.vary_by_origin.then_some(&b"Origin"[..]);
        let by_origin = origin
            .into_iter()
            .all(|origin| cors::vary(self.vary(), [origin].into_iter()).is_none());
        repair.vary_by_origin = !by_origin;
        let members = profile.vary.iter().map(Vec::as_slice).chain(origin);
        if let Some(value) = cors::vary(self.vary(), members) {
            let value = Cow::Owned(value);
            plan.edits.push(match self.vary.is_empty() {
                true => Edit::Add("vary", value),
                false => Edit::Set("vary", value),
            });
        }
        plan.cors = repair;
    }

    #[inline]
    fn vary(&self) -> impl Iterator<Item = &'r [u8]> {
        self.vary.iter().copied()
    }
}

impl<'p> Plan<'p> {
    #[inline]
    fn add(&mut self, name: &'static str, value: &'p [u8]) {
        self.edits.push(Edit::Add(name, Cow::Borrowed(value)));
    }
}

impl Action {
    #[inline]
    fn looks_inside(self) -> bool {
        matches!(self, Self::Append | Self::Uncacheable)
    }
}

#[inline]
fn edit<'p>(rule: &'p Rule, found: Found) -> Option<Edit<'p>> {
    let value = || Cow::Borrowed(rule.value.as_slice());
    let name = rule.name.as_str();
    match (rule.action, found.presence) {
        (Action::Append | Action::Uncacheable, _) if found.says_it => None,
        (_, Presence::Absent) => Some(Edit::Add(name, value())),
        (_, Presence::Same) | (Action::Default, Presence::Other) => None,
        (Action::Append, Presence::Other) => Some(Edit::Add(name, value())),
        (_, Presence::Blank) | (Action::Set | Action::Uncacheable, Presence::Other) => {
            Some(Edit::Set(name, value()))
        }
    }
}

/// Whether a line says what the rule wants: its value, or for an uncacheable response, `no-store`.
#[inline]
fn contains(line: &[u8], rule: &Rule) -> bool {
    let wanted: &[u8] = match rule.action {
        Action::Uncacheable => b"no-store",
        _ => &rule.value,
    };
    line == wanted || members(line).any(|member| member.eq_ignore_ascii_case(wanted))
}

/// The members of a list (RFC 9110 §5.6.1).
#[inline]
fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Three digits; anything else is no status.
#[inline]
fn status(value: &[u8]) -> u16 {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}
