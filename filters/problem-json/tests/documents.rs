//! The document in each format: valid, in order, and not to be broken out of.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A test may fail by panic.

mod schema;

use problem_json::document::{Document, extension_name};
use serde_json::{Map, Value, json};

fn full() -> Document<'static> {
    Document {
        kind: Some("https://errors.example.com/out-of-stock".into()),
        title: "Conflict".into(),
        status: 409,
        detail: Some("Only 2 <left> & \"reserved\"".into()),
        instance: Some("urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e".into()),
        upstream_status: Some(400),
        request_id: Some("0f8fad5b-d9cb-469f-a165-70867728950e".into()),
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".into()),
        category: Some("user"),
        retryable: Some(false),
        timestamp: Some("2026-11-21T10:00:00Z".into()),
        extensions: object(
            json!({"code": "out_of_stock", "errors": [{"pointer": "#/a", "detail": "x"}, 7, null, true]}),
        ),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn with_extensions(extensions: Value) -> Document<'static> {
    Document {
        title: "Bad Request".into(),
        status: 400,
        request_id: Some("r-1".into()),
        extensions: object(extensions),
        ..Document::default()
    }
}

#[test]
fn json_is_compact_and_its_members_come_in_the_order_of_the_rfc() {
    let expected = concat!(
        r#"{"type":"https://errors.example.com/out-of-stock","title":"Conflict","status":409,"#,
        r#""detail":"Only 2 <left> & \"reserved\"","#,
        r#""instance":"urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e","upstream_status":400,"#,
        r#""request_id":"0f8fad5b-d9cb-469f-a165-70867728950e","#,
        r#""trace_id":"0af7651916cd43dd8448eb211c80319c","category":"user","retryable":false,"#,
        r#""timestamp":"2026-11-21T10:00:00Z","code":"out_of_stock","#,
        r##""errors":[{"detail":"x","pointer":"#/a"},7,null,true]}"##
    );
    assert_eq!(full().to_json(), expected);
    schema::assert_valid(expected);
}

#[test]
fn a_document_with_nothing_but_a_status_is_about_blank() {
    let document = with_extensions(json!({}));
    assert_eq!(
        document.to_json(),
        r#"{"type":"about:blank","title":"Bad Request","status":400,"request_id":"r-1"}"#
    );
    schema::assert_valid(&document.to_json());
}

#[test]
fn names_of_extensions_follow_the_rfc_or_are_mended_or_left_out() {
    for (name, expected) in [
        ("code", Some("code")),
        ("a_1", Some("a_1")),
        ("violated-policies", Some("violated_policies")),
        ("a.b c", Some("a_b_c")),
        ("9lives", Some("lives")),
        ("_secret", Some("secret")),
        ("$.user[0].name", Some("user_0_name")),
        ("größe", Some("gr_e")),
        ("doc-", Some("doc")),
        ("id", None),
        ("a-", None),
        ("", None),
        ("42", None),
        ("日本語", None),
        ("\"}", None),
    ] {
        assert_eq!(extension_name(name).as_deref(), expected, "{name:?}");
    }
}

#[test]
fn no_extension_takes_a_name_that_is_taken() {
    let document = with_extensions(json!({
        "status": 200, "type": "x", "request-id": "forged", "category": "x",
        "a-b": "mended", "a_b": "as written", "a.c": 1, "a-c": 2, "id": 3
    }));
    let value: Value = serde_json::from_str(&document.to_json()).unwrap();
    assert_eq!(
        value,
        json!({"type": "about:blank", "title": "Bad Request", "status": 400, "request_id": "r-1",
               "a_b": "as written", "a_c": 2})
    );
    assert_eq!(document.to_json().matches("a_c").count(), 1);
}

#[test]
fn xml_is_as_appendix_b_shows_it() {
    let expected = concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<problem xmlns=\"urn:ietf:rfc:7807\">",
        "<type>https://errors.example.com/out-of-stock</type><title>Conflict</title>",
        "<status>409</status><detail>Only 2 &lt;left&gt; &amp; &quot;reserved&quot;</detail>",
        "<instance>urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e</instance>",
        "<upstream_status>400</upstream_status>",
        "<request_id>0f8fad5b-d9cb-469f-a165-70867728950e</request_id>",
        "<trace_id>0af7651916cd43dd8448eb211c80319c</trace_id><category>user</category>",
        "<retryable>false</retryable><timestamp>2026-11-21T10:00:00Z</timestamp>",
        "<code>out_of_stock</code><errors><i><detail>x</detail><pointer>#/a</pointer></i>",
        "<i>7</i><i></i><i>true</i></errors></problem>"
    );
    assert_eq!(full().to_xml(), expected);
}

#[test]
fn xml_holds_what_xml_cannot() {
    let document = with_extensions(json!({
        "text": "a\u{0}b\u{1b}[31m\u{ffff}c\r\n]]>",
        "nested": {"1st": 1, "": 2, "a b": 3, "xmlns": 4, "<i>": 5, "ü": 6}
    }));
    let xml = document.to_xml();
    assert!(
        xml.contains("<text>a\u{fffd}b\u{fffd}[31m\u{fffd}c&#13;\n]]&gt;</text>"),
        "{xml}"
    );
    for element in [
        "<_1st>1</_1st>",
        "<_>2</_>",
        "<a_b>3</a_b>",
        "<_xmlns>4</_xmlns>",
        "<__i_>5</__i_>",
        "<__>6</__>",
    ] {
        assert!(xml.contains(element), "{element} in {xml}");
    }
}

#[test]
fn xml_of_a_deep_extension_ends() {
    let mut deep = json!("bottom");
    for _ in 0..120 {
        deep = json!([deep]);
    }
    let xml = with_extensions(json!({ "deep": deep })).to_xml();
    assert_eq!(xml.matches("<i>").count(), 32);
    assert_eq!(xml.matches("</i>").count(), 32);
}

#[test]
fn the_page_embeds_the_json_and_nothing_breaks_out_of_it() {
    let hostile = "</script><!--<script>alert(1)</script>\u{2028}&lt;";
    let mut document = with_extensions(json!({ "code": hostile }));
    document.title = hostile.into();
    document.detail = Some("<img src=x onerror=alert(1)>'\"".into());
    document.request_id = Some("<b>".into());
    let page = document.to_html("en\"><script>");
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert_eq!(page.matches("</script").count(), 1);
    assert!(!page.contains("<!--") && !page.contains("<img") && !page.contains("<b>"));
    assert!(!page.contains("style") && !page.contains("\"en\">"));
    let block = page
        .split_once("<script type=\"application/problem+json\">")
        .and_then(|(_, rest)| rest.split_once("</script>"))
        .map(|(block, _)| block)
        .unwrap();
    let embedded: Value = serde_json::from_str(block).unwrap();
    assert_eq!(
        embedded,
        serde_json::from_str::<Value>(&document.to_json()).unwrap()
    );
    assert_eq!(embedded["code"], hostile);
}

#[test]
fn the_page_without_ids_has_no_empty_list() {
    let mut document = with_extensions(json!({}));
    assert!(document.to_html("en").contains("<dl>"));
    document.request_id = None;
    assert!(!document.to_html("en").contains("dl>"));
}

#[test]
fn markdown_shows_text_as_text() {
    let mut document = full();
    document.detail = Some("a\n# b *c* <d> [e](f) `g`".into());
    document.extensions = object(json!({"code": "a``b", "edge": "`", "none": null}));
    assert_eq!(
        document.to_markdown(),
        "# 409 Conflict\n\na \\# b \\*c\\* &lt;d&gt; \\[e\\]\\(f\\) \\`g\\`\n\n\
         - type: `https://errors.example.com/out-of-stock`\n\
         - instance: `urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e`\n\
         - upstream_status: `400`\n\
         - request_id: `0f8fad5b-d9cb-469f-a165-70867728950e`\n\
         - trace_id: `0af7651916cd43dd8448eb211c80319c`\n\
         - category: `user`\n\
         - retryable: `false`\n\
         - timestamp: `2026-11-21T10:00:00Z`\n\
         - code: ```a``b```\n\
         - edge: `` ` ``\n\
         - none: `  `\n"
    );
}
