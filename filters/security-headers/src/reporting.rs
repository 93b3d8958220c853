//! Where browsers send reports (Reporting API §3.2), and how a policy names the place.

use std::fmt;

/// The header that defines the endpoint, a structured dictionary (RFC 8941).
pub const HEADER: &str = "reporting-endpoints";

/// A named place for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    name: String,
    uri: String,
}

/// What is wrong with an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointMistake {
    Name,
    Scheme,
    Character(char),
}

impl fmt::Display for EndpointMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str(
                "an endpoint's name starts with a lower-case letter or `*` and goes on with those, digits, `_`, `-` and `.`",
            ),
            Self::Scheme => f.write_str(
                "browsers report to `https://` URLs only; write one, or a path of the same origin such as `/reports`",
            ),
            Self::Character(c) => {
                write!(f, "{c:?} cannot stand in this URL; write it percent-encoded")
            }
        }
    }
}

impl Endpoint {
    /// # Errors
    /// A name that is no structured key (RFC 8941 §3.1.2), with `false`; a URL that browsers do not report to, with `true`.
    pub fn new(name: &str, uri: &str) -> Result<Self, (bool, EndpointMistake)> {
        let mut bytes = name.bytes();
        let first = bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'*');
        if !first
            || !bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.*".contains(&b))
        {
            return Err((false, EndpointMistake::Name));
        }
        // Space, `;` and `,` would end the value in a policy, quotes and `\` in the dictionary.
        let bad =
            |c: &char| !matches!(c, '!'..='~') || matches!(c, ';' | ',' | '"' | '\\' | '{' | '}');
        if let Some(c) = uri.chars().find(bad) {
            return Err((true, EndpointMistake::Character(c)));
        }
        let host = uri
            .get(..8)
            .filter(|scheme| scheme.eq_ignore_ascii_case("https://"))
            .and_then(|_| uri.get(8..));
        let absolute = host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'));
        if !absolute && (!uri.starts_with('/') || uri.starts_with("//")) {
            return Err((true, EndpointMistake::Scheme));
        }
        Ok(Self {
            name: name.to_owned(),
            uri: uri.to_owned(),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The value of [`HEADER`].
    pub fn definition(&self) -> String {
        format!("{}=\"{}\"", self.name, self.uri)
    }

    /// COOP and COEP name the endpoint in a parameter of their one item.
    pub fn in_item(&self, value: &str) -> String {
        format!("{value}; report-to=\"{}\"", self.name)
    }

    /// Permissions-Policy names the endpoint with each feature.
    pub fn in_members(&self, value: &str) -> String {
        let members: Vec<String> = value
            .split(',')
            .map(|member| format!("{};report-to={}", member.trim_ascii(), self.name))
            .collect();
        members.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_endpoint_reads_as_a_structured_dictionary() {
        let endpoint = Endpoint::new("main", "https://r.example/csp?a=b").unwrap();
        assert_eq!(endpoint.definition(), "main=\"https://r.example/csp?a=b\"");
        assert_eq!(
            endpoint.in_item("same-origin"),
            "same-origin; report-to=\"main\""
        );
        assert_eq!(
            endpoint.in_members("usb=(), camera=(self \"https://a.example\")"),
            "usb=();report-to=main, camera=(self \"https://a.example\");report-to=main"
        );
        assert!(Endpoint::new("a", "/reports").is_ok());
    }

    #[test]
    fn what_would_break_out_of_the_dictionary_or_is_no_secure_place_is_refused() {
        use EndpointMistake::*;
        for (name, uri, mistake) in [
            ("", "/r", (false, Name)),
            ("Main", "/r", (false, Name)),
            ("a b", "/r", (false, Name)),
            ("1a", "/r", (false, Name)),
            ("a", "http://r.example", (true, Scheme)),
            ("a", "//r.example", (true, Scheme)),
            ("a", "https://", (true, Scheme)),
            ("a", "https:///x", (true, Scheme)),
            ("a", "", (true, Scheme)),
            ("a", "https://r.example/\"x", (true, Character('"'))),
            ("a", "https://r.example/a,b", (true, Character(','))),
            ("a", "https://r.example/a;b", (true, Character(';'))),
            ("a", "/r\r\nx: y", (true, Character('\r'))),
        ] {
            assert_eq!(Endpoint::new(name, uri), Err(mistake), "{name} {uri}");
        }
    }
}
