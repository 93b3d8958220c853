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
    run_with(Arguments::from_args(), start, cases, &[])
}

/// A case that the Envoy at hand cannot run.
#[derive(Clone, Debug)]
pub struct LeftOut {
    pub case: &'static str,
    /// What this Envoy lacks.
    pub why: String,
}

/// Runs all cases but these, which are printed with their reason and counted as ignored. Panics if one is not among the cases.
pub fn run_without<S: Send + Sync + 'static>(
    left_out: &[LeftOut],
    start: fn() -> S,
    cases: Vec<Case<S>>,
) -> ExitCode {
    for LeftOut { case, why } in left_out {
        assert!(cases.iter().any(|(name, _)| name == case), "no case {case}");
        say_left_out(case, why);
    }
    run_with(Arguments::from_args(), start, cases, left_out)
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
    run_with(arguments, start, cases, &[])
}

/// Tells of something that the Envoy at hand cannot run: no test may be missing in silence.
pub fn say_left_out(what: &str, why: &str) {
    println!("left out: {what}: {why}");
}

fn run_with<S: Send + Sync + 'static>(
    arguments: Arguments,
    start: impl Fn() -> S + Send + Sync + 'static,
    cases: Vec<Case<S>>,
    left_out: &[LeftOut],
) -> ExitCode {
    let shared = Arc::new(Shared {
        start,
        state: OnceLock::new(),
    });
    let trials = cases
        .into_iter()
        .map(|(name, case)| {
            let shared = Arc::clone(&shared);
            let ignored = left_out.iter().any(|left| left.case == name);
            Trial::test(name, move || {
                case(shared.get());
                Ok(())
            })
            .with_ignored_flag(ignored)
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
