//! The tables: for these request headers, this format and this language.

use problem_json::negotiate::{Format, Offers, format, language, navigation};
use problem_json::titles::Language;

use Format::{Html, Json, Markdown, Xml};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CHROME: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7";
const FIREFOX: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Lines of Accept, whether a browser navigates, and the format, where HTML and Markdown are offered.
const CASES: &[(&[&str], bool, Format)] = &[
    // Nothing said, or anything will do.
    (&[], false, Json),
    (&[""], false, Json),
    (&["*/*"], false, Json),
    (&["*/*"], true, Json),
    (&["application/*"], false, Json),
    (&["*/*;q=0.1"], false, Json),
    // JSON under its names.
    (&["application/json"], false, Json),
    (&["application/problem+json"], false, Json),
    (&["application/*+json"], false, Json),
    (&["application/vnd.api+json"], false, Json),
    (&["APPLICATION/JSON"], false, Json),
    (&["application/json; charset=utf-8"], false, Json),
    (&["application/json, text/plain, */*"], false, Json),
    (&["application/json;q=0.1"], false, Json),
    // XML where only XML will do.
    (&["application/xml"], false, Xml),
    (&["text/xml"], false, Xml),
    (&["application/problem+xml"], false, Xml),
    (&["application/atom+xml"], false, Xml),
    (&["application/xml;q=0.5, application/json;q=0"], false, Xml),
    (&["application/xml, application/json;q=0.1"], false, Json),
    (&["application/xml, */*;q=0.1"], false, Json),
    (&["application/*, application/json;q=0"], false, Xml),
    (&["application/*, application/problem+json;q=0"], false, Xml),
    (&["image/svg+xml"], false, Json),
    (&["application/xhtml+xml"], false, Json),
    // By its own name it competes by quality.
    (
        &["application/problem+xml, application/problem+json"],
        false,
        Json,
    ),
    (
        &["application/problem+xml, application/json;q=0.9"],
        false,
        Xml,
    ),
    (
        &["application/problem+xml;q=0.9, application/json"],
        false,
        Json,
    ),
    // Specificity comes before quality, on either side.
    (
        &["*/*;q=1, application/json;q=0, application/problem+xml;q=0.2"],
        false,
        Html,
    ),
    (
        &["text/*;q=1, text/html;q=0.1, application/json;q=0.5"],
        false,
        Markdown,
    ),
    (
        &["text/*;q=1, text/html;q=0.1, text/markdown;q=0.1, application/json;q=0.5"],
        false,
        Json,
    ),
    (
        &["application/problem+json;q=0.2, application/json, text/html;q=0.5"],
        false,
        Html,
    ),
    (
        &["text/html;level=1, text/html;q=0.1, application/json;q=0.5"],
        false,
        Json,
    ),
    (&["text/html;level=1"], false, Html),
    // Of two as specific the better counts, whichever comes first.
    (
        &["application/json;q=0.2, application/hal+json;q=0.9, text/html;q=0.5"],
        false,
        Json,
    ),
    (
        &["application/hal+json;q=0.9, application/json;q=0.2, text/html;q=0.5"],
        false,
        Json,
    ),
    // A page for whom asks for one.
    (&["text/html"], false, Html),
    (&["text/html"], true, Html),
    (&["text/*"], false, Html),
    (&[CHROME], true, Html),
    (&[FIREFOX], true, Html),
    (&["text/html, application/json"], false, Json),
    (&["text/html, application/json"], true, Html),
    (&["text/html;q=0.9, application/json"], true, Json),
    (&["text/html;q=0, */*"], true, Json),
    // Markdown.
    (&["text/markdown"], false, Markdown),
    (
        &["text/markdown, text/html;q=0.9, */*;q=0.1"],
        false,
        Markdown,
    ),
    (&["text/markdown, text/html"], false, Html),
    (&["text/markdown, */*"], false, Json),
    // Several lines are one list.
    (&["text/html;q=0.3", "application/xml;q=0.4"], false, Xml),
    (&["text/html", "application/json;q=0.5"], false, Html),
    // Nothing acceptable: answered all the same.
    (&["image/png"], false, Json),
    (&["text/plain"], false, Json),
    (&["*/*;q=0"], false, Json),
    (&["application/json;q=0"], false, Json),
    (&["application/grpc"], false, Json),
    // Malformed: what is not a range is not heard.
    (&["json"], false, Json),
    (&["/"], false, Json),
    (&["text/html;q=2"], false, Json),
    (&["text/html;q=0.1234"], false, Json),
    (&["text/html;q=-1"], true, Json),
    (&["text/html;q="], false, Json),
    (&[",,;;,=,\"", "text/html"], false, Html),
    (&["text/ht ml, application/xml"], false, Xml),
    (&["text/html\u{e9}"], false, Json),
    (
        &["application/json;a=\",text/html\";q=0.1, application/problem+xml;q=0.2"],
        false,
        Xml,
    ),
    (&["application/json;a=\"\\\",text/html;q=0.5"], false, Json),
    (&["text/html;q=1.000"], false, Html),
    (
        &["text/html ; q=0.9 , application/json ; q=0.95"],
        false,
        Json,
    ),
];

fn chosen(lines: &[&str], browser: bool, offers: Offers) -> Format {
    format(lines.iter().map(|line| line.as_bytes()), browser, &offers)
}

const ALL: Offers = Offers {
    xml: true,
    html: true,
    markdown: true,
};

#[test]
fn each_accept_gets_the_format_it_asks_for() {
    assert!(CASES.len() >= 40);
    for (lines, browser, expected) in CASES {
        let found = chosen(lines, *browser, ALL);
        assert_eq!(found, *expected, "{lines:?}, browser: {browser}");
    }
}

#[test]
fn what_is_not_offered_is_never_chosen() {
    for (lines, browser, _) in CASES {
        let found = chosen(lines, *browser, Offers::default());
        assert!(matches!(found, Json | Xml), "{lines:?}");
    }
    assert_eq!(chosen(&["text/html"], true, Offers::default()), Json);
    let markdown = Offers {
        xml: true,
        html: false,
        markdown: true,
    };
    assert_eq!(chosen(&["text/*"], true, markdown), Markdown);
    assert_eq!(chosen(&[FIREFOX], true, Offers::default()), Json);
}

#[test]
fn a_navigation_is_what_the_browser_calls_one() {
    let is = |mode: Option<&str>, accept: &str| {
        navigation(mode.map(str::as_bytes), std::iter::once(accept.as_bytes()))
    };
    assert!(is(Some("navigate"), "*/*"));
    assert!(!is(Some("cors"), FIREFOX), "a script asks");
    assert!(is(None, FIREFOX), "a browser without Fetch Metadata");
    assert!(!is(None, "application/json, */*"));
    assert!(!is(None, "text/html;q=0, */*"));
}

#[test]
fn each_accept_language_gets_its_table() {
    let tables = [
        Language::english(),
        Language::german(),
        Language::with_overrides("zh-Hant", Vec::new()),
    ];
    for (lines, expected) in [
        (&[][..], "en"),
        (&[""], "en"),
        (&["de"], "de"),
        (&["de-CH"], "de"),
        (&["DE-ch-1996"], "de"),
        (&["de-x-private"], "de"),
        (&["fr"], "en"),
        (&["fr, de;q=0.5"], "de"),
        (&["en;q=0.5, de;q=0.6"], "de"),
        (&["en;q=0.6, de;q=0.6"], "en"),
        (&["de;q=0.6, en;q=0.6"], "de"),
        (&["de;q=0"], "en"),
        (&["en;q=0"], "de"),
        (&["en;q=0, *"], "de"),
        (&["*, de;q=0.5"], "en"),
        (&["de, *;q=0.5"], "de"),
        (&["en;q=0, de;q=0, zh-hant;q=0"], "en"),
        (&["zh-Hant-TW"], "zh-Hant"),
        (&["zh"], "en"),
        (&["zh-Hans"], "en"),
        (&["fr", "de"], "de"),
        (&["d\u{e9}, de;q=x, ;, de-"], "de"),
        (&["de;q=1.1"], "en"),
        (&["-"], "en"),
        (&["*;q=0"], "en"),
    ] {
        let found = language(lines.iter().map(|line| line.as_bytes()), &tables);
        assert_eq!(found.map(|found| &*found.tag), Some(expected), "{lines:?}");
    }
    assert!(language(std::iter::once(&b"de"[..]), &[]).is_none());
}
