//! The Elastic Common Schema, version 8. What it has no field for stands under `portcullis`.

use super::time;
use crate::ending::Outcome;
use crate::json::Object;
use crate::notice::Notice;
use crate::record::{PathShown, Record};
use crate::settings::Stage;

const VERSION: &[u8] = b"8.17.0";

/// Appends the record, and gives the place of `chain`.
#[inline(never)]
pub fn write(record: &Record<'_>, out: &mut Vec<u8>) -> usize {
    let mut top = Object::open(out);
    time::write_text(top.member("@timestamp"), record.time);
    if let Some(address) = record.client_address.as_deref() {
        top.object("client", |client| client.text("address", address));
    }
    top.object("ecs", |ecs| ecs.text("version", VERSION));
    top.object("event", |event| {
        event.optional("action", record.ending.event.map(str::as_bytes));
        // `denied` is a type of the category `network`, and none of `web`.
        let is_denied = record.ending.outcome == Outcome::Denied;
        let categories = [b"network".as_slice(), b"web"];
        event.texts(
            "category",
            categories.into_iter().skip(usize::from(!is_denied)),
        );
        event.text("dataset", b"portcullis.audit");
        if let Some(duration) = record.duration {
            event.number("duration", duration);
        }
        event.text("kind", b"event");
        event.text(
            "outcome",
            match record.ending.outcome {
                Outcome::Success => b"success",
                Outcome::Denied | Outcome::Failure => b"failure",
                Outcome::Aborted | Outcome::Unknown => b"unknown",
            },
        );
        event.optional("reason", record.details.as_deref());
        let types = [b"access".as_slice(), b"denied"];
        event.texts("type", types.into_iter().take(1 + usize::from(is_denied)));
    });
    top.object("http", |http| {
        http.object("request", |request| {
            if let Some(bytes) = record.request_bytes {
                request.object("body", |body| body.number("bytes", bytes));
            }
            request.optional("id", record.request_id.as_deref().map(str::as_bytes));
            request.optional("method", record.method());
        });
        if record.stage == Stage::ResponseComplete {
            http.object("response", |response| {
                if let Some(bytes) = record.response_bytes {
                    response.object("body", |body| body.number("bytes", bytes));
                }
                if let Some(status) = record.status {
                    response.number("status_code", status.into());
                }
            });
        }
    });
    let chain = super::rest(record, "portcullis", true, &mut top);
    if let Some(upstream) = record.upstream.as_deref() {
        top.object("server", |server| server.text("address", upstream));
    }
    top.object("service", |service| service.text("name", b"portcullis"));
    if let Some(id) = &record.trace_id {
        top.object("trace", |trace| trace.text("id", id.as_bytes()));
    }
    top.object("url", |url| {
        url.optional("domain", record.host());
        match record.path {
            PathShown::Template(template) => url.text("path", template.as_bytes()),
            _ => url.optional("path", record.plain_path()),
        }
        url.optional("scheme", record.scheme());
    });
    if record.actor.is_some() || record.subject.is_some() {
        top.object("user", |user| {
            user.optional("id", record.actor.as_deref());
            user.optional("name", record.subject.as_deref());
        });
    }
    if let Some(agent) = record.user_agent() {
        top.object("user_agent", |user_agent| {
            user_agent.text("original", agent)
        });
    }
    top.close();
    chain
}

/// Appends a record of the bundle itself, and gives the place of `chain`.
#[inline(never)]
pub fn write_notice(notice: &Notice<'_>, now: u64, out: &mut Vec<u8>) -> usize {
    let mut top = Object::open(out);
    time::write_text(top.member("@timestamp"), now);
    top.object("ecs", |ecs| ecs.text("version", VERSION));
    top.object("event", |event| {
        event.text("action", notice.event().as_bytes());
        event.text("dataset", b"portcullis.audit");
        event.text("kind", b"event");
    });
    let chain = super::rest_of_notice(notice, "portcullis", &mut top);
    top.object("service", |service| {
        service.text("name", b"portcullis");
        service.text("version", env!("CARGO_PKG_VERSION").as_bytes());
    });
    top.close();
    chain
}
