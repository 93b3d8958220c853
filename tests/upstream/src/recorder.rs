//! What an upstream received, and what a test told it to answer.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::answer::Answer;
use crate::request::Request;

/// Ties a request to the test case that sent it: its own answer, its own recording. Many cases share one upstream.
pub const CASE_HEADER: &str = "x-case";

/// Shared by the server's threads and the test.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    answers: HashMap<Vec<u8>, Answer>,
    rule: Option<Rule>,
    connections: usize,
    forgets: bool,
}

/// Decides what a request gets; `None` leaves it to its target.
type Rule = Box<dyn FnMut(&Request) -> Option<Answer> + Send>;

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("requests", &self.requests.len())
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// One that keeps no request, for a server that runs for long.
    pub fn forgetting() -> Self {
        let recorder = Self::default();
        recorder.state().forgets = true;
        recorder
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that failed with the lock held must not hide its own message.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests with this `x-case` are answered so, whatever their target.
    pub fn answer(&self, case: &str, answer: Answer) {
        self.state().answers.insert(case.into(), answer);
    }

    /// Requests for which the rule has an answer get it. It sees every request, in the order of arrival.
    pub fn rule(&self, rule: impl FnMut(&Request) -> Option<Answer> + Send + 'static) {
        self.state().rule = Some(Box::new(rule));
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    /// All requests so far with this `x-case`, in the order of arrival.
    pub fn requests(&self, case: &str) -> Vec<Request> {
        let state = self.state();
        let of_case = |request: &&Request| request.header(CASE_HEADER) == Some(case.as_bytes());
        state.requests.iter().filter(of_case).cloned().collect()
    }

    /// All requests so far.
    pub fn all(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// Waits until a request with this `x-case` arrived; `None` if none did in that time.
    pub fn wait(&self, case: &str, at_most: Duration) -> Option<Request> {
        let deadline = Instant::now() + at_most;
        let mut state = self.state();
        loop {
            let found = state
                .requests
                .iter()
                .find(|request| request.header(CASE_HEADER) == Some(case.as_bytes()));
            if let Some(found) = found {
                return Some(found.clone());
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self
                .0
                .arrived
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    pub(crate) fn connected(&self) {
        self.state().connections += 1;
    }

    /// Keeps the request and gives the answer that its case wants, if it wants one.
    pub(crate) fn record(&self, request: &Request) -> Option<Answer> {
        let mut state = self.state();
        let ruled = state.rule.as_mut().and_then(|rule| rule(request));
        if !state.forgets {
            state.requests.push(request.clone());
        }
        self.0.arrived.notify_all();
        if ruled.is_some() {
            return ruled;
        }
        state.answers.get(request.header(CASE_HEADER)?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgetting_recorder_answers_and_keeps_nothing() {
        let request = Request::from_head(b"GET / HTTP/1.1\r\nx-case: 1\r\n\r\n".to_vec()).unwrap();
        for (recorder, kept) in [(Recorder::default(), 1), (Recorder::forgetting(), 0)] {
            recorder.answer("1", Answer::default());
            assert_eq!(recorder.record(&request), Some(Answer::default()));
            assert_eq!(recorder.all().len(), kept);
        }
    }
}
