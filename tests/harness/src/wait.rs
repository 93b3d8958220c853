//! Waiting for something to become true.

use std::time::{Duration, Instant};

/// Far longer than anything takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(5);

/// Asks until there is an answer; `None` at the deadline.
pub fn poll<T>(at_most: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + at_most;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(STEP);
    }
}

/// Asks until there is an answer. Panics at the deadline, naming what was waited for.
#[track_caller]
pub fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    poll(DEADLINE, ask).unwrap_or_else(|| panic!("{what}: not within {DEADLINE:?}"))
}
