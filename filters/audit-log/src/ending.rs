//! How a request ended, and what of it concerns security.

use portcullis_kit::exchange::MalformedIds;

use crate::flags::Flags;
use crate::settings::Stage;

/// What is known of a request's end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    pub stage: Stage,
    /// This filter itself refused the request, because nobody acknowledged its record.
    pub refused: bool,
    pub status: Option<u16>,
    pub flags: Flags,
    /// What rate-limit decided: `allowed`, `denied:<limit>`, …
    pub rate_limit: Option<&'a [u8]>,
    /// What CSRF protection found: `refused_<reason>`, `shadow_<reason>`.
    pub csrf: Option<&'a [u8]>,
    /// Ids that were replaced.
    pub malformed: Option<MalformedIds>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client got what it asked for.
    Success,
    /// It was refused.
    Denied,
    /// It could not be served: the client's mistake, or ours.
    Failure,
    /// The client went away.
    Aborted,
    /// It goes on.
    Unknown,
}

impl Outcome {
    /// Of ends.
    pub const ALL: [Self; 4] = [Self::Success, Self::Denied, Self::Failure, Self::Aborted];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
            Self::Failure => "failure",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
        }
    }
}

/// What a record says of a request's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    pub outcome: Outcome,
    /// `access`, `authentication`, `authorization`, `csrf`, `rate_limit`, `protocol`, `client`, `upstream`, `server` or
    /// `audit`.
    pub category: &'static str,
    /// The name of a security event.
    pub event: Option<&'static str>,
}

impl Ending {
    #[inline]
    pub fn of(facts: Facts<'_>) -> Self {
        let ending = |outcome, category, event| Self {
            outcome,
            category,
            event,
        };
        let starts =
            |text: Option<&[u8]>, with: &[u8]| text.is_some_and(|text| text.starts_with(with));
        let status = facts.status.unwrap_or(0);
        // What an end alone would not be.
        let ids = facts.malformed.map(|malformed| match malformed {
            MalformedIds::TraceContext => "trace_context.malformed",
            MalformedIds::RequestId | MalformedIds::Both => "request_id.malformed",
        });
        let is = |flags| facts.flags.intersects(flags);
        if facts.stage == Stage::RequestReceived {
            return ending(Outcome::Unknown, "access", None);
        }
        if facts.refused {
            return ending(Outcome::Denied, "audit", Some("audit.refused"));
        }
        if starts(facts.csrf, b"refused_") {
            return ending(Outcome::Denied, "csrf", Some("csrf.refused"));
        }
        if starts(facts.rate_limit, b"denied") || status == 429 || is(Flags::RATE_LIMITED) {
            return ending(Outcome::Denied, "rate_limit", Some("rate_limit.denied"));
        }
        if status == 401 {
            return ending(
                Outcome::Denied,
                "authentication",
                Some("authentication.failed"),
            );
        }
        if status == 403 || is(Flags::UNAUTHORIZED) {
            return ending(
                Outcome::Denied,
                "authorization",
                Some("authorization.denied"),
            );
        }
        if is(Flags::MALFORMED) {
            return ending(Outcome::Failure, "protocol", Some("request.malformed"));
        }
        if is(Flags::CLIENT_LEFT) {
            return ending(Outcome::Aborted, "client", ids);
        }
        if is(Flags::UPSTREAM) {
            return ending(Outcome::Failure, "upstream", ids);
        }
        match status {
            0 => ending(Outcome::Aborted, "client", ids),
            500.. => ending(Outcome::Failure, "server", ids),
            400.. => ending(Outcome::Failure, "client", ids),
            _ => {
                let event = if starts(facts.rate_limit, b"shadow_denied") {
                    Some("rate_limit.shadow_denied")
                } else if starts(facts.csrf, b"shadow_") {
                    Some("csrf.shadow_refused")
                } else {
                    ids
                };
                ending(Outcome::Success, "access", event)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_end_has_its_outcome_category_and_event() {
        let flags = |names: &[&str]| {
            names.iter().fold(Flags::NONE, |all, name| {
                all.and(Flags::named(name).unwrap())
            })
        };
        let row = |status: u16, names: &[&str], rate_limit: &'static str, csrf: &'static str| {
            let some = |text: &'static str| (!text.is_empty()).then_some(text.as_bytes());
            let ending = Ending::of(Facts {
                status: (status != 0).then_some(status),
                flags: flags(names),
                rate_limit: some(rate_limit),
                csrf: some(csrf),
                ..Facts::default()
            });
            (
                ending.outcome.name(),
                ending.category,
                ending.event.unwrap_or(""),
            )
        };
        for (got, expected) in [
            (row(200, &[], "allowed", ""), ("success", "access", "")),
            (row(302, &[], "", ""), ("success", "access", "")),
            (
                row(200, &[], "shadow_denied:minute", ""),
                ("success", "access", "rate_limit.shadow_denied"),
            ),
            (
                row(200, &[], "", "shadow_origin"),
                ("success", "access", "csrf.shadow_refused"),
            ),
            (
                row(429, &[], "denied:minute", ""),
                ("denied", "rate_limit", "rate_limit.denied"),
            ),
            (
                row(429, &[], "", ""),
                ("denied", "rate_limit", "rate_limit.denied"),
            ),
            (
                row(403, &[], "", "refused_origin"),
                ("denied", "csrf", "csrf.refused"),
            ),
            (
                row(403, &["UAEX"], "", ""),
                ("denied", "authorization", "authorization.denied"),
            ),
            (
                row(401, &[], "", ""),
                ("denied", "authentication", "authentication.failed"),
            ),
            (
                row(400, &["DPE"], "", ""),
                ("failure", "protocol", "request.malformed"),
            ),
            (row(404, &["NR"], "", ""), ("failure", "client", "")),
            (row(503, &["UF"], "", ""), ("failure", "upstream", "")),
            (row(500, &[], "", ""), ("failure", "server", "")),
            (row(0, &["DC"], "", ""), ("aborted", "client", "")),
            (row(200, &["DC"], "", ""), ("aborted", "client", "")),
            (row(0, &[], "", ""), ("aborted", "client", "")),
        ] {
            assert_eq!(got, expected);
        }
    }
    #[test]
    fn malformed_ids_are_an_event_of_what_has_no_other() {
        let event = |status: u16, malformed| {
            let facts = Facts {
                status: Some(status),
                malformed,
                ..Facts::default()
            };
            Ending::of(facts).event
        };
        let [id, trace, both] = MalformedIds::ALL.map(Some);
        assert_eq!(event(200, None), None);
        assert_eq!(event(200, id), Some("request_id.malformed"));
        assert_eq!(event(404, trace), Some("trace_context.malformed"));
        assert_eq!(event(503, both), Some("request_id.malformed"));
        assert_eq!(event(401, both), Some("authentication.failed"));
    }
}
