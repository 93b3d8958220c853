//! What the upstream answers, as a value.

use std::time::Duration;

use crate::request::Line;

/// How a body's end is told on HTTP/1 (RFC 9112 section 6). HTTP/2 has one way only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    #[default]
    Length,
    Chunked,
    /// The connection's end is the body's end.
    Close,
}

/// How a connection is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Break {
    /// In order: FIN.
    #[default]
    Fin,
    /// RST; on HTTP/2 RST_STREAM.
    Reset,
}

/// Where an answer stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    #[default]
    Complete,
    /// Before the first byte of the head.
    BeforeHead(Break),
    /// After the head and half of the body.
    InBody(Break),
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Before the head.
    pub delay: Duration,
    pub status: u16,
    /// In the order sent; `content-length` and `transfer-encoding` come from `framing`.
    pub headers: Vec<Line>,
    pub body: Vec<u8>,
    pub framing: Framing,
    /// The most bytes of body that are sent at once.
    pub chunk: usize,
    pub trailers: Vec<Line>,
    pub end: End,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            status: 200,
            headers: Vec::new(),
            body: Vec::new(),
            framing: Framing::Length,
            chunk: 16 * 1024,
            trailers: Vec::new(),
            end: End::Complete,
        }
    }
}

impl Answer {
    /// An answer with a body of that media type.
    pub fn with_body(media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            headers: vec![(b"content-type".to_vec(), media_type.into())],
            body: body.into(),
            ..Self::default()
        }
    }

    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds one header line.
    pub fn header(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Whether this status has a body at all (RFC 9110 section 6.4.1).
    pub fn may_have_body(&self) -> bool {
        !matches!(self.status, 100..=199 | 204 | 304)
    }

    /// How much of the body is sent before the connection breaks.
    pub fn sent_body(&self) -> &[u8] {
        let end = match self.end {
            End::InBody(_) => self.body.len() / 2,
            End::Complete | End::BeforeHead(_) => self.body.len(),
        };
        self.body.get(..end).unwrap_or_default()
    }
}
