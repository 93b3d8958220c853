//! Which format an error leaves in, and in which language (RFC 9110 §12.5.1 and §12.5.4, RFC 4647).
//!
//! An error is answered whatever the client asked for: never with a 406, and where nothing fits with problem+json.
//!
//! 1. The most specific range that names a format gives its quality; quality 0 excludes the format.
//! 2. `application/json` and every `+json` type ask for problem+json. `application/xml`, `text/xml`, other `+xml` types
//!    and wildcards give problem+xml only where no JSON is acceptable; by its own name it competes by quality.
//! 3. The highest quality wins. Ties go to problem+json, problem+xml, HTML, Markdown, in this order, except that a
//!    browser's navigation which names `text/html` gets the page.

use crate::titles::Language;

/// A format of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Xml,
    Html,
    Markdown,
}

impl Format {
    /// The Content-Type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => portcullis_kit::problem::CONTENT_TYPE,
            Self::Xml => "application/problem+xml",
            Self::Html => "text/html; charset=utf-8",
            Self::Markdown => "text/markdown; charset=utf-8",
        }
    }

    /// Whether the type tells that it is a problem document.
    pub const fn is_problem(self) -> bool {
        matches!(self, Self::Json | Self::Xml)
    }
}

/// The formats that are offered beside JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offers {
    pub xml: bool,
    pub html: bool,
    pub markdown: bool,
}

/// Thousandths, as `q` has at most three decimals.
type Quality = u16;

const BEST: Quality = 1000;

/// What the ranges say about one format: quality, by the most specific of them.
#[derive(Clone, Copy, Default)]
struct Wish {
    specificity: u8,
    quality: Quality,
}

impl Wish {
    /// Of two ranges as specific as each other the higher quality counts.
    fn hear(&mut self, specificity: u8, quality: Quality) {
        if specificity > self.specificity {
            *self = Self {
                specificity,
                quality,
            };
        } else if specificity == self.specificity {
            self.quality = self.quality.max(quality);
        }
    }
}

/// How closely a range names a format. Parameters make a range name something else than what is offered, so it counts
/// one less than the same without.
const ANY: u8 = 1;
const TYPE: u8 = 2;
const KIN: u8 = 4;
const EXACT: u8 = 6;

#[derive(Default)]
struct Wishes {
    json: Wish,
    xml: Wish,
    html: Wish,
    markdown: Wish,
}

impl Wishes {
    fn hear(&mut self, range: &Range<'_>) {
        let quality = range.quality;
        let with = u8::from(range.parameters);
        let (exact, kin) = (EXACT - with, KIN - with);
        let is = |name: &str| range.name.eq_ignore_ascii_case(name.as_bytes());
        let ends = |suffix: &str| {
            let at = range.name.len().saturating_sub(suffix.len());
            let end = range.name.get(at..).unwrap_or_default();
            end.eq_ignore_ascii_case(suffix.as_bytes())
        };
        if is("*/*") {
            for wish in [
                &mut self.json,
                &mut self.xml,
                &mut self.html,
                &mut self.markdown,
            ] {
                wish.hear(ANY, quality);
            }
        } else if is("application/*") {
            self.json.hear(TYPE, quality);
            self.xml.hear(TYPE, quality);
        } else if is("text/*") {
            self.html.hear(TYPE, quality);
            self.markdown.hear(TYPE, quality);
        } else if is("application/problem+json") {
            self.json.hear(exact, quality);
        } else if is("application/json") || ends("+json") {
            self.json.hear(kin, quality);
        } else if is("application/problem+xml") {
            self.xml.hear(exact, quality);
        } else if is("application/xml")
            || is("text/xml")
            || (ends("+xml") && !is("application/xhtml+xml") && !is("image/svg+xml"))
        {
            self.xml.hear(kin, quality);
        } else if is("text/html") {
            self.html.hear(exact, quality);
        } else if is("text/markdown") {
            self.markdown.hear(exact, quality);
        }
    }
}

/// The format of an error for a request with these Accept lines. `browser`: see [`navigation`].
pub fn format<'a>(
    accept: impl Iterator<Item = &'a [u8]>,
    browser: bool,
    offers: &Offers,
) -> Format {
    let mut wishes = Wishes::default();
    for range in accept.flat_map(elements).filter_map(media_range) {
        wishes.hear(&range);
    }
    let json = wishes.json.quality;
    let xml_by_name = wishes.xml.specificity > KIN;
    let xml = if offers.xml && (json == 0 || xml_by_name) {
        wishes.xml.quality
    } else {
        0
    };
    let html = if offers.html { wishes.html.quality } else { 0 };
    let markdown = if offers.markdown {
        wishes.markdown.quality
    } else {
        0
    };
    let best = json.max(xml).max(markdown).max(html);
    let named = wishes.html.specificity >= TYPE;
    if browser && named && html > 0 && html == best {
        return Format::Html;
    }
    [
        (json, Format::Json),
        (xml, Format::Xml),
        (html, Format::Html),
        (markdown, Format::Markdown),
    ]
    .into_iter()
    .find(|(quality, _)| *quality > 0 && *quality == best)
    .map_or(Format::Json, |(_, format)| format)
}

/// Whether a browser navigates: as Fetch Metadata says, or, where the client sent none of it, by `text/html` in Accept.
/// `mode` is Sec-Fetch-Mode; `fetch_metadata` says that any Sec-Fetch header was there.
pub fn navigation<'a>(mode: Option<&[u8]>, accept: impl Iterator<Item = &'a [u8]>) -> bool {
    match mode {
        Some(mode) => mode.eq_ignore_ascii_case(b"navigate"),
        None => accept
            .flat_map(elements)
            .filter_map(media_range)
            .any(|range| range.quality > 0 && range.name.eq_ignore_ascii_case(b"text/html")),
    }
}

/// The language of our texts for these Accept-Language lines: RFC 4647 §3.4 lookup by quality, ties in the order
/// written. The first table is the default; there is none only where there are no tables.
pub fn language<'t, 'a>(
    accept_language: impl Iterator<Item = &'a [u8]>,
    tables: &'t [Language],
) -> Option<&'t Language> {
    let default = tables.first()?;
    let mut best: Option<(Quality, &Language)> = None;
    let mut anything = 0;
    let mut refused: Vec<&Language> = Vec::new();
    for (range, quality) in accept_language
        .flat_map(elements)
        .filter_map(language_range)
    {
        if range == b"*" {
            anything = quality;
        } else if let Some(found) = lookup(range, tables) {
            if quality == 0 {
                refused.push(found);
            } else if best.is_none_or(|(so_far, _)| quality > so_far) {
                best = Some((quality, found));
            }
        }
    }
    match best {
        Some((quality, found)) if quality >= anything => Some(found),
        // `*`, and no wish that can be met, stand for whatever was not refused.
        _ => tables
            .iter()
            .find(|table| !refused.iter().any(|refused| std::ptr::eq(*refused, *table)))
            .or(Some(default)),
    }
}

/// The table of a language range, which is made shorter from the end until one fits.
fn lookup<'t>(range: &[u8], tables: &'t [Language]) -> Option<&'t Language> {
    let mut range = range;
    loop {
        let found = tables
            .iter()
            .find(|table| table.tag.as_bytes().eq_ignore_ascii_case(range));
        if found.is_some() {
            return found;
        }
        let cut = range.iter().rposition(|byte| *byte == b'-')?;
        range = range.get(..cut)?;
        // A subtag of one character introduces what was cut, and goes with it.
        if let [.., b'-', _] = range {
            range = range.get(..range.len().saturating_sub(2))?;
        }
    }
}

struct Range<'a> {
    /// `type/subtype`.
    name: &'a [u8],
    /// Whether it has parameters that say something about the type: `charset` does not.
    parameters: bool,
    quality: Quality,
}

fn media_range(element: &[u8]) -> Option<Range<'_>> {
    let mut parts = unquoted_split(element, b';').map(<[u8]>::trim_ascii);
    let name = parts.next()?;
    let slash = name.iter().position(|byte| *byte == b'/')?;
    let (kind, subtype) = (name.get(..slash)?, name.get(slash + 1..)?);
    if !is_token(kind) || !is_token(subtype) {
        return None;
    }
    let mut range = Range {
        name,
        parameters: false,
        quality: BEST,
    };
    for parameter in parts {
        match value_of(parameter, b"q") {
            // What follows the weight is not about the type (RFC 9110 §12.5.1).
            Some(weight) => {
                range.quality = quality(weight)?;
                break;
            }
            None => {
                range.parameters |=
                    !parameter.is_empty() && value_of(parameter, b"charset").is_none()
            }
        }
    }
    Some(range)
}

fn language_range(element: &[u8]) -> Option<(&[u8], Quality)> {
    let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let tag = parts.next()?;
    let subtags = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    if tag != b"*" && (tag.is_empty() || !tag.iter().all(subtags)) {
        return None;
    }
    let mut weight = BEST;
    for parameter in parts {
        weight = quality(value_of(parameter, b"q")?)?;
    }
    Some((tag, weight))
}

fn value_of<'a>(parameter: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let equals = parameter.iter().position(|byte| *byte == b'=')?;
    let found = parameter.get(..equals)?.trim_ascii();
    found
        .eq_ignore_ascii_case(name)
        .then(|| parameter.get(equals + 1..).unwrap_or_default().trim_ascii())
}

/// `0` to `1` with at most three decimals, in thousandths.
fn quality(text: &[u8]) -> Option<Quality> {
    let (whole, decimals) = match text {
        [whole] => (whole, &[][..]),
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let mut thousandths = match whole {
        b'0' => 0,
        b'1' => BEST,
        _ => return None,
    };
    for (byte, unit) in decimals.iter().zip([100, 10, 1]) {
        if !byte.is_ascii_digit() {
            return None;
        }
        thousandths += Quality::from(byte - b'0') * unit;
    }
    (thousandths <= BEST).then_some(thousandths)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// The elements of a list header.
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    unquoted_split(line, b',')
}

/// Split at a byte where it is not within a quoted string.
fn unquoted_split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match *byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        !quoted && *byte == separator
    })
}
