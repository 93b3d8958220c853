//! The part of a Markdown file that is generated: between `<!-- options:FILTER -->` and `<!-- /options -->`.

use std::fmt;

use crate::region::{self, Region, Unmarked};
use crate::registry::Bundle;

const START: &str = "<!-- options:";
const START_END: &str = " -->";
const END: &str = "<!-- /options -->";

/// Why a file cannot be renewed.
#[derive(Debug, PartialEq, Eq)]
pub enum Drift {
    Unmarked(Unmarked),
    UnknownFilter { line: usize, name: String },
}

impl From<Unmarked> for Drift {
    fn from(unmarked: Unmarked) -> Self {
        Self::Unmarked(unmarked)
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmarked(Unmarked::NoRegion) => {
                write!(f, "holds no `{START}FILTER{START_END}`")
            }
            Self::Unmarked(Unmarked::NoEnd { line }) => {
                write!(f, "line {line}: no `{END}` follows")
            }
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
    let filter = |line: &str| {
        let name = line.strip_prefix(START)?.strip_suffix(START_END)?;
        Some(name.to_owned())
    };
    region::renew(text, filter, END, |region| {
        let Region {
            what: name,
            line,
            start,
            end,
        } = region;
        match Bundle::of_root_id(&name) {
            Some(bundle) => Ok(format!("{start}\n{}\n{end}", table(bundle))),
            None => Err(Drift::UnknownFilter { line, name }),
        }
    })
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
        assert_eq!(renew("a\n", table), Err(Unmarked::NoRegion.into()));
        assert_eq!(
            renew("a\n<!-- options:portcullis -->\nb\n", table),
            Err(Unmarked::NoEnd { line: 2 }.into())
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
