//! The filter: finds out what a request was, and hands its record over.

use portcullis_kit::exchange::{CalloutAnswer, CalloutId, Exchange, Worker};
use portcullis_kit::{Callbacks, Compiling, ConfigError, Filter};

use crate::compile;
use crate::emit::Emit;
use crate::format;
use crate::policy;
use crate::profile::Profile;
use crate::record::Record;
use crate::seen::Seen;
use crate::settings::{Level, Settings};

/// One record of every request.
pub struct AuditLog {
    /// Made when the settings are accepted.
    emit: Option<Emit>,
}

/// The proxy's name, as far as it has one.
fn node<X: Exchange>(exchange: &X) -> String {
    // Envoy has it under the one name in requests' contexts, under the other as well in root contexts.
    let id = exchange
        .property(&["xds", "node", "id"])
        .or_else(|| exchange.property(&["node", "id"]))
        .unwrap_or_default();
    match String::from_utf8_lossy(&id) {
        id if id.is_empty() => "proxy".to_owned(),
        id => id.into_owned(),
    }
}

impl Filter for AuditLog {
    const NAME: &'static str = "audit-log";
    const CALLBACKS: Callbacks = Callbacks::LOG.and(Callbacks::TICK).and(Callbacks::CALLOUT);
    const LOGS_ACCESS: bool = true;
    type Settings = Settings;
    type Profile = Profile;
    type Stream = ();

    fn start() -> Self {
        Self { emit: None }
    }

    fn compile(settings: Settings, compiling: &Compiling<'_>) -> Result<Profile, ConfigError> {
        compile::compile(&settings, compiling)
    }

    fn check(profiles: &[(&str, &Profile)]) -> Result<(), ConfigError> {
        compile::check(profiles)
    }

    fn ready(&mut self, profiles: &[(&str, &Profile)]) {
        let default = profiles.first();
        self.emit = default.map(|(_, profile)| Emit::new(profile.emission.clone()));
    }

    fn finished<X: Exchange>(&self, profile: &Profile, (): &mut (), exchange: &mut X) {
        let mut seen = Seen::new(exchange);
        let level = policy::level(&profile.rules, &mut seen);
        if level == Level::None {
            exchange.increment(profile.metrics.skipped, 1);
            return;
        }
        let record = Record::of(profile, level, seen);
        exchange.increment(profile.metrics.records(record.ending.outcome), 1);
        if let Some(emit) = &self.emit {
            emit.record(
                record.time,
                record.ending.event.is_some(),
                |out| format::write(profile.emission.format, &record, out),
                || node(exchange),
                exchange,
            );
            emit.write_lines(exchange);
        }
    }

    fn tick_period_ms(&self) -> Option<u32> {
        self.emit.as_ref().and_then(Emit::tick_period_ms)
    }

    fn tick<W: Worker>(&self, worker: &mut W) {
        if let Some(emit) = &self.emit {
            emit.tick(worker);
        }
    }

    fn stop<W: Worker>(&self, worker: &mut W) {
        if let Some(emit) = &self.emit {
            emit.stop(worker);
        }
    }

    fn callout<W: Worker>(&self, id: CalloutId, answer: &CalloutAnswer, worker: &mut W) {
        if let Some(emit) = &self.emit {
            emit.answered(id, answer, worker);
        }
    }
}
