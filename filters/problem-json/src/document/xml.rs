//! `application/problem+xml` (RFC 9457 appendix B): members are elements, items of a list `<i>`.

use serde_json::Value;

use super::{Document, Member};

/// How deep lists and objects of extensions go; deeper ones become empty elements.
const DEPTH: u8 = 32;

impl Document<'_> {
    pub fn to_xml(&self) -> String {
        let mut out = String::with_capacity(512);
        out.push_str(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<problem xmlns=\"urn:ietf:rfc:7807\">",
        );
        self.each(|name, member| {
            open(&mut out, name);
            match (&member, member.scalar()) {
                (_, Some(text)) => escape(&mut out, &text),
                (Member::Value(value), None) => write(&mut out, value, DEPTH),
                _ => {}
            }
            close(&mut out, name);
        });
        out.push_str("</problem>");
        out
    }
}

fn write(out: &mut String, value: &Value, depth: u8) {
    if let Some(text) = super::scalar(value) {
        return escape(out, &text);
    }
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    let mut child = |name: &str, value: &Value| {
        open(out, name);
        write(out, value, depth);
        close(out, name);
    };
    match value {
        Value::Array(items) => items.iter().for_each(|item| child("i", item)),
        Value::Object(members) => {
            for (name, value) in members {
                child(&element_name(name), value);
            }
        }
        _ => {}
    }
}

/// A name an element can have. Within an extension RFC 9457 asks nothing of names: what XML cannot hold becomes `_`, so
/// no member is lost.
fn element_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 1);
    if !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        out.push('_');
    }
    for character in name.chars() {
        let fits = character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
        out.push(if fits { character } else { '_' });
    }
    // Names that begin with these letters are XML's own.
    if out
        .get(..3)
        .is_some_and(|start| start.eq_ignore_ascii_case("xml"))
    {
        out.insert(0, '_');
    }
    out
}

fn open(out: &mut String, name: &str) {
    out.push('<');
    out.push_str(name);
    out.push('>');
}

fn close(out: &mut String, name: &str) {
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// Text of an element, or of HTML. A character that XML 1.0 cannot hold becomes U+FFFD.
pub(super) fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // A parser would read it as a line feed.
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(character),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
}
