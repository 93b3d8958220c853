//! The filter: finds out what a request was, and hands its record over.

use portcullis_kit::exchange::{CalloutAnswer, CalloutId, Exchange, Worker};
use portcullis_kit::{Callbacks, Compiling, ConfigError, Filter, Flow};

use crate::body::Body;
use crate::compile;
use crate::emit::Emit;
use crate::format;
use crate::policy;
use crate::profile::Profile;
use crate::record::Record;
use crate::seen::Seen;
use crate::settings::{Level, Settings};

/// One record of every request. `BODIES`: whether its module is told of bodies, each of which then costs a callback; the module
/// of this filter alone is not.
pub struct AuditLog<const BODIES: bool = true> {
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

/// The bodies of a request and its response.
#[derive(Debug, Default)]
pub struct Bodies {
    pub request: Body,
    pub response: Body,
}

/// What one request remembers: its bodies, where they may be recorded.
#[derive(Debug, Default)]
pub struct Stream(Option<Box<Bodies>>);

impl<const BODIES: bool> Filter for AuditLog<BODIES> {
    const NAME: &'static str = "audit-log";
    const CALLBACKS: Callbacks = {
        let always = Callbacks::LOG.and(Callbacks::TICK).and(Callbacks::CALLOUT);
        if BODIES {
            always
                .and(Callbacks::REQUEST_HEADERS)
                .and(Callbacks::REQUEST_BODY)
                .and(Callbacks::RESPONSE_HEADERS)
                .and(Callbacks::RESPONSE_BODY)
        } else {
            always
        }
    };
    const LOGS_ACCESS: bool = true;
    type Settings = Settings;
    type Profile = Profile;
    type Stream = Stream;

    fn start() -> Self {
        Self { emit: None }
    }

    fn compile(settings: Settings, compiling: &Compiling<'_>) -> Result<Profile, ConfigError> {
        compile::compile(&settings, compiling, BODIES)
    }

    fn check(profiles: &[(&str, &Profile)]) -> Result<(), ConfigError> {
        compile::check(profiles)
    }

    fn ready(&mut self, profiles: &[(&str, &Profile)]) {
        let default = profiles.first();
        self.emit = default.map(|(_, profile)| Emit::new(profile.emission.clone()));
    }

    fn request_headers<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        end_of_stream: bool,
    ) -> Flow {
        if let Some(places) = profile.bodies.as_ref().filter(|_| BODIES) {
            let request = exchange.request();
            if policy::may_record_bodies(&profile.rules, &request) {
                let mut bodies = Box::<Bodies>::default();
                if !end_of_stream && !places.request.is_empty() {
                    bodies.request = Body::begin(&request, places.max_bytes);
                }
                stream.0 = Some(bodies);
            }
        }
        Flow::Continue
    }

    fn request_body<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        _: usize,
        _: bool,
    ) {
        if let (Some(places), Some(bodies)) = (&profile.bodies, &mut stream.0) {
            let read = |most| exchange.request_body(0, most);
            bodies.request.piece(places.max_bytes, read);
        }
    }

    fn response_headers<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        end_of_stream: bool,
    ) -> Flow {
        if let (Some(places), Some(bodies)) = (&profile.bodies, &mut stream.0)
            && !end_of_stream
            && !places.response.is_empty()
        {
            bodies.response = Body::begin(&exchange.response(), places.max_bytes);
        }
        Flow::Continue
    }

    fn response_body<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        _: usize,
        _: bool,
    ) -> Flow {
        if let (Some(places), Some(bodies)) = (&profile.bodies, &mut stream.0) {
            let read = |most| exchange.response_body(0, most);
            bodies.response.piece(places.max_bytes, read);
        }
        Flow::Continue
    }

    fn finished<X: Exchange>(&self, profile: &Profile, stream: &mut Stream, exchange: &mut X) {
        let mut seen = Seen::new(exchange);
        let level = policy::level(&profile.rules, &mut seen);
        if level == Level::None {
            exchange.increment(profile.metrics.skipped, 1);
            return;
        }
        let record = Record::of(profile, level, seen, stream.0.as_deref().filter(|_| BODIES));
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
