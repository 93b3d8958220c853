//! The answers that take the place of the upstream's.

use std::borrow::Cow;

use portcullis_kit::config::json_text;
use portcullis_kit::exchange::Reply;
use portcullis_kit::problem::{self, Problem};

use crate::counter::NEVER;
use crate::decide::Standing;
use crate::headers::{self, Told, number, seconds, window_s};
use crate::plan::{Profile, Tier, Upgrade};

/// Problem types of draft-ietf-httpapi-ratelimit-headers-11, section "Problem Types".
///
/// A refused request is answered from what was written at load: this beginning, [`rest`], and between them what only
/// the request tells.
const HEAD: &str = "{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\",\
    \"title\":\"Quota exceeded\",\"status\":429,\"detail\":\"";
const REDUCED_CAPACITY: &str =
    "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

/// gRPC's status codes.
const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNAVAILABLE: u8 = 14;

/// How the client speaks.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    pub grpc: bool,
    pub request_id: Option<&'a str>,
}

/// When a client that waits is admitted again, in seconds, at least one; none where waiting does not help.
fn retry_after<'a>(violated: impl Iterator<Item = Told<'a>>) -> Option<u64> {
    let longest = violated
        .map(|told| told.standing.wait_ms.max(told.standing.reset_ms))
        .max()?;
    (longest != NEVER).then(|| seconds(longest).max(1))
}

/// 429: which limit, when again, and what would help.
pub fn quota_exceeded(
    profile: &Profile,
    tier: &Tier,
    standings: &[Standing],
    now: u64,
    client: Client<'_>,
) -> Reply {
    let violated = || violated(tier, standings);
    let wait = retry_after(violated());
    if client.grpc {
        let mut message = String::with_capacity(256);
        detail(&mut message, "\"", tier, violated(), wait, now);
        return reply(message.into_bytes(), Vec::new(), Some(RESOURCE_EXHAUSTED));
    }
    let rest = match &tier.refusal {
        Some(rest) => Cow::Borrowed(rest),
        None => Cow::Owned(rest(tier, profile.next(tier), &profile.upgrade, now)),
    };
    let mut body = String::with_capacity(512 + rest.len());
    body.push_str(HEAD);
    detail(&mut body, "\\\"", tier, violated(), wait, now);
    body.push('"');
    if let Some(id) = client.request_id {
        problem::put_request_id(&mut body, id);
    }
    body.push_str(",\"violated-policies\":[");
    for (at, Told { limit, .. }) in violated().enumerate() {
        if at > 0 {
            body.push(',');
        }
        body.push('"');
        body.push_str(&limit.name);
        body.push('"');
    }
    body.push_str(&rest);
    let mut headers = Vec::with_capacity(3);
    headers.push(("content-type".to_owned(), problem::CONTENT_TYPE.into()));
    headers.push(("cache-control".to_owned(), b"no-store".to_vec()));
    if let Some(wait) = wait {
        let mut value = String::with_capacity(20);
        number(&mut value, wait);
        headers.push(("retry-after".to_owned(), value.into_bytes()));
    }
    reply(body.into_bytes(), headers, None)
}

fn reply(body: Vec<u8>, headers: Vec<(String, Vec<u8>)>, grpc_status: Option<u8>) -> Reply {
    Reply {
        status: 429,
        headers,
        body,
        grpc_status,
        details: "rate_limited",
    }
}

/// What this client is refused for.
fn violated<'a>(tier: &'a Tier, standings: &'a [Standing]) -> impl Iterator<Item = Told<'a>> {
    headers::told(tier, standings).filter(|told| told.standing.violated && told.standing.enforced)
}

/// `Limit "minute" of plan "free" is used up (10 in 60 seconds). Try again in 21 seconds.`
///
/// `quote` is what stands for a quotation mark; names hold nothing else that JSON would escape.
fn detail<'a>(
    text: &mut String,
    quote: &str,
    tier: &Tier,
    violated: impl Iterator<Item = Told<'a>>,
    wait: Option<u64>,
    now: u64,
) {
    for Told { limit, standing } in violated {
        for part in ["Limit ", quote, &limit.name, quote, " of plan ", quote] {
            text.push_str(part);
        }
        text.push_str(&tier.name);
        text.push_str(quote);
        text.push_str(" is used up (");
        number(text, standing.limit);
        match window_s(&limit.rule.algorithm, now) {
            Some(window) => {
                text.push_str(" in ");
                number(text, window);
                text.push_str(" seconds). ");
            }
            None => text.push_str(" at the same time). "),
        }
    }
    match wait {
        Some(1) => text.push_str("Try again in 1 second."),
        Some(wait) => {
            text.push_str("Try again in ");
            number(text, wait);
            text.push_str(" seconds.");
        }
        None => text.push_str("This request costs more than the plan ever allows at once."),
    }
}

/// The end of the document, from the violated policies on: this tier, the next one, what that allows, and where to get
/// it.
#[inline(never)]
pub fn rest(tier: &Tier, next: Option<&Tier>, upgrade: &Upgrade, now: u64) -> String {
    let mut text = format!("],\"tier\":{}", json_text(&tier.name));
    if let Some(next) = next {
        text.push_str(",\"upgrade\":{\"tier\":");
        text.push_str(&json_text(&next.name));
        text.push_str(",\"limits\":[");
        let told = next.limits.iter().filter(|limit| limit.rule.enforced);
        for (at, limit) in told.enumerate() {
            text.push_str(if at > 0 {
                ",{\"policy\":"
            } else {
                "{\"policy\":"
            });
            text.push_str(&json_text(&limit.name));
            text.push_str(",\"quota\":");
            number(&mut text, limit.rule.limit);
            if let Some(window) = window_s(&limit.rule.algorithm, now) {
                text.push_str(",\"window\":");
                number(&mut text, window);
            }
            text.push('}');
        }
        text.push(']');
        for (name, value) in [("url", &upgrade.url), ("text", &upgrade.text)] {
            if let Some(value) = value {
                text.push_str(",\"");
                text.push_str(name);
                text.push_str("\":");
                text.push_str(&json_text(value));
            }
        }
        text.push('}');
    }
    text.push('}');
    text
}

/// 503: the store failed and the settings say that then nobody passes.
pub fn reduced_capacity(client: Client<'_>) -> Reply {
    let detail = "Requests cannot be counted at the moment. Try again in 1 second.";
    let problem = Problem::new(503, "Temporary reduced capacity")
        .kind(REDUCED_CAPACITY)
        .detail(detail)
        .request_id(client.request_id);
    let mut reply = answer(
        &problem,
        detail,
        "rate_limit_unavailable",
        UNAVAILABLE,
        client,
    );
    reply
        .headers
        .push(("retry-after".to_owned(), b"1".to_vec()));
    reply
}

/// 403: a verified source names a tier that does not exist.
pub fn unknown_tier(client: Client<'_>) -> Reply {
    let detail = "The plan of this client is not known here.";
    let problem = Problem::new(403, "Forbidden")
        .detail(detail)
        .request_id(client.request_id);
    answer(
        &problem,
        detail,
        "rate_limit_unknown_tier",
        PERMISSION_DENIED,
        client,
    )
}

/// A gRPC client reads a message, not a document.
fn answer(
    problem: &Problem,
    detail: &str,
    details: &'static str,
    grpc_status: u8,
    client: Client<'_>,
) -> Reply {
    let mut reply = problem.reply(details);
    if client.grpc {
        reply.grpc_status = Some(grpc_status);
        reply.body = detail.as_bytes().to_vec();
        reply.headers.clear();
    }
    reply
}

/// Whether a request is gRPC (`application/grpc`, `application/grpc+proto`, …).
pub fn is_grpc(content_type: Option<&[u8]>) -> bool {
    content_type
        .and_then(|value| value.strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}
