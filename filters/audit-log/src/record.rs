//! What is recorded of one request, whatever the form it is written in. Everything in here may be seen by whoever reads
//! the log: what must not be is left out, cut or hashed before.

use std::net::IpAddr;
use std::rc::Rc;

use portcullis_kit::exchange::{Exchange, MalformedIds};
use portcullis_kit::glob::path_only;
use portcullis_kit::identity::{self, cut as network};
use portcullis_kit::{Headers, property};

use crate::body::{Body, Side};
use crate::ending::{Ending, Facts};
use crate::filter::Bodies;
use crate::flags::Flags;
use crate::guard::Reason;
use crate::profile::{Listed, Profile};
use crate::redact::{Key, cut};
use crate::seen::Seen;
use crate::settings::{ClientAddress, Level, Shown, Stage, Unmatched};

/// The most of each text from outside that is recorded, in bytes.
const MAX_PATH: usize = 1024;
const MAX_VALUE: usize = 1024;
const MAX_USER_AGENT: usize = 256;
const MAX_SHORT: usize = 256;
const MAX_METHOD: usize = 32;

/// A path as it is recorded.
#[derive(Debug)]
pub enum PathShown<'p> {
    Template(&'p str),
    Path,
    Omitted,
}

/// Lists of values by name.
pub type Values<'p> = Vec<(&'p str, Vec<Vec<u8>>)>;

/// One request.
pub struct Record<'p> {
    request: Rc<Headers>,
    /// Nanoseconds since the epoch.
    pub time: u64,
    pub duration: Option<u64>,
    pub stage: Stage,
    pub ending: Ending,
    pub status: Option<u16>,
    pub flags: Flags,
    pub details: Option<Vec<u8>>,
    pub path: PathShown<'p>,
    pub query: Values<'p>,
    pub actor: Option<Vec<u8>>,
    pub subject: Option<Vec<u8>>,
    pub issuer: Option<Vec<u8>>,
    pub tier: Option<Vec<u8>>,
    pub rate_limit: Option<Vec<u8>>,
    pub csrf: Option<Vec<u8>>,
    pub client_address: Option<Vec<u8>>,
    shows_user_agent: bool,
    pub request_bytes: Option<u64>,
    pub response_bytes: Option<u64>,
    pub request_headers: Values<'p>,
    pub response_headers: Values<'p>,
    /// By pointer.
    pub request_body: Values<'p>,
    pub response_body: Values<'p>,
    pub route: Option<Vec<u8>>,
    pub upstream: Option<Vec<u8>>,
    pub request_id: Option<Rc<str>>,
    pub trace_id: Option<Rc<str>>,
    /// What there was and is not recorded, or not as it was.
    pub redacted: Vec<&'static str>,
}

impl<'p> Record<'p> {
    #[inline]
    pub fn of<X: Exchange>(
        profile: &'p Profile,
        level: Level,
        mut seen: Seen<'_, X>,
        bodies: Option<&Bodies>,
    ) -> Self {
        let request = Rc::clone(&seen.request);
        let with_headers = level >= Level::Headers;
        let response_headers = if with_headers && !profile.response_headers.is_empty() {
            let response = seen.exchange.response();
            listed(&profile.response_headers, &response, profile.key.as_ref())
        } else {
            Vec::new()
        };
        let request_headers = if with_headers {
            listed(&profile.request_headers, &request, profile.key.as_ref())
        } else {
            Vec::new()
        };
        let status = seen.status();
        let flags = seen.flags();
        let rate_limit = seen.rate_limit().map(<[u8]>::to_vec);
        let csrf = seen.csrf();
        let malformed = malformed_ids(profile, &mut seen);
        let stage = seen.stage();
        let ending = Ending::of(Facts {
            stage,
            refused: seen.details().is_some_and(Reason::is_one_of),
            status,
            flags,
            rate_limit: rate_limit.as_deref(),
            csrf: csrf.as_deref(),
            malformed,
        });
        let mut redacted = Vec::new();
        let target = request.get(":path").unwrap_or_default();
        let path = shown(profile, target, &mut redacted);
        let query = query(profile, target, &mut redacted);
        if level == Level::Body && bodies.is_none() && stage == Stage::ResponseComplete {
            // Another filter answered before this one, or this is an access logger.
            redacted.push("bodies.unseen");
        }
        let bodies = bodies.filter(|_| level == Level::Body);
        let (request_body, response_body) = match (bodies, &profile.bodies) {
            (Some(bodies), Some(places)) => {
                let mut of = |body: &Body, places: &'p [_], max, side| {
                    body.recorded(places, max, profile.key.as_ref(), side, &mut redacted)
                };
                let max = places.max_recorded_bytes;
                (
                    of(&bodies.request, &places.request, max, Side::Request),
                    of(&bodies.response, &places.response, max, Side::Response),
                )
            }
            _ => (Vec::new(), Vec::new()),
        };
        let shows_user_agent = !profile.omit.user_agent;
        let agent = request.get("user-agent").unwrap_or_default();
        if shows_user_agent && agent.len() > MAX_USER_AGENT {
            redacted.push("user_agent");
        }
        let (subject, issuer) = token(profile, &seen);
        // Where rate-limit refuses: a client cannot hide by sending its key twice.
        let actor = identity::find(&profile.identity, &request, &*seen.exchange)
            .unwrap_or_else(|ambiguous| ambiguous.first);
        let actor = actor.map(|identity| match &profile.key {
            Some(key) => key.hash("actor.id", &identity.bytes),
            None => {
                let mut text = b"sha256:".to_vec();
                crate::json::hex(&mut text, &identity.hash());
                text
            }
        });
        let omit = profile.omit;
        let upstream = if omit.upstream { None } else { seen.upstream() };
        let response_bytes = (!omit.response_bytes)
            .then(|| seen.number_of_end(&["response", "size"]))
            .flatten();
        let request_bytes = (!omit.request_bytes)
            .then(|| length(&request).or_else(|| seen.request_bytes()))
            .flatten();
        let client_address = client_address(profile, &seen);
        let duration = seen.number_of_end(&["request", "duration"]);
        let route = if omit.route {
            None
        } else {
            seen.route().map(<[u8]>::to_vec)
        };
        let tier = seen.tier().map(<[u8]>::to_vec);
        let details = seen
            .details()
            .map(|details| cut(details, MAX_SHORT).to_vec());
        let facts = seen.exchange.facts();
        let request_id = facts
            .request_id
            .clone()
            .or_else(|| request_id(&request).map(Into::into));
        let trace_id = facts
            .trace_id
            .clone()
            .or_else(|| trace_id(&request).map(Into::into));
        Self {
            time: seen.exchange.now(),
            duration,
            stage,
            ending,
            status,
            flags,
            details,
            path,
            query,
            actor,
            subject,
            issuer,
            tier,
            rate_limit,
            csrf,
            client_address,
            shows_user_agent,
            request_bytes,
            response_bytes,
            request_headers,
            response_headers,
            request_body,
            response_body,
            route,
            upstream,
            request_id,
            trace_id,
            redacted,
            request,
        }
    }

    #[inline]
    pub fn method(&self) -> Option<&[u8]> {
        self.short(":method", MAX_METHOD)
    }

    #[inline]
    pub fn scheme(&self) -> Option<&[u8]> {
        self.short(":scheme", MAX_METHOD)
    }

    /// Without what a client may have put before an `@`.
    #[inline]
    pub fn host(&self) -> Option<&[u8]> {
        let host = self.short(":authority", MAX_SHORT)?;
        host.rsplit(|byte| *byte == b'@').next()
    }

    #[inline]
    pub fn user_agent(&self) -> Option<&[u8]> {
        if !self.shows_user_agent {
            return None;
        }
        self.short("user-agent", MAX_USER_AGENT)
    }

    /// The path where it is recorded as it is.
    #[inline]
    pub fn plain_path(&self) -> Option<&[u8]> {
        match self.path {
            PathShown::Path => Some(cut(path_only(self.request.get(":path")?), MAX_PATH)),
            _ => None,
        }
    }

    #[inline]
    fn short(&self, name: &str, max: usize) -> Option<&[u8]> {
        self.request.get(name).map(|value| cut(value, max))
    }
}

#[inline]
fn shown<'p>(
    profile: &'p Profile,
    target: &[u8],
    redacted: &mut Vec<&'static str>,
) -> PathShown<'p> {
    let path = path_only(target);
    let template = profile
        .templates
        .iter()
        .find(|(_, template)| template.matches(path));
    match template {
        Some((text, _)) => PathShown::Template(text),
        None if profile.unmatched == Unmatched::Keep => {
            if path.len() > MAX_PATH {
                redacted.push("path");
            }
            PathShown::Path
        }
        None => {
            redacted.push("path");
            PathShown::Omitted
        }
    }
}

/// The listed parameters. What comes with another name, or the same in another spelling, is not recorded.
#[inline]
fn query<'p>(profile: &'p Profile, target: &[u8], redacted: &mut Vec<&'static str>) -> Values<'p> {
    let mut values: Values<'p> = Vec::new();
    let mut parts = target.splitn(2, |byte| *byte == b'?');
    let Some(query) = parts.nth(1).filter(|query| !query.is_empty()) else {
        return values;
    };
    let mut all = true;
    for pair in query.split(|byte| *byte == b'&') {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let name = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        let listed = profile
            .query
            .iter()
            .find(|listed| listed.name.as_bytes() == name);
        let Some(listed) = listed else {
            all = false;
            continue;
        };
        let value = recorded(listed, value, profile.key.as_ref());
        match values.iter_mut().find(|(known, _)| *known == listed.name) {
            Some((_, values)) => values.push(value),
            None => values.push((&listed.name, vec![value])),
        }
    }
    if !all {
        redacted.push("query");
    }
    values.sort_unstable_by_key(|(name, _)| *name);
    values
}

#[inline]
fn listed<'p>(list: &'p [Listed], headers: &Headers, key: Option<&Key>) -> Values<'p> {
    let found = list.iter().filter_map(|listed| {
        let values: Vec<Vec<u8>> = headers
            .get_all(&listed.name)
            .map(|value| recorded(listed, value, key))
            .collect();
        (!values.is_empty()).then_some((listed.name.as_str(), values))
    });
    found.collect()
}

#[inline]
fn recorded(listed: &Listed, value: &[u8], key: Option<&Key>) -> Vec<u8> {
    match (&listed.hashed_as, key) {
        (Some(field), Some(key)) => key.hash(field, value),
        // Not without a key: the settings are refused then.
        (Some(_), None) => Vec::new(),
        (None, _) if listed.is_url => cut(&without_userinfo(path_only(value)), MAX_VALUE).to_vec(),
        (None, _) => cut(value, MAX_VALUE).to_vec(),
    }
}

/// An address, or several, without what stands before an `@` where a host is named.
#[inline(never)]
fn without_userinfo(value: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"//") {
        let (before, after) = rest.split_at(at + 2);
        kept.extend_from_slice(before);
        let ends = |byte: &u8| matches!(byte, b'/' | b'\\' | b'>' | b',' | b' ');
        let end = after.iter().position(ends).unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        let host = authority.rsplit(|byte| *byte == b'@').next();
        kept.extend_from_slice(host.unwrap_or_default());
        rest = path;
    }
    kept.extend_from_slice(rest);
    kept
}

/// Subject and issuer of the token that jwt_authn verified.
#[inline]
fn token<X: Exchange>(profile: &Profile, seen: &Seen<'_, X>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let Some(jwt) = &profile.jwt else {
        return (None, None);
    };
    let claim = |name| {
        let path = [
            "metadata",
            "filter_metadata",
            identity::settings::JWT_AUTHN,
            &jwt.payload,
            name,
        ];
        seen.property(&path)
    };
    let Some(subject) = claim("sub") else {
        return (None, None);
    };
    let subject = match (jwt.subject, &profile.key) {
        (Shown::Hashed, Some(key)) => key.hash("actor.subject", &subject),
        (Shown::Hashed, None) => Vec::new(),
        (Shown::Plain, _) => cut(&subject, MAX_SHORT).to_vec(),
    };
    let issuer = claim("iss").map(|issuer| cut(&issuer, MAX_SHORT).to_vec());
    (Some(subject), issuer)
}

#[inline]
fn client_address<X: Exchange>(profile: &Profile, seen: &Seen<'_, X>) -> Option<Vec<u8>> {
    let shown = profile.client_address;
    if shown == ClientAddress::Off {
        return None;
    }
    let address = property::source_address(&*seen.exchange)?;
    let text = match (shown, &profile.key) {
        (ClientAddress::Full, _) => address.to_string(),
        (ClientAddress::Hashed, Some(key)) => {
            return Some(key.hash("client.address", address.to_string().as_bytes()));
        }
        _ => {
            let bits = if address.is_ipv4() { "/24" } else { "/48" };
            let network: IpAddr = network(address, 24, 48);
            network.to_string() + bits
        }
    };
    Some(text.into_bytes())
}

/// Ids that request-tracing replaced: known in the chain, to be asked for elsewhere.
#[inline]
fn malformed_ids<X: Exchange>(profile: &Profile, seen: &mut Seen<'_, X>) -> Option<MalformedIds> {
    let facts = seen.exchange.facts();
    if facts.request_id.is_some() {
        return facts.malformed;
    }
    if profile.omit.malformed_ids {
        return None;
    }
    let told = seen.property(&[property::MALFORMED_IDS])?;
    let mut all = MalformedIds::ALL.into_iter();
    all.find(|malformed| malformed.name().as_bytes() == told)
}

/// What the request says of its length.
#[inline]
fn length(request: &Headers) -> Option<u64> {
    std::str::from_utf8(request.get("content-length")?)
        .ok()?
        .parse()
        .ok()
}

/// The request id that stands in the request at its end, if it is one.
#[inline]
fn request_id(request: &Headers) -> Option<&str> {
    let id = std::str::from_utf8(request.get("x-request-id")?).ok()?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    ((1..=128).contains(&id.len()) && id.bytes().all(legal)).then_some(id)
}

/// The trace id of the `traceparent` that the upstream got (W3C Trace Context).
#[inline]
fn trace_id(request: &Headers) -> Option<&str> {
    let value = request.get("traceparent")?;
    let id = std::str::from_utf8(value.get(3..35)?).ok()?;
    let legal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (id.bytes().all(legal) && value.get(2) == Some(&b'-') && value.get(35) == Some(&b'-'))
        .then_some(id)
}
