//! How spans leave: encoded when their request ends, sent by the kit's exporter as OTLP/HTTP with JSON.

use std::cell::OnceCell;
use std::rc::Rc;

use portcullis_kit::exchange::{CalloutAnswer, CalloutId, Exchange, Properties, Worker};
use portcullis_kit::export::settings::{Ack, Overflow};
use portcullis_kit::export::{ByteExporter, Encode, Plan, SinkSettings};
use portcullis_kit::otlp::{self, Signal};
use portcullis_kit::span::{Span, Value};
use portcullis_kit::{Compiling, ConfigError, Mode, Path};

use crate::compile::Mistake;
use crate::settings;

/// A span as OTLP writes it.
type Record = Box<[u8]>;

/// What a profile says about spans.
#[derive(Clone, Debug)]
pub struct Spans {
    pub plan: Rc<Plan>,
    service_name: Option<String>,
    /// Slow requests and server errors leave a span, sampled or not.
    pub slow: bool,
    pub server_errors: bool,
    max_attribute_bytes: usize,
}

impl Spans {
    /// `None` where the profile changes no request: the ids of its spans would be ids that no upstream saw.
    #[inline(never)]
    pub fn compile(
        settings: &settings::Spans,
        compiling: &Compiling<'_>,
    ) -> Result<Option<Self>, ConfigError> {
        let here = Path::top().key("spans");
        let sink = SinkSettings {
            name: "otlp",
            http: &settings.otlp,
            path: Signal::Spans.path(),
            at: here.clone().key("otlp"),
        };
        if settings.queue.overflow == Overflow::Deny {
            let path = here.key("queue").key("overflow");
            return Err(ConfigError::rule(path, Mistake::SpansDeny));
        }
        if settings.service_name.as_deref() == Some("") {
            let path = here.key("service_name");
            return Err(ConfigError::rule(path, Mistake::ServiceName));
        }
        if !(32..=4096).contains(&settings.max_attribute_bytes) {
            let path = here.key("max_attribute_bytes");
            return Err(ConfigError::rule(path, Mistake::AttributeBytes));
        }
        let parts = (&settings.batch, &settings.queue, &settings.retry);
        let plan = Plan::compile(compiling, "spans", &[sink], Ack::Any, parts, &here)?;
        Ok((compiling.mode() == Mode::Enforce).then(|| Self {
            plan: Rc::new(plan),
            service_name: settings.service_name.clone(),
            slow: settings.slow,
            server_errors: settings.server_errors,
            max_attribute_bytes: settings.max_attribute_bytes as usize,
        }))
    }

    /// Whether one exporter serves both.
    #[inline]
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.service_name == other.service_name && self.plan.agrees_with(&other.plan)
    }
}

/// Sends spans.
pub struct Sender {
    exporter: ByteExporter,
    node: Rc<OnceCell<String>>,
}

impl Sender {
    #[inline(never)]
    pub fn new(spans: &Spans) -> Self {
        let node = Rc::new(OnceCell::new());
        let encoder = Traces {
            service_name: spans.service_name.clone(),
            node: Rc::clone(&node),
        };
        Self {
            exporter: ByteExporter::new(Rc::clone(&spans.plan), vec![Box::new(encoder)]),
            node,
        }
    }

    #[inline]
    pub fn tick_period_ms(&self) -> u32 {
        self.exporter.plan().tick_period_ms()
    }

    /// Queues a span, or drops one and counts it. Nothing is sent here.
    pub fn push<X: Exchange>(&self, spans: &Spans, span: &Span, exchange: &X) {
        self.node.get_or_init(|| node_id(exchange));
        let mut text = String::with_capacity(1024);
        otlp::span(&mut text, span, spans.max_attribute_bytes);
        self.exporter.push(text.into_bytes().into(), span.end);
    }

    pub fn tick<W: Worker>(&self, worker: &mut W) {
        self.exporter.tick(worker);
    }

    pub fn answered<W: Worker>(&self, id: CalloutId, answer: &CalloutAnswer, worker: &mut W) {
        self.exporter.answered(id, answer, worker);
    }
}

/// The proxy's node id; empty where it has none. Asked for once.
#[inline(never)]
fn node_id(host: &dyn Properties) -> String {
    let id = host
        .property(&["xds", "node", "id"])
        .or_else(|| host.property(&["node", "id"]));
    String::from_utf8(id.unwrap_or_default()).unwrap_or_default()
}

/// `ExportTraceServiceRequest`.
struct Traces {
    service_name: Option<String>,
    node: Rc<OnceCell<String>>,
}

impl Encode<Record> for Traces {
    #[inline]
    fn content_type(&self) -> &'static str {
        "application/json"
    }

    #[inline]
    fn encode(&self, records: &[Record], body: &mut Vec<u8>) {
        let node = self.node.get().map(String::as_str).unwrap_or_default();
        let mut resource = Vec::with_capacity(2);
        let service = match &self.service_name {
            Some(name) => name,
            None if node.is_empty() => "unknown_service:envoy",
            None => node,
        };
        resource.push(("service.name", Value::Text(service.to_owned())));
        if !node.is_empty() {
            resource.push(("service.instance.id", Value::Text(node.to_owned())));
        }
        let scope = ("portcullis/request-tracing", env!("CARGO_PKG_VERSION"));
        let mut text = String::new();
        otlp::open(&mut text, Signal::Spans, &resource, scope);
        let spans: usize = records.iter().map(|span| span.len() + 1).sum();
        body.reserve(text.len() + spans + 8);
        body.extend_from_slice(text.as_bytes());
        for (at, span) in records.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            body.extend_from_slice(span);
        }
        text.clear();
        otlp::close(&mut text);
        body.extend_from_slice(text.as_bytes());
    }

    #[inline]
    fn rejected(&self, answer: &CalloutAnswer) -> u64 {
        otlp::rejected(Signal::Spans, answer)
    }

    #[inline]
    fn identity(&self) -> &[u8] {
        self.service_name.as_deref().unwrap_or_default().as_bytes()
    }
}
