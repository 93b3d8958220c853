//! From a [`serde_json::Value`] to typed settings.
//!
//! Types say their names and where each value goes (`#[derive(Setting)]`); the one reader here walks keys and lists, and
//! knows every mistake with its path, what was found and what is allowed. A reader written out for each type, as serde's
//! derive does it, was half of what the settings weigh in a module.

pub use serde_json::Value;
pub use setting_derive::Setting;

use super::error::{ConfigError, Mistake};
use super::misread::{Misread, describe};

/// Something that a value can be read into.
pub trait Read {
    /// Takes the value in place of what was there.
    ///
    /// # Errors
    /// The first mistake. What was read until then stays; nobody is to use it.
    fn read(&mut self, value: &Value) -> Result<(), Misread>;
}

/// What a user may write: a type that can be read out of a value.
pub trait Setting: Read + Sized {
    /// Whether a key of this type may be left out without a default.
    const OPTIONAL: bool = false;

    /// What stands in its place until it is read.
    fn blank() -> Self;
}

/// A map with keys known beforehand.
pub trait Record {
    /// Every key gets what it has if nobody writes it.
    fn reset(&mut self);

    /// Where the value of the key of that number goes.
    fn field(&mut self, at: usize) -> Option<&mut dyn Read>;
}

/// The keys of a record.
pub struct Keys {
    pub names: &'static [&'static str],
    /// A bit for each that must be there.
    pub required: u64,
}

/// One of several names, some with a value.
pub trait Choice {
    /// Becomes the one of that number; gives where its value goes, if it has one.
    fn choose(&mut self, at: usize) -> Option<&mut dyn Read>;
}

/// Typed settings, or the first mistake with its path.
///
/// # Errors
/// What is wrong, from the top of the value.
pub fn from_value<T: Setting>(value: &Value) -> Result<T, ConfigError> {
    let mut settings = T::blank();
    match settings.read(value) {
        Ok(()) => Ok(settings),
        Err(error) => Err(error.finish()),
    }
}

/// Reads a map key by key.
///
/// # Errors
/// The first mistake.
#[inline(never)]
pub fn record(into: &mut dyn Record, keys: &Keys, value: &Value) -> Result<(), Misread> {
    let Value::Object(map) = value else {
        return Err(Misread::wrong_type(value, "a map"));
    };
    into.reset();
    let mut missing = keys.required;
    for (key, value) in map {
        let at = keys.names.iter().position(|name| name == key);
        let Some((at, place)) = at.and_then(|at| Some((at, into.field(at)?))) else {
            return Err(Misread::unknown_key(key, keys.names));
        };
        place.read(value).map_err(|error| error.inside_key(key))?;
        missing &= !(1 << at);
    }
    match keys.names.get(missing.trailing_zeros() as usize) {
        Some(key) if missing != 0 => Err(Misread::new(Mistake::Missing { key })),
        _ => Ok(()),
    }
}

/// Reads a name, or a map of one name and its value.
///
/// # Errors
/// What is wrong with the name or the value.
#[inline(never)]
pub fn choice(
    into: &mut dyn Choice,
    names: &'static [&'static str],
    value: &Value,
) -> Result<(), Misread> {
    let (name, held) = written(names, value)?;
    let Some(at) = names.iter().position(|known| *known == name) else {
        return Err(Misread::unknown_value(name, names));
    };
    match (into.choose(at), held) {
        (Some(place), Some(held)) => place.read(held).map_err(|error| error.inside_key(name)),
        (None, None | Some(Value::Null)) => Ok(()),
        (Some(_), None) => Err(Misread::new(Mistake::WrongType {
            found: format!("`{name}` alone"),
            expected: format!("a map, `{name}: …`"),
        })),
        (None, Some(_)) => Err(Misread::new(Mistake::WrongType {
            found: format!("`{name}` with a value"),
            expected: format!("`{name}` alone"),
        })),
    }
}

/// The name that is chosen, and its value.
fn written<'a>(
    names: &'static [&'static str],
    value: &'a Value,
) -> Result<(&'a str, Option<&'a Value>), Misread> {
    let wrong =
        |found: String, expected: String| Err(Misread::new(Mistake::WrongType { found, expected }));
    match value {
        // What can be a secret by `env` was perhaps written in its place: it is not repeated.
        Value::String(_) if names.contains(&"env") => wrong(
            describe(value),
            format!("a map with one of {}", names.join(", ")),
        ),
        Value::String(name) => Ok((name, None)),
        // Envoy's YAML reader turns a bare `off` into false before we see it.
        Value::Bool(truth) => {
            let meant: [&str; 2] = match truth {
                true => ["on", "yes"],
                false => ["off", "no"],
            };
            let name = names.iter().find(|name| meant.contains(name));
            Ok((
                match (name, truth) {
                    (Some(name), _) => name,
                    (None, true) => "true",
                    (None, false) => "false",
                },
                None,
            ))
        }
        Value::Object(map) => match (map.iter().next(), map.len()) {
            (Some((name, value)), 1) => Ok((name, Some(value))),
            _ => wrong(
                format!("a map of {} keys", map.len()),
                format!(
                    "exactly one of {} (in a profile, `null` takes a key of the top away)",
                    names.join(", ")
                ),
            ),
        },
        other => wrong(describe(other), format!("one of {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, Setting, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[serde(default)]
        limit: Option<u16>,
        #[serde(default)]
        rules: Vec<Rule>,
        #[serde(default)]
        ratio: Option<f64>,
    }

    #[derive(Debug, Setting, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Rule {
        Off,
        Remove,
        Set(String),
        Window(Window),
    }

    #[derive(Debug, Setting, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Window {
        seconds: std::num::NonZeroU32,
    }

    fn mistake(value: serde_json::Value) -> String {
        from_value::<Settings>(&value).unwrap_err().to_string()
    }

    #[test]
    fn what_a_user_may_write_is_read() {
        let settings: Settings = from_value(&json!({
            "limit": 5.0, "ratio": 1, "rules": [false, "remove", {"set": "x"}, {"window": {"seconds": 3}}]
        }))
        .unwrap();
        assert_eq!(settings.limit, Some(5));
        assert_eq!(settings.rules.len(), 4);
        assert_eq!(settings.rules[0], Rule::Off);
    }

    #[test]
    fn a_number_that_envoy_hands_over_as_text_is_a_number() {
        for (text, ratio) in [
            ("0.25", 0.25),
            (".5", 0.5),
            ("1e-3", 0.001),
            ("2147483648", 2_147_483_648.0),
        ] {
            let settings: Settings = from_value(&json!({"ratio": text})).unwrap();
            assert_eq!(settings.ratio, Some(ratio));
        }
        for text in ["inf", "NaN", "", "1 2", "0x1F"] {
            assert!(
                from_value::<Settings>(&json!({"ratio": text})).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn every_mistake_names_its_path_what_was_found_and_what_is_allowed() {
        for (value, text) in [
            (
                json!({"limt": 1}),
                "the top level: unknown key `limt`; did you mean `limit`?; allowed: limit, rules, ratio",
            ),
            (
                json!({"limit": -1}),
                "limit: -1 is out of range; allowed: a whole number, 0 to 65535",
            ),
            (
                json!({"limit": 70000}),
                "limit: 70000 is out of range; allowed: a whole number, 0 to 65535",
            ),
            (
                json!({"limit": 1.5}),
                "limit: 1.5 is out of range; allowed: a whole number, 0 to 65535",
            ),
            (
                json!({"limit": "five"}),
                "limit: found a string, expected a whole number, 0 to 65535",
            ),
            (
                json!({"rules": [{"sett": "x"}]}),
                "rules[0]: `sett` is not one of the allowed values; did you mean `set`?; allowed: off, remove, set, window",
            ),
            (
                json!({"rules": ["set"]}),
                "rules[0]: found `set` alone, expected a map, `set: …`",
            ),
            (
                json!({"rules": [{"window": {"seconds": 0}}]}),
                "rules[0].window.seconds: 0 is out of range; allowed: a whole number, 1 to 4294967295",
            ),
            (
                json!({"rules": [{"set": "a", "remove": null}]}),
                "rules[0]: found a map of 2 keys, expected exactly one of off, remove, set, window (in a profile, `null` takes a key of the top away)",
            ),
            (
                json!({"rules": [{"window": {}}]}),
                "rules[0].window: `seconds` is missing",
            ),
            (json!({"rules": {}}), "rules: found a map, expected a list"),
            (json!([]), "the top level: found a list, expected a map"),
        ] {
            assert_eq!(mistake(value), text);
        }
    }
}
