//! A plugin's settings in the two forms in which Envoy hands them over.

use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Value};

/// How a user wrote a plugin's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `google.protobuf.Struct`, which is YAML in an Envoy configuration: raw protobuf.
    Struct,
    /// `google.protobuf.StringValue` with JSON in it: its text.
    Json,
}

impl Form {
    pub const BOTH: [Self; 2] = [Self::Struct, Self::Json];

    /// The bytes that a plugin reads.
    ///
    /// # Panics
    /// If the settings are no JSON object: neither form could say anything else.
    pub fn encode(self, settings: &Value) -> Vec<u8> {
        let Value::Object(members) = settings else {
            panic!("settings are a JSON object: {settings}")
        };
        match self {
            Self::Struct => message(members).encode_to_vec(),
            Self::Json => settings.to_string().into_bytes(),
        }
    }
}

fn message(members: &Map<String, Value>) -> Struct {
    let fields = members
        .iter()
        .map(|(key, value)| (key.clone(), encode(value)));
    Struct {
        fields: fields.collect(),
    }
}

fn encode(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().expect("a finite number")),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue {
            values: items.iter().map(encode).collect(),
        }),
        Value::Object(members) => Kind::StructValue(message(members)),
    };
    prost_types::Value { kind: Some(kind) }
}
