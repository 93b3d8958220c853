//! Running the cases of one theme against proxies that they share.
//!
//! A file in `tests/suites/tests` is a program: it names its cases, which are functions with sentences for names, and
//! how to start what they share. It is started once, at the first case that runs, and ended after the last.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Trial};

/// A case and its name.
pub type Case<S> = (String, Box<dyn Fn(&S) + Send>);

/// Lists functions as cases: `cases![a_denied_request_consumes_nothing]`.
#[macro_export]
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        vec![$((
            stringify!($case).to_owned(),
            Box::new($case) as Box<dyn Fn(&_) + Send>,
        )),*]
    };
}

/// Runs the cases that the command line asks for, as `cargo test` does.
pub fn run<S: Send + Sync + 'static>(start: fn() -> S, cases: Vec<Case<S>>) -> ExitCode {
    run_with(Arguments::from_args(), start, cases)
}

/// Runs them one after the other: for cases that compare counters which the proxy keeps for all.
pub fn run_in_order<S: Send + Sync + 'static>(
    start: impl Fn() -> S + Send + Sync + 'static,
    cases: Vec<Case<S>>,
) -> ExitCode {
    let arguments = Arguments {
        test_threads: Some(1),
        ..Arguments::from_args()
    };
    run_with(arguments, start, cases)
}

fn run_with<S: Send + Sync + 'static>(
    arguments: Arguments,
    start: impl Fn() -> S + Send + Sync + 'static,
    cases: Vec<Case<S>>,
) -> ExitCode {
    let shared = Arc::new(Shared {
        start,
        state: OnceLock::new(),
    });
    let trials = cases
        .into_iter()
        .map(|(name, case)| {
            let shared = Arc::clone(&shared);
            Trial::test(name, move || {
                case(shared.get());
                Ok(())
            })
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Ends the proxies before the process does.
    drop(shared);
    conclusion.exit_code()
}

struct Shared<S, F> {
    start: F,
    /// `None` if the start failed: it is not tried again for each case.
    state: OnceLock<Option<S>>,
}

impl<S, F: Fn() -> S> Shared<S, F> {
    fn get(&self) -> &S {
        let start = || catch_unwind(AssertUnwindSafe(&self.start)).ok();
        match self.state.get_or_init(start) {
            Some(state) => state,
            None => panic!("what this case needs did not start; the first case says why"),
        }
    }
}
