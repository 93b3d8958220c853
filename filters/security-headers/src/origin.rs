//! Web origins: `scheme://host[:port]` (RFC 6454 §6.2), as browsers write them and as settings name them.

use std::fmt;

/// An origin in its normal form: lower case, without the scheme's own port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    scheme: String,
    /// `host` or `host:port`.
    host: String,
}

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginMistake {
    Wildcard,
    Null,
    Scheme,
    UserInfo,
    Path,
    Host,
    Port,
}

impl fmt::Display for OriginMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wildcard => "`*` is no origin; name each one, `scheme://host[:port]`",
            Self::Null => {
                "`null` is what every sandboxed page and data: URL sends, so it can be trusted by nobody; take it out"
            }
            Self::Scheme => "an origin starts with its scheme: `https://app.example.com`",
            Self::UserInfo => {
                "an origin holds no user or password; write `scheme://host[:port]` alone"
            }
            Self::Path => {
                "an origin ends after host and port; take away the path, query and trailing `/`"
            }
            Self::Host => {
                "the host is missing or no host name, IPv4 address or `[IPv6 address]`; write international names in their xn-- form"
            }
            Self::Port => "the port is not a number from 1 to 65535",
        })
    }
}

impl Origin {
    /// Reads exactly one origin.
    ///
    /// # Errors
    /// What keeps the text from being one.
    #[inline]
    pub fn parse(text: &str) -> Result<Self, OriginMistake> {
        if text.contains('*') {
            return Err(OriginMistake::Wildcard);
        }
        if text.eq_ignore_ascii_case("null") {
            return Err(OriginMistake::Null);
        }
        let (scheme, rest) = text.split_once("://").ok_or(OriginMistake::Scheme)?;
        if !is_scheme(scheme) {
            return Err(OriginMistake::Scheme);
        }
        if rest.contains(['/', '?', '#', '\\']) {
            return Err(OriginMistake::Path);
        }
        if rest.contains('@') {
            return Err(OriginMistake::UserInfo);
        }
        let scheme = scheme.to_ascii_lowercase();
        let host = authority(rest, default_port(&scheme))?;
        Ok(Self { scheme, host })
    }

    /// Reads the value of an `Origin` or `Access-Control-Allow-Origin` header; `None` if it is not exactly one origin.
    #[inline]
    pub fn from_header(value: &[u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(value).ok()?).ok()
    }

    #[inline]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether a `Host` or `:authority` value names this origin's host and port; a port that is not written is the
    /// origin's scheme's own.
    #[inline]
    pub fn is_at(&self, host: &[u8]) -> bool {
        std::str::from_utf8(host)
            .ok()
            .and_then(|host| authority(host, default_port(&self.scheme)).ok())
            .is_some_and(|host| host == self.host)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)
    }
}

/// RFC 3986 §3.1.
#[inline]
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[inline]
fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// `host[:port]` in lower case, without the port where it is the default one.
#[inline]
fn authority(text: &str, default_port: Option<u16>) -> Result<String, OriginMistake> {
    let (host, port) = match text.rfind(']') {
        Some(end) => {
            let (host, rest) = text.split_at(end + 1);
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':').ok_or(OriginMistake::Host)?),
            };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if !is_host(host) {
        return Err(OriginMistake::Host);
    }
    let mut normal = host.to_ascii_lowercase();
    if let Some(port) = port {
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port: u16 = match port.parse() {
            Ok(port) if digits && port > 0 => port,
            _ => return Err(OriginMistake::Port),
        };
        if Some(port) != default_port {
            normal.push(':');
            normal.push_str(&port.to_string());
        }
    }
    Ok(normal)
}

#[inline]
fn is_host(host: &str) -> bool {
    match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        // What else such an address has to be, browsers see to; one that is none matches nothing.
        Some(address) => {
            address.contains(':')
                && address
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
        }
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_origin_reads_in_its_normal_form() {
        for (text, normal) in [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.COM", "https://app.example.com"),
            ("https://example.com:443", "https://example.com"),
            ("http://example.com:443", "http://example.com:443"),
            ("http://[2001:DB8::1]:8080", "http://[2001:db8::1]:8080"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("http://10.0.0.1:80", "http://10.0.0.1"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().to_string(), normal);
        }
    }

    #[test]
    fn what_is_not_exactly_one_origin_is_refused_with_its_reason() {
        use OriginMistake::*;
        for (text, mistake) in [
            ("*", Wildcard),
            ("https://*.example.com", Wildcard),
            ("null", Null),
            ("example.com", Scheme),
            ("://example.com", Scheme),
            ("1http://example.com", Scheme),
            ("https://example.com/", Path),
            ("https://example.com?x", Path),
            ("https://a.example\\.evil", Path),
            ("https://user@example.com", UserInfo),
            ("https://", Host),
            ("https://:443", Host),
            ("https://exa mple.com", Host),
            ("https://b\u{fc}cher.example", Host),
            ("https://a.example https://b.example", Path),
            ("https://2001:db8::1", Port),
            ("https://[2001:db8::zz]", Host),
            ("https://[::1]x", Host),
            ("https://example.com:", Port),
            ("https://example.com:0", Port),
            ("https://example.com:+80", Port),
            ("https://example.com:65536", Port),
        ] {
            assert_eq!(Origin::parse(text), Err(mistake), "{text}");
        }
        assert_eq!(Origin::from_header(b"https://\xff.example"), None);
    }

    #[test]
    fn a_host_without_its_port_is_at_the_schemes_own() {
        let https = Origin::parse("https://example.com").unwrap();
        for (host, same) in [
            ("example.com", true),
            ("EXAMPLE.com", true),
            ("example.com:443", true),
            ("example.com:80", false),
            ("example.com.", false),
            ("sub.example.com", false),
            ("example.com:443:1", false),
            ("", false),
        ] {
            assert_eq!(https.is_at(host.as_bytes()), same, "{host}");
        }
        let odd = Origin::parse("http://[::1]:8080").unwrap();
        assert!(odd.is_at(b"[::1]:8080") && !odd.is_at(b"[::1]"));
    }
}
