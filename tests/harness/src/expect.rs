//! What must come of an exchange, and whether it did.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::Deserialize;
use serde_json::Value;

use crate::response::latin1;

/// The part `expect:` of a scenario. What is not named is not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectations {
    pub status: Option<u16>,
    /// Headers of the request as the upstream receives it.
    pub upstream: Option<BTreeMap<String, Value>>,
    /// The upstream receives nothing.
    pub refused: bool,
    /// Headers of the response as the client receives it.
    pub response: BTreeMap<String, Value>,
    /// The response's body.
    pub body: Option<Value>,
    /// By how much counters grew, by their names with labels.
    pub metrics: BTreeMap<String, u64>,
}

type Line = (Vec<u8>, Vec<u8>);

/// What happened.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub status: u16,
    /// The header lines that the upstream received; `None` if the request did not reach it.
    pub upstream: Option<Vec<Line>>,
    pub response: Vec<Line>,
    /// `None` where the runner does not know the body.
    pub body: Option<Vec<u8>>,
}

impl Expectations {
    /// Panics, with all that happened, at the first expectation that is not met. `grown` tells by how much a counter
    /// grew.
    #[track_caller]
    pub fn check(&self, outcome: &Outcome, mut grown: impl FnMut(&str) -> u64) {
        let mut names = Names::default();
        let mut failures = Vec::new();
        if let Some(status) = self.status
            && status != outcome.status
        {
            failures.push(format!("status {}, not {status}", outcome.status));
        }
        match (&outcome.upstream, self.refused) {
            (Some(_), true) => failures.push("the upstream received the request".to_owned()),
            (None, false) => failures.push("the upstream received nothing".to_owned()),
            _ => {}
        }
        let upstream = outcome.upstream.as_deref().unwrap_or_default();
        for (name, expected) in self.upstream.iter().flatten() {
            failures.extend(names.lines("upstream", name, expected, upstream));
        }
        for (name, expected) in &self.response {
            failures.extend(names.lines("response", name, expected, &outcome.response));
        }
        if let (Some(expected), Some(body)) = (&self.body, &outcome.body) {
            failures.extend(
                names
                    .value(expected, &latin1(body))
                    .map(|why| format!("body: {why}")),
            );
        }
        for (name, expected) in &self.metrics {
            let grown = grown(name);
            if grown != *expected {
                failures.push(format!("{name} grew by {grown}, not by {expected}"));
            }
        }
        assert!(failures.is_empty(), "{}\n\n{outcome}", failures.join("\n"));
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (title, lines) in [
            ("upstream", self.upstream.as_deref().unwrap_or_default()),
            ("response", &self.response),
        ] {
            writeln!(f, "--- {title}")?;
            for (name, value) in lines {
                writeln!(f, "{}: {}", latin1(name), latin1(value))?;
            }
        }
        writeln!(
            f,
            "--- body\n{}",
            latin1(self.body.as_deref().unwrap_or_default())
        )
    }
}

/// Values that expectations gave a name.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    /// Why the lines of that name are not what is expected; `None` if they are.
    fn lines(&mut self, at: &str, name: &str, expected: &Value, lines: &[Line]) -> Option<String> {
        let found: Vec<String> = lines
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| latin1(value))
            .collect();
        let expected = match expected {
            Value::Null => &[],
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        if expected.len() != found.len() {
            return Some(format!(
                "{at} {name}: {found:?}, not {}",
                Value::from(expected)
            ));
        }
        let why = expected
            .iter()
            .zip(&found)
            .find_map(|(expected, found)| self.value(expected, found))?;
        Some(format!("{at} {name}: {why}"))
    }

    /// Why one value is not what is expected.
    fn value(&mut self, expected: &Value, found: &str) -> Option<String> {
        let rules = match expected {
            Value::String(text) => {
                return (text != found).then(|| format!("{found:?}, not {text:?}"));
            }
            Value::Object(map) if !map.is_empty() => map,
            _ => panic!("{expected} is neither text nor a map of {RULES:?}"),
        };
        for (rule, value) in rules {
            let known = RULES.contains(&rule.as_str()) && value.is_string();
            assert!(
                known,
                "`{rule}: {value}` is none of the rules {RULES:?}, or not text"
            );
        }
        let rule = |name: &str| rules.get(name).and_then(Value::as_str);

        let mut kept = found.to_owned();
        if let Some(pattern) = rule("matches") {
            match capture(pattern, found) {
                Some(captured) => kept = captured,
                None => return Some(format!("{found:?} does not match {pattern}")),
            }
        }
        if let Some(text) = rule("without")
            && found.contains(text)
        {
            return Some(format!("{found:?} has {text:?} in it"));
        }
        if let Some(name) = rule("same_as") {
            let named = self
                .0
                .get(name)
                .unwrap_or_else(|| panic!("no value was named {name} before"));
            if *named != kept {
                return Some(format!("{kept:?}, not {name}, which is {named:?}"));
            }
        }
        if let Some(name) = rule("as") {
            self.0.insert(name.to_owned(), kept);
        }
        None
    }
}

/// What an expected value that is not plain text can ask.
const RULES: [&str; 4] = ["matches", "without", "same_as", "as"];

/// The first group of the expression, or all; `None` if it does not match the whole value.
fn capture(pattern: &str, found: &str) -> Option<String> {
    let regex = Regex::new(&format!("^(?:{pattern})$"))
        .unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let captures = regex.captures(found)?;
    captures
        .get(1)
        .or(captures.get(0))
        .map(|kept| kept.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(expected: Value) {
        let line = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
        let outcome = Outcome {
            status: 200,
            upstream: Some(vec![line("X-Id", b"abc")]),
            response: vec![line("a", b"1"), line("A", b"\xff"), line("id", b"abc")],
            body: Some(b"text".to_vec()),
        };
        let expected: Expectations = serde_json::from_value(expected).unwrap();
        expected.check(&outcome, |_| 1);
    }

    #[test]
    fn what_is_as_expected_passes() {
        check(json!({
            "status": 200,
            "upstream": {"x-id": {"matches": "[a-c]+", "as": "id"}, "x": null},
            "response": {"a": ["1", "\u{ff}"], "id": {"same_as": "id"}, "b": null},
            "body": "text",
            "metrics": {"counter": 1},
        }));
    }

    #[test]
    fn whatever_is_not_as_expected_fails() {
        for wrong in [
            json!({"status": 201}),
            json!({"refused": true}),
            json!({"upstream": {"x-id": null}}),
            json!({"upstream": {"x-id": {"matches": "[a-b]+"}}}),
            json!({"response": {"a": "1"}}),
            json!({"response": {"a": ["\u{ff}", "1"]}}),
            json!({"upstream": {"x-id": {"matches": "(a)bc", "as": "id"}}, "response": {"id": {"same_as": "id"}}}),
            json!({"upstream": {"x-id": {"without": "b"}}}),
            json!({"body": "tex"}),
            json!({"metrics": {"counter": 0}}),
        ] {
            let shown = wrong.to_string();
            assert!(
                std::panic::catch_unwind(|| check(wrong)).is_err(),
                "{shown} passed"
            );
        }
    }
}
