//! The part of a Markdown file that is generated: between `<!-- options:FILTER -->` and `<!-- /options -->`.

use std::fmt;

use crate::registry::Bundle;

const START: &str = "<!-- options:";
const START_END: &str = " -->";
const END: &str = "<!-- /options -->";

/// Why a file cannot be renewed.
#[derive(Debug, PartialEq, Eq)]
pub enum Drift {
    NoRegion,
    NoEnd { line: usize },
    UnknownFilter { line: usize, name: String },
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRegion => write!(f, "holds no `{START}FILTER{START_END}`"),
            Self::NoEnd { line } => write!(f, "line {line}: no `{END}` follows"),
            Self::UnknownFilter { line, name } => {
                write!(
                    f,
                    "line {line}: there is no filter `{name}`; filters: {}",
                    Bundle::names().join(", ")
                )
            }
        }
    }
}

/// The text with every region made anew by `table`.
pub fn renew(text: &str, table: impl Fn(Bundle) -> String) -> Result<String, Drift> {
    let mut out = String::with_capacity(text.len());
    let mut regions = 0_usize;
    let mut lines = text.split_inclusive('\n').enumerate();
    while let Some((at, line)) = lines.next() {
        out.push_str(line);
        let marked = line
            .trim()
            .strip_prefix(START)
            .and_then(|rest| rest.strip_suffix(START_END));
        let Some(name) = marked else { continue };
        let line = at.saturating_add(1);
        let bundle = Bundle::of_root_id(name).ok_or_else(|| Drift::UnknownFilter {
            line,
            name: name.to_owned(),
        })?;
        let (_, end) = lines
            .find(|(_, line)| line.trim() == END)
            .ok_or(Drift::NoEnd { line })?;
        out.push_str(&format!("\n{}\n", table(bundle)));
        out.push_str(end);
        regions = regions.saturating_add(1);
    }
    if regions == 0 {
        Err(Drift::NoRegion)
    } else {
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_made_anew_and_twice_is_the_same() {
        let text = "a\n<!-- options:portcullis -->\nold\n<!-- /options -->\nb\n";
        let renewed = renew(text, |_| "new\n".to_owned()).unwrap();
        assert_eq!(
            renewed,
            "a\n<!-- options:portcullis -->\n\nnew\n\n<!-- /options -->\nb\n"
        );
        assert_eq!(renew(&renewed, |_| "new\n".to_owned()).unwrap(), renewed);
    }

    #[test]
    fn a_file_without_marks_or_with_half_of_them_is_refused() {
        let table = |_| String::new();
        assert_eq!(renew("a\n", table), Err(Drift::NoRegion));
        assert_eq!(
            renew("a\n<!-- options:portcullis -->\nb\n", table),
            Err(Drift::NoEnd { line: 2 })
        );
        let unknown = renew("<!-- options:nope -->\n<!-- /options -->\n", table);
        assert_eq!(
            unknown,
            Err(Drift::UnknownFilter {
                line: 1,
                name: "nope".into()
            })
        );
    }
}
