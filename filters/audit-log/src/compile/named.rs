//! The allow-lists: headers and parameters of the query that may be recorded.

use portcullis_kit::Path;
use portcullis_kit::headers::is_token;

use super::{Mistake, Result, refuse};
use crate::profile::Listed;
use crate::secret_name::is_secret;
use crate::settings::{Named, Settings, Shown};

/// All lists of a profile, each in the order of its names.
pub struct Lists {
    pub query: Vec<Listed>,
    pub request: Vec<Listed>,
    pub response: Vec<Listed>,
}

impl Lists {
    #[inline(never)]
    pub fn compile(settings: &Settings, has_key: bool) -> Result<Self> {
        let top = Path::top;
        let headers = || top().key("headers");
        Ok(Self {
            query: list(&settings.query, Kind::Parameter, "query", has_key)
                .map_err(|error| error.below(top().key("query")))?,
            request: list(
                &settings.headers.request,
                Kind::Header,
                "request.header",
                has_key,
            )
            .map_err(|error| error.below(headers().key("request")))?,
            response: list(
                &settings.headers.response,
                Kind::Header,
                "response.header",
                has_key,
            )
            .map_err(|error| error.below(headers().key("response")))?,
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Header,
    Parameter,
}

/// `field` begins the names under which the values are hashed.
fn list(named: &[Named], kind: Kind, field: &str, has_key: bool) -> Result<Vec<Listed>> {
    let mut list: Vec<Listed> = Vec::with_capacity(named.len());
    for (at, named) in named.iter().enumerate() {
        let here = || Path::top().index(at);
        let name = match kind {
            Kind::Header => named.name.to_ascii_lowercase(),
            Kind::Parameter => named.name.clone(),
        };
        match kind {
            Kind::Header if !is_token(name.as_bytes()) => {
                return refuse(here().key("name"), Mistake::HeaderName);
            }
            Kind::Parameter if !is_parameter(&name) => {
                return refuse(here().key("name"), Mistake::ParameterName);
            }
            Kind::Header if is_secret(&name) => {
                return refuse(here().key("name"), Mistake::SecretHeader(name));
            }
            Kind::Parameter if is_secret(&name) => {
                return refuse(here().key("name"), Mistake::SecretParameter(name));
            }
            Kind::Header | Kind::Parameter => {}
        }
        if list.iter().any(|known| known.name == name) {
            return refuse(here().key("name"), Mistake::NamedTwice);
        }
        let hashed = named.value == Shown::Hashed;
        if hashed && !has_key {
            return refuse(here().key("value"), Mistake::NoKey);
        }
        list.push(Listed {
            hashed_as: hashed.then(|| [field, ":", &name].concat()),
            is_url: kind == Kind::Header && is_url(&name),
            name,
        });
    }
    list.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(list)
}

fn is_parameter(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:[]".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(legal)
}

/// Headers that hold addresses of pages: their queries may hold what the request's own may.
fn is_url(name: &str) -> bool {
    const WHOLE: [&str; 4] = ["referer", "location", "content-location", "link"];
    WHOLE.contains(&name)
        || name.ends_with("-path")
        || name.ends_with("-url")
        || name.ends_with("-uri")
}
