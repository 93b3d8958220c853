//! What a plain scalar means to who reads it, and a tree as the value a plugin gets.

use saphyr_parser::ScalarStyle;
use serde_json::{Map, Number, Value};

use super::node::{Entry, Kind, Node, Scalar};

/// Who reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Envoy's YAML reader: `yes`, `on`, `y` are booleans, fractions and whole numbers beyond 32 bits become strings.
    /// Seen on Envoy 1.40 by the `node.metadata` that `/server_info` shows.
    Envoy,
    /// Kubernetes' YAML reader (YAML 1.1): the same booleans, true numbers, and `<<` merges.
    Kubernetes,
    Json,
}

/// The value a plugin gets.
pub fn to_value(node: &Node, dialect: Dialect) -> Value {
    match &node.kind {
        Kind::Scalar(scalar) => meaning(scalar, dialect),
        Kind::List(items) => {
            Value::Array(items.iter().map(|item| to_value(item, dialect)).collect())
        }
        Kind::Map(entries) => Value::Object(object(entries, dialect)),
    }
}

fn object(entries: &[Entry], dialect: Dialect) -> Map<String, Value> {
    let mut map = Map::new();
    for entry in entries {
        if dialect == Dialect::Kubernetes && entry.key == "<<" {
            for (key, value) in merged(&entry.value, dialect) {
                map.entry(key).or_insert(value);
            }
        } else {
            map.insert(entry.key.clone(), to_value(&entry.value, dialect));
        }
    }
    map
}

/// What `<<` brings in: a map, or the maps of a list, the first of which wins.
fn merged(node: &Node, dialect: Dialect) -> Map<String, Value> {
    let mut map = object(node.entries(), dialect);
    for item in node.items() {
        for (key, value) in object(item.entries(), dialect) {
            map.entry(key).or_insert(value);
        }
    }
    map
}

fn meaning(scalar: &Scalar, dialect: Dialect) -> Value {
    let text = scalar.text.as_str();
    if scalar.style != ScalarStyle::Plain {
        return Value::from(text);
    }
    match dialect {
        Dialect::Json => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        Dialect::Envoy => envoy(text),
        // Here `!!str` keeps its text; Envoy's reader passes such tags over.
        Dialect::Kubernetes if scalar.tagged => Value::from(text),
        Dialect::Kubernetes => kubernetes(text),
    }
}

fn envoy(text: &str) -> Value {
    if is_null(text) {
        return Value::Null;
    }
    if let Some(value) = boolean(text) {
        return Value::Bool(value);
    }
    match integer(text) {
        Some(number) if i32::try_from(number).is_ok() => Value::from(number),
        Some(number) => Value::from(number.to_string()),
        None => Value::from(text),
    }
}

fn kubernetes(text: &str) -> Value {
    if is_null(text) {
        return Value::Null;
    }
    if let Some(value) = boolean(text) {
        return Value::Bool(value);
    }
    if let Some(number) = integer(&text.replace('_', "")) {
        return Value::from(number);
    }
    let numeric = text.bytes().any(|byte| byte.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    match numeric.then(|| text.parse().ok().and_then(Number::from_f64)) {
        Some(Some(number)) => Value::Number(number),
        _ => Value::from(text),
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// YAML 1.1's booleans, in lower case, upper case or with a capital.
pub fn boolean(text: &str) -> Option<bool> {
    let (first, rest) = text.split_at_checked(1)?;
    let lower = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
    let upper = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase());
    if !(lower(text) || upper(text) || (upper(first) && lower(rest))) {
        return None;
    }
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

/// A whole number as C writes it: decimal, `0x` hexadecimal, `0` octal, with a sign.
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hexadecimal) => (hexadecimal, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use serde_json::json;

    fn value(text: &str, dialect: Dialect) -> Value {
        to_value(&read(text).unwrap()[0], dialect)
    }

    const WRITTEN: &str = "
f1: 0.25
i1: 63072000
hex: 0x1F
oct: 010
oct2: 0o17
plus: +5
us: 1_000
exp: 1e3
yes1: yes
YES: YES
y: y
N: N
off: Off
oFF: oFF
n1: ~
n3:
n4: NULL
n5: nUll
q: \"yes\"
q2: \"5\"
lit: |
  5
tagged: !!str 5
nan: .nan
ts: 2001-12-14
neg: -3
over: 2147483648
dot: .5
5: intkey
anch: &m {a: 1, b: 2}
mk:
  <<: *m
  b: 3
";

    #[test]
    fn envoys_reader_is_mirrored() {
        // What Envoy 1.40 shows of this very text in /server_info.
        assert_eq!(
            value(WRITTEN, Dialect::Envoy),
            json!({
                "f1": "0.25", "i1": 63072000, "hex": 31, "oct": 8, "oct2": "0o17", "plus": 5, "us": "1_000",
                "exp": "1e3", "yes1": true, "YES": true, "y": true, "N": false, "off": false, "oFF": "oFF",
                "n1": null, "n3": null, "n4": null, "n5": "nUll", "q": "yes", "q2": "5", "lit": "5\n", "tagged": 5,
                "nan": ".nan", "ts": "2001-12-14", "neg": -3, "over": "2147483648", "dot": ".5", "5": "intkey",
                "anch": {"a": 1, "b": 2}, "mk": {"<<": {"a": 1, "b": 2}, "b": 3}
            })
        );
    }

    #[test]
    fn kubernetes_reader_keeps_numbers_and_merges() {
        let value = value(WRITTEN, Dialect::Kubernetes);
        for (key, wanted) in [
            ("f1", json!(0.25)),
            ("over", json!(2147483648_u64)),
            ("us", json!(1000)),
            ("exp", json!(1000.0)),
            ("tagged", json!("5")),
            ("off", json!(false)),
            ("ts", json!("2001-12-14")),
            ("mk", json!({"a": 1, "b": 3})),
        ] {
            assert_eq!(value[key], wanted, "{key}");
        }
    }

    #[test]
    fn in_json_only_json_words_have_a_meaning() {
        assert_eq!(
            value(
                r#"{"a": true, "b": 0.25, "c": null, "d": "off"}"#,
                Dialect::Json
            ),
            json!({"a": true, "b": 0.25, "c": null, "d": "off"})
        );
    }
}
