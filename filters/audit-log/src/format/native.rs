//! Our own form, by the schema `portcullis.audit/v1` (`docs/audit-log.md`).

use super::{time, values};
use crate::json::Object;
use crate::notice::Notice;
use crate::record::{PathShown, Record};
use crate::settings::Stage;

/// The schema's name and version, in every record.
pub const SCHEMA: &str = "portcullis.audit/v1";

/// Appends the record. Members stand in the order of their names, as JCS asks. Gives the place of `chain`.
#[inline]
pub fn write(record: &Record<'_>, out: &mut Vec<u8>) -> usize {
    let mut top = Object::open(out);
    top.object("action", |action| {
        action.optional("host", record.host());
        action.optional("method", record.method());
        action.optional("path", record.plain_path());
        values("query", &record.query, action);
        action.optional("scheme", record.scheme());
        if let PathShown::Template(template) = record.path {
            action.text("template", template.as_bytes());
        }
    });
    top.object("actor", |actor| {
        actor.optional("id", record.actor.as_deref());
        actor.optional("issuer", record.issuer.as_deref());
        let known = record.actor.is_some() || record.subject.is_some();
        actor.text("kind", if known { b"identified" } else { b"anonymous" });
        actor.optional("subject", record.subject.as_deref());
        actor.optional("tier", record.tier.as_deref());
    });
    top.text("category", record.ending.category.as_bytes());
    let chain = top.place();
    top.object("client", |client| {
        client.optional("address", record.client_address.as_deref());
        client.optional("user_agent", record.user_agent());
    });
    top.optional("csrf", record.csrf.as_deref());
    if let Some(duration) = record.duration {
        top.number("duration_us", duration / 1_000);
    }
    top.optional("event", record.ending.event.map(str::as_bytes));
    top.text("outcome", record.ending.outcome.name().as_bytes());
    top.optional("rate_limit", record.rate_limit.as_deref());
    if !record.redacted.is_empty() {
        let redacted = record.redacted.iter().map(|name| name.as_bytes());
        top.texts("redacted", redacted);
    }
    top.object("request", |request| {
        values("body", &record.request_body, request);
        if let Some(bytes) = record.request_bytes {
            request.number("bytes", bytes);
        }
        values("headers", &record.request_headers, request);
        request.optional("id", record.request_id.as_deref().map(str::as_bytes));
    });
    if record.stage == Stage::ResponseComplete {
        top.object("response", |response| {
            values("body", &record.response_body, response);
            if let Some(bytes) = record.response_bytes {
                response.number("bytes", bytes);
            }
            response.optional("details", record.details.as_deref());
            if record.flags.0 != 0 {
                response.texts("flags", record.flags.iter().map(str::as_bytes));
            }
            values("headers", &record.response_headers, response);
            if let Some(status) = record.status {
                response.number("status", status.into());
            }
        });
    }
    top.optional("route", record.route.as_deref());
    top.text("schema", SCHEMA.as_bytes());
    top.text("stage", record.stage.name().as_bytes());
    time::write_text(top.member("time"), record.time);
    top.optional("trace_id", record.trace_id.as_deref().map(str::as_bytes));
    top.text("type", b"request");
    top.optional("upstream", record.upstream.as_deref());
    top.close();
    chain
}

/// Appends a record of the bundle itself. Gives the place of `chain`.
#[inline(never)]
pub fn write_notice(notice: &Notice<'_>, time: u64, out: &mut Vec<u8>) -> usize {
    let mut top = Object::open(out);
    top.text("category", b"bundle");
    let chain = top.place();
    notice_members(notice, &mut top);
    time::write_text(top.member("time"), time);
    top.text("type", b"bundle");
    top.text("version", env!("CARGO_PKG_VERSION").as_bytes());
    top.close();
    chain
}

/// What a notice says beside its time, from `event` to `settings_sha256`.
pub fn notice_members(notice: &Notice<'_>, object: &mut Object<'_>) {
    object.text("event", notice.event().as_bytes());
    if let Notice::SettingsLoaded { before, .. } = notice {
        object.optional("previous_settings_sha256", before.map(str::as_bytes));
    }
    if let Notice::Dropped { records, reason } = notice {
        object.text("reason", reason.as_bytes());
        object.number("records", *records);
    }
    if let Notice::Restart { records } = notice {
        object.number("records", *records);
    }
    object.text("schema", SCHEMA.as_bytes());
    if let Notice::SettingsLoaded { fingerprint, .. } = notice {
        object.text("settings_sha256", fingerprint.as_bytes());
    }
}
