//! The bodies in which batches go to sinks.

use portcullis_kit::exchange::CalloutAnswer;
use portcullis_kit::export::{self, Encode};
use portcullis_kit::otlp::{self, Signal};
use portcullis_kit::span::Value;

use crate::emission::Encoding;
use crate::json;
use crate::ledger::Shared;
use crate::redact::Signer;
use crate::settings::Body;
use crate::waiting::Ticket;

/// A record on its way.
pub struct Outgoing {
    /// Its chain, and its number in it, where somebody has to know what becomes of it.
    pub place: Option<(Shared, u64)>,
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// Whether it tells of a security event.
    pub is_event: bool,
    pub json: Box<[u8]>,
    /// Who waits for its acknowledgement.
    pub ticket: Option<Ticket>,
}

impl export::Record for Outgoing {
    fn size(&self) -> usize {
        self.json.len() + 64
    }

    fn is_urgent(&self) -> bool {
        self.ticket.is_some()
    }
}

impl Encoding {
    /// The format of a sink's bodies.
    pub fn encoder(&self) -> Box<dyn Encode<Outgoing>> {
        match self {
            Self::Otlp => Box::new(Otlp),
            Self::Webhook(body, signer) => Box::new(Webhook {
                body: *body,
                signer: signer.clone(),
            }),
        }
    }
}

/// Lines or a list of records.
struct Webhook {
    body: Body,
    signer: Option<Signer>,
}

impl Encode<Outgoing> for Webhook {
    fn content_type(&self) -> &'static str {
        match self.body {
            Body::Ndjson => "application/x-ndjson",
            Body::Array => "application/json",
        }
    }

    fn encode(&self, records: &[Outgoing], body: &mut Vec<u8>) {
        let is_list = self.body == Body::Array;
        if is_list {
            body.push(b'[');
        }
        for (at, record) in records.iter().enumerate() {
            if is_list && at > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&record.json);
            if !is_list {
                body.push(b'\n');
            }
        }
        if is_list {
            body.push(b']');
        }
    }

    fn sign(&self, body: &[u8], headers: &mut Vec<(&'static str, String)>) {
        if let Some(signer) = &self.signer {
            headers.push(("x-portcullis-signature", signer.sign(body)));
        }
    }
}

/// OTLP/HTTP in JSON: each record is the body of a log record, as text, so that its hash stays what it is.
struct Otlp;

/// `SEVERITY_NUMBER_INFO` and `SEVERITY_NUMBER_WARN` of logs.proto.
const INFO: &[u8] = b"\",\"severityNumber\":9,\"severityText\":\"INFO\",\"body\":{\"stringValue\":";
const WARN: &[u8] =
    b"\",\"severityNumber\":13,\"severityText\":\"WARN\",\"body\":{\"stringValue\":";

impl Encode<Outgoing> for Otlp {
    fn content_type(&self) -> &'static str {
        "application/json"
    }

    fn encode(&self, records: &[Outgoing], body: &mut Vec<u8>) {
        let bytes: usize = records.iter().map(|record| record.json.len() + 256).sum();
        body.reserve(bytes + bytes / 2);
        let mut text = String::new();
        let resource = [("service.name", Value::Text("portcullis".to_owned()))];
        let scope = ("portcullis.audit-log", env!("CARGO_PKG_VERSION"));
        otlp::open(&mut text, Signal::Logs, &resource, scope);
        body.extend_from_slice(text.as_bytes());
        for (at, record) in records.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            let mut time = itoa::Buffer::new();
            let time = time.format(record.time).as_bytes();
            let parts: [&[u8]; 5] = [
                b"{\"timeUnixNano\":\"",
                time,
                b"\",\"observedTimeUnixNano\":\"",
                time,
                if record.is_event { WARN } else { INFO },
            ];
            for part in parts {
                body.extend_from_slice(part);
            }
            json::quoted(body, &record.json);
            body.extend_from_slice(b"}}");
        }
        text.clear();
        otlp::close(&mut text);
        body.extend_from_slice(text.as_bytes());
    }

    fn rejected(&self, answer: &CalloutAnswer) -> u64 {
        otlp::rejected(Signal::Logs, answer)
    }
}
