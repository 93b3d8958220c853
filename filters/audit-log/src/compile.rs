//! From what a user wrote to what requests use.

mod bodies;
mod delivery;
mod guard;
mod named;
mod rules;
mod stages;

use portcullis_kit::glob::PathTemplate;
use portcullis_kit::identity::{self, settings::Identity};
use portcullis_kit::{Compiling, ConfigError, Path};

use crate::ending::Outcome;
use crate::mistake::Mistake;
use crate::profile::{Jwt, Metrics, Omit, Profile};
use crate::redact::{Key, MIN_KEY_BYTES};
use crate::settings::{ClientAddress, Level, Part, Settings, Shown, Unmatched};

type Result<T> = std::result::Result<T, ConfigError>;

#[cold]
#[inline(never)]
fn refuse<T>(path: Path, mistake: Mistake) -> Result<T> {
    Err(ConfigError::rule(path, mistake))
}

/// Compiles one profile. `reads_bodies`: whether the module is told of bodies.
#[inline(never)]
pub fn compile(
    settings: &Settings,
    compiling: &Compiling<'_>,
    reads_bodies: bool,
) -> Result<Profile> {
    let top = Path::top;
    let waits = settings.fail_closed.is_some();
    let rules =
        rules::compile(&settings.rules, waits).map_err(|error| error.below(top().key("rules")))?;
    let listed = named::Lists::compile(settings, settings.hmac_key.is_some())?;
    let key = key(settings, compiling)?;
    let records_headers = settings
        .rules
        .iter()
        .position(|rule| rule.level == Level::Headers);
    let records_bodies = settings.rules.iter().any(|rule| rule.level == Level::Body);
    match records_headers {
        None if records_bodies => {}
        None if !listed.request.is_empty() || !listed.response.is_empty() => {
            return refuse(top().key("headers"), Mistake::HeadersUnused);
        }
        Some(at) if listed.request.is_empty() && listed.response.is_empty() => {
            let path = top().key("rules").index(at).key("level");
            return refuse(path, Mistake::NothingListed);
        }
        _ => {}
    }
    let counter = |outcome: Outcome| compiling.counter("records", &[("outcome", outcome.name())]);
    let guard = guard::compile(settings, &rules, compiling)?;
    let bodies = bodies::compile(settings, key.is_some(), reads_bodies)?;
    Ok(Profile {
        rules,
        bodies,
        identity: identities(settings)?,
        jwt: jwt(settings, key.is_some())?,
        client_address: client_address(settings, key.is_some())?,
        templates: templates(settings)?,
        unmatched: settings.path.unmatched,
        query: listed.query,
        request_headers: listed.request,
        response_headers: listed.response,
        omit: omit(&settings.omit)?,
        key,
        emission: delivery::emission(settings, compiling)?,
        guard,
        metrics: Metrics::new(Outcome::ALL.map(counter), compiling.counter("skipped", &[])),
    })
}

/// Refuses what only all profiles together show. Each comes with its name, the default first.
pub fn check(profiles: &[(&str, &Profile)]) -> Result<()> {
    let Some((_, first)) = profiles.first() else {
        return Ok(());
    };
    for (name, profile) in profiles {
        if let Some(what) = profile.emission.difference(&first.emission) {
            let path = Path::top().key("profiles").key(*name).key(what);
            return refuse(path, Mistake::DiffersFromDefault { what });
        }
    }
    stages::check(profiles)
}

fn key(settings: &Settings, compiling: &Compiling<'_>) -> Result<Option<Key>> {
    let Some(key) = &settings.hmac_key else {
        return Ok(None);
    };
    let here = || Path::top().key("hmac_key");
    key_id(&key.id, here)?;
    let named = settings.query.iter();
    let named = named.chain(&settings.headers.request);
    let mut named = named.chain(&settings.headers.response);
    let bodies = settings.bodies.iter();
    let mut fields = bodies.flat_map(|bodies| bodies.request.iter().chain(&bodies.response));
    let used = !settings.identity.is_empty()
        || settings.client_address == ClientAddress::Hashed
        || matches!(&settings.jwt, Some(jwt) if jwt.subject == Shown::Hashed)
        || named.any(|named| named.value == Shown::Hashed)
        || fields.any(|field| field.value == Shown::Hashed);
    if !used {
        return refuse(here(), Mistake::UnusedKey);
    }
    let secret = key
        .secret
        .resolve(compiling.environment(), here().key("secret"))?;
    match Key::new(&key.id, secret.as_bytes()) {
        Some(key) => Ok(Some(key)),
        None => {
            debug_assert!(secret.len() < MIN_KEY_BYTES);
            refuse(here().key("secret"), Mistake::ShortKey(secret.len()))
        }
    }
}

fn key_id(id: &str, here: impl Fn() -> Path) -> Result<()> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(1..=64).contains(&id.len()) || !id.bytes().all(legal) {
        return refuse(here().key("id"), Mistake::KeyId);
    }
    Ok(())
}

fn identities(settings: &Settings) -> Result<Vec<identity::Source>> {
    let here = || Path::top().key("identity");
    for (at, source) in settings.identity.iter().enumerate() {
        match source {
            Identity::ClientAddress(_) => {
                return refuse(here().index(at), Mistake::AddressIdentifiesNobody);
            }
            Identity::Header(header) if header.listed_only => {
                let path = here().index(at).key("header").key("listed_only");
                return refuse(path, Mistake::NothingListedOnly);
            }
            Identity::Header(_) | Identity::JwtClaim(_) => {}
        }
    }
    if settings.identity.is_empty() {
        return Ok(Vec::new());
    }
    identity::sources(&settings.identity, &|_| Vec::new()).map_err(|error| error.below(here()))
}

fn jwt(settings: &Settings, has_key: bool) -> Result<Option<Jwt>> {
    let Some(jwt) = &settings.jwt else {
        return Ok(None);
    };
    let here = || Path::top().key("jwt");
    if jwt.payload_in_metadata.is_empty() {
        return refuse(here().key("payload_in_metadata"), Mistake::EmptyMetadata);
    }
    if jwt.subject == Shown::Hashed && !has_key {
        return refuse(here().key("subject"), Mistake::NoKey);
    }
    Ok(Some(Jwt {
        payload: jwt.payload_in_metadata.clone(),
        subject: jwt.subject,
    }))
}

fn client_address(settings: &Settings, has_key: bool) -> Result<ClientAddress> {
    if settings.client_address == ClientAddress::Hashed && !has_key {
        return refuse(Path::top().key("client_address"), Mistake::NoKey);
    }
    Ok(settings.client_address)
}

fn templates(settings: &Settings) -> Result<Vec<(String, PathTemplate)>> {
    let here = || Path::top().key("path");
    if settings.path.templates.is_empty() && settings.path.unmatched == Unmatched::Omit {
        return refuse(here().key("unmatched"), Mistake::NoTemplates);
    }
    let mut templates: Vec<(String, PathTemplate)> = Vec::new();
    for (at, text) in settings.path.templates.iter().enumerate() {
        let here = || here().key("templates").index(at);
        let Some(template) = PathTemplate::parse(text) else {
            return refuse(here(), Mistake::Template);
        };
        if templates.iter().any(|(known, _)| known == text) {
            return refuse(here(), Mistake::NamedTwice);
        }
        templates.push((text.clone(), template));
    }
    Ok(templates)
}

fn omit(parts: &[Part]) -> Result<Omit> {
    let mut omit = Omit::default();
    for (at, part) in parts.iter().enumerate() {
        let flag = match part {
            Part::RequestBytes => &mut omit.request_bytes,
            Part::ResponseBytes => &mut omit.response_bytes,
            Part::Upstream => &mut omit.upstream,
            Part::Route => &mut omit.route,
            Part::UserAgent => &mut omit.user_agent,
            Part::MalformedIds => &mut omit.malformed_ids,
        };
        if std::mem::replace(flag, true) {
            return refuse(Path::top().key("omit").index(at), Mistake::OmittedTwice);
        }
    }
    Ok(omit)
}
