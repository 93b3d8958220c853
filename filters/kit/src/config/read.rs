//! From the bytes the host hands over to one value.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, DeserializeSeed};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::error::{ConfigError, Mistake};
use super::path::{Path, Segment};
use super::protobuf;

/// Reads a plugin configuration: `google.protobuf.Struct` arrives as raw protobuf bytes, `StringValue` as its text,
/// which must be JSON. No configuration at all means no settings.
#[inline(never)]
pub fn read(bytes: &[u8]) -> Result<Value, ConfigError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    // A Struct starts with the tag of its first field, 0x0a. That is a line feed too, so JSON text gets its turn.
    if bytes.first() == Some(&0x0a)
        && let Some(decoded) = protobuf::decode(bytes)
    {
        return Ok(decoded);
    }
    json(bytes)
}

/// Any JSON text as one value; none where it is not JSON, nests deeper than 128, or gives a name twice.
#[inline(never)]
pub fn parse(bytes: &[u8]) -> Option<Value> {
    json(bytes).ok()
}

/// SHA-256 of the configuration as it arrived, in hex: names a configuration in logs without showing it.
#[inline(never)]
pub fn fingerprint(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}

fn json(bytes: &[u8]) -> Result<Value, ConfigError> {
    let found = Found::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict(&found)
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    match (found.twice.into_inner(), value) {
        (Some(error), _) => Err(error),
        (None, Ok(value)) => Ok(value),
        (None, Err(error)) => Err(ConfigError::new(
            Path::top(),
            Mistake::Syntax {
                line: error.line(),
                column: error.column(),
                problem: problem(&error),
            },
        )),
    }
}

/// serde_json's words, without the position it appends.
fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    format!(
        "{}; the configuration is neither a google.protobuf.Struct nor JSON text",
        text.strip_suffix(&position).unwrap_or(&text)
    )
}

/// serde_json keeps the last of two equal keys; a user who wrote both meant something.
#[derive(Default)]
struct Found {
    path: RefCell<Path>,
    twice: RefCell<Option<ConfigError>>,
}

struct Strict<'a>(&'a Found);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            self.0.path.borrow_mut().push(Segment::Index(list.len()));
            let item = items.next_element_seed(Strict(self.0))?;
            self.0.path.borrow_mut().pop();
            match item {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                let path = self.0.path.borrow().clone();
                *self.0.twice.borrow_mut() =
                    Some(ConfigError::new(path, Mistake::Duplicate { name: key }));
                return Err(de::Error::custom("a key is given twice"));
            }
            self.0.path.borrow_mut().push(Segment::Key(key.clone()));
            let value = entries.next_value_seed(Strict(self.0))?;
            self.0.path.borrow_mut().pop();
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use prost_types::value::Kind;
    use serde_json::json;

    fn as_struct(value: &Value) -> prost_types::Value {
        let kind = match value {
            Value::Null => Kind::NullValue(0),
            Value::Bool(value) => Kind::BoolValue(*value),
            Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
            Value::String(text) => Kind::StringValue(text.clone()),
            Value::Array(items) => Kind::ListValue(prost_types::ListValue {
                values: items.iter().map(as_struct).collect(),
            }),
            Value::Object(map) => Kind::StructValue(prost_types::Struct {
                fields: map.iter().map(|(k, v)| (k.clone(), as_struct(v))).collect(),
            }),
        };
        prost_types::Value { kind: Some(kind) }
    }

    #[test]
    fn a_struct_and_its_json_text_read_as_the_same_settings() {
        let settings = json!({
            "preset": "api", "n": 63072000, "ratio": 0.25, "flag": false, "none": null,
            "list": [1, "two", {"three": []}], "a.b": {"c": -7}
        });
        let Some(Kind::StructValue(message)) = as_struct(&settings).kind else {
            panic!("an object")
        };
        assert_eq!(read(&message.encode_to_vec()).unwrap(), settings);
        assert_eq!(read(settings.to_string().as_bytes()).unwrap(), settings);
        let pretty = format!("\n{}", serde_json::to_string_pretty(&settings).unwrap());
        assert_eq!(read(pretty.as_bytes()).unwrap(), settings);
    }

    #[test]
    fn text_that_means_no_one_thing_is_no_value() {
        assert_eq!(
            parse(br#" {"a": [1, null]} "#),
            Some(json!({"a": [1, null]}))
        );
        let deep = "[".repeat(200) + &"]".repeat(200);
        for text in [
            "",
            "{",
            "{} x",
            r#"{"a": 1, "a": 1}"#,
            "[1e999]",
            deep.as_str(),
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"\"\xff\""), None);
    }

    #[test]
    fn no_configuration_means_no_settings() {
        for nothing in ["", " \n"] {
            assert_eq!(read(nothing.as_bytes()).unwrap(), json!({}));
        }
    }

    #[test]
    fn a_key_given_twice_is_refused_with_its_path() {
        let error = read(br#"{"a": {"list": [1, {"x": 1, "x": 2}]}}"#).unwrap_err();
        assert_eq!(error.to_string(), "a.list[1]: `x` is given twice; keep one");
    }

    #[test]
    fn what_is_neither_form_is_refused_with_its_position() {
        let error = read(b"{\n  \"a\": }").unwrap_err().to_string();
        assert!(
            error.starts_with("the top level: line 2, column 8: expected value"),
            "{error}"
        );
        assert!(read(b"\x0a\xff\xff\xff").is_err());
        assert!(read(b"preset: api").is_err());
        assert!(
            read(&b"[".repeat(100_000)).is_err(),
            "too deep is refused, not a trap"
        );
    }

    #[test]
    fn a_deeply_nested_struct_is_refused_not_a_trap() {
        let mut value = prost_types::Value {
            kind: Some(Kind::NullValue(0)),
        };
        for _ in 0..500 {
            value = prost_types::Value {
                kind: Some(Kind::ListValue(prost_types::ListValue {
                    values: vec![value],
                })),
            };
        }
        let message = prost_types::Struct {
            fields: [("a".to_owned(), value)].into(),
        };
        assert!(read(&message.encode_to_vec()).is_err());
    }

    #[test]
    fn a_fingerprint_is_the_sha_256_of_the_bytes() {
        assert_eq!(
            fingerprint(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
