//! `text/markdown`: the heading, the detail, then the other members as a list.

use super::{Document, Member};

impl Document<'_> {
    pub fn to_markdown(&self) -> String {
        let mut out = String::with_capacity(512);
        out.push_str("# ");
        let status = Member::Number(self.status);
        out.push_str(&status.scalar().unwrap_or_default());
        out.push(' ');
        escape(&mut out, &self.title);
        out.push('\n');
        if let Some(detail) = &self.detail {
            out.push('\n');
            escape(&mut out, detail);
            out.push('\n');
        }
        out.push('\n');
        self.each(|name, member| {
            if matches!(name, "title" | "status" | "detail") {
                return;
            }
            out.push_str("- ");
            out.push_str(name);
            out.push_str(": ");
            match member.scalar() {
                Some(text) => code(&mut out, &text),
                None => {
                    let mut json = String::new();
                    member.write_json(&mut json);
                    code(&mut out, &json);
                }
            }
            out.push('\n');
        });
        out
    }
}

/// Text as text: no mark-up, no line that begins a block, no HTML.
fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(character);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A line of its own could begin a list or a heading.
            control if control.is_control() => out.push(' '),
            _ => out.push(character),
        }
    }
}

/// A code span: its fence is longer than any run of backticks within (CommonMark §6.1).
fn code(out: &mut String, text: &str) {
    let longest = text
        .split(|character| character != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    let pad = text.starts_with('`') || text.ends_with('`') || text.is_empty();
    let fence = |out: &mut String| (0..=longest).for_each(|_| out.push('`'));
    fence(out);
    if pad {
        out.push(' ');
    }
    for character in text.chars() {
        out.push(if character.is_control() {
            ' '
        } else {
            character
        });
    }
    if pad {
        out.push(' ');
    }
    fence(out);
}
