//! Problem details (RFC 9457): the body of every refusal a filter makes itself.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::config::{json_text, write_json};
use crate::exchange::{Exchange, Reply};
use crate::headers::Headers;
use crate::property;

/// The media type (RFC 9457 §3).
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The type of a 503 whose cause is ours and passes (draft-ietf-httpapi-ratelimit-headers-11, section "Problem Types").
pub const REDUCED_CAPACITY: &str =
    "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

/// gRPC's status of what may pass later.
pub const GRPC_UNAVAILABLE: u8 = 14;

/// How the client of a request that is refused speaks, and what its request is called.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub grpc: bool,
    pub request_id: Option<Rc<str>>,
}

impl Client {
    /// Asks the host; for refused requests only.
    #[inline]
    pub fn of(exchange: &mut impl Exchange) -> Self {
        Self {
            grpc: is_grpc(exchange.request_header("content-type").as_deref()),
            request_id: property::request_id(exchange),
        }
    }
}

/// Whether a request is gRPC (`application/grpc`, `application/grpc+proto`, …).
#[inline]
fn is_grpc(content_type: Option<&[u8]>) -> bool {
    content_type
        .and_then(|value| value.strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// A problem document. Members are written in the order `type`, `title`, `status`, `detail`, `instance`, extensions.
#[derive(Clone, Debug)]
pub struct Problem {
    status: u16,
    title: &'static str,
    kind: Option<String>,
    detail: Option<String>,
    instance: Option<String>,
    extensions: Map<String, Value>,
}

impl Problem {
    /// A problem of type `about:blank`; `title` is then the status phrase (RFC 9457 §4.2.1).
    #[inline]
    pub fn new(status: u16, title: &'static str) -> Self {
        Self {
            status,
            title,
            kind: None,
            detail: None,
            instance: None,
            extensions: Map::new(),
        }
    }

    /// An absolute URI that names the kind of problem.
    #[must_use]
    #[inline]
    pub fn kind(mut self, uri: impl Into<String>) -> Self {
        self.kind = Some(uri.into());
        self
    }

    /// What happened this time, for a person. Never text of an upstream.
    #[must_use]
    #[inline]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into());
        self
    }

    /// Names this occurrence by the request id: `urn:uuid:` where it is a UUID, else the extension `request_id` alone.
    #[must_use]
    #[inline]
    pub fn request_id(mut self, id: Option<&str>) -> Self {
        if let Some(id) = id {
            self.instance = urn(id);
            self = self.extension("request_id", id);
        }
        self
    }

    /// An extension member. Names start with a letter and hold letters, digits and `_`, at least three (RFC 9457 §3.2).
    #[must_use]
    #[inline]
    pub fn extension(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// The compact JSON text.
    #[inline]
    pub fn to_json(&self) -> String {
        let mut text = String::from("{");
        let mut member = |name: &str, value: &Value| {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&json_text(name));
            text.push(':');
            write_json(&mut text, value);
        };
        let kind = self.kind.as_deref().unwrap_or("about:blank");
        member("type", &kind.into());
        member("title", &self.title.into());
        member("status", &self.status.into());
        if let Some(detail) = &self.detail {
            member("detail", &detail.as_str().into());
        }
        if let Some(instance) = &self.instance {
            member("instance", &instance.as_str().into());
        }
        for (name, value) in &self.extensions {
            member(name, value);
        }
        text.push('}');
        text
    }

    /// The reply that carries it: uncacheable, with further headers to taste.
    #[inline]
    pub fn reply(&self, details: &'static str) -> Reply {
        Reply {
            status: self.status,
            headers: Headers::from_lines([
                ("content-type", CONTENT_TYPE),
                ("cache-control", "no-store"),
            ]),
            body: self.to_json().into_bytes(),
            grpc_status: None,
            details,
        }
    }
}

impl Problem {
    /// The reply that carries it to this client: a gRPC client reads its `detail` as a message, and no document.
    #[inline(never)]
    pub fn answer(self, details: &'static str, grpc_status: u8, client: &Client) -> Reply {
        let problem = self.request_id(client.request_id.as_deref());
        let mut reply = problem.reply(details);
        if client.grpc {
            reply.grpc_status = Some(grpc_status);
            reply.body = problem.detail.unwrap_or_default().into_bytes();
            reply.headers = Headers::default();
        }
        reply
    }
}

/// Appends the members that [`Problem::request_id`] adds, each after a comma: for a document that was mostly written
/// when the settings were loaded.
#[inline(never)]
pub fn put_request_id(document: &mut String, id: &str) {
    if let Some(instance) = urn(id) {
        document.push_str(",\"instance\":");
        document.push_str(&json_text(&instance));
    }
    document.push_str(",\"request_id\":");
    document.push_str(&json_text(id));
}

/// `urn:uuid:` and the id in lower case (RFC 9562 §4), if it is a UUID.
#[inline]
pub fn urn(id: &str) -> Option<String> {
    is_uuid(id).then(|| ["urn:uuid:", &id.to_ascii_lowercase()].concat())
}

#[inline]
fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_rfc_9457_shows_it() {
        let problem = Problem::new(403, "Forbidden")
            .detail("a \"cross-origin\" request\n")
            .request_id(Some("0F8FAD5B-D9CB-469F-A165-70867728950E"));
        let value: Value = serde_json::from_str(&problem.to_json()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "type": "about:blank", "title": "Forbidden", "status": 403,
                "detail": "a \"cross-origin\" request\n",
                "instance": "urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e",
                "request_id": "0F8FAD5B-D9CB-469F-A165-70867728950E"
            })
        );
    }

    #[test]
    fn a_document_written_by_hand_names_the_request_alike() {
        for id in ["0F8FAD5B-D9CB-469F-A165-70867728950E", "a\"\n"] {
            let mut text = String::from("{\"type\":\"about:blank\",\"title\":\"t\",\"status\":403");
            put_request_id(&mut text, id);
            text.push('}');
            let problem = Problem::new(403, "t").request_id(Some(id));
            assert_eq!(text, problem.to_json());
        }
    }

    #[test]
    fn an_id_that_is_no_uuid_names_no_instance() {
        let text = Problem::new(403, "Forbidden")
            .request_id(Some("abc"))
            .to_json();
        assert!(!text.contains("instance") && text.contains(r#""request_id":"abc""#));
    }
}
