//! What becomes of the response headers of an error.

use portcullis_kit::Headers;

use crate::titles::is_language_tag;

/// They describe the upstream's body, or act on it, and would be wrong beside another one.
const OF_THE_BODY: [&str; 16] = [
    "content-length",
    "content-encoding",
    "etag",
    "last-modified",
    "accept-ranges",
    "content-range",
    "digest",
    "repr-digest",
    "content-digest",
    "content-md5",
    "content-language",
    "content-location",
    "content-disposition",
    "content-type",
    "trailer",
    "refresh",
];

/// A text in more languages names none.
const MAX_LANGUAGES: usize = 4;

/// What a document needs of the headers beside it.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    pub status: u16,
    pub content_type: &'static str,
    pub language: &'a str,
    /// What the upstream names as the language of a text of its own in the document.
    pub text_language: Option<&'a [u8]>,
    /// In bytes, where it is known already.
    pub length: Option<usize>,
    /// What the upstream's body says of the time to wait.
    pub retry_after_s: Option<u32>,
}

/// A change of the response's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    Remove(&'a str),
    Set(&'static str, Vec<u8>),
    Add(&'static str, Vec<u8>),
}

/// What has to change so that the headers fit a document instead of the upstream's body. `varies_by` names the request
/// headers that the document depends on, `also` the headers that go beside those of the body.
pub fn edits<'a>(
    response: &'a Headers,
    document: Document<'_>,
    varies_by: &[&str],
    also: &'a [String],
) -> Vec<Edit<'a>> {
    let mut edits = Vec::with_capacity(12);
    let there = OF_THE_BODY
        .into_iter()
        .filter(|name| response.contains(name));
    edits.extend(there.map(Edit::Remove));
    let named = also.iter().filter(|name| response.contains(name));
    edits.extend(named.map(|name| Edit::Remove(name)));
    edits.push(Edit::Set("content-type", document.content_type.into()));
    let language = languages(document.language, document.text_language);
    edits.push(Edit::Set("content-language", language));
    if let Some(length) = document.length {
        edits.push(Edit::Set("content-length", length.to_string().into_bytes()));
    }
    if let Some(value) = cache_control(document.status, response) {
        edits.push(Edit::Set("cache-control", value.into()));
        edits.extend(response.iter().filter_map(|(name, _)| {
            let name = std::str::from_utf8(name).ok()?;
            is_of_caches(name).then_some(Edit::Remove(name))
        }));
    }
    if let Some(seconds) = document.retry_after_s
        && !response.contains("retry-after")
    {
        edits.push(Edit::Set("retry-after", seconds.to_string().into_bytes()));
    }
    if let Some(value) = vary(response, varies_by) {
        edits.push(Edit::Set("vary", value));
    }
    if let Some(links) = links(response) {
        edits.push(Edit::Remove("link"));
        edits.extend(links.into_iter().map(|line| Edit::Add("link", line)));
    }
    let status = document.status.to_string().into_bytes();
    if response.get(":status") != Some(&status) {
        edits.push(Edit::Set(":status", status));
    }
    edits
}

/// What tells the length and the sum of a body that is going to change.
pub fn sums(response: &Headers) -> impl Iterator<Item = &'static str> {
    let of_the_bytes = [
        "content-length",
        "etag",
        "digest",
        "repr-digest",
        "content-digest",
        "content-md5",
        "accept-ranges",
    ];
    of_the_bytes
        .into_iter()
        .filter(|name| response.contains(name))
}

/// What `Cache-Control` an error gets; `None` leaves it alone. An error must not be served again to somebody whose request
/// would succeed, so only what the upstream says of something that is not there stays.
pub fn cache_control(status: u16, response: &Headers) -> Option<&'static str> {
    let says = response.contains("cache-control") || response.contains("expires");
    let stays = says && matches!(status, 404 | 410);
    (!stays).then_some("no-store")
}

/// `Content-Language` (RFC 9110 §8.5): our language, and what the upstream says of its text where that are tags.
fn languages(ours: &str, of_text: Option<&[u8]>) -> Vec<u8> {
    let tags: Vec<&[u8]> = of_text
        .unwrap_or_default()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .collect();
    let is_tag = |tag: &&[u8]| std::str::from_utf8(tag).is_ok_and(is_language_tag);
    if tags.len() > MAX_LANGUAGES || !tags.iter().all(is_tag) {
        return ours.into();
    }
    let named = |tag: &&[u8]| tag.eq_ignore_ascii_case(ours.as_bytes());
    let own = (!tags.iter().any(named)).then_some(ours.as_bytes());
    let all: Vec<&[u8]> = own.into_iter().chain(tags).collect();
    all.join(&b", "[..])
}

/// Whether caches heed it beside `Cache-Control`, some of them instead of it (RFC 9213), or it tells of one.
fn is_of_caches(name: &str) -> bool {
    const NAMES: [&str; 5] = [
        "expires",
        "age",
        "surrogate-control",
        "edge-control",
        "x-accel-expires",
    ];
    let ends = |suffix: &str| {
        let at = name.len().checked_sub(suffix.len());
        at.and_then(|at| name.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    ends("cdn-cache-control") || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// `Vary` with these names added, or `None` where nothing is missing.
pub fn vary(response: &Headers, names: &[&str]) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = response.get_all("vary").collect();
    let has = |name: &str| {
        let mut members = lines
            .iter()
            .flat_map(|line| line.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii);
        members.any(|member| member == b"*" || member.eq_ignore_ascii_case(name.as_bytes()))
    };
    let missing: Vec<&str> = names.iter().copied().filter(|name| !has(name)).collect();
    if missing.is_empty() {
        return None;
    }
    let mut members: Vec<&[u8]> = lines.iter().map(|line| line.trim_ascii()).collect();
    members.retain(|line| !line.is_empty());
    members.extend(missing.iter().map(|name| name.as_bytes()));
    Some(members.join(&b", "[..]))
}

/// The `Link` lines without links that a browser would follow by itself for a page that is not shown; `None` where all stay.
pub fn links(response: &Headers) -> Option<Vec<Vec<u8>>> {
    let lines: Vec<&[u8]> = response.get_all("link").collect();
    let mut changed = false;
    let mut kept = Vec::with_capacity(lines.len());
    for line in lines {
        let members: Vec<&[u8]> = members(line).collect();
        let staying: Vec<&[u8]> = members
            .iter()
            .copied()
            .filter(|member| !is_preload(member))
            .collect();
        if staying.len() == members.len() {
            kept.push(line.to_vec());
            continue;
        }
        changed = true;
        if !staying.is_empty() {
            kept.push(staying.join(&b", "[..]));
        }
    }
    changed.then_some(kept)
}

/// The members of a list whose commas may stand in `<…>` and in quoted strings too (RFC 8288 §3).
fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped, mut target) = (false, false, false);
    line.split(move |byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' if !target => quoted = !quoted,
            b'<' if !quoted => target = true,
            b'>' if !quoted => target = false,
            b',' => return !quoted && !target,
            _ => {}
        }
        false
    })
    .map(<[u8]>::trim_ascii)
    .filter(|member| !member.is_empty())
}

fn is_preload(member: &[u8]) -> bool {
    let Some(end) = member.iter().position(|byte| *byte == b'>') else {
        return false;
    };
    let parameters = member.get(end..).unwrap_or_default();
    parameters
        .split(|byte| *byte == b';')
        .filter_map(|parameter| {
            let mut halves = parameter.trim_ascii().splitn(2, |byte| *byte == b'=');
            let name = halves.next()?.trim_ascii();
            name.eq_ignore_ascii_case(b"rel").then(|| halves.next())?
        })
        .any(|value| {
            value
                .trim_ascii()
                .split(|byte| matches!(byte, b'"' | b' '))
                .any(|kind| {
                    [
                        &b"preload"[..],
                        b"modulepreload",
                        b"prefetch",
                        b"preconnect",
                    ]
                    .iter()
                    .any(|acted| kind.eq_ignore_ascii_case(acted))
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_error_is_stored_only_where_the_upstream_says_so_of_what_is_not_there() {
        let silent = Headers::from_lines([(":status", "404")]);
        let cached = Headers::from_lines([("cache-control", "max-age=60")]);
        let expires = Headers::from_lines([("expires", "Thu, 01 Dec 2026 16:00:00 GMT")]);
        for status in [400, 404, 410, 401, 403, 429, 500, 503] {
            assert_eq!(cache_control(status, &silent), Some("no-store"), "{status}");
        }
        for headers in [&cached, &expires] {
            for status in [404, 410] {
                assert_eq!(cache_control(status, headers), None, "{status}");
            }
            for status in [400, 401, 403, 405, 422, 429, 451, 500, 503, 599] {
                assert_eq!(cache_control(status, headers), Some("no-store"), "{status}");
            }
        }
    }

    #[test]
    fn vary_grows_and_keeps_what_it_had() {
        let vary = |lines: &[&str]| {
            let headers = Headers::from_lines(lines.iter().map(|line| ("vary", line)));
            vary(&headers, &["Accept", "Accept-Language"])
                .map(|value| String::from_utf8(value).unwrap())
        };
        assert_eq!(vary(&[]).as_deref(), Some("Accept, Accept-Language"));
        assert_eq!(
            vary(&["Origin, accept"]).as_deref(),
            Some("Origin, accept, Accept-Language")
        );
        assert_eq!(
            vary(&["Origin", "Cookie"]).as_deref(),
            Some("Origin, Cookie, Accept, Accept-Language")
        );
        assert_eq!(vary(&["ACCEPT,accept-language"]), None);
        assert_eq!(vary(&["*"]), None);
    }

    #[test]
    fn links_that_would_load_something_go_and_the_others_stay() {
        let links = |lines: &[&str]| {
            let headers = Headers::from_lines(lines.iter().map(|line| ("link", line)));
            links(&headers).map(|lines| {
                let text = |line: Vec<u8>| String::from_utf8(line).unwrap();
                lines.into_iter().map(text).collect::<Vec<_>>()
            })
        };
        assert_eq!(links(&["</a>; rel=next, </b,c>; rel=\"prev\""]), None);
        assert_eq!(
            links(&["</a,b.css>; rel=preload; as=style, </n>; rel=\"next\"; title=\"a, b\""]),
            Some(vec!["</n>; rel=\"next\"; title=\"a, b\"".to_owned()])
        );
        assert_eq!(
            links(&["</a>; REL=\"next preload\"", "</docs>; rel=help"]),
            Some(vec!["</docs>; rel=help".to_owned()])
        );
        assert_eq!(links(&["</a>; rel=preload"]), Some(vec![]));
        assert_eq!(links(&[]), None);
    }
}
