//! Whether a request may be a forged one (CSRF): the algorithm of Go's `net/http.CrossOriginProtection`.
//!
//! 1. `GET`, `HEAD` and `OPTIONS` pass: they must not change anything (RFC 9110 §9.2.1).
//! 2. `Sec-Fetch-Site: same-origin` or `none` passes; another value is refused unless `Origin` is trusted.
//! 3. Without `Sec-Fetch-Site`, no `Origin` passes: no browser, or the same origin.
//! 4. Without it, an `Origin` that is the request's own host passes. Go compares hosts only; here the scheme is
//!    compared too where it is known.
//! 5. Any other `Origin` is refused unless it is trusted.
//!
//! The questions are put in the order of their cost: a client that is no browser answers with two absent headers.

use crate::origin::Origin;

/// What the decision asks of a request; each is asked at most once, and only if it matters.
pub trait Request {
    fn sec_fetch_site(&mut self) -> Option<Vec<u8>>;
    fn origin(&mut self) -> Option<Vec<u8>>;
    fn method(&mut self) -> Option<Vec<u8>>;
    fn host(&mut self) -> Option<Vec<u8>>;
    /// The scheme the client used, where it is known.
    fn scheme(&mut self) -> Option<&'static str>;
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Passes,
    /// A cross-origin request from an origin that the settings trust.
    Trusted,
    Refused(Reason),
}

/// Why a request is taken for a forged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The browser said so itself.
    SecFetchSite,
    /// The `Origin` is another host's, or opaque.
    Origin,
    /// The `Origin` is this host under another scheme.
    Scheme,
}

impl Reason {
    pub const ALL: [Self; 3] = [Self::SecFetchSite, Self::Origin, Self::Scheme];

    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::SecFetchSite => "sec_fetch_site",
            Self::Origin => "origin",
            Self::Scheme => "scheme",
        }
    }

    /// What access logs show as `%RESPONSE_CODE_DETAILS%`.
    pub const fn details(self) -> &'static str {
        match self {
            Self::SecFetchSite => "csrf_sec_fetch_site",
            Self::Origin => "csrf_origin",
            Self::Scheme => "csrf_scheme",
        }
    }

    /// What the client is told.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::SecFetchSite => {
                "A page of another origin made this request, says its Sec-Fetch-Site header, and that origin is not trusted here."
            }
            Self::Origin => {
                "A page of another origin made this request, says its Origin header, and that origin is not trusted here."
            }
            Self::Scheme => {
                "A page of this host made this request under another scheme (http or https), and that origin is not trusted here."
            }
        }
    }
}

/// Decides about one request.
pub fn decide(trusted: &[Origin], request: &mut impl Request) -> Decision {
    let site = request
        .sec_fetch_site()
        .filter(|site| !site.trim_ascii().is_empty());
    match site.as_deref().map(<[u8]>::trim_ascii) {
        Some(b"same-origin" | b"none") => Decision::Passes,
        Some(_) => {
            if is_safe(request) {
                return Decision::Passes;
            }
            let origin = request.origin();
            let origin = origin.as_deref().and_then(parse);
            by_trust(trusted, origin.as_ref(), Reason::SecFetchSite)
        }
        None => without_metadata(trusted, request),
    }
}

fn without_metadata(trusted: &[Origin], request: &mut impl Request) -> Decision {
    let Some(origin) = request
        .origin()
        .filter(|origin| !origin.trim_ascii().is_empty())
    else {
        return Decision::Passes;
    };
    if is_safe(request) {
        return Decision::Passes;
    }
    let Some(origin) = parse(&origin) else {
        return Decision::Refused(Reason::Origin);
    };
    if !request.host().is_some_and(|host| origin.is_at(&host)) {
        return by_trust(trusted, Some(&origin), Reason::Origin);
    }
    match request.scheme() {
        Some(scheme) if scheme != origin.scheme() => {
            by_trust(trusted, Some(&origin), Reason::Scheme)
        }
        _ => Decision::Passes,
    }
}

#[inline]
fn parse(origin: &[u8]) -> Option<Origin> {
    Origin::from_header(origin.trim_ascii())
}

#[inline]
fn by_trust(trusted: &[Origin], origin: Option<&Origin>, reason: Reason) -> Decision {
    match origin {
        Some(origin) if trusted.contains(origin) => Decision::Trusted,
        _ => Decision::Refused(reason),
    }
}

/// Methods are compared with their case (RFC 9110 §9.1).
fn is_safe(request: &mut impl Request) -> bool {
    matches!(
        request.method().as_deref(),
        Some(b"GET" | b"HEAD" | b"OPTIONS")
    )
}

#[cfg(test)]
mod tests {
    use super::Decision::*;
    use super::Reason::{Origin as OtherOrigin, Scheme, SecFetchSite};
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[derive(Clone, Default)]
    struct Case<'a> {
        method: &'a str,
        site: Option<&'a str>,
        origin: Option<&'a str>,
        host: &'a str,
        scheme: Option<&'static str>,
        asked: u32,
    }

    impl Request for Case<'_> {
        fn sec_fetch_site(&mut self) -> Option<Vec<u8>> {
            self.asked += u32::from(self.site.is_some());
            self.site.map(|site| site.as_bytes().to_vec())
        }
        fn origin(&mut self) -> Option<Vec<u8>> {
            self.asked += u32::from(self.origin.is_some());
            self.origin.map(|origin| origin.as_bytes().to_vec())
        }
        fn method(&mut self) -> Option<Vec<u8>> {
            self.asked += 1;
            Some(self.method.as_bytes().to_vec())
        }
        fn host(&mut self) -> Option<Vec<u8>> {
            self.asked += 1;
            Some(self.host.as_bytes().to_vec())
        }
        fn scheme(&mut self) -> Option<&'static str> {
            self.scheme
        }
    }

    fn case<'a>(method: &'a str, site: Option<&'a str>, origin: Option<&'a str>) -> Case<'a> {
        Case {
            method,
            site,
            origin,
            host: "example.com",
            ..Case::default()
        }
    }

    fn trusted() -> Vec<Origin> {
        vec![Origin::parse("https://trusted.example").unwrap()]
    }

    #[test]
    fn each_line_of_the_algorithm_holds() {
        let own = Some("https://example.com");
        let other = Some("https://attacker.example");
        let friend = Some("https://trusted.example");
        for (method, site, origin, expected) in [
            // Sec-Fetch-Site alone.
            ("POST", Some("same-origin"), None, Passes),
            ("POST", Some("none"), None, Passes),
            ("POST", Some("cross-site"), None, Refused(SecFetchSite)),
            ("POST", Some("same-site"), None, Refused(SecFetchSite)),
            ("POST", Some("nonsense"), None, Refused(SecFetchSite)),
            ("POST", Some("Same-Origin"), None, Refused(SecFetchSite)),
            // Origin alone.
            ("POST", None, None, Passes),
            ("POST", None, own, Passes),
            ("POST", None, other, Refused(OtherOrigin)),
            ("POST", None, Some("null"), Refused(OtherOrigin)),
            (
                "POST",
                None,
                Some("https://example.com.evil"),
                Refused(OtherOrigin),
            ),
            (
                "POST",
                None,
                Some("https://example.com/"),
                Refused(OtherOrigin),
            ),
            (
                "POST",
                None,
                Some("https://example.com:8443"),
                Refused(OtherOrigin),
            ),
            ("POST", None, Some("example.com"), Refused(OtherOrigin)),
            (
                "POST",
                None,
                Some("https://attacker.example, https://example.com"),
                Refused(OtherOrigin),
            ),
            // An empty line says nothing.
            ("POST", Some(""), None, Passes),
            ("POST", Some(""), other, Refused(OtherOrigin)),
            ("POST", None, Some(""), Passes),
            // Sec-Fetch-Site wins over Origin, whichever way.
            ("POST", Some("same-origin"), other, Passes),
            ("POST", Some("cross-site"), own, Refused(SecFetchSite)),
            // Trust.
            ("POST", Some("cross-site"), friend, Trusted),
            ("POST", Some("same-site"), friend, Trusted),
            (
                "POST",
                Some("cross-site"),
                Some("http://trusted.example"),
                Refused(SecFetchSite),
            ),
            ("POST", None, friend, Trusted),
            ("POST", None, Some("https://trusted.example:443"), Trusted),
            (
                "POST",
                None,
                Some("https://sub.trusted.example"),
                Refused(OtherOrigin),
            ),
            // Every method that is not safe is looked at, whatever its case.
            ("PUT", Some("cross-site"), None, Refused(SecFetchSite)),
            ("PATCH", None, other, Refused(OtherOrigin)),
            ("DELETE", Some("cross-site"), None, Refused(SecFetchSite)),
            ("CONNECT", Some("cross-site"), None, Refused(SecFetchSite)),
            ("TRACE", Some("cross-site"), None, Refused(SecFetchSite)),
            ("get", Some("cross-site"), None, Refused(SecFetchSite)),
        ] {
            assert_eq!(
                decide(&trusted(), &mut case(method, site, origin)),
                expected,
                "{method} {site:?} {origin:?}"
            );
        }
    }

    #[test]
    fn safe_methods_pass_whatever_else_is_said() {
        for method in ["GET", "HEAD", "OPTIONS"] {
            for site in [
                None,
                Some("cross-site"),
                Some("same-site"),
                Some("same-origin"),
            ] {
                for origin in [None, Some("null"), Some("https://attacker.example")] {
                    assert_eq!(decide(&[], &mut case(method, site, origin)), Passes);
                }
            }
        }
    }

    #[test]
    fn the_scheme_counts_where_it_is_known() {
        for (origin, host, scheme, expected) in [
            (
                "http://example.com",
                "example.com",
                Some("https"),
                Refused(Scheme),
            ),
            (
                "https://example.com",
                "example.com",
                Some("http"),
                Refused(Scheme),
            ),
            ("https://example.com", "example.com", Some("https"), Passes),
            ("http://example.com", "example.com", None, Passes),
            (
                "https://example.com",
                "example.com:443",
                Some("https"),
                Passes,
            ),
            (
                "https://example.com:8443",
                "example.com:8443",
                Some("https"),
                Passes,
            ),
            (
                "https://example.com",
                "example.com:80",
                None,
                Refused(OtherOrigin),
            ),
            (
                "https://trusted.example",
                "trusted.example",
                Some("http"),
                Trusted,
            ),
        ] {
            let mut request = Case {
                host,
                scheme,
                ..case("POST", None, Some(origin))
            };
            assert_eq!(
                decide(&trusted(), &mut request),
                expected,
                "{origin} {host}"
            );
        }
    }

    #[test]
    fn an_empty_host_is_no_bodys_own() {
        let mut request = Case {
            host: "",
            ..case("POST", None, Some("https://example.com"))
        };
        assert_eq!(decide(&[], &mut request), Refused(OtherOrigin));
    }

    #[test]
    fn a_client_that_is_no_browser_costs_no_read_and_a_same_origin_page_one() {
        let mut client = case("POST", None, None);
        decide(&trusted(), &mut client);
        assert_eq!(client.asked, 0);
        let mut page = case("POST", Some("same-origin"), Some("https://example.com"));
        decide(&trusted(), &mut page);
        assert_eq!(page.asked, 1);
    }
}
