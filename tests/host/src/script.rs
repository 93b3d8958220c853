//! What happens in one exchange, but for the plugin.

use std::collections::BTreeMap;

use crate::lines::Lines;

/// A request, what the host knows of it, and the upstream's answer.
#[derive(Clone, Debug)]
pub struct Script {
    pub request: Lines,
    /// The request's body as it arrives.
    pub body: Vec<Vec<u8>>,
    pub(crate) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// `None`: the client goes away before a response came.
    pub response: Option<Response>,
    /// `false`: an outer filter answers by [`Script::response`]. Envoy then asks the plugin neither about the request nor
    /// about the response, and has it log alone.
    pub reaches_plugin: bool,
    /// What the callouts of a request that waits for them are answered. `None`: the request hangs.
    pub answer_of_callouts: Option<u16>,
}

impl Script {
    /// A GET without a body, answered by an empty 200.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn new(method: &str, path: &str) -> Self {
        Self {
            request: Lines::new([
                (":authority", "api.example.com"),
                (":path", path),
                (":method", method),
                (":scheme", "http"),
            ]),
            body: Vec::new(),
            properties: BTreeMap::new(),
            response: Some(Response::new(200)),
            reaches_plugin: true,
            answer_of_callouts: None,
        }
    }

    /// Answers the callouts of a request that waits for them by this status.
    #[must_use]
    pub fn answer_callouts(mut self, status: u16) -> Self {
        self.answer_of_callouts = Some(status);
        self
    }

    /// Adds a request header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.request.add(name, value);
        self
    }

    /// Sets a request header, a pseudo header for one.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.request.set(name, value);
        self
    }

    /// Adds a piece of the request's body.
    #[must_use]
    pub fn chunk(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.body.push(bytes.as_ref().to_vec());
        self
    }

    /// A property as the host hands it over.
    #[must_use]
    pub fn property(mut self, path: &[&str], value: impl AsRef<[u8]>) -> Self {
        let path = path.join("\0").into_bytes();
        self.properties.insert(path, value.as_ref().to_vec());
        self
    }

    /// The matched route's metadata under the namespace `portcullis`.
    #[must_use]
    pub fn route_metadata<'a>(
        self,
        metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let bytes = Lines::new(metadata).serialize();
        let path = ["xds", "route_metadata", "filter_metadata", "portcullis"];
        self.property(&path, bytes)
    }

    /// The client's connection is TLS.
    #[must_use]
    pub fn tls(self) -> Self {
        self.property(&["connection", "tls_version"], "TLSv1.3")
            // The client shows no certificate.
            .property(&["connection", "subject_peer_certificate"], "")
    }

    #[must_use]
    pub fn respond(mut self, response: Response) -> Self {
        self.response = Some(response);
        self
    }

    /// The client goes away before a response came.
    #[must_use]
    pub fn abort(mut self) -> Self {
        self.response = None;
        self
    }

    /// An outer filter answers, see [`Script::reaches_plugin`].
    #[must_use]
    pub fn answered_before(mut self, response: Response) -> Self {
        self.reaches_plugin = false;
        self.respond(response)
    }
}

/// What the upstream answers.
#[derive(Clone, Debug)]
pub struct Response {
    pub headers: Lines,
    /// The body as it arrives; none at all is a response that ends with its headers.
    pub body: Vec<Vec<u8>>,
    /// Whether trailers come after the body: its last piece is then not told to be the last.
    pub trailers: bool,
}

impl Response {
    pub fn new(status: u16) -> Self {
        Self {
            headers: Lines::new([(":status", status.to_string())]),
            body: Vec::new(),
            trailers: false,
        }
    }

    #[must_use]
    pub fn with_trailers(mut self) -> Self {
        self.trailers = true;
        self
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.add(name, value);
        self
    }

    /// Adds a piece of the body.
    #[must_use]
    pub fn chunk(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.body.push(bytes.as_ref().to_vec());
        self
    }
}
