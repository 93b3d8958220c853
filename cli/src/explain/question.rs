//! The request that is asked about, as the host would hand it over.

use std::fmt;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_kit::headers::{Headers, is_safe_value, is_token};
use portcullis_kit::testing::Fake;

/// Whose claims are meant where none is named.
const JWT_AUTHN: &str = "envoy.filters.http.jwt_authn";

/// A request and what the host knows of it.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Pseudo headers and headers.
    lines: Vec<(String, String)>,
    /// The client's address, as the listener believes it.
    pub address: Option<IpAddr>,
    /// Metadata of earlier filters: paths joined with dots, and values.
    claims: Vec<(String, Vec<u8>)>,
    /// The profile that the route's metadata names.
    pub profile: Option<String>,
    /// Seconds since 1970.
    pub at: Option<u64>,
}

/// What cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    Request,
    Header,
    Claim,
    Address,
    Time,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "not a request; write --request 'GET /v1/orders', or with the host, 'GET https://api.example.com/v1/orders'",
            Self::Header => "not a header; write -H 'name: value'",
            Self::Claim => "not a claim; write --claim payload.sub=alice, --claim payload.id:=7 for a number, or for another filter's metadata --claim NAMESPACE:KEY.KEY=VALUE",
            Self::Address => "not an address; write --address 203.0.113.7",
            Self::Time => "not a time; write --at and the seconds since 1970, such as --at 1795248000",
        })
    }
}

/// A number or truth value as Envoy shows it.
fn bytes_of(value: &str) -> Option<Vec<u8>> {
    match value {
        "true" => Some(vec![1]),
        "false" => Some(vec![0]),
        number => Some(number.parse::<f64>().ok()?.to_le_bytes().to_vec()),
    }
}

impl Question {
    /// `GET /v1/orders` or `GET https://api.example.com/v1/orders`.
    pub fn request(&mut self, text: &str) -> Result<(), Malformed> {
        let (method, target) = text.split_once(' ').ok_or(Malformed::Request)?;
        let (scheme, authority, path) = match target.split_once("://") {
            None => ("https", "api.example.com", target),
            Some((scheme, rest)) => {
                let end = rest.find('/').unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                (scheme, authority, if path.is_empty() { "/" } else { path })
            }
        };
        let legal = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let whole = !authority.is_empty() && path.starts_with('/');
        if !is_token(method.as_bytes()) || !whole || !legal(authority) || !legal(path) {
            return Err(Malformed::Request);
        }
        let pseudo = [
            (":method", method),
            (":scheme", scheme),
            (":authority", authority),
            (":path", path),
        ];
        self.lines.retain(|(name, _)| !name.starts_with(':'));
        let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.lines.splice(0..0, pseudo);
        Ok(())
    }

    /// Whether there is a request at all.
    pub fn is_asked(&self) -> bool {
        self.lines.iter().any(|(name, _)| name == ":path")
    }

    /// `name: value`; `host` is the authority.
    pub fn header(&mut self, text: &str) -> Result<(), Malformed> {
        let (name, value) = text.split_once(':').ok_or(Malformed::Header)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if !is_token(name.as_bytes()) || !is_safe_value(value.as_bytes()) {
            return Err(Malformed::Header);
        }
        self.lines.push((name, value.to_owned()));
        Ok(())
    }

    /// `payload.sub=alice`, or `namespace:key.key=value`; `payload.id:=7` is the number, and `:=true` the truth value, as which
    /// a host shows other bytes than the text's.
    pub fn claim(&mut self, text: &str) -> Result<(), Malformed> {
        let (path, value) = text.split_once('=').ok_or(Malformed::Claim)?;
        let (path, value) = match path.strip_suffix(':') {
            None => (path, value.as_bytes().to_vec()),
            Some(path) => (path, bytes_of(value).ok_or(Malformed::Claim)?),
        };
        let (namespace, path) = path.split_once(':').unwrap_or((JWT_AUTHN, path));
        if namespace.is_empty() || path.is_empty() {
            return Err(Malformed::Claim);
        }
        let path = format!("metadata.filter_metadata.{namespace}.{path}");
        self.claims.push((path, value));
        Ok(())
    }

    pub fn address(&mut self, text: &str) -> Result<(), Malformed> {
        self.address = Some(text.parse().map_err(|_| Malformed::Address)?);
        Ok(())
    }

    pub fn time(&mut self, text: &str) -> Result<(), Malformed> {
        self.at = Some(text.parse().map_err(|_| Malformed::Time)?);
        Ok(())
    }

    /// The request as a plugin meets it.
    pub fn fake(&self) -> Fake {
        let host = self.lines.iter().find(|(name, _)| name == "host");
        let lines = self.lines.iter().filter(|(name, _)| name != "host");
        let lines = lines.map(|(name, value)| match (name.as_str(), host) {
            (":authority", Some((_, host))) => (name, host),
            _ => (name, value),
        });
        let mut fake = Fake::request(lines);
        if let Some(address) = self.address {
            let text = std::net::SocketAddr::new(address, 0).to_string();
            fake = fake.with_property("source.address", text);
        }
        for (path, value) in &self.claims {
            fake = fake.with_property(path, value);
        }
        if let Some(profile) = &self.profile {
            let metadata = Headers::from_lines([("profile", profile)]).to_serialized();
            let path = "xds.route_metadata.filter_metadata.portcullis";
            fake = fake.with_property(path, metadata);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = self
            .at
            .unwrap_or_else(|| now.map_or(0, |now| now.as_secs()));
        fake.now.set(seconds.saturating_mul(1_000_000_000));
        fake
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(question: &Question) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let fake = question.fake();
        let lines = fake.request.iter();
        lines
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    #[test]
    fn a_request_has_a_method_and_a_path_or_an_url() {
        for (text, authority, path) in [
            ("GET /v1/x?y=1", "api.example.com", "/v1/x?y=1"),
            ("GET https://a.example:8443/v1", "a.example:8443", "/v1"),
            ("GET http://a.example", "a.example", "/"),
        ] {
            let mut question = Question::default();
            question.request(text).unwrap();
            let lines = lines(&question);
            assert!(
                lines.contains(&(":authority".into(), authority.into())),
                "{text}"
            );
            assert!(lines.contains(&(":path".into(), path.into())), "{text}");
        }
        for bad in [
            "",
            "GET",
            "/v1",
            "GET v1",
            "GET  /v1",
            "G T /",
            "GET https:///x",
            "GET /a b",
        ] {
            assert_eq!(
                Question::default().request(bad),
                Err(Malformed::Request),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_host_header_is_the_authority_whatever_comes_first() {
        let mut question = Question::default();
        question.header("Host: b.example").unwrap();
        question.header("X-Api-Key:  a:b ").unwrap();
        question.request("POST /").unwrap();
        let lines = lines(&question);
        assert!(lines.contains(&(":authority".into(), "b.example".into())));
        assert!(lines.contains(&("x-api-key".into(), "a:b".into())));
        assert!(!lines.iter().any(|(name, _)| name == "host"));
        assert_eq!(question.header("no colon"), Err(Malformed::Header));
        assert_eq!(question.header("a b: c"), Err(Malformed::Header));
    }

    #[test]
    fn a_claim_is_jwt_authns_where_no_other_filter_is_named() {
        let mut question = Question::default();
        question.claim("payload.sub=a=b").unwrap();
        question.claim("ext:plan=gold").unwrap();
        question.claim("payload.id:=12345").unwrap();
        question.claim("ext:paid:=true").unwrap();
        let fake = question.fake();
        let at = |path: &str| fake.properties.get(path).map(Vec::as_slice);
        let claim = "metadata.filter_metadata.envoy.filters.http.jwt_authn.payload.sub";
        assert_eq!(at(claim), Some(&b"a=b"[..]));
        assert_eq!(at("metadata.filter_metadata.ext.plan"), Some(&b"gold"[..]));
        let id = "metadata.filter_metadata.envoy.filters.http.jwt_authn.payload.id";
        assert_eq!(at(id), Some(&12345_f64.to_le_bytes()[..]));
        assert_eq!(at("metadata.filter_metadata.ext.paid"), Some(&[1][..]));
        for bad in ["payload.sub", "=x", ":a=b", ":=1", "payload.id:=x"] {
            assert_eq!(question.claim(bad), Err(Malformed::Claim), "{bad}");
        }
    }
}
