//! `application/problem+json`.

use super::Document;

impl Document<'_> {
    /// Compact JSON.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(384);
        self.each(|name, member| {
            out.push(if out.is_empty() { '{' } else { ',' });
            // Names are made of letters, digits and `_`.
            out.push('"');
            out.push_str(name);
            out.push_str("\":");
            member.write_json(&mut out);
        });
        out.push('}');
        out
    }
}
