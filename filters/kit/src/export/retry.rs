//! What an answer means, and how long to wait after it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::exchange::CalloutAnswer;
use crate::headers::Headers;

use super::settings;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
/// No sink can silence an exporter for longer.
const MAX_RETRY_AFTER: u64 = 3600 * SECOND;

/// What an answer means for the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Accepted,
    /// No connection, no answer in time, 408, 429, 5xx: the same batch later.
    Retry {
        status: Option<u16>,
        /// Nanoseconds that the sink asked for.
        after: u64,
    },
    /// Any other status: the same batch would be refused again.
    Refused {
        status: u16,
        /// It is the records that the sink refuses (400, 413, 422), and fewer of them may pass.
        content: bool,
    },
}

impl Outcome {
    /// Reads an answer; `wall` is now by the wall clock, nanoseconds since the epoch.
    pub fn of(answer: &CalloutAnswer, wall: u64) -> Self {
        match answer.status() {
            Some(200..=299) => Self::Accepted,
            None => Self::Retry {
                status: None,
                after: 0,
            },
            Some(status @ (408 | 429 | 500..=599)) => Self::Retry {
                status: Some(status),
                after: retry_after(&answer.headers, wall),
            },
            Some(status) => Self::Refused {
                status,
                content: matches!(status, 400 | 413 | 422),
            },
        }
    }
}

/// `Retry-After` in nanoseconds, at most an hour: seconds or an HTTP date (RFC 9110 section 10.2.3). A date counts from the
/// answer's own `Date`, so that the two clocks need not agree.
fn retry_after(headers: &Headers, wall: u64) -> u64 {
    let text = |name| std::str::from_utf8(headers.get(name)?).ok();
    let Some(value) = text("retry-after").map(str::trim) else {
        return 0;
    };
    let wanted = match value.parse::<u64>() {
        Ok(seconds) => seconds.saturating_mul(SECOND),
        Err(_) => {
            let date = |text: &str| httpdate::parse_http_date(text).ok();
            let now = text("date")
                .and_then(date)
                .unwrap_or(UNIX_EPOCH + Duration::from_nanos(wall));
            let wait = |until: SystemTime| until.duration_since(now).unwrap_or_default();
            let wait = date(value).map(wait).unwrap_or_default();
            u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)
        }
    };
    wanted.min(MAX_RETRY_AFTER)
}

/// Nanoseconds to wait after that many failures in a row. `random` takes up to half of it off.
pub fn backoff(retry: &settings::Retry, failures: u32, random: u64) -> u64 {
    let (initial, max) = (u64::from(retry.initial_ms), u64::from(retry.max_ms));
    let doubled = initial.saturating_mul(1 << failures.saturating_sub(1).min(30));
    let half = doubled.min(max).saturating_mul(MILLISECOND) / 2;
    half.saturating_add(random % half.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000 * SECOND;

    fn of(lines: &[(&str, &str)]) -> Outcome {
        let answer = CalloutAnswer {
            headers: Headers::from_lines(lines.iter().copied()),
            body: Vec::new(),
        };
        Outcome::of(&answer, NOW)
    }

    #[test]
    fn only_what_may_pass_later_is_tried_again() {
        for status in ["200", "202", "204"] {
            assert_eq!(of(&[(":status", status)]), Outcome::Accepted);
        }
        for status in [408, 429, 500, 502, 503, 504, 599] {
            let expected = Outcome::Retry {
                status: Some(status),
                after: 0,
            };
            assert_eq!(of(&[(":status", &status.to_string())]), expected);
        }
        let reset = Outcome::Retry {
            status: None,
            after: 0,
        };
        assert_eq!(of(&[]), reset);
        for (status, content) in [
            (301, false),
            (400, true),
            (401, false),
            (404, false),
            (413, true),
            (422, true),
        ] {
            let expected = Outcome::Refused { status, content };
            assert_eq!(of(&[(":status", &status.to_string())]), expected);
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_an_hour() {
        let after = |lines: &[(&str, &str)]| {
            let mut all = vec![(":status", "429")];
            all.extend(lines);
            match of(&all) {
                Outcome::Retry { after, .. } => after / SECOND,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(after(&[("retry-after", "7")]), 7);
        assert_eq!(after(&[("retry-after", "999999999999999999")]), 3600);
        // 1 700 000 000 is Tue, 14 Nov 2023 22:13:20 GMT.
        let date = "Tue, 14 Nov 2023 22:13:50 GMT";
        assert_eq!(after(&[("retry-after", date)]), 30);
        let own = ("date", "Tue, 14 Nov 2023 22:13:45 GMT");
        assert_eq!(after(&[("retry-after", date), own]), 5);
        for nonsense in ["", "-1", "soon", "Tue, 14 Nov 2023 22:13:19 GMT"] {
            assert_eq!(after(&[("retry-after", nonsense)]), 0, "{nonsense}");
        }
    }

    #[test]
    fn the_wait_doubles_to_its_limit_and_at_most_half_of_it_is_left_to_chance() {
        let retry = settings::Retry {
            initial_ms: 100,
            max_ms: 1000,
        };
        for (failures, most) in [(1, 100), (2, 200), (4, 800), (5, 1000), (u32::MAX, 1000)] {
            let most = most * MILLISECOND;
            for random in [0, 1, most / 2, u64::MAX] {
                let wait = backoff(&retry, failures, random);
                assert!((most / 2..=most).contains(&wait), "{failures} {random}");
            }
            assert_eq!(backoff(&retry, failures, most / 2), most);
        }
    }
}
