//! Repairs of CORS responses (Fetch Standard §3.3). The protocol itself is the business of Envoy's own filter.
//!
//! 1. `Access-Control-Allow-Origin` is there and is not `*`: the response depends on `Origin`, so `Vary` says so.
//! 2. It is `*`, `null`, no single origin, or an origin outside the configured list: no credentials, so
//!    `Access-Control-Allow-Credentials` goes.

use crate::origin::Origin;

/// What a response's CORS headers need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    pub vary_by_origin: bool,
    pub remove_credentials: bool,
}

/// Decides by the lines of `Access-Control-Allow-Origin`. `allowed` is the list of origins that may send credentials;
/// `None` means any single origin.
pub fn repair<'a>(mut lines: impl Iterator<Item = &'a [u8]>, allowed: Option<&[Origin]>) -> Repair {
    let Some(first) = lines.next().map(<[u8]>::trim_ascii) else {
        return Repair::default();
    };
    let single = lines.next().is_none();
    let trusted = single
        && match (Origin::from_header(first), allowed) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(origin), Some(allowed)) => allowed.contains(&origin),
        };
    Repair {
        vary_by_origin: !(single && first == b"*"),
        remove_credentials: !trusted,
    }
}

/// The `Vary` value that also names `members`, or `None` if nothing is missing. `Vary: *` already says all.
pub fn vary<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    members: impl Iterator<Item = &'a [u8]>,
) -> Option<Vec<u8>> {
    let mut joined: Vec<u8> = Vec::new();
    for line in lines
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
    {
        if !joined.is_empty() {
            joined.extend_from_slice(b", ");
        }
        joined.extend_from_slice(line);
    }
    let before = joined.len();
    for member in members {
        let named = joined
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .any(|name| name == b"*" || name.eq_ignore_ascii_case(member));
        if !named {
            if !joined.is_empty() {
                joined.extend_from_slice(b", ");
            }
            joined.extend_from_slice(member);
        }
    }
    (joined.len() > before).then_some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn lines<'a>(texts: &'a [&'a str]) -> impl Iterator<Item = &'a [u8]> {
        texts.iter().map(|text| text.as_bytes())
    }

    #[test]
    fn each_allowed_origin_gets_the_repair_it_needs() {
        let allowed = [Origin::parse("https://app.example.com").unwrap()];
        for (origins, any, listed) in [
            (&[][..], (false, false), (false, false)),
            (&["*"][..], (false, true), (false, true)),
            (&["null"][..], (true, true), (true, true)),
            (
                &["https://app.example.com"][..],
                (true, false),
                (true, false),
            ),
            (&["https://evil.example"][..], (true, false), (true, true)),
            (&["http://app.example.com"][..], (true, false), (true, true)),
            (
                &["https://a.example https://b.example"][..],
                (true, true),
                (true, true),
            ),
            (
                &["https://app.example.com", "https://app.example.com"][..],
                (true, true),
                (true, true),
            ),
            (&["*", "*"][..], (true, true), (true, true)),
            (&[""][..], (true, true), (true, true)),
        ] {
            for (list, (vary_by_origin, remove_credentials)) in
                [(None, any), (Some(&allowed[..]), listed)]
            {
                assert_eq!(
                    repair(lines(origins), list),
                    Repair {
                        vary_by_origin,
                        remove_credentials
                    },
                    "{origins:?} {list:?}"
                );
            }
        }
    }

    #[test]
    fn vary_gets_a_member_once_and_keeps_the_others() {
        for (present, expected) in [
            (&[][..], Some("Origin")),
            (&["Accept-Encoding"][..], Some("Accept-Encoding, Origin")),
            (&["a", "b, c"][..], Some("a, b, c, Origin")),
            (&["", " "][..], Some("Origin")),
            (&["accept, origin"][..], None),
            (&["accept", "ORIGIN"][..], None),
            (&["*"][..], None),
            (&["Original"][..], Some("Original, Origin")),
        ] {
            let value = vary(lines(present), lines(&["Origin"]));
            assert_eq!(value.as_deref(), expected.map(str::as_bytes), "{present:?}");
        }
    }
}
