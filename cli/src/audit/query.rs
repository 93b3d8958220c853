//! Which records are asked for.

use std::fmt;

use serde_json::Value;

use super::reading::Reading;
use super::when;

/// All that is given must match.
#[derive(Debug, Default)]
pub struct Query {
    since: Option<i128>,
    until: Option<i128>,
    actor: Option<String>,
    status: Option<Status>,
    event: Option<String>,
    outcome: Option<String>,
    emitter: Option<String>,
    request_id: Option<String>,
    method: Option<String>,
    path: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Status {
    Code(u64),
    Class(u64),
}

/// A condition that is none.
#[derive(Debug)]
pub enum Malformed {
    Time(String),
    Status(String),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(text) => write!(
                f,
                "{text} is no time: write 2026-11-21T14:00:00Z, 2026-11-21 or seconds since 1970"
            ),
            Self::Status(text) => write!(f, "{text} is no status: write 403, or 4xx for a class"),
        }
    }
}

impl Query {
    /// Adds the condition of an option. False if there is no such option.
    pub fn add(&mut self, option: &str, value: String) -> Result<bool, Malformed> {
        let time = |text: String| when::parse(&text).ok_or(Malformed::Time(text));
        match option {
            "since" => self.since = Some(time(value)?),
            "until" => self.until = Some(time(value)?),
            "status" => self.status = Some(status(value)?),
            "actor" => self.actor = Some(value),
            "event" => self.event = Some(value),
            "outcome" => self.outcome = Some(value),
            "emitter" => self.emitter = Some(value),
            "request-id" => self.request_id = Some(value),
            "method" => self.method = Some(value),
            "path" => self.path = Some(value),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether that is an option of this.
    pub fn knows(option: &str) -> bool {
        [
            "since",
            "until",
            "status",
            "actor",
            "event",
            "outcome",
            "emitter",
            "request-id",
            "method",
            "path",
        ]
        .contains(&option)
    }

    /// A record that does not say what is asked for does not match.
    pub fn matches(&self, record: &Value) -> bool {
        let reading = Reading(record);
        let is = |wanted: &Option<String>, found: Option<&str>| match wanted {
            Some(wanted) => found == Some(wanted.as_str()),
            None => true,
        };
        let begins = |wanted: &Option<String>, found: Option<&str>| match wanted {
            Some(wanted) => found.is_some_and(|found| found.starts_with(wanted.as_str())),
            None => true,
        };
        let time = || reading.time();
        self.since
            .is_none_or(|since| time().is_some_and(|time| time >= since))
            && self
                .until
                .is_none_or(|until| time().is_some_and(|time| time < until))
            && self
                .status
                .is_none_or(|status| match (status, reading.status()) {
                    (Status::Code(code), Some(found)) => code == found,
                    (Status::Class(class), Some(found)) => class == found / 100,
                    (_, None) => false,
                })
            && self
                .actor
                .as_ref()
                .is_none_or(|actor| reading.actors().any(|found| found == actor))
            && is(&self.event, reading.kind())
            && is(&self.outcome, reading.outcome())
            && begins(&self.emitter, reading.emitter())
            && is(&self.request_id, reading.request_id())
            && is(&self.method, reading.method())
            && begins(&self.path, reading.path())
    }
}

fn status(text: String) -> Result<Status, Malformed> {
    let class = text.strip_suffix("xx").and_then(|class| class.parse().ok());
    let status = match class {
        Some(class @ 1..=5) => Some(Status::Class(class)),
        Some(_) => None,
        None => text
            .parse()
            .ok()
            .filter(|code| (100..600).contains(code))
            .map(Status::Code),
    };
    status.ok_or(Malformed::Status(text))
}
