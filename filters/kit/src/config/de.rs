//! From a [`serde_json::Value`] to typed settings, keeping what serde knows of a mistake as a value.
//!
//! serde_json's own deserializer gives a mistake as one line of text; this one keeps the path, what was found and the
//! list of what is allowed, so that the caller can point and advise.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeOwned, IntoDeserializer};
use serde_json::{Map, Value};

use super::error::{ConfigError, Mistake};
use super::path::{Path, Segment};

/// Typed settings, or the first mistake with its path.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, ConfigError> {
    T::deserialize(At(value)).map_err(Error::finish)
}

struct At<'a>(&'a Value);

/// A mistake with its path written from the inside out. Boxed: every derived `Deserialize` moves results of this type
/// around, and a thin one saves a tenth of a module.
struct Error(Box<Inner>);

struct Inner {
    inside_out: Vec<Segment>,
    mistake: Mistake,
}

impl Error {
    #[cold]
    #[inline(never)]
    fn new(mistake: Mistake) -> Self {
        Self(Box::new(Inner {
            inside_out: Vec::new(),
            mistake,
        }))
    }

    #[cold]
    #[inline(never)]
    fn inside_key(mut self, key: &str) -> Self {
        self.0.inside_out.push(Segment::Key(key.to_owned()));
        self
    }

    #[cold]
    #[inline(never)]
    fn inside_index(mut self, index: usize) -> Self {
        self.0.inside_out.push(Segment::Index(index));
        self
    }

    #[cold]
    #[inline(never)]
    fn finish(self) -> ConfigError {
        let Inner {
            inside_out,
            mistake,
        } = *self.0;
        let mut path = Path::top();
        for segment in inside_out.into_iter().rev() {
            path.push(segment);
        }
        ConfigError::new(path, mistake)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.mistake, f)
    }
}

/// serde asks for it; nobody shows it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.mistake, f)
    }
}

impl std::error::Error for Error {}

/// The text of a type's own check (`TryFrom`, `deserialize_with`): it says what to change.
#[derive(Debug)]
struct Text(String);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(Mistake::Rule(Box::new(Text(text.to_string()))))
    }

    #[cold]
    #[inline(never)]
    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Mistake::WrongType {
            found: describe(found),
            expected: plain(expected),
        })
    }

    #[cold]
    #[inline(never)]
    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        match found {
            de::Unexpected::Signed(_) | de::Unexpected::Unsigned(_) | de::Unexpected::Float(_) => {
                Self::new(Mistake::OutOfRange {
                    found: describe(found),
                    allowed: plain(expected),
                })
            }
            found => Self::invalid_type(found, expected),
        }
    }

    #[cold]
    #[inline(never)]
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Mistake::UnknownValue {
            value: variant.to_owned(),
            allowed: expected.to_vec(),
        })
    }

    #[cold]
    #[inline(never)]
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Mistake::UnknownKey {
            key: field.to_owned(),
            allowed: expected.iter().map(|name| Cow::Borrowed(*name)).collect(),
        })
    }

    #[cold]
    #[inline(never)]
    fn missing_field(field: &'static str) -> Self {
        Self::new(Mistake::Missing { key: field })
    }

    #[cold]
    #[inline(never)]
    fn duplicate_field(field: &'static str) -> Self {
        Self::new(Mistake::Duplicate {
            name: field.to_owned(),
        })
    }
}

/// Text that was found is not repeated: it may be a secret in the wrong place. Formatting a float through `core` costs
/// 15 kB of wasm that serde_json's number does not.
fn describe(found: de::Unexpected<'_>) -> String {
    match found {
        de::Unexpected::Bool(value) => {
            format!("the boolean `{value}` (in YAML, on/off/yes/no without quotes are booleans)")
        }
        de::Unexpected::Unsigned(value) => value.to_string(),
        de::Unexpected::Signed(value) => value.to_string(),
        de::Unexpected::Float(value) => serde_json::Number::from_f64(value).map_or_else(
            || "not a number".to_owned(),
            |number| super::number_text(&number),
        ),
        other => match other {
            de::Unexpected::Str(_) | de::Unexpected::Char(_) => "a string",
            de::Unexpected::Unit | de::Unexpected::Option => "nothing",
            de::Unexpected::Seq => "a list",
            de::Unexpected::Map => "a map",
            _ => "something else",
        }
        .to_owned(),
    }
}

/// serde names Rust's types; a user knows numbers.
fn plain(expected: &dyn de::Expected) -> String {
    let text = expected.to_string();
    let range = match text.as_str() {
        "u8" => "0 to 255",
        "u16" => "0 to 65535",
        "u32" => "0 to 4294967295",
        "u64" | "usize" => "0 or more",
        "a nonzero u8" => "1 to 255",
        "a nonzero u16" => "1 to 65535",
        "a nonzero u32" => "1 to 4294967295",
        "a nonzero u64" | "a nonzero usize" => "1 or more",
        "i8" | "i16" | "i32" | "i64" => "any",
        "f32" | "f64" => return "a number".to_owned(),
        "a sequence" => return "a list".to_owned(),
        _ => {
            return match text
                .strip_prefix("struct ")
                .or(text.strip_prefix("internally tagged enum "))
            {
                Some(_) => "a map".to_owned(),
                None if text.starts_with("enum ") => "one of the allowed names".to_owned(),
                None => text,
            };
        }
    };
    format!("a whole number, {range}")
}

fn unexpected(value: &Value) -> de::Unexpected<'_> {
    match value {
        Value::Null => de::Unexpected::Unit,
        Value::Bool(value) => de::Unexpected::Bool(*value),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(value), _) => de::Unexpected::Unsigned(value),
            (_, Some(value)) => de::Unexpected::Signed(value),
            _ => de::Unexpected::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => de::Unexpected::Str(text),
        Value::Array(_) => de::Unexpected::Seq,
        Value::Object(_) => de::Unexpected::Map,
    }
}

/// A whole number, whether it came as `5` or, out of a protobuf Struct or YAML, as `5.0`.
fn whole(number: &serde_json::Number) -> Option<Result<u64, i64>> {
    if let Some(value) = number.as_u64() {
        return Some(Ok(value));
    }
    if let Some(value) = number.as_i64() {
        return Some(Err(value));
    }
    let value = number.as_f64()?;
    // Beyond 2^53 an f64 no longer names one whole number.
    let exact = value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0;
    match exact {
        false => None,
        true if value >= 0.0 => Some(Ok(value as u64)),
        true => Some(Err(value as i64)),
    }
}

/// A number, or its text: Envoy's YAML reader hands fractions (`0.25`) and whole numbers beyond 32 bits over as strings.
fn numeric(value: &Value) -> Option<Cow<'_, serde_json::Number>> {
    match value {
        Value::Number(number) => Some(Cow::Borrowed(number)),
        Value::String(text) => {
            // YAML knows two forms that JSON does not: `+1` and `.5`.
            let text = text.strip_prefix('+').unwrap_or(text);
            let number = match text.starts_with('.') {
                true => super::read(format!("0{text}").as_bytes()),
                false => super::read(text.as_bytes()),
            };
            match number {
                Ok(Value::Number(number)) => Some(Cow::Owned(number)),
                _ => None,
            }
        }
        _ => None,
    }
}

macro_rules! whole_numbers {
    ($($method:ident)*) => {$(
        fn $method<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let Some(number) = numeric(self.0) else {
                return Err(de::Error::invalid_type(unexpected(self.0), &visitor));
            };
            match whole(&number) {
                Some(Ok(value)) => visitor.visit_u64(value),
                Some(Err(value)) => visitor.visit_i64(value),
                None => Err(de::Error::invalid_value(
                    de::Unexpected::Float(number.as_f64().unwrap_or_default()),
                    &visitor,
                )),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for At<'_> {
    type Error = Error;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match whole(number) {
                Some(Ok(value)) => visitor.visit_u64(value),
                Some(Err(value)) => visitor.visit_i64(value),
                None => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(Items {
                items: items.iter(),
                at: 0,
            }),
            Value::Object(map) => visitor.visit_map(Entries::new(map)),
        }
    }

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_f64<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match numeric(self.0).and_then(|number| number.as_f64()) {
            Some(value) => visitor.visit_f64(value),
            None => Err(de::Error::invalid_type(unexpected(self.0), &visitor)),
        }
    }

    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            // A derived struct would also take a list; a user means a map.
            Value::Object(map) => visitor.visit_map(Entries::new(map)),
            other => Err(de::Error::invalid_type(unexpected(other), &"a map")),
        }
    }

    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let boolean = |names: &[&str]| {
            variants
                .iter()
                .copied()
                .find(|variant| names.contains(variant))
        };
        match self.0 {
            // What can be a secret by `env` was perhaps written in its place: it is not repeated.
            Value::String(_) if variants.contains(&"env") => Err(Error::new(Mistake::WrongType {
                found: "a string".to_owned(),
                expected: format!("a map with one of {}", variants.join(", ")),
            })),
            Value::String(name) => visitor.visit_enum(Variant { name, value: None }),
            // Envoy's YAML reader turns a bare `off` into false before we see it.
            Value::Bool(value) => {
                match boolean(if *value {
                    &["on", "yes"]
                } else {
                    &["off", "no"]
                }) {
                    Some(name) => visitor.visit_enum(Variant { name, value: None }),
                    None => Err(de::Error::unknown_variant(
                        if *value { "true" } else { "false" },
                        variants,
                    )),
                }
            }
            Value::Object(map) => match (map.iter().next(), map.len()) {
                (Some((name, value)), 1) => visitor.visit_enum(Variant {
                    name,
                    value: Some(value),
                }),
                _ => Err(Error::new(Mistake::WrongType {
                    found: format!("a map of {} keys", map.len()),
                    expected: format!(
                        "exactly one of {} (in a profile, `null` takes a key of the top away)",
                        variants.join(", ")
                    ),
                })),
            },
            other => Err(Error::new(Mistake::WrongType {
                found: describe(unexpected(other)),
                expected: format!("one of {}", variants.join(", ")),
            })),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i128 u128 f32 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier
        ignored_any
    }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Value>,
    at: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let at = self.at;
        self.at += 1;
        seed.deserialize(At(item))
            .map(Some)
            .map_err(|error| error.inside_index(at))
    }
}

struct Entries<'a> {
    entries: serde_json::map::Iter<'a>,
    current: Option<(&'a String, &'a Value)>,
}

impl<'a> Entries<'a> {
    fn new(map: &'a Map<String, Value>) -> Self {
        Self {
            entries: map.iter(),
            current: None,
        }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.current = self.entries.next();
        match self.current {
            Some((key, _)) => seed.deserialize(key.as_str().into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let Some((key, value)) = self.current else {
            return Err(de::Error::custom("a value without a key"));
        };
        seed.deserialize(At(value))
            .map_err(|error| error.inside_key(key))
    }
}

struct Variant<'a> {
    name: &'a str,
    value: Option<&'a Value>,
}

impl<'a, 'de> de::EnumAccess<'de> for Variant<'a> {
    type Error = Error;
    type Variant = Payload<'a>;

    fn variant_seed<T: de::DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Payload<'a>), Error> {
        let variant = seed.deserialize(self.name.into_deserializer())?;
        Ok((
            variant,
            Payload {
                name: self.name,
                value: self.value,
            },
        ))
    }
}

struct Payload<'a> {
    name: &'a str,
    value: Option<&'a Value>,
}

impl<'a> Payload<'a> {
    fn value(&self) -> Result<At<'a>, Error> {
        self.value.map(At).ok_or_else(|| {
            Error::new(Mistake::WrongType {
                found: format!("`{}` alone", self.name),
                expected: format!("a map, `{}: …`", self.name),
            })
        })
    }

    fn named<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| error.inside_key(self.name))
    }
}

impl<'de> de::VariantAccess<'de> for Payload<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.value {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(Error::new(Mistake::WrongType {
                found: format!("`{}` with a value", self.name),
                expected: format!("`{}` alone", self.name),
            })),
        }
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        let value = self.value()?;
        self.named(seed.deserialize(value))
    }

    fn tuple_variant<V: de::Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        let value = self.value()?;
        self.named(de::Deserializer::deserialize_any(value, visitor))
    }

    fn struct_variant<V: de::Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let value = self.value()?;
        self.named(de::Deserializer::deserialize_struct(
            value, "", fields, visitor,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[serde(default)]
        limit: Option<u16>,
        #[serde(default)]
        rules: Vec<Rule>,
        #[serde(default)]
        ratio: Option<f64>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    enum Rule {
        Off,
        Remove,
        Set(String),
        Window { seconds: std::num::NonZeroU32 },
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
