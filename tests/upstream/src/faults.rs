//! What a demo upstream does wrong on purpose, and the colour that tells it from its twin.

use std::time::Duration;

use crate::answer::Answer;
use crate::request::Request;
use crate::script;

/// The response header that names the upstream's colour.
pub const COLOUR_HEADER: &str = "x-upstream-colour";
/// Health checks; they see no fault.
const HEALTH: &[u8] = b"/healthz";

/// What is added to every answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Sent as [`COLOUR_HEADER`], if there is one.
    pub colour: Option<String>,
    /// Of 100 requests in a row exactly so many are answered with 503.
    pub error_percent: u8,
    /// Before each answer.
    pub delay: Duration,
}

impl Faults {
    /// Answers request after request. `None` for what is not answered but tunnelled.
    pub fn answers(self) -> impl FnMut(&Request) -> Option<Answer> + Send + 'static {
        let mut share = 0_u16;
        move |request| {
            if request.method == b"CONNECT" || request.wants_websocket() {
                return None;
            }
            let mut answer = script::answer(request);
            if request.target != HEALTH {
                share += u16::from(self.error_percent.min(100));
                if share >= 100 {
                    share -= 100;
                    answer =
                        Answer::with_body("application/json", "{\"status\":503}\n").status(503);
                }
                answer.delay += self.delay;
            }
            if let Some(colour) = &self.colour {
                answer = answer.header(COLOUR_HEADER, colour.as_str());
            }
            Some(answer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(target: &str) -> Request {
        Request::from_head(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes())
            .unwrap()
    }

    fn errors(percent: u8, target: &str) -> usize {
        let faults = Faults {
            error_percent: percent,
            ..Faults::default()
        };
        let mut answers = faults.answers();
        let statuses = (0..200).map(|_| answers(&get(target)).unwrap().status);
        statuses.filter(|status| *status == 503).count()
    }

    #[test]
    fn of_200_requests_exactly_the_share_that_is_asked_for_fails() {
        for (percent, failed) in [(0, 0), (1, 2), (10, 20), (37, 74), (100, 200), (255, 200)] {
            assert_eq!(errors(percent, "/json"), failed, "{percent} %");
        }
    }

    #[test]
    fn a_health_check_sees_no_fault() {
        assert_eq!(errors(100, "/healthz"), 0);
        let faults = Faults {
            delay: Duration::from_secs(1),
            ..Faults::default()
        };
        let mut answers = faults.answers();
        assert_eq!(answers(&get("/healthz")).unwrap().delay, Duration::ZERO);
        assert_eq!(
            answers(&get("/json")).unwrap().delay,
            Duration::from_secs(1)
        );
    }

    #[test]
    fn every_answer_names_the_colour() {
        let faults = Faults {
            colour: Some("green".to_owned()),
            error_percent: 50,
            ..Faults::default()
        };
        let mut answers = faults.answers();
        for target in ["/json", "/json", "/healthz"] {
            let answer = answers(&get(target)).unwrap();
            let named = (COLOUR_HEADER.into(), b"green".to_vec());
            assert!(answer.headers.contains(&named), "{answer:?}");
        }
    }

    #[test]
    fn what_is_tunnelled_has_no_answer() {
        let head = "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        let upgrade = Request::from_head(head.into()).unwrap();
        assert_eq!(Faults::default().answers()(&upgrade), None);
    }
}
