//! A finished span as a value.

/// One span, after OpenTelemetry's data model. Times are nanoseconds since the Unix epoch.
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

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Int(i64),
    Bool(bool),
}
