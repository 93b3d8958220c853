//! The answers that take the place of the upstream's.

use std::borrow::Cow;

use portcullis_kit::Headers;
use portcullis_kit::config::json_text;
use portcullis_kit::exchange::Reply;
use portcullis_kit::problem::{self, Client, GRPC_UNAVAILABLE, Problem, REDUCED_CAPACITY};

use crate::counter::NEVER;
use crate::decide::Standing;
use crate::headers::{self, Quota, Told, number, put, seconds};
use crate::plan::{Limit, Profile, Tier, Upgrade};

/// Problem types of draft-ietf-httpapi-ratelimit-headers-11, section "Problem Types".
///
/// A refused request is answered from what was written at load: this beginning, [`rest`], and between them what only
/// the request tells.
const HEAD: &str = "{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\",\
    \"title\":\"Quota exceeded\",\"status\":429,\"detail\":\"";

/// gRPC's status codes.
const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;

/// When a client that waits is admitted again, in seconds, at least one; none where waiting does not help. A limit that this
/// request did not violate may be one to wait for, where refused requests count.
#[inline]
fn retry_after<'a>(enforced: impl Iterator<Item = Told<'a>>) -> Option<u64> {
    let wait = |Standing {
                    violated,
                    reset_ms,
                    wait_ms,
                    ..
                }: &Standing| match violated {
        true => *wait_ms.max(reset_ms),
        false => *wait_ms,
    };
    let longest = enforced.map(|told| wait(told.standing)).max()?;
    (longest != NEVER).then(|| seconds(longest).max(1))
}

/// 429: which limit, when again, and what would help.
#[inline]
pub fn quota_exceeded(
    profile: &Profile,
    tier: &Tier,
    standings: &[Standing],
    now: u64,
    client: &Client,
) -> Reply {
    let violated = || violated(tier, standings);
    let enforced = headers::told(tier, standings).filter(|told| told.standing.enforced);
    let wait = retry_after(enforced);
    if client.grpc {
        let mut message = Vec::with_capacity(256);
        detail(&mut message, tier, violated(), wait, now);
        // A message is text, not JSON: no quotation mark is escaped.
        message.retain(|byte| *byte != b'\\');
        return reply(message, Headers::default(), Some(RESOURCE_EXHAUSTED));
    }
    let rest = match &tier.refusal {
        Some(rest) => Cow::Borrowed(rest),
        None => Cow::Owned(rest(tier, profile.next(tier), &profile.upgrade, now)),
    };
    let mut body = Vec::with_capacity(512 + rest.len());
    put(&mut body, HEAD);
    detail(&mut body, tier, violated(), wait, now);
    put(&mut body, "\"");
    if let Some(id) = &client.request_id {
        let mut members = String::new();
        problem::put_request_id(&mut members, id);
        put(&mut body, &members);
    }
    put(&mut body, ",\"violated-policies\":[");
    for (at, Told { limit, .. }) in violated().enumerate() {
        put(&mut body, if at > 0 { ",\"" } else { "\"" });
        put(&mut body, &limit.name);
        put(&mut body, "\"");
    }
    body.extend_from_slice(&rest);
    let mut headers = Headers::with_capacity(6, 512);
    headers.add("content-type", problem::CONTENT_TYPE);
    headers.add("cache-control", "no-store");
    if let Some(wait) = wait {
        let mut value = Vec::with_capacity(20);
        number(&mut value, wait);
        headers.add("retry-after", value);
    }
    reply(body, headers, None)
}

#[inline]
fn reply(body: Vec<u8>, headers: Headers, grpc_status: Option<u8>) -> Reply {
    Reply {
        status: 429,
        headers,
        body,
        grpc_status,
        details: "rate_limited",
    }
}

/// What this client is refused for.
#[inline]
fn violated<'a>(tier: &'a Tier, standings: &'a [Standing]) -> impl Iterator<Item = Told<'a>> {
    headers::told(tier, standings).filter(|told| told.standing.violated && told.standing.enforced)
}

/// `Limit "minute" of plan "free" is used up (10 in 60 seconds). Try again in 21 seconds.`
#[inline]
fn detail<'a>(
    text: &mut Vec<u8>,
    tier: &Tier,
    violated: impl Iterator<Item = Told<'a>>,
    wait: Option<u64>,
    now: u64,
) {
    for Told { limit, standing } in violated {
        match &limit.used_up {
            Some(written)
                if standing.limit == limit.rule.limit
                    && standing.capacity == limit.rule.capacity() =>
            {
                text.extend_from_slice(written);
            }
            _ => {
                let quota = Quota::told(Told { limit, standing }, now);
                text.extend_from_slice(&used_up(&tier.name, limit, quota));
            }
        }
    }
    match wait {
        Some(1) => put(text, "Try again in 1 second."),
        Some(wait) => {
            put(text, "Try again in ");
            number(text, wait);
            put(text, " seconds.");
        }
        None => put(
            text,
            "This request costs more than the plan ever allows at once.",
        ),
    }
}

/// What the document says of a limit that is used up. Names hold nothing that JSON would escape, so only the quotation
/// marks around them are.
#[inline(never)]
pub fn used_up(tier: &str, limit: &Limit, quota: Quota) -> Vec<u8> {
    let parts = ["Limit \\\"", &limit.name, "\\\" of plan \\\"", tier];
    let mut text = parts.concat().into_bytes();
    put(&mut text, "\\\" is used up (");
    number(&mut text, quota.count);
    match quota.window_s {
        Some(window) => {
            put(&mut text, " in ");
            number(&mut text, window);
            put(&mut text, " seconds). ");
        }
        None => put(&mut text, " at the same time). "),
    }
    text
}

/// The end of the document, from the violated policies on: this tier, the next one, what that allows, and where to get
/// it.
#[inline(never)]
pub fn rest(tier: &Tier, next: Option<&Tier>, upgrade: &Upgrade, now: u64) -> Vec<u8> {
    let mut text = Vec::new();
    put(&mut text, "],\"tier\":");
    put(&mut text, &json_text(&tier.name));
    if let Some(next) = next {
        put(&mut text, ",\"upgrade\":{\"tier\":");
        put(&mut text, &json_text(&next.name));
        put(&mut text, ",\"limits\":[");
        let told = next.limits.iter().filter(|limit| limit.rule.enforced);
        for (at, limit) in told.enumerate() {
            put(&mut text, if at > 0 { "," } else { "" });
            put(&mut text, "{\"policy\":");
            put(&mut text, &json_text(&limit.name));
            put(&mut text, ",\"quota\":");
            let quota = Quota::of(&limit.rule, now);
            number(&mut text, quota.count);
            if let Some(window) = quota.window_s {
                put(&mut text, ",\"window\":");
                number(&mut text, window);
            }
            put(&mut text, "}");
        }
        put(&mut text, "]");
        for (name, value) in [("url", &upgrade.url), ("text", &upgrade.text)] {
            if let Some(value) = value {
                put(&mut text, ",\"");
                put(&mut text, name);
                put(&mut text, "\":");
                put(&mut text, &json_text(value));
            }
        }
        put(&mut text, "}");
    }
    put(&mut text, "}");
    text
}

/// 503: the store failed and the settings say that then nobody passes.
pub fn reduced_capacity(client: &Client) -> Reply {
    let problem = Problem::new(503, "Temporary reduced capacity")
        .kind(REDUCED_CAPACITY)
        .detail("Requests cannot be counted at the moment. Try again in 1 second.");
    let mut reply = problem.answer("rate_limit_unavailable", GRPC_UNAVAILABLE, client);
    reply.headers.add("retry-after", "1");
    reply
}

/// 403: a verified source names a tier that does not exist.
pub fn unknown_tier(client: &Client) -> Reply {
    let problem =
        Problem::new(403, "Forbidden").detail("The plan of this client is not known here.");
    problem.answer("rate_limit_unknown_tier", PERMISSION_DENIED, client)
}
