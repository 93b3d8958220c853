//! The part of a file that is generated, between two comments.

use std::fmt;

use super::{END, Missing, START};
use crate::region::{self, Region, Unmarked};

/// Why a file cannot be renewed.
#[derive(Debug, PartialEq, Eq)]
pub enum Drift {
    Unmarked(Unmarked),
    Missing { line: usize, missing: Missing },
}

impl From<Unmarked> for Drift {
    fn from(unmarked: Unmarked) -> Self {
        Self::Unmarked(unmarked)
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmarked(Unmarked::NoRegion) => write!(
                f,
                "holds no `{START}`; write that line and `{END}` below it, as far in as `http_filters` of the connection manager, and run this again"
            ),
            Self::Unmarked(Unmarked::NoEnd { line }) => {
                write!(f, "line {line}: no `{END}` follows")
            }
            Self::Missing { line, missing } => write!(f, "line {line}: {missing}"),
        }
    }
}

/// The text with every region made anew by `make`, which gets the line of its start. It stands as far in as its start does.
pub fn renew(text: &str, make: impl Fn(usize) -> Result<String, Missing>) -> Result<String, Drift> {
    let is_start = |line: &str| (line == START).then_some(());
    region::renew(text, is_start, END, |region| {
        let Region { line, start, .. } = region;
        let made = make(line).map_err(|missing| Drift::Missing { line, missing })?;
        let indent: String = start.chars().take_while(|letter| *letter == ' ').collect();
        Ok(made
            .lines()
            .map(|line| format!("{indent}{line}\n"))
            .collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_comments_is_made_anew_and_twice_is_the_same() {
        let text = format!("a:\n  {START}\n  old: 1\n  {END}\n  b: 2\n");
        let make = |line| {
            assert_eq!(line, 2);
            Ok(format!("{START}\nnew:\n  - 1\n{END}\n"))
        };
        let renewed = renew(&text, make).unwrap();
        assert_eq!(
            renewed,
            format!("a:\n  {START}\n  new:\n    - 1\n  {END}\n  b: 2\n")
        );
        assert_eq!(renew(&renewed, make).unwrap(), renewed);
    }

    #[test]
    fn a_file_without_comments_or_with_half_of_them_is_refused() {
        let make = |_| Err(Missing::Plugin);
        assert_eq!(renew("a: 1\n", make), Err(Unmarked::NoRegion.into()));
        assert_eq!(
            renew(&format!("a: 1\n{START}\nb: 2\n"), make),
            Err(Unmarked::NoEnd { line: 2 }.into())
        );
        assert_eq!(
            renew(&format!("{START}\n{END}\n"), make),
            Err(Drift::Missing {
                line: 1,
                missing: Missing::Plugin
            })
        );
    }
}
