//! One structured log line.

use serde_json::Value;

/// A JSON string, quotes and escapes included.
pub fn json_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    write_text(&mut quoted, text);
    quoted
}

/// A JSON string added to what is there, escaped as RFC 8259 section 7 asks, in the shortest form.
#[inline(never)]
pub fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut clean = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(text.get(clean..at).unwrap_or_default());
        clean = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x8 => out.push_str("\\b"),
            0xc => out.push_str("\\f"),
            control => {
                out.push_str(if control < 0x10 { "\\u000" } else { "\\u001" });
                out.push(char::from_digit(u32::from(control & 15), 16).unwrap_or('0'));
            }
        }
    }
    out.push_str(text.get(clean..).unwrap_or_default());
    out.push('"');
}

/// A line of JSON with `event` first and the fields in the order given. Control characters are escaped, so a value
/// cannot start a line of its own.
#[inline(never)]
pub fn log_line(event: &str, fields: &[(&str, Value)]) -> String {
    let mut line = String::from("{\"event\":");
    write_text(&mut line, event);
    for (name, value) in fields {
        line.push(',');
        write_text(&mut line, name);
        line.push(':');
        write_json(&mut line, value);
    }
    line.push('}');
    line
}

/// A number in decimal. A fraction keeps six digits: the table for shortest floats is 10 kB of each module, and no
/// number written here is finer.
pub fn number_text(number: &serde_json::Number) -> String {
    if let Some(whole) = number.as_u64() {
        return whole.to_string();
    }
    if let Some(whole) = number.as_i64() {
        return whole.to_string();
    }
    let value = number.as_f64().unwrap_or_default();
    let sign = if value < 0.0 { "-" } else { "" };
    let millionths = (value.abs() * 1e6).round();
    if millionths >= 9e18 {
        return format!("{sign}9e12");
    }
    let millionths = millionths as u64;
    let text = format!(
        "{sign}{}.{:06}",
        millionths / 1_000_000,
        millionths % 1_000_000
    );
    let trimmed = text.trim_end_matches('0');
    trimmed.strip_suffix('.').unwrap_or(trimmed).to_owned()
}

/// Compact JSON. serde_json's own writer is generic over more than is needed here and costs each module 20 kB.
pub fn write_json(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => write_text(out, text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (at, (key, item)) in map.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_text(out, key);
                out.push(':');
                write_json(out, item);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_stays_one_line_and_parses() {
        let line = log_line(
            "slow_request",
            &[("id", "a\nb\"".into()), ("ms", 12.into())],
        );
        assert_eq!(line, r#"{"event":"slow_request","id":"a\nb\"","ms":12}"#);
        assert!(serde_json::from_str::<Value>(&line).is_ok());
    }

    #[test]
    fn the_compact_writer_writes_what_serde_json_writes() {
        let value = json!({"a": [1, -2, 0.5, null, true], "b\u{1}\u{1f}\n\r\t\u{8}\u{c}\u{7f}": {"c": "é\"\\"}, "d": {}, "e": []});
        let mut written = String::new();
        write_json(&mut written, &value);
        assert_eq!(written, value.to_string());
    }
}
