//! The Open Cybersecurity Schema Framework: API Activity (6003) where the actor is known, HTTP Activity (4002) where not, and a
//! Base Event for what the bundle tells of itself. Written by version 1.5.0; what is used of it is unchanged up to 1.8.0.

use crate::ending::Outcome;
use crate::json::{Object, text};
use crate::notice::Notice;
use crate::record::{PathShown, Record, Values};

const VERSION: &[u8] = b"1.5.0";
const API_ACTIVITY: u64 = 6003;
const HTTP_ACTIVITY: u64 = 4002;
/// `activity_id` of what has no number of its own.
const OTHER: u64 = 99;

/// `activity_id` of API Activity: Create, Read, Update, Delete.
fn api_activity(method: &[u8]) -> u64 {
    match method {
        b"POST" => 1,
        b"GET" | b"HEAD" | b"OPTIONS" => 2,
        b"PUT" | b"PATCH" => 3,
        b"DELETE" => 4,
        _ => OTHER,
    }
}

/// `activity_id` of HTTP Activity.
fn http_activity(method: &[u8]) -> u64 {
    match method {
        b"CONNECT" => 1,
        b"DELETE" => 2,
        b"GET" => 3,
        b"HEAD" => 4,
        b"OPTIONS" => 5,
        b"POST" => 6,
        b"PUT" => 7,
        b"TRACE" => 8,
        _ => OTHER,
    }
}

/// Appends the record, and gives the place of `chain`.
#[inline(never)]
pub fn write(record: &Record<'_>, out: &mut Vec<u8>) -> usize {
    let method = record.method().unwrap_or(b"UNKNOWN");
    let is_known = record.actor.is_some() || record.subject.is_some();
    let (class, category, activity) = if is_known {
        (API_ACTIVITY, 6, api_activity(method))
    } else {
        (HTTP_ACTIVITY, 4, http_activity(method))
    };
    let mut top = Object::open(out);
    top.number("activity_id", activity);
    top.text("activity_name", method);
    if is_known {
        actor(record, &mut top);
        api(record, method, &mut top);
    }
    top.number("category_uid", category);
    top.number("class_uid", class);
    if let Some(upstream) = record.upstream.as_deref() {
        top.object("dst_endpoint", |endpoint| endpoint.text("name", upstream));
    }
    if let Some(duration) = record.duration {
        top.number("duration", duration / 1_000_000);
    }
    request(record, method, &mut top);
    if let Some(status) = record.status {
        top.object("http_response", |response| {
            response.number("code", status.into());
            headers(&record.response_headers, response);
            if let Some(bytes) = record.response_bytes {
                response.number("length", bytes);
            }
        });
    }
    metadata(record.ending.event, record.request_id.as_deref(), &mut top);
    // Informational, or medium for what concerns security.
    top.number(
        "severity_id",
        if record.ending.event.is_some() { 3 } else { 1 },
    );
    top.object("src_endpoint", |endpoint| match &record.client_address {
        Some(address) if is_ip(address) => endpoint.text("ip", address),
        Some(network) => endpoint.text("name", network),
        None => endpoint.text("name", b"unknown"),
    });
    let (status, status_id) = match record.ending.outcome {
        Outcome::Success => ("Success", 1),
        Outcome::Denied | Outcome::Failure => ("Failure", 2),
        Outcome::Aborted => ("Aborted", OTHER),
        Outcome::Unknown => ("Unknown", 0),
    };
    top.text("status", status.as_bytes());
    if let Some(code) = record.status {
        let mut digits = itoa::Buffer::new();
        top.text("status_code", digits.format(code).as_bytes());
    }
    top.optional("status_detail", record.details.as_deref());
    top.number("status_id", status_id);
    top.number("time", record.time / 1_000_000);
    top.number("type_uid", class * 100 + activity);
    let chain = super::rest(record, "unmapped", false, &mut top);
    top.close();
    chain
}

fn actor(record: &Record<'_>, top: &mut Object<'_>) {
    top.object("actor", |actor| {
        actor.object("user", |user| {
            user.optional("name", record.subject.as_deref());
            user.optional("uid", record.actor.as_deref());
        });
    });
}

fn api(record: &Record<'_>, method: &[u8], top: &mut Object<'_>) {
    top.object("api", |api| {
        let place = match record.path {
            PathShown::Template(template) => template.as_bytes(),
            _ => record.plain_path().unwrap_or_default(),
        };
        api.text("operation", [method, place].join(&b' ').trim_ascii_end());
        if let Some(id) = &record.request_id {
            api.object("request", |request| request.text("uid", id.as_bytes()));
        }
        if let Some(host) = record.host() {
            api.object("service", |service| service.text("name", host));
        }
    });
}

fn request(record: &Record<'_>, method: &[u8], top: &mut Object<'_>) {
    top.object("http_request", |request| {
        headers(&record.request_headers, request);
        // A closed set, PATCH not in it; `activity_name` has every one.
        if http_activity(method) != OTHER {
            request.text("http_method", method);
        }
        if let Some(bytes) = record.request_bytes {
            request.number("length", bytes);
        }
        request.optional("uid", record.request_id.as_deref().map(str::as_bytes));
        let path = match record.path {
            PathShown::Template(template) => Some(template.as_bytes()),
            _ => record.plain_path(),
        };
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            request.object("url", |url| {
                url.optional("hostname", record.host().filter(|host| is_hostname(host)));
                url.text("path", path);
                url.optional("scheme", record.scheme());
            });
        }
        request.optional("user_agent", record.user_agent());
    });
}

/// A list of names and values; a header of several lines has as many entries.
fn headers(values: &Values<'_>, object: &mut Object<'_>) {
    if values.is_empty() {
        return;
    }
    let out = object.member("http_headers");
    out.push(b'[');
    let mut first = true;
    for (name, values) in values {
        for value in values {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"name\":");
            text(out, name.as_bytes());
            out.extend_from_slice(b",\"value\":");
            text(out, value);
            out.push(b'}');
        }
    }
    out.push(b']');
}

fn metadata(event: Option<&str>, id: Option<&str>, top: &mut Object<'_>) {
    top.object("metadata", |metadata| {
        metadata.optional("correlation_uid", id.map(str::as_bytes));
        metadata.optional("event_code", event.map(str::as_bytes));
        metadata.object("product", |product| {
            product.text("name", b"audit-log");
            product.text("vendor_name", b"Portcullis");
            product.text("version", env!("CARGO_PKG_VERSION").as_bytes());
        });
        metadata.text("version", VERSION);
    });
}

/// Appends a record of the bundle itself, and gives the place of `chain`.
#[inline(never)]
pub fn write_notice(notice: &Notice<'_>, time: u64, out: &mut Vec<u8>) -> usize {
    let mut top = Object::open(out);
    top.number("activity_id", OTHER);
    top.text("activity_name", notice.event().as_bytes());
    top.number("category_uid", 0);
    top.number("class_uid", 0);
    top.text("message", notice.event().as_bytes());
    metadata(Some(notice.event()), None, &mut top);
    top.number("severity_id", 1);
    top.number("time", time / 1_000_000);
    top.number("type_uid", OTHER);
    let chain = super::rest_of_notice(notice, "unmapped", &mut top);
    top.close();
    chain
}

fn is_ip(address: &[u8]) -> bool {
    std::str::from_utf8(address).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok())
}

/// Letters, digits, dots and hyphens, as the schema's type asks: what else a client may write stays out.
fn is_hostname(host: &[u8]) -> bool {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    host.first().is_some_and(u8::is_ascii_alphanumeric)
        && host.last().is_some_and(u8::is_ascii_alphanumeric)
        && host.iter().all(legal)
        && !host.windows(2).any(|pair| pair == b"..")
}
