//! Cookies get the attributes they lack (RFC 6265bis).
//!
//! For each `Set-Cookie` line:
//!
//! 1. A line with `SameSite=None` and `Secure` stays as it is: someone meant it for other sites.
//! 2. `Secure` is added on TLS, where the rule covers the name, and always for names with a prefix that demands it.
//! 3. `HttpOnly` and `SameSite=Lax` are added where they are missing and the rule covers the name. `SameSite` is missing
//!    too where its value is none that browsers know.
//! 4. On TLS, `Path=/` is added to a `__Host-` cookie without a path.
//!
//! Attributes are only ever added at the end: what the upstream wrote stays, byte for byte.
//!
//! Inlined into the filters, which are compiled for speed as the kit is not.

/// Which cookies a rule covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    All,
    None,
    Only(Vec<Vec<u8>>),
    Except(Vec<Vec<u8>>),
}

impl Names {
    #[inline]
    fn cover(&self, name: &[u8]) -> bool {
        let listed = |names: &[Vec<u8>]| names.iter().any(|listed| listed == name);
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(names) => listed(names),
            Self::Except(names) => !listed(names),
        }
    }
}

/// The rules, one per attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub secure: Names,
    pub http_only: Names,
    pub same_site: Names,
}

impl Rules {
    pub const ALL: Self = Self {
        secure: Names::All,
        http_only: Names::All,
        same_site: Names::All,
    };

    /// Whether there is nothing to do for any cookie.
    pub fn is_off(&self) -> bool {
        [&self.secure, &self.http_only, &self.same_site]
            .into_iter()
            .all(|rule| *rule == Names::None)
    }
}

/// What a line's attributes say, as a browser reads them: a later one overrides an earlier one.
#[derive(Default)]
struct Attributes {
    secure: bool,
    http_only: bool,
    path: bool,
    same_site: Option<SameSite>,
}

#[derive(Clone, Copy, PartialEq)]
enum SameSite {
    None,
    LaxOrStrict,
}

impl Attributes {
    #[inline]
    fn of<'a>(attributes: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut found = Self::default();
        for attribute in attributes {
            let (name, value) = cut(attribute, b'=');
            let name = name.trim_ascii();
            if name.eq_ignore_ascii_case(b"secure") {
                found.secure = true;
            } else if name.eq_ignore_ascii_case(b"httponly") {
                found.http_only = true;
            } else if name.eq_ignore_ascii_case(b"path") {
                found.path = true;
            } else if name.eq_ignore_ascii_case(b"samesite") {
                found.same_site = SameSite::of(value.unwrap_or_default().trim_ascii());
            }
        }
        found
    }
}

impl SameSite {
    #[inline]
    fn of(value: &[u8]) -> Option<Self> {
        if value.eq_ignore_ascii_case(b"none") {
            Some(Self::None)
        } else if value.eq_ignore_ascii_case(b"lax") || value.eq_ignore_ascii_case(b"strict") {
            Some(Self::LaxOrStrict)
        } else {
            None
        }
    }
}

/// The line with what it lacks, or `None` if it lacks nothing.
#[inline]
pub fn harden(line: &[u8], tls: bool, rules: &Rules) -> Option<Vec<u8>> {
    let mut parts = line.split(|byte| *byte == b';');
    let pair = parts.next()?;
    if pair.trim_ascii().is_empty() {
        return None;
    }
    let (name, value) = cut(pair, b'=');
    // A line without `=` is a cookie without a name (§5.6).
    let name = value.map_or(&b""[..], |_| name.trim_ascii());
    let has = Attributes::of(parts);
    if has.same_site == Some(SameSite::None) && has.secure {
        return None;
    }
    let prefixed = |prefix: &[u8]| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let host_only = prefixed(b"__Host-");
    let http = prefixed(b"__Http-") || prefixed(b"__Host-Http-");
    let needs_secure = host_only || http || prefixed(b"__Secure-");

    let mut added: Vec<&[u8]> = Vec::new();
    if tls && !has.secure && (needs_secure || rules.secure.cover(name)) {
        added.push(b"; Secure");
    }
    if tls && host_only && !has.path {
        added.push(b"; Path=/");
    }
    if !has.http_only && (http || rules.http_only.cover(name)) {
        added.push(b"; HttpOnly");
    }
    if has.same_site.is_none() && rules.same_site.cover(name) {
        added.push(b"; SameSite=Lax");
    }
    if added.is_empty() {
        return None;
    }
    let mut hardened = line.trim_ascii_end().to_vec();
    // A trailing `;` would leave an empty attribute between.
    while hardened.last() == Some(&b';') {
        hardened.pop();
        hardened.truncate(hardened.trim_ascii_end().len());
    }
    hardened.extend(added.concat());
    Some(hardened)
}

#[inline]
fn cut(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == at) {
        Some(found) => (text.get(..found).unwrap_or_default(), text.get(found + 1..)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(line: &str, tls: bool, rules: &Rules) -> String {
        let hardened = harden(line.as_bytes(), tls, rules).unwrap_or_else(|| line.into());
        String::from_utf8(hardened).unwrap()
    }

    #[test]
    fn a_cookie_gets_what_it_lacks_and_keeps_what_it_has() {
        for (tls, line, expected) in [
            (true, "a=1", "a=1; Secure; HttpOnly; SameSite=Lax"),
            (false, "a=1", "a=1; HttpOnly; SameSite=Lax"),
            (
                true,
                "a=1; Path=/; Max-Age=60",
                "a=1; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax",
            ),
            (
                true,
                "a=1; secure; HTTPONLY; samesite=strict",
                "a=1; secure; HTTPONLY; samesite=strict",
            ),
            (
                true,
                "a=1;Secure;HttpOnly",
                "a=1;Secure;HttpOnly; SameSite=Lax",
            ),
            (
                true,
                "a=1; SameSite = Lax ; Secure=x; HttpOnly=",
                "a=1; SameSite = Lax ; Secure=x; HttpOnly=",
            ),
            // Names within a value are no attributes.
            (
                true,
                "a=Secure HttpOnly",
                "a=Secure HttpOnly; Secure; HttpOnly; SameSite=Lax",
            ),
            (true, "secure=1", "secure=1; Secure; HttpOnly; SameSite=Lax"),
            (
                true,
                "a=\"x=y\"",
                "a=\"x=y\"; Secure; HttpOnly; SameSite=Lax",
            ),
            // Meant for other sites.
            (
                true,
                "a=1; SameSite=None; Secure",
                "a=1; SameSite=None; Secure",
            ),
            (
                false,
                "a=1; SameSite=None; Secure",
                "a=1; SameSite=None; Secure",
            ),
            (
                true,
                "a=1; secure; samesite=NONE",
                "a=1; secure; samesite=NONE",
            ),
            // Browsers refuse None without Secure: on TLS that can be mended.
            (
                true,
                "a=1; SameSite=None",
                "a=1; SameSite=None; Secure; HttpOnly",
            ),
            (false, "a=1; SameSite=None", "a=1; SameSite=None; HttpOnly"),
            // The last one counts; a value that browsers do not know is none.
            (
                true,
                "a=1; SameSite=None; SameSite=Strict; Secure; HttpOnly",
                "a=1; SameSite=None; SameSite=Strict; Secure; HttpOnly",
            ),
            (
                true,
                "a=1; SameSite=Strict; SameSite=None; Secure",
                "a=1; SameSite=Strict; SameSite=None; Secure",
            ),
            (
                true,
                "a=1; Secure; HttpOnly; SameSite=Foo",
                "a=1; Secure; HttpOnly; SameSite=Foo; SameSite=Lax",
            ),
            (
                true,
                "a=1; Secure; HttpOnly; SameSite",
                "a=1; Secure; HttpOnly; SameSite; SameSite=Lax",
            ),
            // Odd lines.
            (true, "a=1;", "a=1; Secure; HttpOnly; SameSite=Lax"),
            (true, "a=1 ; ; ", "a=1; Secure; HttpOnly; SameSite=Lax"),
            (true, "noname", "noname; Secure; HttpOnly; SameSite=Lax"),
            (true, "", ""),
            (true, " ; Path=/", " ; Path=/"),
            (true, "=x", "=x; Secure; HttpOnly; SameSite=Lax"),
        ] {
            assert_eq!(on(line, tls, &Rules::ALL), expected, "{line}");
        }
    }

    #[test]
    fn prefixed_names_get_what_their_prefix_demands_whatever_the_rules() {
        let off = Rules {
            secure: Names::None,
            http_only: Names::None,
            same_site: Names::None,
        };
        for (tls, line, expected) in [
            (true, "__Host-a=1", "__Host-a=1; Secure; Path=/"),
            (true, "__host-a=1; path=/", "__host-a=1; path=/; Secure"),
            (
                true,
                "__Host-a=1; Path=/x; Domain=d",
                "__Host-a=1; Path=/x; Domain=d; Secure",
            ),
            (true, "__Secure-a=1", "__Secure-a=1; Secure"),
            (true, "__Http-a=1", "__Http-a=1; Secure; HttpOnly"),
            (
                true,
                "__Host-Http-a=1",
                "__Host-Http-a=1; Secure; Path=/; HttpOnly",
            ),
            (false, "__Host-a=1", "__Host-a=1"),
            (false, "__Secure-a=1", "__Secure-a=1"),
            (true, "x__Host-a=1", "x__Host-a=1"),
            (true, "__Hos", "__Hos"),
        ] {
            assert_eq!(on(line, tls, &off), expected, "{line}");
        }
    }

    #[test]
    fn a_rule_covers_the_names_it_lists_and_compares_them_with_their_case() {
        let rules = Rules {
            secure: Names::All,
            http_only: Names::Except(vec![b"XSRF-TOKEN".to_vec()]),
            same_site: Names::Only(vec![b"sid".to_vec()]),
        };
        for (line, expected) in [
            ("XSRF-TOKEN=1", "XSRF-TOKEN=1; Secure"),
            ("xsrf-token=1", "xsrf-token=1; Secure; HttpOnly"),
            (" sid =1", " sid =1; Secure; HttpOnly; SameSite=Lax"),
        ] {
            assert_eq!(on(line, true, &rules), expected);
        }
    }

    #[test]
    fn bytes_beyond_ascii_stay_as_they_are() {
        let hardened = harden(b"a=\xff\x80; Path=/\xe9", true, &Rules::ALL).unwrap();
        assert_eq!(
            hardened,
            b"a=\xff\x80; Path=/\xe9; Secure; HttpOnly; SameSite=Lax"
        );
    }

    #[cfg(not(target_arch = "wasm32"))]
    mod properties {
        use super::*;
        use proptest::prelude::*;

        fn names() -> impl Strategy<Value = Names> {
            let list = proptest::collection::vec("[a-c]".prop_map(String::into_bytes), 1..3);
            prop_oneof![
                Just(Names::All),
                Just(Names::None),
                list.clone().prop_map(Names::Only),
                list.prop_map(Names::Except)
            ]
        }

        fn line() -> impl Strategy<Value = Vec<u8>> {
            let part = prop_oneof![
                "(?i)(secure|httponly|samesite=(none|lax|strict|x)?|path=/|domain=d|__host-a=1|a=1)",
                "[ a-c=;]{0,4}",
            ]
            .prop_map(String::into_bytes);
            let wild = proptest::collection::vec(any::<u8>(), 0..8);
            proptest::collection::vec(prop_oneof![4 => part, 1 => wild], 0..6)
                .prop_map(|parts| parts.join(&b"; "[..]))
        }

        proptest! {
            #[test]
            fn hardening_twice_is_hardening_once(
                line in line(), tls: bool, secure in names(), http_only in names(), same_site in names()
            ) {
                let rules = Rules { secure, http_only, same_site };
                let once = harden(&line, tls, &rules).unwrap_or(line);
                prop_assert_eq!(harden(&once, tls, &rules), None);
            }

            #[test]
            fn what_was_written_stays_in_front_and_nothing_unsafe_is_added(line in line(), tls: bool) {
                if let Some(hardened) = harden(&line, tls, &Rules::ALL) {
                    let kept = line.trim_ascii_end();
                    let kept = &kept[..kept.len() - kept.iter().rev()
                        .take_while(|b| **b == b';' || b.is_ascii_whitespace()).count()];
                    prop_assert!(hardened.starts_with(kept));
                    let added = &hardened[kept.len()..];
                    prop_assert!(!added.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
                    prop_assert!(tls || !added.windows(6).any(|w| w == b"Secure"));
                }
            }
        }
    }
}
