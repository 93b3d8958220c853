//! One structured log line.

use serde_json::Value;

/// A line of JSON with `event` first and the fields in the order given. Control characters are escaped, so a value
/// cannot start a line of its own.
pub fn log_line(event: &str, fields: &[(&str, Value)]) -> String {
    let mut line = format!("{{\"event\":{}", Value::from(event));
    for (name, value) in fields {
        line.push(',');
        line.push_str(&Value::from(*name).to_string());
        line.push(':');
        line.push_str(&value.to_string());
    }
    line.push('}');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_and_parses() {
        let line = log_line(
            "slow_request",
            &[("id", "a\nb\"".into()), ("ms", 12.into())],
        );
        assert_eq!(line, r#"{"event":"slow_request","id":"a\nb\"","ms":12}"#);
        assert!(serde_json::from_str::<Value>(&line).is_ok());
    }
}
