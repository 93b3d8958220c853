//! A plugin that is loaded, to run requests through.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::fake::{Fake, Phase};
use super::names::Names;
use crate::chain::Bundle;
use crate::config::ConfigError;
use crate::filter::Flow;
use crate::headers::Headers;

/// A loaded plugin, to run requests through.
pub struct Bench<B: Bundle> {
    bundle: B,
    names: Names,
}

impl<B: Bundle> Bench<B> {
    /// Loads JSON settings.
    ///
    /// # Errors
    /// What the plugin refuses.
    pub fn load(settings: &Value) -> Result<Self, ConfigError> {
        Self::load_with(settings, &BTreeMap::new())
    }

    /// Loads with an environment.
    ///
    /// # Errors
    /// What the plugin refuses.
    pub fn load_with(
        settings: &Value,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let names = Names::default();
        let registry = RefCell::new(names.clone());
        let bundle = B::load(settings, environment, &registry)?;
        Ok(Self { bundle, names })
    }

    /// The metrics that the plugin defined.
    pub fn names(&self) -> &Names {
        &self.names
    }

    pub fn bundle(&self) -> &B {
        &self.bundle
    }

    /// Runs the request phase; a reply becomes the response, which the caller may then send on with
    /// [`Bench::respond`].
    pub fn request(&self, fake: &mut Fake, stream: &mut B::Stream) -> Flow {
        fake.names = self.names.clone();
        fake.phase = Phase::Request;
        self.bundle.request_headers(stream, fake, true)
    }

    /// Runs the request phase of a request that has a body, and its body's pieces.
    pub fn request_with_body(
        &self,
        fake: &mut Fake,
        stream: &mut B::Stream,
        pieces: &[&[u8]],
    ) -> Flow {
        fake.names = self.names.clone();
        fake.phase = Phase::Request;
        let flow = self.bundle.request_headers(stream, fake, pieces.is_empty());
        for (at, piece) in pieces.iter().enumerate() {
            fake.request_body = piece.to_vec();
            let ends = at + 1 == pieces.len();
            self.bundle.request_body(stream, fake, piece.len(), ends);
        }
        fake.request_body.clear();
        flow
    }

    /// Runs the response phase over the response that stands in `fake`.
    pub fn respond(&self, fake: &mut Fake, stream: &mut B::Stream) -> Flow {
        self.headers(fake, stream, false)
    }

    /// Runs the response phase over the response that stands in `fake`, and says whether it ends there.
    pub fn headers(&self, fake: &mut Fake, stream: &mut B::Stream, ends: bool) -> Flow {
        fake.names = self.names.clone();
        fake.phase = Phase::Response;
        (fake.in_trailers, fake.body_waits) = (false, false);
        let flow = self.bundle.response_headers(stream, fake, ends);
        fake.headers_wait = flow == Flow::Pause;
        flow
    }

    /// Runs a piece of the response's body, which is added to what earlier pieces left in `fake.body`. What a host sends on
    /// (unless the piece was paused) is taken out of it.
    pub fn body(
        &self,
        fake: &mut Fake,
        stream: &mut B::Stream,
        piece: &[u8],
        ends: bool,
    ) -> Vec<u8> {
        fake.body = piece.to_vec();
        let flow = self.bundle.response_body(stream, fake, piece.len(), ends);
        fake.body_waits = flow == Flow::Pause;
        if fake.body_waits {
            // As on Envoy: what waits is not shown again with the next piece, and these filters leave nothing there.
            return Vec::new();
        }
        fake.headers_wait = false;
        std::mem::take(&mut fake.body)
    }

    /// Runs the trailers; gives what waited for them.
    pub fn trailers(&self, fake: &mut Fake, stream: &mut B::Stream) -> Vec<u8> {
        fake.body.clear();
        fake.in_trailers = true;
        self.bundle.response_trailers(stream, fake);
        fake.in_trailers = false;
        std::mem::take(&mut fake.body)
    }

    /// Lets `fake` count under this plugin's names, for tests that begin behind the request phase.
    pub fn attach(&self, fake: &mut Fake) {
        fake.names = self.names.clone();
    }

    pub fn finish(&self, fake: &mut Fake, stream: &mut B::Stream) {
        fake.phase = Phase::Finished;
        self.bundle.finished(stream, fake);
    }

    /// A whole exchange: request, then the upstream's answer (or the filter's own reply), response, end.
    pub fn exchange<V: AsRef<[u8]>>(&self, mut fake: Fake, upstream: &[(&str, V)]) -> Fake {
        let mut stream = B::Stream::default();
        match self.request(&mut fake, &mut stream) {
            Flow::Replied => {
                if let Some(reply) = fake.replies.last() {
                    fake.response = reply.to_response();
                }
            }
            _ => {
                fake.response =
                    Headers::from_lines(upstream.iter().map(|(name, value)| (name, value)));
            }
        }
        self.respond(&mut fake, &mut stream);
        self.finish(&mut fake, &mut stream);
        fake
    }
}
