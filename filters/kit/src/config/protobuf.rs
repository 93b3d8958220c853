//! `google.protobuf.Struct` from its wire form (<https://protobuf.dev/programming-guides/encoding/>).
//!
//! Three message types and five field kinds: written here because a protobuf library costs each wasm module more than
//! all of it. The tests encode with one.

use serde_json::{Map, Value};

/// Deeper settings than this are a mistake; the reader recurses.
const MAX_DEPTH: u32 = 64;

/// The Struct that these bytes are, or `None` if they are not exactly one.
pub fn decode(bytes: &[u8]) -> Option<Value> {
    structure(bytes, MAX_DEPTH)
}

/// Wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;

struct Reader<'a>(&'a [u8]);

enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

impl<'a> Reader<'a> {
    /// The next field's number and content; the outer `None` is malformed, the inner one the end.
    fn next(&mut self) -> Option<Option<(u64, Field<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            VARINT => Field::Varint(self.varint()?),
            FIXED64 => {
                let (head, rest) = self.0.split_first_chunk::<8>()?;
                self.0 = rest;
                Field::Fixed64(u64::from_le_bytes(*head))
            }
            LENGTH => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (head, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Field::Bytes(head)
            }
            _ => return None,
        };
        Some(Some((tag >> 3, field)))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// `message Struct { map<string, Value> fields = 1; }`
fn structure(bytes: &[u8], depth: u32) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let mut reader = Reader(bytes);
    let mut map = Map::new();
    while let Some(field) = reader.next()? {
        let (1, Field::Bytes(entry)) = field else {
            return None;
        };
        let (key, value) = entry_of(entry, depth)?;
        map.insert(key, value);
    }
    Some(Value::Object(map))
}

/// A map entry: `string key = 1; Value value = 2;`
fn entry_of(bytes: &[u8], depth: u32) -> Option<(String, Value)> {
    let mut reader = Reader(bytes);
    let (mut key, mut value) = (String::new(), Value::Null);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(text)) => key = String::from_utf8(text.to_vec()).ok()?,
            (2, Field::Bytes(inner)) => value = plain(inner, depth)?,
            _ => return None,
        }
    }
    Some((key, value))
}

/// `message Value { oneof kind { null = 1; double number = 2; string = 3; bool = 4; Struct = 5; ListValue = 6; } }`
fn plain(bytes: &[u8], depth: u32) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let mut reader = Reader(bytes);
    let mut value = Value::Null;
    while let Some(field) = reader.next()? {
        value = match field {
            (1, Field::Varint(_)) => Value::Null,
            (2, Field::Fixed64(bits)) => number(f64::from_bits(bits)),
            (3, Field::Bytes(text)) => Value::String(String::from_utf8(text.to_vec()).ok()?),
            (4, Field::Varint(truth)) => Value::Bool(truth != 0),
            (5, Field::Bytes(inner)) => structure(inner, depth)?,
            (6, Field::Bytes(inner)) => list(inner, depth)?,
            _ => return None,
        };
    }
    Some(value)
}

/// `message ListValue { repeated Value values = 1; }`
fn list(bytes: &[u8], depth: u32) -> Option<Value> {
    let mut reader = Reader(bytes);
    let mut items = Vec::new();
    while let Some(field) = reader.next()? {
        let (1, Field::Bytes(item)) = field else {
            return None;
        };
        items.push(plain(item, depth)?);
    }
    Some(Value::Array(items))
}

/// A Struct knows only f64: a whole one is what the user wrote without a point.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}
