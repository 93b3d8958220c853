//! `portcullis explain`: what a plugin makes of one request, by running it.

mod limits;
mod question;

use std::fmt;
use std::fmt::Write as _;

use portcullis_kit::config::Segment;
use portcullis_kit::filter::{Filter, Mode};
use portcullis_kit::headers::Headers;
use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::{Bench, Fake};
use rate_limit::RateLimit;
use rate_limit::assignment::{self, Why};
use rate_limit::exemption::{self, Exemption};
use rate_limit::filter::DECISION_STATE;
use rate_limit::identity::{self, Ambiguous, From, Identity};
use rate_limit::plan::{Declared, Profile, Tier, TierSource};
use serde_json::Value;

pub use question::{Malformed, Question};

use crate::check;
use crate::document::Source;
use crate::registry::Bundle;

/// Explains what each plugin that limits requests makes of one. `None` if there is no such plugin.
///
/// Settings with mistakes are passed over; [`check::check`] tells them.
pub fn explain(sources: &[Source], bundle: Option<Bundle>, question: &Question) -> Option<String> {
    let findings = check::read(sources, bundle);
    let mut text = String::new();
    for plugin in &findings.plugins {
        let Some(settings) = &plugin.settings.value else {
            continue;
        };
        let members = plugin.bundle.members(settings);
        let Some(member) = members
            .iter()
            .find(|member| member.entry.name == <RateLimit as Filter>::NAME)
        else {
            continue;
        };
        let Some(answer) = answer(member.settings, question) else {
            continue;
        };
        let file = sources.get(plugin.file).map_or("", |source| &source.name);
        let (line, name) = (plugin.place.start.line, member.entry.name);
        // Writing to a String does not fail.
        let _ = write!(text, "{file}:{line}: {name}\n{answer}");
    }
    (!text.is_empty()).then_some(text)
}

/// What one plugin does.
fn answer(settings: &Value, question: &Question) -> Option<Answer> {
    let bench = Bench::<Plugin<RateLimit>>::load(settings).ok()?;
    let mut answer = Answer::default();
    let mut fake = question.fake();
    let (name, mode, profile) = bench.bundle().profile(&mut fake)?;
    answer.line("profile", name);
    if let Some(wanted) = question.profile.as_ref().filter(|wanted| *wanted != name) {
        answer.more(&format!("there is no profile {wanted} here"));
    }
    match mode {
        Mode::Enforce => {}
        Mode::Shadow => {
            answer.more("mode shadow: all is decided and counted, and nothing can be seen")
        }
        Mode::Off => {
            answer.more("mode off: nothing is done");
            return Some(answer);
        }
    }
    let headers = fake.request.clone();
    for name in &profile.assignment.untrusted {
        if headers.contains(name) {
            answer.line("removed", &format!("{name}: any client could send it"));
        }
    }
    let found = identity::find(&profile.identity, &headers, &fake);
    let (found, ambiguous) = match found {
        Ok(found) => (found, None),
        Err(ambiguous) => (None, Some(ambiguous)),
    };
    let exempt = exemption::of_request(&profile.exempt, &headers, &fake).map(why_exempt);
    let exempt = exempt.or_else(|| {
        let hash = found.as_ref().map(Identity::hash)?;
        let listed = profile.exempt.identities.contains(&hash);
        listed.then_some("the identity is one of exempt.identities")
    });
    match &ambiguous {
        Some(ambiguous) => answer.ambiguous("identity", ambiguous),
        None => answer.identity(profile, found.as_ref()),
    }
    match exempt {
        Some(why) => answer.line("exempt", why),
        None if ambiguous.is_some() => {}
        None => {
            let identity = found.unwrap_or_else(Identity::unknown);
            answer.tier(profile, &identity, &headers, &fake);
        }
    }
    answer.outcome(&bench.exchange(fake, &[(":status", "200")]));
    Some(answer)
}

fn why_exempt(exemption: Exemption) -> &'static str {
    match exemption {
        Exemption::Preflight => "a CORS preflight (exempt.preflight)",
        Exemption::Path => "the path is one of exempt.paths",
        Exemption::Address => "the address is in one of exempt.cidrs",
    }
}

/// Whether a limit was declared for this tier.
fn is_of(limit: &Declared, tier: &Tier) -> bool {
    let name = limit.path.segments().get(1);
    matches!(name, Some(Segment::Key(name)) if name.eq_ignore_ascii_case(&tier.name))
}

/// What is told, in lines of a label and a text.
#[derive(Default)]
struct Answer(String);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Answer {
    fn line(&mut self, label: &str, text: &str) {
        let _ = writeln!(self.0, "  {label:<9} {text}");
    }

    fn more(&mut self, text: &str) {
        self.line("", text);
    }

    fn identity(&mut self, profile: &Profile, identity: Option<&Identity>) {
        let Some(identity) = identity else {
            self.line(
                "identity",
                "none: no source of `identity` yields a value, so all such clients count as one",
            );
            return;
        };
        let source = profile
            .identity
            .get(identity.source)
            .map(|source| &source.from);
        let by = match source {
            Some(From::Claim(path)) => limits::claim(path),
            Some(From::Header { name, .. }) => format!("the header {name}"),
            Some(From::Address { .. }) => {
                let value = identity.bytes.split(|byte| *byte == b':').skip(1);
                let value: Vec<_> = value.map(String::from_utf8_lossy).collect();
                format!("the address {}", value.join(":"))
            }
            None => String::new(),
        };
        self.line("identity", &format!("{by} (identity[{}])", identity.source));
        let hash: String = identity.hash().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        self.more(&format!("hash {hash}"));
    }

    fn ambiguous(&mut self, label: &str, ambiguous: &Ambiguous) {
        let header = &ambiguous.header;
        self.line(
            label,
            &format!("ambiguous: the header {header} stands in several lines"),
        );
    }

    fn tier(&mut self, profile: &Profile, identity: &Identity, headers: &Headers, fake: &Fake) {
        let assigned = match assignment::tier(profile, identity, headers, fake) {
            Ok(assigned) => assigned,
            Err(ambiguous) => {
                self.ambiguous("tier", &ambiguous);
                return;
            }
        };
        let by = match assigned.why {
            Why::Override => "an override of this identity".to_owned(),
            Why::Default => "tier.default, because nothing in tier.from tells one".to_owned(),
            Why::Anonymous => "tier.anonymous, because nothing but the address is known".to_owned(),
            Why::Source(at) => match profile.assignment.sources.get(at) {
                Some(TierSource::Claim(path)) => limits::claim(path),
                Some(TierSource::Header(name)) => format!("the header {name}"),
                Some(TierSource::Keys { header, .. }) => format!("the API key in {header}"),
                None => String::new(),
            },
        };
        let at = match assigned.tier {
            Some(at) => at,
            None if profile.assignment.refuse_unknown => {
                self.line("tier", &format!("unknown by {by}; tier.unknown is deny"));
                return;
            }
            None => profile.assignment.default,
        };
        let Some(tier) = profile.tiers.get(at) else {
            return;
        };
        self.line(
            "tier",
            &match assigned.tier {
                Some(_) => format!("{}, by {by}", tier.name),
                None => format!("{}, by tier.default, because {by} names no tier", tier.name),
            },
        );
        self.limits(profile, tier);
    }

    fn limits(&mut self, profile: &Profile, tier: &Tier) {
        if tier.limits.is_empty() {
            self.line("limits", "none");
        }
        let declared = |tag: u16| profile.declared.iter().find(|limit| limit.tag == tag);
        let mut others: Vec<&Declared> = profile.declared.iter().collect();
        others.retain(|limit| {
            is_of(limit, tier)
                && limit
                    .resource
                    .as_ref()
                    .is_some_and(|resource| *resource != profile.resource)
        });
        for (at, limit) in tier.limits.iter().enumerate() {
            let resource = declared(limit.rule.tag).and_then(|limit| limit.resource.as_deref());
            let label = if at == 0 { "limits" } else { "" };
            let text = limits::text(limit, resource);
            self.line(label, &format!("{}: {text}", limit.name));
        }
        for limit in others {
            let resource = limit.resource.as_deref().unwrap_or_default();
            let text = "not of this request, only of resource";
            self.more(&format!("{}: {text} {resource}", limit.name));
        }
    }

    /// What a client sees of which nothing was counted before.
    fn outcome(&mut self, fake: &Fake) {
        let decision = fake.filter_state.get(DECISION_STATE);
        let reply = fake.replies.first();
        let text = match (reply, decision.map(Vec::as_slice)) {
            (Some(reply), _) => format!("refused with {}", reply.status),
            (None, Some(b"allowed")) => {
                "allowed, if nothing was counted for this client before".to_owned()
            }
            (None, Some(decision)) => String::from_utf8_lossy(decision).into_owned(),
            (None, None) => "passes".to_owned(),
        };
        self.line("decision", &text);
        let mut label = "response";
        for (name, value) in fake.response.iter() {
            if name != b":status" {
                let (name, value) = (
                    String::from_utf8_lossy(name),
                    String::from_utf8_lossy(value),
                );
                self.line(label, &format!("{name}: {value}"));
                label = "";
            }
        }
        if let Some(reply) = reply {
            self.line(label, &String::from_utf8_lossy(&reply.body));
        }
    }
}
