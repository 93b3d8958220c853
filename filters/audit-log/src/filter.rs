//! The filter: finds out what a request was, and hands its record to the sinks.

use std::cell::RefCell;

use portcullis_kit::exchange::Exchange;
use portcullis_kit::{Callbacks, Compiling, ConfigError, Filter};

use crate::compile;
use crate::format::native;
use crate::policy;
use crate::profile::{Format, Profile, Sink};
use crate::record::Record;
use crate::seen::Seen;
use crate::settings::{Level, Settings};

/// One record of every request.
pub struct AuditLog {
    /// What a record is written into: one for all, so that it grows but once.
    buffer: RefCell<Vec<u8>>,
}

impl AuditLog {
    fn hand_over<X: Exchange>(&self, profile: &Profile, record: &Record<'_>, exchange: &mut X) {
        let Ok(mut buffer) = self.buffer.try_borrow_mut() else {
            return;
        };
        for sink in &profile.sinks {
            buffer.clear();
            match sink {
                Sink::Log(Format::Native) => {
                    native::write(record, &mut buffer);
                    // What is written is always UTF-8.
                    if let Ok(line) = std::str::from_utf8(&buffer) {
                        exchange.log(log::Level::Info, line);
                    }
                }
            }
        }
    }
}

impl Filter for AuditLog {
    const NAME: &'static str = "audit-log";
    const CALLBACKS: Callbacks = Callbacks::LOG;
    type Settings = Settings;
    type Profile = Profile;
    type Stream = ();

    fn start() -> Self {
        Self {
            buffer: RefCell::new(Vec::new()),
        }
    }

    fn compile(settings: Settings, compiling: &Compiling<'_>) -> Result<Profile, ConfigError> {
        compile::compile(&settings, compiling)
    }

    fn check(profiles: &[(&str, &Profile)]) -> Result<(), ConfigError> {
        compile::check(profiles)
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
        self.hand_over(profile, &record, exchange);
    }
}
