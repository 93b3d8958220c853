//! What is wrong with the settings, where, and what to do about it.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};

use super::path::Path;

/// One mistake in the settings. Its text never holds a secret's value.
///
/// Boxed: all that reads and compiles settings passes results of this type on, and a thin one is cheap to pass.
pub struct ConfigError(Box<Misplaced>);

/// What is wrong, and where.
pub struct Misplaced {
    pub path: Path,
    pub mistake: Mistake,
}

impl Deref for ConfigError {
    type Target = Misplaced;

    fn deref(&self) -> &Misplaced {
        &self.0
    }
}

impl DerefMut for ConfigError {
    fn deref_mut(&mut self) -> &mut Misplaced {
        &mut self.0
    }
}

impl ConfigError {
    #[cold]
    #[inline(never)]
    pub fn new(path: Path, mistake: Mistake) -> Self {
        Self(Box::new(Misplaced { path, mistake }))
    }

    /// A rule of a filter's own; `rule` is an enum whose text says what is wrong and what to do.
    #[cold]
    #[inline(never)]
    pub fn rule(path: Path, rule: impl Rule + 'static) -> Self {
        Self::new(path, Mistake::Rule(Box::new(rule)))
    }

    /// The same mistake, seen from further up.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn below(mut self, parent: Path) -> Self {
        self.path = std::mem::take(&mut self.path).below(parent);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.mistake)
    }
}

/// The text for a user serves tests as well; deriving would put every rule's `Debug` into each wasm module.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

/// A filter's own rule: its text says what is wrong and what to change.
pub trait Rule: fmt::Display {}

impl<T: fmt::Display> Rule for T {}

/// The kinds of mistake.
pub enum Mistake {
    /// Neither JSON text nor a protobuf Struct.
    Syntax {
        line: usize,
        column: usize,
        problem: String,
    },
    UnknownKey {
        key: String,
        allowed: Vec<Cow<'static, str>>,
    },
    UnknownValue {
        value: String,
        allowed: Vec<&'static str>,
    },
    WrongType {
        found: String,
        expected: String,
    },
    Missing {
        key: &'static str,
    },
    Duplicate {
        name: String,
    },
    OutOfRange {
        found: String,
        allowed: String,
    },
    /// A profile that is named but not defined.
    UnknownProfile {
        name: String,
        defined: Vec<String>,
    },
    /// `{env: NAME}` and the environment has no such variable, or an empty one.
    NoSuchVariable {
        name: String,
    },
    Rule(Box<dyn Rule>),
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax {
                line,
                column,
                problem,
            } => {
                write!(f, "line {line}, column {column}: {problem}")
            }
            Self::UnknownKey { key, allowed } => {
                write!(f, "unknown key `{key}`")?;
                advise(f, key, allowed)
            }
            Self::UnknownValue { value, allowed } => {
                write!(f, "`{value}` is not one of the allowed values")?;
                advise(f, value, allowed)
            }
            Self::WrongType { found, expected } => write!(f, "found {found}, expected {expected}"),
            Self::Missing { key } => write!(f, "`{key}` is missing"),
            Self::Duplicate { name } => write!(f, "`{name}` is given twice; keep one"),
            Self::OutOfRange { found, allowed } => {
                write!(f, "{found} is out of range; allowed: {allowed}")
            }
            Self::UnknownProfile { name, defined } => {
                write!(f, "there is no profile `{name}`")?;
                advise(f, name, defined)
            }
            Self::NoSuchVariable { name } => write!(
                f,
                "the environment variable `{name}` is not set or empty; name it in vm_config.environment_variables"
            ),
            Self::Rule(rule) => rule.fmt(f),
        }
    }
}

fn advise<S: AsRef<str>>(f: &mut fmt::Formatter<'_>, found: &str, allowed: &[S]) -> fmt::Result {
    if let Some(near) = nearest(found, allowed) {
        write!(f, "; did you mean `{near}`?")?;
    }
    match allowed {
        [] => f.write_str("; none is allowed here"),
        allowed => {
            f.write_str("; allowed: ")?;
            for (at, name) in allowed.iter().enumerate() {
                if at > 0 {
                    f.write_str(", ")?;
                }
                f.write_str(name.as_ref())?;
            }
            Ok(())
        }
    }
}

/// The allowed name nearest to what was found, if it is near enough to be a slip of the finger.
pub fn nearest<'a, S: AsRef<str>>(found: &str, allowed: &'a [S]) -> Option<&'a str> {
    let fold = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let found = fold(found);
    allowed
        .iter()
        .map(|name| (distance(&found, &fold(name.as_ref())), name.as_ref()))
        .filter(|(distance, name)| *distance <= (name.len() / 3).clamp(1, 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein distance, with a swap of neighbours as one step (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let mut cost = (at(&row, j) + usize::from(x != *y))
                .min(at(&row, j + 1) + 1)
                .min(at(&next, j) + 1);
            let swapped = j
                .checked_sub(1)
                .is_some_and(|before_j| b.get(before_j) == Some(&x) && last == Some(*y));
            if swapped {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
        last = Some(x);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_gets_a_suggestion_and_another_word_does_not() {
        let allowed = ["max_age", "include_subdomains", "preload"];
        assert_eq!(nearest("max-age", &allowed), Some("max_age"));
        assert_eq!(
            nearest("includeSubDomains", &allowed),
            Some("include_subdomains")
        );
        assert_eq!(nearest("preloda", &allowed), Some("preload"));
        assert_eq!(nearest("colour", &allowed), None);
    }

    #[test]
    fn the_text_says_what_was_found_what_is_allowed_and_what_was_meant() {
        let error = ConfigError::new(
            Path::top().key("hsts"),
            Mistake::UnknownKey {
                key: "maxage".into(),
                allowed: vec!["max_age".into(), "preload".into()],
            },
        );
        assert_eq!(
            error.to_string(),
            "hsts: unknown key `maxage`; did you mean `max_age`?; allowed: max_age, preload"
        );
    }
}
