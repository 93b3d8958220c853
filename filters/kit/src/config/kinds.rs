//! The kinds of value that settings are made of: text, numbers, lists, maps.

use std::borrow::Cow;
use std::num::NonZeroU32;

use serde_json::{Number, Value};

use super::misread::{Misread, describe};
use super::number_text;
use super::setting::{Read, Setting};
use crate::table::Table;

impl Read for String {
    fn read(&mut self, value: &Value) -> Result<(), Misread> {
        match value {
            Value::String(text) => {
                self.clone_from(text);
                Ok(())
            }
            other => Err(Misread::wrong_type(other, "a string")),
        }
    }
}

impl Setting for String {
    fn blank() -> Self {
        Self::new()
    }
}

impl Read for bool {
    fn read(&mut self, value: &Value) -> Result<(), Misread> {
        match value {
            Value::Bool(truth) => {
                *self = *truth;
                Ok(())
            }
            other => Err(Misread::wrong_type(other, "a boolean")),
        }
    }
}

impl Setting for bool {
    fn blank() -> Self {
        false
    }
}

impl Read for f64 {
    fn read(&mut self, value: &Value) -> Result<(), Misread> {
        match numeric(value).and_then(|number| number.as_f64()) {
            Some(number) => {
                *self = number;
                Ok(())
            }
            None => Err(Misread::wrong_type(value, "a number")),
        }
    }
}

impl Setting for f64 {
    fn blank() -> Self {
        0.0
    }
}

macro_rules! whole_numbers {
    ($($number:ty: $blank:expr, $allowed:literal;)*) => {$(
        impl Read for $number {
            fn read(&mut self, value: &Value) -> Result<(), Misread> {
                const ALLOWED: &str = concat!("a whole number, ", $allowed);
                match <$number>::try_from(whole(value, ALLOWED)?) {
                    Ok(number) => {
                        *self = number;
                        Ok(())
                    }
                    Err(_) => Err(too_large(value, ALLOWED)),
                }
            }
        }

        impl Setting for $number {
            fn blank() -> Self {
                $blank
            }
        }
    )*};
}

whole_numbers! {
    u8: 0, "0 to 255";
    u16: 0, "0 to 65535";
    u32: 0, "0 to 4294967295";
    u64: 0, "0 or more";
    usize: 0, "0 or more";
}

impl Read for NonZeroU32 {
    fn read(&mut self, value: &Value) -> Result<(), Misread> {
        const ALLOWED: &str = "a whole number, 1 to 4294967295";
        match u32::try_from(whole(value, ALLOWED)?).map(Self::new) {
            Ok(Some(number)) => {
                *self = number;
                Ok(())
            }
            _ => Err(too_large(value, ALLOWED)),
        }
    }
}

impl Setting for NonZeroU32 {
    fn blank() -> Self {
        Self::MIN
    }
}

impl<T: Setting> Read for Option<T> {
    fn read(&mut self, value: &Value) -> Result<(), Misread> {
        *self = None;
        match value {
            Value::Null => Ok(()),
            value => self.insert(T::blank()).read(value),
        }
    }
}

impl<T: Setting> Setting for Option<T> {
    const OPTIONAL: bool = true;

    fn blank() -> Self {
        None
    }
}

impl<T: Setting> Read for Box<T> {
    fn read(&mut self, value: &Value) -> Result<(), Misread> {
        T::read(self, value)
    }
}

impl<T: Setting> Setting for Box<T> {
    const OPTIONAL: bool = T::OPTIONAL;

    fn blank() -> Self {
        Self::new(T::blank())
    }
}

/// What takes in one value after the other.
trait Many {
    /// A place for the next one.
    fn next(&mut self, key: &str) -> Option<&mut dyn Read>;
}

impl<T: Setting> Many for Vec<T> {
    fn next(&mut self, _: &str) -> Option<&mut dyn Read> {
        self.push(T::blank());
        self.last_mut().map(|place| place as &mut dyn Read)
    }
}

impl<T: Setting> Read for Vec<T> {
    fn read(&mut self, value: &Value) -> Result<(), Misread> {
        self.clear();
        list(self, value)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn blank() -> Self {
        Self::new()
    }
}

impl<T: Setting> Many for Table<String, T> {
    fn next(&mut self, key: &str) -> Option<&mut dyn Read> {
        let place = Table::next(self, key.to_owned(), T::blank());
        place.map(|place| place as &mut dyn Read)
    }
}

impl<T: Setting> Read for Table<String, T> {
    fn read(&mut self, value: &Value) -> Result<(), Misread> {
        self.clear();
        map(self, value)
    }
}

impl<T: Setting> Setting for Table<String, T> {
    fn blank() -> Self {
        Self::new()
    }
}

#[inline(never)]
fn list(into: &mut dyn Many, value: &Value) -> Result<(), Misread> {
    let Value::Array(items) = value else {
        return Err(Misread::wrong_type(value, "a list"));
    };
    for (at, item) in items.iter().enumerate() {
        if let Some(place) = into.next("") {
            place.read(item).map_err(|error| error.inside_index(at))?;
        }
    }
    Ok(())
}

#[inline(never)]
fn map(into: &mut dyn Many, value: &Value) -> Result<(), Misread> {
    let Value::Object(members) = value else {
        return Err(Misread::wrong_type(value, "a map"));
    };
    for (key, item) in members {
        if let Some(place) = into.next(key) {
            place.read(item).map_err(|error| error.inside_key(key))?;
        }
    }
    Ok(())
}

/// A number, or its text: Envoy's YAML reader hands fractions (`0.25`) and whole numbers beyond 32 bits over as strings.
fn numeric(value: &Value) -> Option<Cow<'_, Number>> {
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

/// A whole number that is not negative, whether it came as `5` or, out of a protobuf Struct or YAML, as `5.0`.
#[inline(never)]
fn whole(value: &Value, allowed: &str) -> Result<u64, Misread> {
    let Some(number) = numeric(value) else {
        return Err(Misread::wrong_type(value, allowed));
    };
    if let Some(value) = number.as_u64() {
        return Ok(value);
    }
    let value = number.as_f64().unwrap_or_default();
    // Beyond 2^53 an f64 no longer names one whole number.
    let exact = value.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&value);
    match exact {
        true => Ok(value as u64),
        false => Err(Misread::out_of_range(number_text(&number), allowed)),
    }
}

#[cold]
#[inline(never)]
fn too_large(value: &Value, allowed: &str) -> Misread {
    let found = numeric(value).map_or_else(|| describe(value), |number| number_text(&number));
    Misread::out_of_range(found, allowed)
}
