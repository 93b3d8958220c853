//! Flat shapes: which framework spoke, by the members it writes, and which of its members may be said again.

use serde_json::{Map, Value};

use super::{Found, Said, code, details, text, word, xml::error_type};

/// A shape: its name, where its message stands and where its code; of several the first that is there.
struct Shape {
    name: &'static str,
    messages: &'static [&'static str],
    codes: &'static [&'static str],
}

/// `message` of Spring Boot is a person's text; `error` is the status phrase; `path`, `trace`, `exception` stay behind.
const SPRING: Shape = Shape {
    name: "spring",
    messages: &["message"],
    codes: &["code", "errorCode"],
};
/// Rails in development: `exception` and `traces` are all it says beside the status phrase.
const RAILS: Shape = Shape {
    name: "rails",
    messages: &[],
    codes: &[],
};
const KUBERNETES: Shape = Shape {
    name: "kubernetes",
    messages: &["message"],
    codes: &["reason"],
};
const AWS: Shape = Shape {
    name: "aws",
    messages: &["message", "Message", "errorMessage"],
    codes: &["__type", "Code", "code"],
};
/// Problem details under another media type: Spring's, ASP.NET's, Zalando's.
const PROBLEM: Shape = Shape {
    name: "problem",
    messages: &["detail"],
    codes: &["code", "errorCode", "error_code"],
};
const DETAIL: Shape = Shape {
    name: "django",
    messages: &["detail"],
    codes: &["code"],
};
const OAUTH: Shape = Shape {
    name: "oauth",
    messages: &["error_description"],
    codes: &["error"],
};
const MESSAGE: Shape = Shape {
    name: "message",
    messages: &[
        "message",
        "error_message",
        "errorMessage",
        "msg",
        "errmsg",
        "error_msg",
        "description",
        "error",
        "title",
    ],
    codes: &["code", "errorCode", "error_code", "error", "type", "reason"],
};

/// Members of an OAuth error: RFC 6749, its extensions, and what large issuers add.
const OAUTH_MEMBERS: [&str; 14] = [
    "error",
    "error_description",
    "error_uri",
    "state",
    "iss",
    "scope",
    "interval",
    "error_codes",
    "suberror",
    "timestamp",
    "trace_id",
    "correlation_id",
    "claims",
    "acr_values",
];

/// Registered error codes (IANA OAuth Extensions Error, RFC 6749, 6750, 7009, 7591, 8628, 8707, 9449, 9470; OpenID
/// Connect Core), one in a line.
const OAUTH_ERRORS: &str = "invalid_request\ninvalid_client\ninvalid_grant\nunauthorized_client\nunsupported_grant_type\n\
invalid_scope\naccess_denied\nunsupported_response_type\nserver_error\ntemporarily_unavailable\ninvalid_token\n\
insufficient_scope\nunsupported_token_type\ninvalid_redirect_uri\ninvalid_client_metadata\ninvalid_software_statement\n\
unapproved_software_statement\nauthorization_pending\nslow_down\nexpired_token\ninvalid_target\ninvalid_dpop_proof\n\
use_dpop_nonce\ninsufficient_user_authentication\nunmet_authentication_requirements\ninteraction_required\n\
login_required\naccount_selection_required\nconsent_required\ninvalid_request_uri\ninvalid_request_object\n\
request_not_supported\nrequest_uri_not_supported\nregistration_not_supported\nmissing_user_code\ninvalid_user_code\n\
invalid_binding_message\nunknown_user_id\nexpired_login_hint_token\ntransaction_failed";

pub fn read(members: &Map<String, Value>, graphql: bool) -> Found {
    let has = |name: &str| members.contains_key(name);
    let is_text = |name: &str| members.get(name).is_some_and(Value::is_string);
    if is_text("__type") || is_text("Message") {
        let mut said = gather(members, &AWS);
        said.code = said
            .code
            .as_deref()
            .and_then(|code| error_type(code.as_bytes()));
        return Found::Known(said);
    }
    if members.get("kind").and_then(Value::as_str) == Some("Status") {
        let mut said = gather(members, &KUBERNETES);
        let causes = members.get("details").and_then(|it| it.get("causes"));
        details::any(&mut said, causes);
        return Found::Known(said);
    }
    if has("exception") && has("traces") {
        return Found::Known(gather(members, &RAILS));
    }
    if has("timestamp") && has("status") && (has("error") || has("path")) {
        return Found::Known(gather(members, &SPRING));
    }
    if is_text("title") && (has("status") || has("type") || has("detail")) {
        let mut said = gather(members, &PROBLEM);
        said.kind = members.get("type").and_then(Value::as_str).and_then(uri);
        if said.message.is_none() {
            said.message = members
                .get("title")
                .and_then(text)
                .filter(|title| !crate::titles::is_phrase(title));
        }
        return Found::Known(said);
    }
    if has("errors") {
        return Found::Known(errors(members, graphql));
    }
    match members.get("detail") {
        Some(Value::Array(items)) => {
            let mut said = Said::new("fastapi");
            details::list(&mut said, items);
            return Found::Known(said);
        }
        // FastAPI's HTTPException takes any object.
        Some(Value::Object(inner)) => {
            let mut said = gather(inner, &MESSAGE);
            said.shape = "fastapi";
            return Found::Known(said);
        }
        Some(Value::String(_)) => return Found::Known(gather(members, &DETAIL)),
        _ => {}
    }
    if let Some(found) = oauth(members) {
        return found;
    }
    let said = message(members);
    if said.message.is_some() || said.code.is_some() || !said.details.is_empty() {
        return Found::Known(said);
    }
    Found::Known(fields(members))
}

/// The message, the code and the lists of mistakes, as the shape has them.
fn gather(members: &Map<String, Value>, shape: &Shape) -> Said {
    let mut said = Said::new(shape.name);
    let at = |names: &[&str], read: fn(&Value) -> Option<String>| {
        names
            .iter()
            .find_map(|name| members.get(*name).and_then(read))
    };
    said.message = at(shape.messages, text);
    said.code = at(shape.codes, code);
    for name in details::LISTS {
        details::any(&mut said, members.get(name));
    }
    said
}

/// `{"errors": …}`: JSON:API, GraphQL, Laravel, Rails, ASP.NET, GitHub and others.
fn errors(members: &Map<String, Value>, graphql: bool) -> Said {
    let mut said = gather(members, &MESSAGE);
    let first = members.get("errors").and_then(|errors| errors.get(0));
    let first_has = |name: &str| first.is_some_and(|first| first.get(name).is_some());
    said.shape = match members.get("errors") {
        Some(Value::Object(_)) if members.contains_key("message") => "laravel",
        Some(Value::Object(_)) => "rails",
        _ if graphql
            || members.contains_key("data")
            || first_has("message") && (first_has("locations") || first_has("extensions")) =>
        {
            "graphql"
        }
        _ if first_has("title") || first_has("detail") || first_has("source") => "json-api",
        _ => "errors",
    };
    if let Some(text) = members.get("errors").and_then(text) {
        said.message.get_or_insert(text);
    }
    // Without a message of its own, a list speaks through its first; a map of fields does not.
    if first.is_some() {
        details::speak_for_one(&mut said);
    }
    said
}

/// `{"error": "invalid_grant", "error_description": "…"}`; with foreign members it is read like any other shape.
fn oauth(members: &Map<String, Value>) -> Option<Found> {
    let error = members.get("error")?.as_str().and_then(word)?;
    let described = members.contains_key("error_description");
    if !described && !OAUTH_ERRORS.lines().any(|known| known == error) {
        return None;
    }
    let said = gather(members, &OAUTH);
    let pure = members.iter().all(|(name, value)| {
        let plain = match value {
            Value::Array(items) => items.iter().all(Value::is_number),
            other => !other.is_object(),
        };
        plain && OAUTH_MEMBERS.contains(&name.as_str())
    });
    if pure {
        return Some(Found::OAuth(said));
    }
    (described || !members.contains_key("message")).then_some(Found::Known(said))
}

/// `{"message": …}`, `{"code": …, "message": …}`, `{"error": "text"}` and their kin.
fn message(members: &Map<String, Value>) -> Said {
    let mut said = gather(members, &MESSAGE);
    said.shape = if members.get("message").is_none_or(Value::is_null) && said.message.is_some() {
        "error-text"
    } else if said.code.is_some() {
        "code-message"
    } else {
        "message"
    };
    // NestJS lists what a validation found as its message.
    if let Some(Value::Array(items)) = members.get("message") {
        said.message = None;
        details::list(&mut said, items);
    }
    // As a map it tells of anything, as a list of mistakes.
    if let Some(Value::Array(items)) = members.get("details") {
        details::list(&mut said, items);
    }
    // JSend.
    if let (Some("fail"), Some(Value::Object(fields))) = (
        members.get("status").and_then(Value::as_str),
        members.get("data"),
    ) {
        details::map(&mut said, "", fields, 2);
    }
    // `{"error": "not_found"}` is a code, not a sentence.
    if said.message == said.code {
        said.message = None;
    }
    said
}

/// Django REST: nothing but fields, each with a list of texts or a nested map of the same.
fn fields(members: &Map<String, Value>) -> Said {
    let mut said = Said::new("django");
    if are_fields(members) {
        details::map(&mut said, "", members, 6);
    }
    said
}

pub fn are_fields(members: &Map<String, Value>) -> bool {
    are_fields_within(members, 4) && !members.keys().any(|name| details::is_diagnostic(name))
}

fn are_fields_within(members: &Map<String, Value>, depth: u8) -> bool {
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    let is_field = |value: &Value| match value {
        Value::Array(items) => {
            !items.is_empty()
                && items.iter().all(|item| match item {
                    Value::Object(members) => {
                        members.is_empty() || are_fields_within(members, depth)
                    }
                    other => other.is_string(),
                })
        }
        Value::Object(members) => are_fields_within(members, depth),
        _ => false,
    };
    !members.is_empty() && members.values().all(is_field)
}

/// A type that names something: absolute, with no user, query or control character in it.
fn uri(kind: &str) -> Option<String> {
    let absolute = ["https://", "http://", "urn:", "tag:"]
        .iter()
        .any(|scheme| kind.starts_with(scheme));
    let clean = kind
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}@?".contains(&byte));
    (absolute && clean && kind.len() <= 256).then(|| kind.to_owned())
}
