//! A finished span as a value, and where it goes. The exporter is another filter's matter.

/// One server span, after OpenTelemetry's data model. Times are nanoseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_span_id: Option<[u8; 8]>,
    /// The W3C flags byte of the span's own context.
    pub flags: u8,
    pub trace_state: String,
    pub name: String,
    pub kind: SpanKind,
    pub start: u64,
    pub end: u64,
    /// By OpenTelemetry's HTTP semantic conventions.
    pub attributes: Vec<(&'static str, Value)>,
    pub status: SpanStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    Server,
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanStatus {
    Unset,
    Error,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Int(i64),
    Bool(bool),
}

/// Takes finished spans. It must not block, and it may drop.
pub trait SpanSink {
    /// Whether building a span is worth the work.
    fn wants_spans(&self) -> bool;
    fn take(&self, span: Span);
}

/// No exporter: no span is built.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl SpanSink for Discard {
    fn wants_spans(&self) -> bool {
        false
    }

    fn take(&self, _: Span) {}
}
