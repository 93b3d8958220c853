//! The filter: reads, decides ([`crate::plan`]), and does.

use std::rc::Rc;

use portcullis_kit::config::log_line;
use portcullis_kit::exchange::{CalloutAnswer, CalloutId, Exchange, Worker};
use portcullis_kit::property;
use portcullis_kit::random::Random;
use portcullis_kit::{Callbacks, Compiling, ConfigError, Filter, Flow};

use crate::baggage::Decision;
use crate::compile::{self, Profile};
use crate::duration::write_milliseconds;
use crate::export::Sender;
use crate::formats::Format;
use crate::plan::{Plan, plan};
use crate::settings::{Audience, Settings};
use crate::{b3, datadog, hex, request_id, spans, traceparent, xray};

/// Where the trace id stands in a `traceparent`.
const TRACE_ID: std::ops::Range<usize> = 3..35;

/// Request ids, trace context, response times, spans.
pub struct RequestTracing {
    random: Random,
    /// Where a profile has spans.
    sender: Option<Sender>,
}

/// What one request remembers. Empty where the filter never saw the request.
#[derive(Default)]
pub struct Stream(Option<Traced>);

/// A request that has an id and a place in a trace.
pub struct Traced {
    pub id: Rc<str>,
    pub trace_id: [u8; 16],
    /// Our span: what the upstream sees as its parent.
    pub span_id: [u8; 8],
    pub parent: Option<[u8; 8]>,
    pub flags: u8,
    pub sampled: bool,
    /// Our context in the form of `traceparent`.
    pub traceparent: [u8; traceparent::LEN],
    /// Kept only for a span.
    pub trace_state: String,
    /// Whether the peer is trusted.
    pub trusted: bool,
    /// Nanoseconds since the epoch; 0 where nothing needs the time.
    pub start: u64,
}

/// Whether anything of this request needs the time: each reading is a host call.
#[inline]
fn needs_time(profile: &Profile, trusted: bool) -> bool {
    profile.slow != u64::MAX
        || profile.response_time
        || is_told(profile.app_timing, trusted)
        || profile.sampler.cap.is_some()
        || profile.id_format == request_id::Format::Uuid7
        || profile.spans.is_some()
}

fn apply<X: Exchange>(
    profile: &Profile,
    plan: &Plan,
    traceparent: &[u8; traceparent::LEN],
    exchange: &mut X,
) {
    if plan.id_is_new {
        exchange.set_request_header(request_id::HEADER, plan.id.as_bytes());
    }
    for name in &plan.remove {
        exchange.remove_request_header(name);
    }
    match &plan.baggage {
        Decision::Unchanged => {}
        Decision::Remove => exchange.remove_request_header("baggage"),
        Decision::Replace(value) => exchange.set_request_header("baggage", value),
    }
    for format in &profile.inject {
        inject(*format, plan, traceparent, exchange);
    }
}

fn inject<X: Exchange>(
    format: Format,
    plan: &Plan,
    traceparent: &[u8; traceparent::LEN],
    exchange: &mut X,
) {
    let context = &plan.context;
    let (sampled, parent, carried) = (plan.sampled, plan.parent, &plan.carried);
    let mut set = |name: &'static str, value: &[u8]| exchange.set_request_header(name, value);
    match format {
        Format::W3c => {
            set("traceparent", traceparent);
            if plan.state_changed {
                match context.tracestate.to_header(0) {
                    Some(value) => set("tracestate", value.as_bytes()),
                    None => exchange.remove_request_header("tracestate"),
                }
            }
        }
        Format::B3 => b3::inject_single(context, sampled, parent, &mut set),
        Format::B3Multi => b3::inject_multi(context, sampled, parent, &mut set),
        Format::Xray => xray::inject(context, sampled, &carried.xray_fields, &mut set),
        Format::Datadog => {
            let (priority, tags) = (carried.datadog_priority, carried.datadog_tags.as_deref());
            datadog::inject(context, sampled, priority, tags, &mut set);
        }
    }
}

#[inline]
fn is_told(audience: Audience, trusted: bool) -> bool {
    match audience {
        Audience::All => true,
        Audience::Trusted => trusted,
        Audience::Off => false,
    }
}

/// `trace;desc=00-…, app;dur=12.345, slow`
#[inline]
fn server_timing(profile: &Profile, traced: &Traced, elapsed: Option<u64>) -> Option<Vec<u8>> {
    let tells_trace = is_told(profile.trace_timing, traced.trusted);
    let elapsed = elapsed.filter(|_| is_told(profile.app_timing, traced.trusted));
    if !tells_trace && elapsed.is_none() {
        return None;
    }
    // Room for all of it, so that the buffer does not grow.
    let mut value = Vec::with_capacity(profile.trace_name.len() + traceparent::LEN + 48);
    if tells_trace {
        value.extend_from_slice(profile.trace_name.as_bytes());
        value.extend_from_slice(b";desc=");
        value.extend_from_slice(&traced.traceparent);
    }
    if let Some(elapsed) = elapsed {
        if !value.is_empty() {
            value.extend_from_slice(b", ");
        }
        value.extend_from_slice(b"app;dur=");
        write_milliseconds(elapsed, &mut value);
        if elapsed >= profile.slow {
            value.extend_from_slice(b", slow");
        }
    }
    Some(value)
}

impl Filter for RequestTracing {
    const NAME: &'static str = "request-tracing";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS
        .and(Callbacks::RESPONSE_HEADERS)
        .and(Callbacks::LOG)
        .and(Callbacks::TICK)
        .and(Callbacks::CALLOUT);
    type Settings = Settings;
    type Profile = Profile;
    type Stream = Stream;

    fn start() -> Self {
        Self {
            random: Random::default(),
            sender: None,
        }
    }

    // Not inlined into what is compiled for speed.
    #[inline(never)]
    fn compile(settings: Settings, compiling: &Compiling<'_>) -> Result<Profile, ConfigError> {
        compile::compile(settings, compiling)
    }

    #[inline(never)]
    fn check(profiles: &[(&str, &Profile)]) -> Result<(), ConfigError> {
        compile::check(profiles)
    }

    #[inline(never)]
    fn ready(&mut self, profiles: &[(&str, &Profile)]) {
        let mut sending = profiles
            .iter()
            .filter_map(|(_, profile)| profile.spans.as_ref());
        self.sender = sending.next().map(Sender::new);
    }

    fn request_headers<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        _: bool,
    ) -> Flow {
        let trusted = profile.trust.covers(exchange);
        let start = if needs_time(profile, trusted) {
            exchange.now()
        } else {
            0
        };
        let headers = exchange.request();
        let plan = plan(profile, &headers, trusted, start, &self.random, exchange);
        // Changing a map that is still shared would copy it.
        drop(headers);
        let context = &plan.context;
        let traceparent = traceparent::write(&context.trace_id, &context.parent_id, context.flags);
        apply(profile, &plan, &traceparent, exchange);

        exchange.set_filter_state(property::REQUEST_ID, plan.id.as_bytes());
        if let Some(malformed) = plan.malformed {
            exchange.set_filter_state(property::MALFORMED_IDS, malformed.name().as_bytes());
        }
        let facts = exchange.facts();
        facts.malformed = plan.malformed;
        facts.request_id = Some(Rc::clone(&plan.id));
        facts.trace_id = traceparent
            .get(TRACE_ID)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .map(Into::into);
        let trace_state = if profile.spans.is_some() {
            plan.context.tracestate.to_header(0).unwrap_or_default()
        } else {
            String::new()
        };
        stream.0 = Some(Traced {
            id: plan.id,
            trace_id: plan.context.trace_id,
            span_id: plan.context.parent_id,
            parent: plan.parent,
            flags: plan.context.flags,
            sampled: plan.sampled,
            traceparent,
            trace_state,
            trusted,
            start,
        });
        Flow::Continue
    }

    fn response_headers<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        _: bool,
    ) -> Flow {
        let Some(traced) = &stream.0 else {
            return Flow::Continue;
        };
        if profile.id_response {
            exchange.set_response_header(request_id::HEADER, traced.id.as_bytes());
        }
        let timed = profile.response_time || is_told(profile.app_timing, traced.trusted);
        let elapsed = timed.then(|| exchange.now().saturating_sub(traced.start));
        if let Some(elapsed) = elapsed.filter(|_| profile.response_time) {
            let mut value = Vec::with_capacity(20);
            write_milliseconds(elapsed, &mut value);
            value.extend_from_slice(b"ms");
            exchange.set_response_header("x-response-time", &value);
        }
        if let Some(value) = server_timing(profile, traced, elapsed) {
            exchange.add_response_header("server-timing", &value);
        }
        Flow::Continue
    }

    fn finished<X: Exchange>(&self, profile: &Profile, stream: &mut Stream, exchange: &mut X) {
        let Some(traced) = stream.0.take() else {
            return;
        };
        let spans = profile.spans.as_ref().zip(self.sender.as_ref());
        if profile.slow == u64::MAX && spans.is_none() {
            return;
        }
        let end = exchange.now();
        let duration = end.saturating_sub(traced.start);
        let slow = duration >= profile.slow;
        if slow {
            exchange.increment(profile.counters.slow, 1);
            log_slow(&traced, duration, exchange);
        }
        if let Some((spans, sender)) = spans
            && (traced.sampled
                || slow && spans.slow
                || spans.server_errors && spans::is_server_error(exchange))
        {
            let span = spans::record(&traced, end, exchange);
            sender.push(spans, &span, exchange);
        }
    }

    fn tick_period_ms(&self) -> Option<u32> {
        self.sender.as_ref().map(Sender::tick_period_ms)
    }

    fn tick<W: Worker>(&self, worker: &mut W) {
        if let Some(sender) = &self.sender {
            sender.tick(worker);
        }
    }

    fn callout<W: Worker>(&self, id: CalloutId, answer: &CalloutAnswer, worker: &mut W) {
        if let Some(sender) = &self.sender {
            sender.answered(id, answer, worker);
        }
    }
}

/// One line with ids, route, method, status and duration; never a path or a query, which may hold what must not be
/// logged.
fn log_slow<X: Exchange>(traced: &Traced, duration: u64, exchange: &mut X) {
    let mut trace = [0; 32];
    hex::encode(&traced.trace_id, &mut trace);
    let mut span = [0; 16];
    hex::encode(&traced.span_id, &mut span);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let method = exchange.request_header(":method").unwrap_or_default();
    let status = spans::status(exchange);
    let route = property::route_name(exchange);
    let line = log_line(
        "slow_request",
        &[
            ("request_id", (*traced.id).into()),
            ("trace_id", text(&trace).into()),
            ("span_id", text(&span).into()),
            ("route", route.map_or(serde_json::Value::Null, Into::into)),
            ("method", text(&method).into()),
            ("status", status.into()),
            ("duration_ms", (duration / 1_000_000).into()),
        ],
    );
    exchange.log(log::Level::Warn, &line);
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use portcullis_kit::Mode;
    use portcullis_kit::testing::{Fake, Names};
    use serde_json::json;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn compiled(settings: serde_json::Value) -> Profile {
        let registry = RefCell::new(Names::default());
        let environment = BTreeMap::<String, String>::new();
        let compiling = Compiling::new(
            "request-tracing",
            "default",
            Mode::Enforce,
            &environment,
            &registry,
        );
        let settings = portcullis_kit::config::from_value(&settings).unwrap();
        compile::compile(settings, &compiling).unwrap()
    }

    #[test]
    fn a_header_that_is_written_anyway_is_not_removed_first() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let fake = Fake::request([
            ("traceparent", format!("00-{trace}-b7ad6b7169203331-01")),
            ("b3", format!("{trace}-b7ad6b7169203331")),
            ("x-b3-sampled", "1".to_owned()),
            ("x-amzn-trace-id", "Root=1".to_owned()),
        ]);
        let all = json!(["w3c", "b3", "xray"]);
        for (trust, expected) in [("internal", &[][..]), ("edge", &["x-b3-sampled"])] {
            let profile = compiled(json!({"trust": trust, "propagation": {"inject": all}}));
            let trusted = trust == "internal";
            let plan = plan(
                &profile,
                &fake.request,
                trusted,
                0,
                &Random::default(),
                &fake,
            );
            assert_eq!(plan.remove, expected, "{trust}");
        }
    }

    #[test]
    fn the_clock_is_read_only_where_something_needs_the_time() {
        let untimed = json!({"slow_ms": 0, "server_timing": {"app": "off"}});
        let needs = |over: serde_json::Value, trusted| {
            let mut settings = untimed.clone();
            for (name, value) in over.as_object().unwrap() {
                settings[name] = value.clone();
            }
            needs_time(&compiled(settings), trusted)
        };
        assert!(!needs(json!({}), true));
        for over in [
            json!({"slow_ms": 1}),
            json!({"response_time": true}),
            json!({"server_timing": {"app": "all"}}),
            json!({"sampling": {"max_per_second": 1}}),
            json!({"request_id": {"format": "uuid7"}}),
            json!({"spans": {"otlp": {"cluster": "collector"}}}),
        ] {
            assert!(needs(over.clone(), false), "{over}");
        }
        let trusted_only = json!({"server_timing": {"app": "trusted"}});
        assert!(needs(trusted_only.clone(), true) && !needs(trusted_only, false));
    }
}
