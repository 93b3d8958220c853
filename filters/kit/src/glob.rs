//! Patterns for hosts and paths.

/// A host pattern: exact, `*` for any, `*.example.com` for its subdomains, `example.*` for any ending. Hosts compare
/// without case; a port in the request's host is ignored unless the pattern has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    prefix: String,
    suffix: String,
    exact: bool,
    port: bool,
}

impl HostPattern {
    /// `None` if the pattern is empty or has its `*` elsewhere than as the whole first or last part.
    pub fn parse(pattern: &str) -> Option<Self> {
        let pattern = pattern.to_ascii_lowercase();
        let port = has_port(pattern.as_bytes());
        let (prefix, suffix, exact) = match pattern.split_once('*') {
            None => (pattern.as_str(), "", true),
            Some(("", "")) => ("", "", false),
            Some(("", suffix)) if suffix.starts_with('.') && suffix.len() > 1 => {
                ("", suffix, false)
            }
            Some((prefix, "")) if prefix.ends_with('.') && prefix.len() > 1 => (prefix, "", false),
            Some(_) => return None,
        };
        let legal = |text: &str| {
            !text.contains('*') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
        };
        if pattern.is_empty() || !legal(prefix) || !legal(suffix) {
            return None;
        }
        Some(Self {
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            exact,
            port,
        })
    }

    #[inline]
    pub fn matches(&self, host: &[u8]) -> bool {
        let host = if self.port { host } else { without_port(host) };
        let (prefix, suffix) = (self.prefix.as_bytes(), self.suffix.as_bytes());
        if self.exact {
            return host.eq_ignore_ascii_case(prefix);
        }
        let starts = host
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        let ends = host
            .len()
            .checked_sub(suffix.len())
            .and_then(|at| host.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix));
        // `*` stands for at least one character beside a fixed part.
        let long_enough =
            prefix.is_empty() && suffix.is_empty() || host.len() > prefix.len() + suffix.len();
        starts && ends && long_enough
    }
}

#[inline]
fn has_port(host: &[u8]) -> bool {
    without_port(host).len() != host.len()
}

/// The host of an authority, without `:port`; brackets of an IPv6 address stay.
#[inline]
pub fn without_port(authority: &[u8]) -> &[u8] {
    let Some(colon) = authority.iter().rposition(|byte| *byte == b':') else {
        return authority;
    };
    let (host, port) = authority
        .split_at_checked(colon)
        .unwrap_or((authority, b""));
    let digits = port.iter().skip(1).all(u8::is_ascii_digit);
    let inside_brackets = host.contains(&b'[') && !host.ends_with(b"]");
    let bare_ipv6 = host.contains(&b':') && !host.ends_with(b"]");
    if digits && !inside_brackets && !bare_ipv6 {
        host
    } else {
        authority
    }
}

/// A path template: `/v1/users/{id}` matches one segment for each `{name}`; a last `{name...}` matches the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    segments: Vec<Segment>,
    rest: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Fixed(String),
    Any,
}

impl PathTemplate {
    /// `None` unless it starts with `/` and every `{` is closed at its segment's end and holds a name.
    pub fn parse(template: &str) -> Option<Self> {
        let mut segments = Vec::new();
        let mut rest = false;
        for segment in template.strip_prefix('/')?.split('/') {
            if rest {
                return None;
            }
            let name = segment
                .strip_prefix('{')
                .map(|inner| inner.strip_suffix('}').unwrap_or(""));
            match name {
                None if segment.contains(['{', '}', '?', '#']) => return None,
                None => segments.push(Segment::Fixed(segment.to_owned())),
                Some(name) => {
                    let (name, is_rest) = match name.strip_suffix("...") {
                        Some(name) => (name, true),
                        None => (name, false),
                    };
                    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                    if name.is_empty() || !name.bytes().all(legal) {
                        return None;
                    }
                    rest = is_rest;
                    if !is_rest {
                        segments.push(Segment::Any);
                    }
                }
            }
        }
        Some(Self { segments, rest })
    }

    /// Whether a path (without its query) has this form.
    #[inline]
    pub fn matches(&self, path: &[u8]) -> bool {
        let Some(path) = path.strip_prefix(b"/") else {
            return false;
        };
        let mut given = path.split(|byte| *byte == b'/');
        for segment in &self.segments {
            let fits = match (segment, given.next()) {
                (Segment::Fixed(fixed), Some(part)) => part == fixed.as_bytes(),
                (Segment::Any, Some(part)) => !part.is_empty(),
                (_, None) => false,
            };
            if !fits {
                return false;
            }
        }
        self.rest || given.next().is_none()
    }
}

/// A request target without its query and fragment.
#[inline]
pub fn path_only(target: &[u8]) -> &[u8] {
    target
        .split(|byte| matches!(byte, b'?' | b'#'))
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_pattern_is_exact_or_has_one_star_at_an_end() {
        for (pattern, host, expected) in [
            ("api.example.com", "API.example.com", true),
            ("api.example.com", "api.example.com:8443", true),
            ("api.example.com:8443", "api.example.com", false),
            ("api.example.com:8443", "api.example.com:8443", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "evilexample.com", false),
            ("example.*", "example.org", true),
            ("*", "anything", true),
            ("*", "", true),
            ("[::1]", "[::1]:80", true),
        ] {
            let parsed = HostPattern::parse(pattern).unwrap();
            assert_eq!(
                parsed.matches(host.as_bytes()),
                expected,
                "{pattern} {host}"
            );
        }
        for bad in ["", "a*b", "*example.com", "*.*", "a.*.b", "a/b"] {
            assert!(HostPattern::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_path_template_matches_segment_by_segment() {
        for (template, path, expected) in [
            ("/v1/users/{id}", "/v1/users/7", true),
            ("/v1/users/{id}", "/v1/users/", false),
            ("/v1/users/{id}", "/v1/users/7/x", false),
            ("/v1/{rest...}", "/v1/a/b", true),
            ("/v1/{rest...}", "/v1", true),
            ("/", "/", true),
            ("/", "/x", false),
        ] {
            let parsed = PathTemplate::parse(template).unwrap();
            assert_eq!(
                parsed.matches(path.as_bytes()),
                expected,
                "{template} {path}"
            );
        }
        for bad in [
            "",
            "v1",
            "/{",
            "/{}",
            "/a{b}",
            "/{a...}/b",
            "/{a b}",
            "/x?y",
        ] {
            assert!(PathTemplate::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(path_only(b"/a?b#c"), b"/a");
    }
}
