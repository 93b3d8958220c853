//! The filter: which errors are rewritten, and what their headers become. [`crate::body`] goes on with their bodies.

use std::rc::Rc;

use portcullis_kit::exchange::Reply;
use portcullis_kit::filter::Compiling;
use portcullis_kit::{Callbacks, ConfigError, Exchange, Filter, Flow, Headers};

use crate::answer::{Answer, Draft, Outcome, Received};
use crate::body::{self, Reading, Work};
use crate::compile;
use crate::headers::{Document, Edit, edits, sums};
use crate::inside;
use crate::negotiate::Format;
use crate::profile::{Left, Profile, Source};
use crate::protocol::{self, Protocol, media_type};
use crate::reply;
use crate::settings::{KeepOrEnrich, MergeOrDrop, Settings};
use crate::upstream;

/// What access logs show as `%FILTER_STATE(wasm.portcullis.problem:PLAIN)%`: where the document came from.
const STATE: &str = "portcullis.problem";

/// How the proxy's own `local_reply_config` marks its documents (RFC 9209). They hold no more than the status, so that they
/// are written anew where the filter sees them.
const NET: (&str, &[u8]) = ("proxy-status", b"gateway");
/// What `%RESPONSE_CODE_DETAILS%` is where Envoy did not make the response.
const VIA_UPSTREAM: &[u8] = b"via_upstream";

/// The filter.
pub struct ProblemJson;

/// What one request remembers.
#[derive(Debug, Default)]
pub struct Stream {
    /// The request, until its response shows whether it matters.
    request: Option<Rc<Headers>>,
    work: Work,
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
        end_of_stream: bool,
    ) -> Flow {
        // The host shows no request header once there is a response.
        if profile.negotiates || protocol::is_special(exchange, !end_of_stream) {
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
        body::piece(profile, &mut stream.work, exchange, size, end_of_stream)
    }

    fn response_trailers<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
    ) -> Flow {
        body::trailers(profile, std::mem::take(&mut stream.work), exchange)
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
    if protocol::has_own_errors(&kind) {
        return left(Left::Protocol, exchange);
    }
    stream.work = Work::Pass;
    let protocol = Protocol::of(request);
    let connect = protocol == Protocol::Connect && kind == b"application/json";
    let shown = inside::hide(profile, &response, received.meaning, exchange);
    if protocol == Protocol::Grpc && end_of_stream {
        // Envoy would make a status of gRPC of our reply, with the document in its message.
        return left(Left::Protocol, exchange);
    }
    let is_problem = kind == b"application/problem+json" || kind == b"application/problem+xml";
    let of_the_net = is_problem && is_of_the_net(&response, exchange);
    let is_problem = is_problem && received.is_valid() && !of_the_net;
    let enrich = is_problem
        && profile.problem == KeepOrEnrich::Enrich
        && kind == b"application/problem+json";
    if is_problem && !enrich || is_of_ours(&response, exchange) {
        return left(Left::Problem, exchange);
    }
    let length = announced(&response);
    let head = is_head(request, &response, length, end_of_stream);
    let readable =
        enrich || connect || (profile.json == MergeOrDrop::Merge && upstream::is_readable(&kind));
    let fits = length.is_none_or(|length| length <= profile.max_bytes);
    let reads = readable && fits && !is_encoded(&response);
    if enrich && (!reads || end_of_stream) {
        if reads {
            // What a GET would get may be longer.
            forget_sums(&response, exchange);
        }
        return left(Left::Problem, exchange);
    }
    if end_of_stream && !head && !profile.reply_to_empty {
        return left(Left::Empty, exchange);
    }
    let mut draft = Draft::new(profile, received, request, &response, of_the_net, exchange);
    let response = shown;

    if end_of_stream && !head {
        let answer = draft.answer(profile, Outcome::Nothing);
        count(profile, Source::Empty, &answer, exchange);
        publish(Source::Empty, exchange);
        let reply = reply(profile, &draft, answer, &response, exchange);
        drop(response);
        exchange.reply(reply);
        return Flow::Replied;
    }
    if !head && (reads || profile.hold) {
        let held = profile.hold;
        if connect {
            draft.format = Format::Json;
        }
        if !held {
            if enrich {
                forget_sums(&response, exchange);
            } else {
                dress(profile, &draft, None, &response, exchange, None);
                // An outer instance must not take it for the upstream's.
                if connect || !draft.format.is_problem() {
                    publish(Source::Status, exchange);
                }
            }
            if connect {
                // An error of Connect is what its body may still turn out to be.
                exchange.set_response_header("content-type", &content_type);
            }
        }
        let mut reading = Reading::new(draft, content_type);
        (reading.reads, reading.held) = (reads, held);
        (reading.enrich, reading.connect) = (enrich, connect);
        stream.work = Work::Read(Box::new(reading));
        return if held { Flow::Pause } else { Flow::Continue };
    }
    let mut answer = draft.answer(profile, Outcome::Nothing);
    // To HEAD as to GET.
    answer.says = reads && draft.may_say(profile);
    publish(Source::Status, exchange);
    // A length is a promise. Only an upstream that announces one is sure to send a body: without, trailers may be all that comes,
    // and then the host lets nothing be written. And what a GET would get is not known where its body would have been read.
    let certain = length.is_some_and(|length| length > 0);
    let exact = !reads && (certain || profile.hold);
    let length = exact.then_some(answer.body.len());
    dress(profile, &draft, Some(&answer), &response, exchange, length);
    if head {
        count(profile, Source::Status, &answer, exchange);
    } else {
        stream.work = Work::Write(Box::new(answer));
    }
    Flow::Continue
}

/// Whether the request is a HEAD. Where it was not read, the response shows it: it ends where another one would go on.
fn is_head(
    request: &Headers,
    response: &Headers,
    length: Option<usize>,
    end_of_stream: bool,
) -> bool {
    let goes_on = length.is_some_and(|length| length > 0) || response.contains("transfer-encoding");
    request.get(":method") == Some(b"HEAD") || (end_of_stream && goes_on)
}

/// Whether the proxy's own `local_reply_config` made the document. What an upstream says of itself does not count.
fn is_of_the_net<X: Exchange>(response: &Headers, exchange: &X) -> bool {
    response.get(NET.0) == Some(NET.1)
        && exchange
            .property(&["response", "code_details"])
            .is_some_and(|details| details != VIA_UPSTREAM)
}

/// Whether an inner instance of this filter made the response. All of its documents name their language.
fn is_of_ours<X: Exchange>(response: &Headers, exchange: &X) -> bool {
    response.contains("content-language") && exchange.property(&[STATE]).is_some()
}

/// Makes the headers fit the document. `answer` is not known yet where they leave before the body is read.
#[inline(never)]
pub fn dress<X: Exchange>(
    profile: &Profile,
    draft: &Draft,
    answer: Option<&Answer>,
    response: &Headers,
    exchange: &mut X,
    length: Option<usize>,
) {
    for edit in changes(profile, draft, answer, response, length) {
        match edit {
            Edit::Remove(name) => exchange.remove_response_header(name),
            Edit::Set(name, value) => exchange.set_response_header(name, &value),
            Edit::Add(name, value) => exchange.add_response_header(name, &value),
        }
    }
}

fn changes<'e>(
    profile: &'e Profile,
    draft: &Draft,
    answer: Option<&Answer>,
    response: &'e Headers,
    length: Option<usize>,
) -> Vec<Edit<'e>> {
    // Before the body is read, the upstream's text may still come to stand in the document.
    let says = answer.map_or_else(|| draft.may_say(profile), |answer| answer.says);
    let text_language = response.get("content-language").filter(|_| says);
    let document = Document {
        text_language,
        status: answer
            .and_then(|answer| answer.status)
            .unwrap_or(draft.status),
        content_type: draft.format.content_type(),
        language: draft.language_tag(profile),
        length,
        retry_after_s: answer.and_then(|answer| answer.retry_after_s),
    };
    edits(
        response,
        document,
        &profile.varies_by,
        &profile.remove_headers,
    )
}

pub fn forget_sums<X: Exchange>(response: &Headers, exchange: &mut X) {
    for name in sums(response) {
        exchange.remove_response_header(name);
    }
}

/// The reply that takes the place of an error without a body, with what its headers said to the client.
#[inline(never)]
pub fn reply<X: Exchange>(
    profile: &Profile,
    draft: &Draft,
    answer: Answer,
    response: &Headers,
    exchange: &X,
) -> Reply {
    let edits = changes(profile, draft, Some(&answer), response, None);
    Reply {
        status: answer.status.unwrap_or(draft.status),
        headers: reply::lines(profile, draft.request_id(), response, edits, exchange),
        body: answer.body,
        grpc_status: None,
        details: "problem_json_empty_error",
    }
}

#[inline(never)]
pub fn count<X: Exchange>(profile: &Profile, source: Source, answer: &Answer, exchange: &mut X) {
    if answer.redacted > 0 {
        exchange.increment(profile.counters.redacted, answer.redacted);
    }
    exchange.increment(profile.counters.rewritten(source), 1);
}

#[inline(never)]
pub fn publish<X: Exchange>(source: Source, exchange: &mut X) {
    exchange.set_filter_state(STATE, source.label().as_bytes());
}

/// Whether the body is compressed: reading it would take more than errors are worth.
fn is_encoded(response: &Headers) -> bool {
    response
        .get("content-encoding")
        .is_some_and(|coding| !coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// How long the upstream says that its body is.
fn announced(response: &Headers) -> Option<usize> {
    let length = response.get("content-length")?;
    std::str::from_utf8(length).ok()?.trim().parse().ok()
}
