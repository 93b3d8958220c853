//! The lists of places in JSON bodies whose values may be recorded.

use portcullis_kit::Path;

use super::{Mistake, Result, refuse};
use crate::body::{Place, Places, Segment};
use crate::secret_name::is_secret;
use crate::settings::{Field, Level, Settings, Shown};

const MAX_POINTER: usize = 256;

/// `reads`: whether this module is told of bodies at all.
#[inline(never)]
pub fn compile(settings: &Settings, has_key: bool, reads: bool) -> Result<Option<Places>> {
    let rule = settings
        .rules
        .iter()
        .position(|rule| rule.level == Level::Body);
    let here = || Path::top().key("bodies");
    let level = |at: usize| Path::top().key("rules").index(at).key("level");
    let (at, bodies) = match (rule, &settings.bodies) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return refuse(here(), Mistake::BodiesUnused),
        (Some(at), _) if !reads => return refuse(level(at), Mistake::SeesNoBodies),
        (Some(at), None) => return refuse(level(at), Mistake::NoPlaces),
        (Some(at), Some(bodies)) => (at, bodies),
    };
    if bodies.request.is_empty() && bodies.response.is_empty() {
        return refuse(level(at), Mistake::NoPlaces);
    }
    if !(64..=1_048_576).contains(&bodies.max_bytes) {
        return refuse(here().key("max_bytes"), Mistake::MaxBytes);
    }
    if !(64..=65_536).contains(&bodies.max_recorded_bytes) {
        let path = here().key("max_recorded_bytes");
        return refuse(path, Mistake::MaxRecordedBytes);
    }
    let list = |side: &'static str, fields: &[Field]| {
        places(fields, side, has_key).map_err(|error| error.below(here().key(side)))
    };
    Ok(Some(Places {
        request: list("request", &bodies.request)?,
        response: list("response", &bodies.response)?,
        max_bytes: bodies.max_bytes as usize,
        max_recorded_bytes: bodies.max_recorded_bytes as usize,
    }))
}

fn places(fields: &[Field], side: &str, has_key: bool) -> Result<Vec<Place>> {
    let mut places: Vec<Place> = Vec::with_capacity(fields.len());
    for (at, field) in fields.iter().enumerate() {
        let here = || Path::top().index(at);
        let pointer = field.pointer.as_str();
        let Some(segments) = segments(pointer) else {
            return refuse(here().key("pointer"), Mistake::Pointer);
        };
        let secret = segments.iter().find_map(|segment| match segment {
            Segment::Name(name) if is_secret(name) => Some(name.clone()),
            _ => None,
        });
        if let Some(name) = secret {
            return refuse(here().key("pointer"), Mistake::SecretMember(name));
        }
        if places.iter().any(|known| meet(&known.segments, &segments)) {
            return refuse(here().key("pointer"), Mistake::NamedTwice);
        }
        let hashed = field.value == Shown::Hashed;
        if hashed && !has_key {
            return refuse(here().key("value"), Mistake::NoKey);
        }
        places.push(Place {
            pointer: pointer.to_owned(),
            segments,
            hashed_as: hashed.then(|| [side, ".body:", pointer].concat()),
        });
    }
    places.sort_unstable_by(|one, other| one.pointer.cmp(&other.pointer));
    Ok(places)
}

/// `/a/b~1c/*`. Printable ASCII only, and nothing that JSON escapes: a pointer is a member's name in records.
fn segments(pointer: &str) -> Option<Vec<Segment>> {
    let legal = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if pointer.len() > MAX_POINTER || !pointer.bytes().all(legal) {
        return None;
    }
    let rest = pointer.strip_prefix('/')?;
    let segment = |text: &str| match text {
        "*" => Some(Segment::Each),
        "" => None,
        text => unescape(text).map(Segment::Name),
    };
    rest.split('/').map(segment).collect()
}

/// `~1` is `/`, `~0` is `~`, and no other `~` is legal (RFC 6901 section 3).
fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('~');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (escaped, rest) = match part.split_at_checked(1)? {
            ("0", rest) => ('~', rest),
            ("1", rest) => ('/', rest),
            _ => return None,
        };
        name.push(escaped);
        name.push_str(rest);
    }
    Some(name)
}

/// Whether a value can be at both.
fn meet(one: &[Segment], other: &[Segment]) -> bool {
    let is_number =
        |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    one.len() == other.len()
        && one.iter().zip(other).all(|pair| match pair {
            (Segment::Each, Segment::Each) => true,
            (Segment::Name(one), Segment::Name(other)) => one == other,
            (Segment::Each, Segment::Name(name)) | (Segment::Name(name), Segment::Each) => {
                is_number(name)
            }
        })
}
