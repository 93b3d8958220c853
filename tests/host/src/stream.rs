//! One HTTP stream as the host holds it.

use std::collections::BTreeMap;

use crate::lines::Lines;

/// A response that the plugin sent itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u32,
    /// What access logs show as `%RESPONSE_CODE_DETAILS%`.
    pub details: String,
    pub headers: Lines,
    pub body: Vec<u8>,
}

/// What the host calls of one stream reach.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub request: Lines,
    pub response: Lines,
    /// Envoy takes the request's headers away once their callback returned "continue".
    pub request_open: bool,
    pub response_open: bool,
    /// The access log may read both maps and change none.
    pub logging: bool,
    /// The body's bytes that stand before the filter; none outside of the body's callbacks.
    pub request_body: Option<Vec<u8>>,
    pub response_body: Option<Vec<u8>>,
    /// By path, segments joined with NUL.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub filter_state: BTreeMap<String, Vec<u8>>,
    pub reply: Option<Reply>,
    /// Whether the plugin let it go on after a pause.
    pub resumed: bool,
}

/// Which header map a call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    Request,
    Response,
}

impl Stream {
    /// The map for reading; `None` where Envoy has none at hand.
    pub fn read(&self, map: Map) -> Option<&Lines> {
        match map {
            Map::Request => (self.request_open || self.logging).then_some(&self.request),
            Map::Response => (self.response_open || self.logging).then_some(&self.response),
        }
    }

    /// The map for changes.
    pub fn change(&mut self, map: Map) -> Option<&mut Lines> {
        match map {
            Map::Request => self.request_open.then_some(&mut self.request),
            Map::Response => self.response_open.then_some(&mut self.response),
        }
    }
}
