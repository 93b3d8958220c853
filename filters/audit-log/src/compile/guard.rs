//! `fail_closed` and `overflow: deny`: what requests must pass, and that something can come of it.

use std::rc::Rc;

use portcullis_kit::config::Mistake as ConfigMistake;
use portcullis_kit::export::settings::Overflow;
use portcullis_kit::filter::Mode;
use portcullis_kit::routes::{PathMatch, Paths};
use portcullis_kit::{Compiling, ConfigError, Path};

use super::{Mistake, Result, refuse};
use crate::guard::{Guard, Metrics, Wait};
use crate::policy::Rule;
use crate::settings::{FailClosed, Level, Settings, Sink};

const MILLISECOND: u64 = 1_000_000;

#[inline(never)]
pub fn compile(
    settings: &Settings,
    rules: &[Rule],
    compiling: &Compiling<'_>,
) -> Result<Option<Rc<Guard>>> {
    let delivery = settings.delivery.as_ref();
    let denies = delivery.is_some_and(|delivery| delivery.queue.overflow == Overflow::Deny);
    let (wait, exempt) = match &settings.fail_closed {
        None if !denies => return Ok(None),
        None => (None, Paths::default()),
        Some(fail_closed) => {
            let (wait, exempt) = fail_closed_of(fail_closed, settings, rules)
                .map_err(|error| error.below(Path::top().key("fail_closed")))?;
            (Some(wait), exempt)
        }
    };
    Ok(Some(Rc::new(Guard {
        acts: compiling.mode() == Mode::Enforce,
        wait,
        exempt,
        metrics: Metrics::define(compiling),
    })))
}

/// Paths of mistakes start at `fail_closed`.
fn fail_closed_of(
    fail_closed: &FailClosed,
    settings: &Settings,
    rules: &[Rule],
) -> Result<(Wait, Paths)> {
    let top = Path::top;
    if !settings.sinks.iter().any(Sink::acknowledges) {
        return refuse(top(), Mistake::NothingAcknowledges);
    }
    let records =
        |rule: &Rule| rule.level != Level::None && rule.stages.received && !rule.asks_for_the_end();
    if !rules.iter().any(records) {
        return refuse(top(), Mistake::NothingReceived);
    }
    in_range(fail_closed.timeout_ms, (50, 60_000), "timeout_ms")?;
    in_range(fail_closed.max_waiting, (1, 100_000), "max_waiting")?;
    let exempt =
        Paths::compile(&fail_closed.exempt).map_err(|error| error.below(top().key("exempt")))?;
    let all = |path: &PathMatch| matches!(path, PathMatch::Prefix(prefix) if prefix == "/");
    if let Some(at) = fail_closed.exempt.iter().position(all) {
        return refuse(top().key("exempt").index(at), Mistake::ExemptsAll);
    }
    let wait = Wait {
        timeout: u64::from(fail_closed.timeout_ms) * MILLISECOND,
        max_waiting: fail_closed.max_waiting as usize,
    };
    Ok((wait, exempt))
}

fn in_range(value: u32, (least, most): (u32, u32), key: &'static str) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let mistake = ConfigMistake::OutOfRange {
        found: value.to_string(),
        allowed: format!("{least} to {most}"),
    };
    Err(ConfigError::new(Path::top().key(key), mistake))
}
