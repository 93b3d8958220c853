//! How the document gets the body's place: by pieces, as they come, or with the trailers where these end the response.

use portcullis_kit::{Exchange, Flow};

use crate::answer::{Answer, Draft, Outcome};
use crate::connect::Safe;
use crate::filter::{count, dress, forget_sums, publish, reply};
use crate::profile::{Left, Profile, Source};
use crate::settings::KeepOrMerge;
use crate::upstream::{self, Found};

/// What remains to be done with the response's body.
#[derive(Debug, Default)]
pub enum Work {
    /// Nothing: the response is no error, or one of a protocol with errors of its own.
    #[default]
    Nothing,
    /// It passes, and its trailers do not.
    Pass,
    /// This document takes its place.
    Write(Box<Answer>),
    /// It decides about its document.
    Read(Box<Reading>),
    /// The document is written; what still comes of the body is dropped.
    Drop,
}

/// A body that decides about its document, or whose headers wait for it.
#[derive(Debug)]
pub struct Reading {
    draft: Draft,
    content_type: Vec<u8>,
    body: Vec<u8>,
    /// Whether what it says matters.
    pub reads: bool,
    /// Whether it is a problem already, and only gets ids.
    pub enrich: bool,
    /// Whether it may be an error of Connect, which stays as it is.
    pub connect: bool,
    /// Whether the headers wait.
    pub held: bool,
    /// Whether a piece of it came: only then can anything be written beside the trailers.
    begun: bool,
}

impl Reading {
    pub fn new(draft: Draft, content_type: Vec<u8>) -> Self {
        Self {
            draft,
            content_type,
            body: Vec::new(),
            reads: false,
            enrich: false,
            connect: false,
            held: false,
            begun: false,
        }
    }
}

/// A piece of the body.
pub fn piece<X: Exchange>(
    profile: &Profile,
    work: &mut Work,
    exchange: &mut X,
    size: usize,
    end_of_stream: bool,
) -> Flow {
    match std::mem::take(work) {
        Work::Nothing => {}
        Work::Pass => *work = Work::Pass,
        Work::Write(answer) => {
            count(profile, Source::Status, &answer, exchange);
            exchange.replace_response_body(0, size, &answer.body);
            *work = Work::Drop;
        }
        Work::Drop => {
            exchange.replace_response_body(0, size, b"");
            *work = Work::Drop;
        }
        Work::Read(reading) if !reading.reads => {
            *work = write(profile, &reading, exchange, size, false);
        }
        Work::Read(mut reading) => {
            reading.begun = true;
            let chunk = exchange.response_body(0, size);
            let room = profile.max_bytes.saturating_sub(reading.body.len());
            let too_large = chunk.len() > room;
            if too_large {
                exchange.increment(profile.counters.too_large, 1);
                if reading.enrich {
                    // Nothing of a document may be lost because it is long.
                    exchange.replace_response_body(0, 0, &reading.body);
                    *work = Work::Pass;
                    return Flow::Continue;
                }
            }
            reading.body.extend(chunk.iter().take(room));
            if !too_large && !end_of_stream {
                exchange.replace_response_body(0, size, b"");
                *work = Work::Read(reading);
                // The rest of a chunked body, or trailers: either way there is a callback to come.
                return Flow::Pause;
            }
            *work = write(profile, &reading, exchange, size, !too_large);
        }
    }
    Flow::Continue
}

/// The response ends with trailers. They describe the upstream's body, or tell developers of it, and nobody has looked at what
/// they say.
pub fn trailers<X: Exchange>(profile: &Profile, work: Work, exchange: &mut X) -> Flow {
    match work {
        Work::Nothing => return Flow::Continue,
        Work::Drop | Work::Pass => {}
        Work::Read(reading) if reading.begun => {
            write(profile, &reading, exchange, 0, true);
        }
        Work::Read(reading) if reading.held => {
            if settle_empty(profile, &reading, exchange) == Flow::Replied {
                return Flow::Replied;
            }
        }
        // The headers have left, and without a piece of a body there is none to put the document into.
        Work::Write(_) | Work::Read(_) => {
            exchange.increment(profile.counters.left(Left::Empty), 1);
        }
    }
    exchange.remove_response_trailers();
    Flow::Continue
}

/// Headers that waited for a body, of which there is none.
#[inline(never)]
fn settle_empty<X: Exchange>(profile: &Profile, reading: &Reading, exchange: &mut X) -> Flow {
    let left = match reading.enrich {
        true => Some(Left::Problem),
        false => (!profile.reply_to_empty).then_some(Left::Empty),
    };
    if let Some(why) = left {
        exchange.increment(profile.counters.left(why), 1);
        return Flow::Continue;
    }
    let answer = reading.draft.answer(profile, Outcome::Nothing);
    count(profile, Source::Empty, &answer, exchange);
    publish(Source::Empty, exchange);
    let response = exchange.response();
    let reply = reply(profile, &reading.draft, answer, &response, exchange);
    drop(response);
    exchange.reply(reply);
    Flow::Replied
}

/// Puts the document, or the body as it came, in the place of this piece, and says what remains to be done.
#[inline(never)]
fn write<X: Exchange>(
    profile: &Profile,
    reading: &Reading,
    exchange: &mut X,
    size: usize,
    complete: bool,
) -> Work {
    let document = settle(profile, reading, exchange, complete);
    let body = document.as_ref().unwrap_or(&reading.body);
    exchange.replace_response_body(0, size, body);
    match document {
        Some(_) => Work::Drop,
        None => Work::Pass,
    }
}

/// The document of a body that was read, with the headers that waited for it; `None` where the body stays as it is.
fn settle<X: Exchange>(
    profile: &Profile,
    reading: &Reading,
    exchange: &mut X,
    complete: bool,
) -> Option<Vec<u8>> {
    let draft = &reading.draft;
    if reading.enrich {
        let Some(body) = draft.enrich(&reading.body) else {
            exchange.increment(profile.counters.left(Left::Problem), 1);
            return None;
        };
        exchange.increment(profile.counters.rewritten(Source::Enriched), 1);
        publish(Source::Enriched, exchange);
        if reading.held {
            let response = exchange.response();
            forget_sums(&response, exchange);
            exchange.set_response_header("content-length", body.len().to_string().as_bytes());
        }
        return Some(body);
    }
    if reading.connect
        && complete
        && let Some(safe) = draft.connect(profile, &reading.body)
    {
        return settle_connect(profile, reading, exchange, safe);
    }
    let found = match reading.reads {
        true => upstream::read(&reading.body, &reading.content_type, complete),
        false => Found::Unknown,
    };
    // Nobody else looks at what stays as it is, so nothing may be in it that would be taken out.
    if let Found::OAuth(_) = &found
        && profile.oauth == KeepOrMerge::Keep
        && reading.held
        && draft.is_of_client()
        && !upstream::holds_more(&reading.body, &profile.redaction)
    {
        exchange.increment(profile.counters.left(Left::OAuth), 1);
        return None;
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
    publish(source, exchange);
    if reading.held {
        let response = exchange.response();
        let length = Some(answer.body.len());
        dress(profile, draft, Some(&answer), &response, exchange, length);
    }
    Some(answer.body)
}

/// The body of an error of Connect, which stays one.
#[inline(never)]
fn settle_connect<X: Exchange>(
    profile: &Profile,
    reading: &Reading,
    exchange: &mut X,
    safe: Safe,
) -> Option<Vec<u8>> {
    exchange.increment(profile.counters.left(Left::Protocol), 1);
    if safe.redacted > 0 {
        exchange.increment(profile.counters.redacted, u64::from(safe.redacted));
    }
    let body = safe.body?;
    if reading.held {
        let response = exchange.response();
        let length = Some(body.len());
        dress(profile, &reading.draft, None, &response, exchange, length);
        exchange.set_response_header("content-type", &reading.content_type);
    }
    Some(body)
}
