//! A request to send.

use crate::raw::Connection;
use crate::response::Response;
use portcullis_upstream::{CASE_HEADER, Line};

/// The host of requests that name none.
pub const HOST: &str = "api.example.com";

/// One request. Names and values are sent as given, valid or not.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: Vec<u8>,
    /// In this order; `host` and `content-length` are added where they are absent and needed.
    pub headers: Vec<Line>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: impl Into<Vec<u8>>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn get(target: impl Into<Vec<u8>>) -> Self {
        Self::new("GET", target)
    }

    pub fn post(target: impl Into<Vec<u8>>, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            ..Self::new("POST", target)
        }
    }

    /// Adds one line.
    pub fn header(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Ties the request to a case of the upstream's recorder.
    pub fn case(self, case: &str) -> Self {
        self.header(CASE_HEADER, case)
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The request as HTTP/1.1 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.method.clone().into_bytes();
        bytes.push(b' ');
        bytes.extend(&self.target);
        bytes.extend(b" HTTP/1.1\r\n");
        let mut line = |name: &[u8], value: &[u8]| {
            bytes.extend([name, b": ", value, b"\r\n"].concat());
        };
        if !self.has("host") {
            line(b"host", HOST.as_bytes());
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        let framed = self.has("content-length") || self.has("transfer-encoding");
        if !self.body.is_empty() && !framed {
            line(b"content-length", self.body.len().to_string().as_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }

    /// Sends it on a connection of its own and reads the whole answer. Panics if there is none.
    #[track_caller]
    pub fn send(&self, port: u16) -> Response {
        Connection::open(port).exchange(self)
    }
}
