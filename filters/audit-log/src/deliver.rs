//! The bodies in which batches go to sinks.

use portcullis_kit::config::write_text;
use portcullis_kit::exchange::CalloutAnswer;
use portcullis_kit::export::{self, Encode};
use portcullis_kit::otlp::{self, Signal};
use portcullis_kit::span::Value;

use crate::emission::Encoding;
use crate::redact::Signer;
use crate::settings::Body;
use crate::waiting::Ticket;

/// A record on its way.
pub struct Outgoing {
    /// Its number in its chain; 0 where records are not sealed.
    pub seq: u64,
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
const INFO: &str = ",\"severityNumber\":9,\"severityText\":\"INFO\",\"body\":";
const WARN: &str = ",\"severityNumber\":13,\"severityText\":\"WARN\",\"body\":";

impl Encode<Outgoing> for Otlp {
    fn content_type(&self) -> &'static str {
        "application/json"
    }

    fn encode(&self, records: &[Outgoing], body: &mut Vec<u8>) {
        let bytes: usize = records.iter().map(|record| record.json.len() + 256).sum();
        let mut text = String::with_capacity(bytes + bytes / 4);
        let resource = [("service.name", Value::Text("portcullis".to_owned()))];
        let scope = ("portcullis.audit-log", env!("CARGO_PKG_VERSION"));
        otlp::open(&mut text, Signal::Logs, &resource, scope);
        for (at, record) in records.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str("{\"timeUnixNano\":");
            otlp::u64_text(&mut text, record.time);
            text.push_str(",\"observedTimeUnixNano\":");
            otlp::u64_text(&mut text, record.time);
            text.push_str(if record.is_event { WARN } else { INFO });
            text.push_str("{\"stringValue\":");
            // What is written is always UTF-8.
            let json = std::str::from_utf8(&record.json).unwrap_or_default();
            write_text(&mut text, json);
            text.push_str("}}");
        }
        otlp::close(&mut text);
        body.extend_from_slice(text.as_bytes());
    }

    fn rejected(&self, answer: &CalloutAnswer) -> u64 {
        otlp::rejected(Signal::Logs, answer)
    }
}
