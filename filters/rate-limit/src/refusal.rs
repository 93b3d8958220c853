//! The answers that take the place of the upstream's.

use portcullis_kit::exchange::Reply;
use portcullis_kit::problem::Problem;
use serde_json::{Map, Value};

use crate::counter::NEVER;
use crate::headers::{Told, seconds, window_s};
use crate::plan::{Profile, Tier};

/// Problem types of draft-ietf-httpapi-ratelimit-headers-11, section "Problem Types".
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
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
pub fn retry_after(told: &[Told<'_>]) -> Option<u64> {
    let violated = told.iter().filter(|told| told.standing.violated);
    let longest = violated
        .map(|told| told.standing.wait_ms.max(told.standing.reset_ms))
        .max()?;
    (longest != NEVER).then(|| seconds(longest).max(1))
}

/// 429: which limit, when again, and what would help.
pub fn quota_exceeded(
    profile: &Profile,
    tier: &Tier,
    told: &[Told<'_>],
    now: u64,
    client: Client<'_>,
) -> Reply {
    let violated: Vec<Told<'_>> = told
        .iter()
        .filter(|told| told.standing.violated && told.standing.enforced)
        .copied()
        .collect();
    let wait = retry_after(&violated);
    let detail = detail(tier, &violated, wait, now);
    let names: Vec<&str> = violated
        .iter()
        .map(|told| told.limit.name.as_str())
        .collect();
    let mut problem = Problem::new(429, "Quota exceeded")
        .kind(QUOTA_EXCEEDED)
        .detail(detail.as_str())
        .request_id(client.request_id)
        .extension("violated-policies", names)
        .extension("tier", tier.name.as_str());
    if let Some(upgrade) = upgrade(profile, tier, now) {
        problem = problem.extension("upgrade", upgrade);
    }
    let mut reply = answer(
        &problem,
        &detail,
        "rate_limited",
        RESOURCE_EXHAUSTED,
        client,
    );
    if let Some(wait) = wait {
        reply
            .headers
            .push(("retry-after".to_owned(), wait.to_string().into_bytes()));
    }
    reply
}

/// `Limit "minute" of plan "free" is used up (10 requests in 60 seconds). Try again in 21 seconds.`
fn detail(tier: &Tier, violated: &[Told<'_>], wait: Option<u64>, now: u64) -> String {
    let mut text = String::new();
    for told in violated {
        let name = &told.limit.name;
        let quota = told.standing.limit;
        let of = match window_s(&told.limit.rule.algorithm, now) {
            Some(window) => format!("{quota} in {window} seconds"),
            None => format!("{quota} at the same time"),
        };
        text.push_str(&format!(
            "Limit \"{name}\" of plan \"{}\" is used up ({of}). ",
            tier.name
        ));
    }
    match wait {
        Some(1) => text.push_str("Try again in 1 second."),
        Some(wait) => text.push_str(&format!("Try again in {wait} seconds.")),
        None => text.push_str("This request costs more than the plan ever allows at once."),
    }
    text
}

/// The next tier, what it allows, and where to get it.
fn upgrade(profile: &Profile, tier: &Tier, now: u64) -> Option<Value> {
    let next = profile.tiers.get(tier.next?)?;
    let limits: Vec<Value> = next
        .limits
        .iter()
        .filter(|limit| limit.rule.enforced)
        .map(|limit| {
            let mut told = Map::new();
            told.insert("policy".to_owned(), limit.name.as_str().into());
            told.insert("quota".to_owned(), limit.rule.limit.into());
            if let Some(window) = window_s(&limit.rule.algorithm, now) {
                told.insert("window".to_owned(), window.into());
            }
            Value::Object(told)
        })
        .collect();
    let mut upgrade = Map::new();
    upgrade.insert("tier".to_owned(), next.name.as_str().into());
    upgrade.insert("limits".to_owned(), limits.into());
    let told = [
        ("url", &profile.upgrade.url),
        ("text", &profile.upgrade.text),
    ];
    for (name, value) in told {
        if let Some(value) = value {
            upgrade.insert(name.to_owned(), value.as_str().into());
        }
    }
    Some(Value::Object(upgrade))
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
