//! A small static page. It has no style and runs no script, so it looks the same under `default-src 'none'`; the JSON is
//! embedded as a data block, as RFC 9457 appendix C shows.

use super::{Document, Member, xml::escape};

impl Document<'_> {
    /// The page; `language` is the tag (BCP 47) of its texts.
    pub fn to_html(&self, language: &str) -> String {
        let mut out = String::with_capacity(1536);
        out.push_str("<!DOCTYPE html>\n<html lang=\"");
        escape(&mut out, language);
        out.push_str("\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"robots\" content=\"noindex\">\n<title>");
        self.heading(&mut out);
        out.push_str("</title>\n<script type=\"application/problem+json\">");
        embed(&mut out, &self.to_json());
        out.push_str("</script>\n</head>\n<body>\n<main>\n<h1>");
        self.heading(&mut out);
        out.push_str("</h1>\n");
        if let Some(detail) = &self.detail {
            out.push_str("<p>");
            escape(&mut out, detail);
            out.push_str("</p>\n");
        }
        let shown = [
            ("request_id", &self.request_id),
            ("trace_id", &self.trace_id),
            ("timestamp", &self.timestamp),
        ];
        let mut list = "<dl>\n";
        for (name, value) in shown {
            let Some(value) = value else { continue };
            out.push_str(list);
            list = "";
            out.push_str("<dt>");
            out.push_str(name);
            out.push_str("</dt>\n<dd><code>");
            escape(&mut out, value);
            out.push_str("</code></dd>\n");
        }
        if list.is_empty() {
            out.push_str("</dl>\n");
        }
        out.push_str("</main>\n</body>\n</html>\n");
        out
    }

    fn heading(&self, out: &mut String) {
        let status = Member::Number(self.status);
        out.push_str(&status.scalar().unwrap_or_default());
        out.push(' ');
        escape(out, &self.title);
    }
}

/// JSON within a script element: neither `</script` nor `<!--` can stand in it, nor what an old parser takes for the end
/// of a line.
fn embed(out: &mut String, json: &str) {
    for character in json.chars() {
        match character {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            _ => out.push(character),
        }
    }
}
