//! The forms in which a record is written. Each gives the place at which `chain` goes.

mod ecs;
pub mod native;
mod ocsf;
mod time;

use crate::json::Object;
use crate::notice::Notice;
use crate::record::{PathShown, Record, Values};
use crate::settings::Format;

/// Appends a request's record.
#[inline]
pub fn write(format: Format, record: &Record<'_>, out: &mut Vec<u8>) -> usize {
    match format {
        Format::Native => native::write(record, out),
        Format::Ocsf => ocsf::write(record, out),
        Format::Ecs => ecs::write(record, out),
    }
}

/// Appends a record of the bundle itself.
#[inline]
pub fn write_notice(format: Format, notice: &Notice<'_>, time: u64, out: &mut Vec<u8>) -> usize {
    match format {
        Format::Native => native::write_notice(notice, time, out),
        Format::Ocsf => ocsf::write_notice(notice, time, out),
        Format::Ecs => ecs::write_notice(notice, time, out),
    }
}

/// What foreign schemas have no place for, under one member of theirs; `with_headers`: headers, too. Gives the place of `chain`.
fn rest(record: &Record<'_>, name: &str, with_headers: bool, object: &mut Object<'_>) -> usize {
    let mut chain = 0;
    object.object(name, |rest| {
        rest.text("category", record.ending.category.as_bytes());
        chain = rest.place();
        rest.optional("csrf", record.csrf.as_deref());
        rest.optional("event", record.ending.event.map(str::as_bytes));
        if record.flags.0 != 0 {
            rest.texts("flags", record.flags.iter().map(str::as_bytes));
        }
        rest.optional("issuer", record.issuer.as_deref());
        rest.text("outcome", record.ending.outcome.name().as_bytes());
        values("query", &record.query, rest);
        rest.optional("rate_limit", record.rate_limit.as_deref());
        if !record.redacted.is_empty() {
            let redacted = record.redacted.iter().map(|name| name.as_bytes());
            rest.texts("redacted", redacted);
        }
        values("request_body", &record.request_body, rest);
        if with_headers {
            values("request_headers", &record.request_headers, rest);
        }
        values("response_body", &record.response_body, rest);
        if with_headers {
            values("response_headers", &record.response_headers, rest);
        }
        rest.optional("route", record.route.as_deref());
        rest.text("schema", native::SCHEMA.as_bytes());
        rest.text("stage", record.stage.name().as_bytes());
        if let PathShown::Template(template) = record.path {
            rest.text("template", template.as_bytes());
        }
        rest.optional("tier", record.tier.as_deref());
        rest.optional("trace_id", record.trace_id.as_deref().map(str::as_bytes));
        rest.text("type", b"request");
    });
    chain
}

/// The same of a record of the bundle itself.
fn rest_of_notice(notice: &Notice<'_>, name: &str, object: &mut Object<'_>) -> usize {
    let mut chain = 0;
    object.object(name, |rest| {
        rest.text("category", b"bundle");
        chain = rest.place();
        native::notice_members(notice, rest);
        rest.text("type", b"bundle");
    });
    chain
}

/// Lists of values by name.
fn values(name: &str, values: &Values<'_>, object: &mut Object<'_>) {
    if values.is_empty() {
        return;
    }
    object.object(name, |object| {
        for (name, values) in values {
            object.texts(name, values.iter().map(Vec::as_slice));
        }
    });
}
