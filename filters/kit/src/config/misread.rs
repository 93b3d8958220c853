//! What is wrong with a value, while it is read.

use std::borrow::Cow;

use serde_json::Value;

use super::error::{ConfigError, Mistake, Rule};
use super::number_text;
use super::path::{Path, Segment};

/// A mistake with its path written from the inside out.
pub struct Misread(ConfigError);

impl Misread {
    #[cold]
    #[inline(never)]
    pub fn new(mistake: Mistake) -> Self {
        Self(ConfigError::new(Path::top(), mistake))
    }

    /// A rule of a type's own; see [`ConfigError::rule`].
    #[cold]
    pub fn rule(rule: impl Rule + 'static) -> Self {
        Self::new(Mistake::Rule(Box::new(rule)))
    }

    /// A value of another kind. Text that was found is not repeated: it may be a secret in the wrong place.
    #[cold]
    #[inline(never)]
    pub fn wrong_type(found: &Value, expected: &str) -> Self {
        Self::new(Mistake::WrongType {
            found: describe(found),
            expected: expected.to_owned(),
        })
    }

    #[cold]
    #[inline(never)]
    pub(super) fn out_of_range(found: String, allowed: &str) -> Self {
        Self::new(Mistake::OutOfRange {
            found,
            allowed: allowed.to_owned(),
        })
    }

    #[cold]
    #[inline(never)]
    pub(super) fn unknown_value(value: &str, allowed: &[&'static str]) -> Self {
        Self::new(Mistake::UnknownValue {
            value: value.to_owned(),
            allowed: allowed.to_vec(),
        })
    }

    #[cold]
    #[inline(never)]
    pub(super) fn unknown_key(key: &str, allowed: &[&'static str]) -> Self {
        Self::new(Mistake::UnknownKey {
            key: key.to_owned(),
            allowed: allowed.iter().map(|name| Cow::Borrowed(*name)).collect(),
        })
    }

    #[cold]
    #[inline(never)]
    pub(super) fn inside_key(mut self, key: &str) -> Self {
        self.0.path.push(Segment::Key(key.to_owned()));
        self
    }

    #[cold]
    #[inline(never)]
    pub(super) fn inside_index(mut self, index: usize) -> Self {
        self.0.path.push(Segment::Index(index));
        self
    }

    #[cold]
    #[inline(never)]
    pub(super) fn finish(mut self) -> ConfigError {
        self.0.path.reverse();
        self.0
    }
}

/// Formatting a float through `core` costs 15 kB of wasm that `number_text` does not.
#[inline(never)]
pub(super) fn describe(found: &Value) -> String {
    match found {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => {
            format!("the boolean `{value}` (in YAML, on/off/yes/no without quotes are booleans)")
        }
        Value::Number(number) => number_text(number),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}
