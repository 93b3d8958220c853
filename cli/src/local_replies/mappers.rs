//! The mappers, in Envoy's YAML. The first one that matches a reply decides.

use std::fmt::Write as _;

use portcullis_kit::config::json_text;
use portcullis_kit::presets::Preset;
use problem_json::settings::Instance;
use problem_json::{LocalReply, Profile};

/// What Envoy and its filters answer by themselves, beside which there are the rules for each class.
const STATUSES: [u16; 18] = [
    400, 401, 403, 404, 405, 408, 413, 415, 421, 426, 429, 431, 500, 501, 502, 503, 504, 505,
];
/// What it answers to requests of which it has seen no valid headers, so that they have no id.
const WITHOUT_ID: [u16; 5] = [400, 408, 413, 426, 431];

/// Names an occurrence that has no request id. Two connections never have the same number, and requests on one differ in
/// time.
const MADE_ID: &str = "%CONNECTION_ID%-%START_TIME(%s.%6f)%";
const REQUEST_ID: &str = "%REQ(X-REQUEST-ID)%";

/// What an id may be made of: clients can choose one where Envoy has not replaced it yet. problem-json asks for the same.
const HAS_ID: &str = "'x-request-id' in request.headers && request.headers['x-request-id'].matches('^[0-9A-Za-z._-]+$') && size(request.headers['x-request-id']) <= 128";
/// What filters answered: a problem document, or a page or a text of problem-json's.
const IS_PROBLEM: &str = "('content-type' in response.headers && response.headers['content-type'].startsWith('application/problem+')) || response.code_details == 'problem_json_empty_error'";
/// How problem-json names its replies to errors without a body.
const EMPTY_ERROR: &str = "problem_json_empty_error";
const CEL: &str =
    "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter";

/// The flags of replies that say something of the upstream.
const UPSTREAM_FLAGS: &str = "UH, UF, UT, UC, UR, UO, URX, LR, UPE, UMSDR";

/// `local_reply_config:` and what it holds.
pub fn config(profile: &Profile) -> String {
    let mut out = String::from(
        "\
# Written by `portcullis generate local-replies --write`; `portcullis check` compares it with the settings of problem-json.
# What Envoy answers by itself has the same documents as other errors. Where problem-json sees such an answer, it knows
# it by `proxy-status` and writes it anew, for the client's languages and formats.
local_reply_config:
  mappers:
    # What filters answer is a problem document already and stays as it is. So do answers to gRPC, which have no body, but
    # for what they say of the upstream.
",
    );
    grpc(&mut out, profile);
    out.push_str("    # Requests without an id: they were refused before any filter saw them.\n");
    let mut writer = Writer {
        out,
        profile,
        id: MADE_ID,
        started: false,
        defined: false,
    };
    writer.group(&WITHOUT_ID);
    writer.out.push_str("    # Requests with an id.\n");
    writer.id = REQUEST_ID;
    writer.started = false;
    writer.group(&statuses(profile));
    writer.out
}

fn statuses(profile: &Profile) -> Vec<u16> {
    let mut all: Vec<u16> = profile.named_statuses().chain(STATUSES).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn grpc(out: &mut String, profile: &Profile) {
    // As Envoy itself tells gRPC: no more, as what is no gRPC gets text.
    let header = r#"header_filter: { header: { name: content-type, string_match: { safe_regex: { regex: "application/grpc([+;].*)?" } } } }"#;
    // Envoy makes a message of a reply's body. Without `te` problem-json cannot know a call of gRPC.
    let replied = cel(&format!("response.code_details == '{EMPTY_ERROR}'"));
    let _ = write!(
        out,
        "    - filter: {{ and_filter: {{ filters: [&grpc {{ {header} }}, {replied}] }} }}
      body_format_override: {{ text_format_source: {{ inline_string: \"HTTP status %RESPONSE_CODE%\" }} }}
"
    );
    if let Some(reply) = profile.local_reply(503) {
        let text = json_text(&escaped(reply.detail));
        let _ = write!(
            out,
            "    - filter: {{ and_filter: {{ filters: [*grpc, {{ response_flag_filter: {{ flags: [{UPSTREAM_FLAGS}] }} }}] }} }}
      body_format_override: {{ text_format_source: {{ inline_string: {text} }} }}
"
        );
    }
    let _ = write!(
        out,
        "    - filter:
        or_filter:
          filters:
            - *grpc
            - {}
",
        cel(IS_PROBLEM)
    );
}

/// A condition in Envoy's expression language.
fn cel(expression: &str) -> String {
    format!(
        "{{ extension_filter: {{ name: cel, typed_config: {{ \"@type\": {CEL}, expression: {} }} }} }}",
        json_text(expression)
    )
}

/// Writes the mappers of one kind of request.
struct Writer<'p> {
    out: String,
    profile: &'p Profile,
    /// The format of the request's id.
    id: &'static str,
    /// Whether the group has a mapper.
    started: bool,
    /// Whether the headers that both groups share are written.
    defined: bool,
}

/// Which replies a mapper is for.
#[derive(Clone, Copy)]
enum Which {
    Status(u16),
    From(u16, u16),
}

impl Writer<'_> {
    /// The mappers for these statuses and for what remains of each class.
    fn group(&mut self, statuses: &[u16]) {
        for status in statuses {
            if let Some(reply) = self.profile.local_reply(*status) {
                self.mapper(Which::Status(*status), &reply);
            }
        }
        for class in [400_u16, 500] {
            let all = class..class.saturating_add(100);
            if !all.clone().all(|it| self.profile.statuses.contains(it)) {
                continue;
            }
            // A status without a rule of its own stands for those like it.
            let last = all.clone().next_back().unwrap_or(class);
            let plain = all.rev().find(|it| !statuses.contains(it));
            if let Some(reply) = plain.and_then(|it| self.profile.local_reply(it)) {
                self.mapper(Which::From(class, last), &reply);
            }
        }
    }

    fn mapper(&mut self, which: Which, reply: &LocalReply<'_>) {
        let made = self.id == MADE_ID;
        let mut conditions = Vec::new();
        match (made, self.started) {
            (true, false) => {
                let has_none = cel(&format!("!({HAS_ID})"));
                conditions.push(format!("&without_id {has_none}"));
            }
            (true, true) => conditions.push("*without_id".to_owned()),
            (false, _) => {}
        }
        match which {
            Which::Status(status) => conditions.push(compares("EQ", status)),
            Which::From(first, last) => {
                conditions.extend([compares("GE", first), compares("LE", last)]);
            }
        }
        let filter = match conditions.as_slice() {
            [one] => one.clone(),
            all => format!("{{ and_filter: {{ filters: [{}] }} }}", all.join(", ")),
        };
        let _ = writeln!(self.out, "    - filter: {filter}");
        // Where problem-json sees the reply, it is the one that sends another status.
        let sent = made.then_some(reply.upstream_status).flatten();
        if sent.is_some() {
            let _ = writeln!(self.out, "      status_code: {}", reply.status);
        }
        self.headers();
        let mut members = vec![
            ("type", json_text(&escaped(reply.kind))),
            ("title", json_text(&escaped(reply.title))),
            ("status", "\"%RESPONSE_CODE%\"".to_owned()),
        ];
        if !reply.detail.is_empty() {
            members.push(("detail", json_text(&escaped(reply.detail))));
        }
        if let Instance::Prefix(prefix) = &self.profile.instance {
            let uri = format!("{}{}", escaped(prefix), self.id);
            members.push(("instance", json_text(&uri)));
        }
        if let Some(status) = sent {
            members.push(("upstream_status", status.to_string()));
        }
        members.push(("request_id", json_text(self.id)));
        members.push(("category", reply.category.to_owned()));
        members.push(("retryable", reply.retryable.to_string()));
        if self.profile.timestamp {
            let format = "%START_TIME(%Y-%m-%dT%H:%M:%SZ)%";
            members.push(("timestamp", json_text(format)));
        }
        let members: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let _ = writeln!(
            self.out,
            "      body_format_override: {{ content_type: application/problem+json, json_format: {{ {} }} }}",
            members.join(", ")
        );
        self.started = true;
    }

    /// The headers: in full where they come first, else by their names.
    fn headers(&mut self) {
        if self.started {
            let (list, _) = self.list();
            let _ = writeln!(self.out, "      headers_to_add: *{list}");
            return;
        }
        let language = self.profile.languages.first();
        let language = language.map_or("en", |language| &language.tag);
        let shared = || {
            let preset = Preset::Api;
            let policy = preset.csp().map(|csp| ("content-security-policy", csp));
            let own = [("proxy-status", "gateway"), ("content-language", language)];
            let preset = preset.headers().map(|header| (header.name, header.value));
            own.into_iter().chain(preset).chain(policy)
        };
        let (list, id) = self.list();
        let own = header("x-request-id", id);
        if self.defined {
            let aliases: Vec<String> = shared().map(|(name, _)| format!("*{name}")).collect();
            let aliases = aliases.join(", ");
            let _ = writeln!(self.out, "      headers_to_add: &{list} [{own}, {aliases}]");
            return;
        }
        let _ = writeln!(self.out, "      headers_to_add: &{list}\n        - {own}");
        for (name, value) in shared() {
            let header = header(name, &escaped(value));
            let _ = writeln!(self.out, "        - &{name} {header}");
        }
        self.defined = true;
    }

    /// The name of the headers, and the format of the id among them.
    fn list(&self) -> (&'static str, &'static str) {
        let name = if self.id == MADE_ID {
            "with_made_id"
        } else {
            "with_named_id"
        };
        (name, self.id)
    }
}

fn header(name: &str, value: &str) -> String {
    format!(
        "{{ append_action: OVERWRITE_IF_EXISTS_OR_ADD, header: {{ key: {name}, value: {} }} }}",
        json_text(value)
    )
}

fn compares(op: &str, status: u16) -> String {
    format!(
        "{{ status_code_filter: {{ comparison: {{ op: {op}, value: {{ default_value: {status}, runtime_key: portcullis.none }} }} }} }}"
    )
}

/// A text that holds no command of Envoy's.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}
