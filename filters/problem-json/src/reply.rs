//! The headers of a reply that takes the place of an error without a body.
//!
//! The host shows such a reply to no other plugin. What inner filters and the upstream had said stays on it; what a
//! security-headers of its own would add and mend is done here (`reply_headers`), as its preset does it by default.

use portcullis_kit::presets::Preset;
use portcullis_kit::property::TlsReader;
use portcullis_kit::protect::protect;
use portcullis_kit::{Exchange, Headers};

use crate::headers::Edit;
use crate::profile::Profile;

/// What the host sets itself on a reply, or what says how the upstream's message was sent.
const NOT_REPLIED: [&str; 6] = [
    ":status",
    "content-length",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "date",
];

/// The lines of the reply, out of those of the response that it replaces.
pub fn lines<X: Exchange>(
    profile: &Profile,
    request_id: Option<&str>,
    response: &Headers,
    edits: Vec<Edit<'_>>,
    exchange: &X,
) -> Headers {
    let mut headers = response.clone();
    for edit in edits {
        match edit {
            Edit::Remove(name) => headers.remove(name),
            Edit::Set(name, value) => headers.set(name, value),
            Edit::Add(name, value) => headers.add(name, value),
        }
    }
    if profile.reply_headers != Preset::Off {
        let tls = || TlsReader::default().is_tls(exchange);
        protect(profile.reply_headers, &mut headers, &tls);
        if let Some(id) = request_id.filter(|_| !headers.contains("x-request-id")) {
            headers.set("x-request-id", id);
        }
    }
    for name in NOT_REPLIED {
        headers.remove(name);
    }
    headers
}
