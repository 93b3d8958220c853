//! The filter: which errors are rewritten, and how the document gets the body's place.

use std::rc::Rc;

use portcullis_kit::exchange::Reply;
use portcullis_kit::filter::Compiling;
use portcullis_kit::{Callbacks, ConfigError, Exchange, Filter, Flow, Headers};

use crate::answer::{Answer, Draft, Outcome, Received};
use crate::compile;
use crate::headers::{Document, Edit, edits, sums};
use crate::inside;
use crate::negotiate::Format;
use crate::profile::{Left, Profile, Source};
use crate::protocol::{self, Protocol, media_type};
use crate::reply;
use crate::settings::{KeepOrEnrich, KeepOrMerge, MergeOrDrop, Settings};
use crate::upstream::{self, Found};

/// What access logs show as `%FILTER_STATE(wasm.portcullis.problem:PLAIN)%`: where the document came from.
const STATE: &str = "portcullis.problem";

/// How the proxy's own `local_reply_config` marks its documents (RFC 9209). They hold no more than the status, so that they
/// are written anew where the filter sees them.
const NET: (&str, &[u8]) = ("proxy-status", b"gateway");

/// The filter.
pub struct ProblemJson;

/// What one request remembers.
#[derive(Debug, Default)]
pub struct Stream {
    /// The request, until its response shows whether it matters.
    request: Option<Rc<Headers>>,
    work: Work,
}

/// What remains to be done with the response's body.
#[derive(Debug, Default)]
enum Work {
    /// Nothing: it passes.
    #[default]
    Nothing,
    /// This document takes its place.
    Write(Vec<u8>),
    /// It is read first.
    Read(Box<Reading>),
    /// The document is written; what still comes of the body is dropped.
    Drop,
}

/// A body that decides about its document.
#[derive(Debug)]
struct Reading {
    draft: Draft,
    content_type: Vec<u8>,
    body: Vec<u8>,
    /// Whether it is a problem already, and only gets ids.
    enrich: bool,
    /// Whether it may be an error of Connect, which stays as it is.
    connect: bool,
    /// Whether the headers wait.
    held: bool,
}

impl Filter for ProblemJson {
    const NAME: &'static str = "problem-json";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS
        .and(Callbacks::RESPONSE_HEADERS)
        .and(Callbacks::RESPONSE_BODY)
        .and(Callbacks::RESPONSE_TRAILERS);
    type Settings = Settings;
    type Profile = Profile;
    type Stream = Stream;

    fn start() -> Self {
        Self
    }

    // Not inlined into what is compiled for speed.
    #[inline(never)]
    fn compile(settings: Settings, compiling: &Compiling<'_>) -> Result<Profile, ConfigError> {
        compile::compile(&settings, compiling)
    }

    fn request_headers<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        _: bool,
    ) -> Flow {
        // The host shows no request header once there is a response.
        if profile.negotiates || protocol::is_special(exchange) {
            stream.request = Some(exchange.request());
        }
        Flow::Continue
    }

    fn response_headers<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        end_of_stream: bool,
    ) -> Flow {
        let request = stream.request.take();
        let Some(received) = exchange.response_status().map(Received::new) else {
            return Flow::Continue;
        };
        if !profile.statuses.contains(received.meaning) {
            return Flow::Continue;
        }
        let request = request.unwrap_or_default();
        rewrite(profile, stream, exchange, received, &request, end_of_stream)
    }

    fn response_body<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        size: usize,
        end_of_stream: bool,
    ) -> Flow {
        match std::mem::take(&mut stream.work) {
            Work::Nothing => Flow::Continue,
            Work::Write(document) => {
                exchange.replace_response_body(0, size, &document);
                stream.work = Work::Drop;
                Flow::Continue
            }
            Work::Drop => {
                exchange.replace_response_body(0, size, b"");
                stream.work = Work::Drop;
                Flow::Continue
            }
            Work::Read(mut reading) => {
                let chunk = exchange.response_body(0, size);
                let room = profile.max_bytes.saturating_sub(reading.body.len());
                let too_large = chunk.len() > room;
                reading.body.extend(chunk.iter().take(room));
                if !too_large && !end_of_stream {
                    exchange.replace_response_body(0, size, b"");
                    stream.work = Work::Read(reading);
                    // The rest of a chunked body, or trailers: either way there is a callback to come.
                    return Flow::Pause;
                }
                let passes = reading.enrich && too_large;
                if too_large {
                    exchange.increment(profile.counters.too_large, 1);
                }
                if passes {
                    // Nothing of a document may be lost because it is long.
                    let kept = reading.body.len().saturating_sub(room.min(chunk.len()));
                    let earlier = reading.body.get(..kept).unwrap_or_default();
                    exchange.replace_response_body(0, 0, earlier);
                    return Flow::Continue;
                }
                let document = settle(profile, &reading, exchange, !too_large);
                exchange.replace_response_body(0, size, &document);
                stream.work = Work::Drop;
                Flow::Continue
            }
        }
    }

    fn response_trailers<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
    ) -> Flow {
        if let Work::Read(reading) = std::mem::take(&mut stream.work) {
            let document = settle(profile, &reading, exchange, true);
            exchange.replace_response_body(0, 0, &document);
        }
        Flow::Continue
    }
}

/// Looks at an error's headers, and changes them where the body is to be another one.
fn rewrite<X: Exchange>(
    profile: &Profile,
    stream: &mut Stream,
    exchange: &mut X,
    received: Received,
    request: &Headers,
    end_of_stream: bool,
) -> Flow {
    let response = exchange.response();
    let content_type = response.get("content-type").unwrap_or_default().to_vec();
    let kind = media_type(&content_type);
    let left = |why, exchange: &mut X| {
        exchange.increment(profile.counters.left(why), 1);
        Flow::Continue
    };
    let protocol = Protocol::of(request);
    // Of an error without a body Envoy would make a status of gRPC with our document in its message.
    if protocol::has_own_errors(&kind) || (protocol == Protocol::Grpc && end_of_stream) {
        return left(Left::Protocol, exchange);
    }
    let connect = protocol == Protocol::Connect && kind == b"application/json";
    let shown = inside::hide(profile, &response, received.meaning, exchange);
    let is_problem = kind == b"application/problem+json" || kind == b"application/problem+xml";
    let is_problem = is_problem && received.is_valid() && response.get(NET.0) != Some(NET.1);
    let enrich = is_problem
        && profile.problem == KeepOrEnrich::Enrich
        && kind == b"application/problem+json"
        && !end_of_stream;
    if is_problem && !enrich {
        return left(Left::Problem, exchange);
    }
    let head = request.get(":method") == Some(b"HEAD");
    if end_of_stream && !head && !profile.reply_to_empty {
        return left(Left::Empty, exchange);
    }
    let mut draft = Draft::new(profile, received, request, &response, exchange);
    let response = shown;
    let readable =
        enrich || connect || (profile.json == MergeOrDrop::Merge && upstream::is_readable(&kind));
    let reads = readable && !is_encoded(&response) && fits(&response, profile.max_bytes);

    if end_of_stream && !head {
        let answer = draft.answer(profile, Outcome::Nothing);
        count(profile, Source::Empty, &answer, exchange);
        let reply = reply(profile, &draft, answer, &response, exchange);
        drop(response);
        exchange.reply(reply);
        return Flow::Replied;
    }
    if reads && !head {
        let held = profile.hold;
        if connect {
            draft.format = Format::Json;
        }
        if !held {
            if enrich {
                forget_sums(&response, exchange);
            } else {
                dress(profile, &draft, draft.status, &response, exchange, None);
            }
            if connect {
                // An error of Connect is what its body may still turn out to be.
                exchange.set_response_header("content-type", &content_type);
            }
        }
        stream.work = Work::Read(Box::new(Reading {
            draft,
            content_type,
            body: Vec::new(),
            enrich,
            connect,
            held,
        }));
        return if held { Flow::Pause } else { Flow::Continue };
    }
    if enrich {
        return left(Left::Problem, exchange);
    }
    let answer = draft.answer(profile, Outcome::Nothing);
    count(profile, Source::Status, &answer, exchange);
    // What a GET would get is not known where its body would have been read.
    let length = (!reads).then_some(answer.body.len());
    dress(profile, &draft, draft.status, &response, exchange, length);
    if !head {
        stream.work = Work::Write(answer.body);
    }
    Flow::Continue
}

/// The document of a body that was read, with the headers that waited for it.
fn settle<X: Exchange>(
    profile: &Profile,
    reading: &Reading,
    exchange: &mut X,
    complete: bool,
) -> Vec<u8> {
    let draft = &reading.draft;
    if reading.enrich {
        let Some(body) = draft.enrich(&reading.body) else {
            exchange.increment(profile.counters.left(Left::Problem), 1);
            return reading.body.clone();
        };
        tell(profile, Source::Enriched, exchange);
        if reading.held {
            let response = exchange.response();
            forget_sums(&response, exchange);
            exchange.set_response_header("content-length", body.len().to_string().as_bytes());
        }
        return body;
    }
    if reading.connect && complete && protocol::is_connect_error(&reading.body) {
        exchange.increment(profile.counters.left(Left::Protocol), 1);
        return reading.body.clone();
    }
    let found = upstream::read(&reading.body, &reading.content_type, complete);
    // Nobody else looks at what stays as it is, so nothing may be in it that would be taken out.
    if let Found::OAuth(said) = &found
        && profile.oauth == KeepOrMerge::Keep
        && reading.held
        && said.clone().redact(&profile.redaction) == 0
    {
        exchange.increment(profile.counters.left(Left::OAuth), 1);
        return reading.body.clone();
    }
    let (source, outcome) = match found {
        Found::Known(said) => (Source::Merged, Outcome::Said(said)),
        Found::OAuth(said) if profile.oauth == KeepOrMerge::Keep => {
            (Source::Merged, Outcome::OAuth(said))
        }
        Found::OAuth(said) => (Source::Merged, Outcome::Said(said)),
        _ => (Source::Status, Outcome::Nothing),
    };
    let answer = draft.answer(profile, outcome);
    count(profile, source, &answer, exchange);
    if reading.held {
        let response = exchange.response();
        let status = answer.status.unwrap_or(draft.status);
        dress(
            profile,
            draft,
            status,
            &response,
            exchange,
            Some(answer.body.len()),
        );
    }
    answer.body
}

/// Makes the headers fit the document.
fn dress<X: Exchange>(
    profile: &Profile,
    draft: &Draft,
    status: u16,
    response: &Headers,
    exchange: &mut X,
    length: Option<usize>,
) {
    for edit in changes(profile, draft, status, response, length) {
        match edit {
            Edit::Remove(name) => exchange.remove_response_header(name),
            Edit::Set(name, value) => exchange.set_response_header(name, &value),
            Edit::Add(name, value) => exchange.add_response_header(name, &value),
        }
    }
}

fn changes<'p>(
    profile: &'p Profile,
    draft: &Draft,
    status: u16,
    response: &Headers,
    length: Option<usize>,
) -> Vec<Edit<'p>> {
    let document = Document {
        status,
        content_type: draft.format.content_type(),
        language: draft.language_tag(profile),
        length,
    };
    edits(
        response,
        document,
        &profile.varies_by,
        &profile.remove_headers,
    )
}

fn forget_sums<X: Exchange>(response: &Headers, exchange: &mut X) {
    for name in sums(response) {
        exchange.remove_response_header(name);
    }
}

/// The reply that takes the place of an error without a body, with what its headers said to the client.
fn reply<X: Exchange>(
    profile: &Profile,
    draft: &Draft,
    answer: Answer,
    response: &Headers,
    exchange: &X,
) -> Reply {
    let edits = changes(profile, draft, draft.status, response, None);
    Reply {
        status: draft.status,
        headers: reply::lines(profile, draft.request_id(), response, edits, exchange),
        body: answer.body,
        grpc_status: None,
        details: "problem_json_empty_error",
    }
}

fn count<X: Exchange>(profile: &Profile, source: Source, answer: &Answer, exchange: &mut X) {
    if answer.redacted > 0 {
        exchange.increment(profile.counters.redacted, answer.redacted);
    }
    tell(profile, source, exchange);
}

fn tell<X: Exchange>(profile: &Profile, source: Source, exchange: &mut X) {
    exchange.increment(profile.counters.rewritten(source), 1);
    exchange.set_filter_state(STATE, source.label().as_bytes());
}

/// Whether the body is compressed: reading it would take more than errors are worth.
fn is_encoded(response: &Headers) -> bool {
    response
        .get("content-encoding")
        .is_some_and(|coding| !coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
}

fn fits(response: &Headers, max_bytes: usize) -> bool {
    let length = response.get("content-length");
    let length = length.and_then(|text| std::str::from_utf8(text).ok()?.trim().parse().ok());
    length.is_none_or(|length: usize| length <= max_bytes)
}
