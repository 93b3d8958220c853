//! The filter: finds out what a request was, and hands its record over.

use portcullis_kit::exchange::{CalloutAnswer, CalloutId, Exchange, Worker};
use portcullis_kit::problem::Client;
use portcullis_kit::{Callbacks, Compiling, ConfigError, Filter, Flow};

use crate::admission::Admission;
use crate::body::Body;
use crate::compile;
use crate::emit::Emit;
use crate::format;
use crate::policy;
use crate::profile::Profile;
use crate::record::Record;
use crate::refusal::refusal;
use crate::seen::Seen;
use crate::settings::{Level, Settings};
use crate::waiting::Ticket;

/// One record of every request. `BODIES`: whether its module reads bodies, which costs a callback for each response and each
/// piece; the module of this filter alone does not.
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

/// What one request remembers.
#[derive(Debug, Default)]
pub struct Stream {
    /// Its bodies, where they may be recorded.
    bodies: Option<Box<Bodies>>,
    /// It ended with its headers.
    is_bodiless: bool,
    /// Its place among those that wait.
    ticket: Option<Ticket>,
}

impl<const BODIES: bool> Filter for AuditLog<BODIES> {
    const NAME: &'static str = "audit-log";
    const CALLBACKS: Callbacks = {
        let always = Callbacks::LOG
            .and(Callbacks::TICK)
            .and(Callbacks::CALLOUT)
            .and(Callbacks::REQUEST_HEADERS)
            // What comes after the headers must wait as they do.
            .and(Callbacks::REQUEST_BODY)
            .and(Callbacks::REQUEST_TRAILERS);
        if BODIES {
            always
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
        if let Some(emit) = &self.emit {
            let guards = profiles
                .iter()
                .filter_map(|(_, profile)| profile.guard.as_ref());
            emit.admissions.look_after(guards);
        }
    }

    fn request_headers<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        end_of_stream: bool,
    ) -> Flow {
        stream.is_bodiless = end_of_stream;
        if let Some(places) = profile.bodies.as_ref().filter(|_| BODIES) {
            let request = exchange.request();
            if policy::may_record_bodies(&profile.rules, &request) {
                let mut bodies = Box::<Bodies>::default();
                if !end_of_stream && !places.request.is_empty() {
                    bodies.request = Body::begin(&request, places.max_bytes);
                }
                stream.bodies = Some(bodies);
            }
        }
        let (Some(guard), Some(emit)) = (&profile.guard, &self.emit) else {
            return Flow::Continue;
        };
        match emit.admit(profile, guard, node, exchange) {
            Admission::Passes => Flow::Continue,
            Admission::Waits(ticket) => {
                stream.ticket = Some(ticket);
                Flow::Pause
            }
            Admission::Refused(reason, silence) => {
                let client = Client::of(exchange);
                exchange.reply(refusal(reason, silence, &client));
                Flow::Replied
            }
        }
    }

    fn request_body<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        _: usize,
        _: bool,
    ) {
        if let (Some(places), Some(bodies)) = (&profile.bodies, &mut stream.bodies) {
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
        if let (Some(places), Some(bodies)) = (&profile.bodies, &mut stream.bodies)
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
        if let (Some(places), Some(bodies)) = (&profile.bodies, &mut stream.bodies) {
            let read = |most| exchange.response_body(0, most);
            bodies.response.piece(places.max_bytes, read);
        }
        Flow::Continue
    }

    fn finished<X: Exchange>(&self, profile: &Profile, stream: &mut Stream, exchange: &mut X) {
        if let (Some(ticket), Some(guard), Some(emit)) =
            (stream.ticket.take(), &profile.guard, &self.emit)
        {
            emit.ended(guard, ticket, exchange);
        }
        let mut seen = Seen::new(exchange);
        seen.is_bodiless = stream.is_bodiless;
        let level = policy::level(&profile.rules, &mut seen);
        if level == Level::None {
            exchange.increment(profile.metrics.skipped, 1);
            if let Some(emit) = &self.emit {
                emit.write_lines(exchange);
            }
            return;
        }
        let record = Record::of(
            profile,
            level,
            seen,
            stream.bodies.as_deref().filter(|_| BODIES),
        );
        exchange.increment(profile.metrics.records(record.ending.outcome), 1);
        if let Some(emit) = &self.emit {
            emit.record(
                record.time,
                record.ending.event.is_some(),
                |out| format::write(profile.emission.format, &record, out),
                None,
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
