//! Trace context in any of the formats we know, out of request headers and into them.

use portcullis_kit::Headers;

use crate::context::{SAMPLED, TraceContext};
use crate::traceparent::{self, Restart};
use crate::tracestate::{MIN_CARRIED_LEN, TraceState};
use crate::{b3, datadog, xray};

/// How trace context travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, portcullis_kit::config::Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// W3C Trace Context Level 2: `traceparent` and `tracestate`.
    W3c,
    /// Zipkin's B3 in one field: `b3`.
    B3,
    /// Zipkin's B3 in several fields: `x-b3-traceid`, `x-b3-spanid`, `x-b3-parentspanid`, `x-b3-sampled`, `x-b3-flags`.
    B3Multi,
    /// AWS X-Ray: `x-amzn-trace-id`.
    Xray,
    /// Datadog: `x-datadog-trace-id`, `x-datadog-parent-id`, `x-datadog-sampling-priority`, `x-datadog-tags`.
    Datadog,
}

/// What request headers say about the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extracted {
    /// A trace to continue.
    Context {
        context: TraceContext,
        /// The sender's decision; `None` where the sender left it open.
        sampled: Option<bool>,
        format: Format,
    },
    /// No ids, and yet a decision for the trace to start (B3 only).
    Decision { sampled: bool, format: Format },
    /// Nothing.
    None,
    /// A `traceparent` stood there that must not be continued.
    Restart(Restart),
}

/// Every field of every format and of baggage, lower case. [`is_context_header`] also knows fields of the same
/// families that have no name of their own here.
pub const CONTEXT_HEADERS: &[&str] = &[
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-amzn-trace-id",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-tags",
    "x-datadog-origin",
];

/// Whether a field carries trace context or baggage: one of [`CONTEXT_HEADERS`], or any `x-b3-…` or `x-datadog-…`.
#[inline]
pub fn is_context_header(name: &[u8]) -> bool {
    let begins = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    begins("x-b3-")
        || begins("x-datadog-")
        || CONTEXT_HEADERS
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Tries the formats in their order; the first that yields a context wins. An invalid `traceparent` restarts the trace
/// only if no other format yields one, and then counts more than a decision without ids.
#[inline]
pub fn extract(headers: &Headers, formats: &[Format]) -> Extracted {
    let mut restart = None;
    let mut decision = None;
    for format in formats.iter().copied() {
        let (context, sampled) = match read(headers, format) {
            Ok(found) => found,
            Err(why) => {
                restart = restart.or(why);
                continue;
            }
        };
        match (context, sampled) {
            (Some(context), sampled) => {
                return Extracted::Context {
                    context,
                    sampled,
                    format,
                };
            }
            (None, Some(sampled)) => {
                decision = decision.or(Some(Extracted::Decision { sampled, format }));
            }
            (None, None) => {}
        }
    }
    match restart {
        Some(why) => Extracted::Restart(why),
        None => decision.unwrap_or(Extracted::None),
    }
}

type Found = (Option<TraceContext>, Option<bool>);

/// `Err(None)`: the format says nothing.
#[inline]
fn read(headers: &Headers, format: Format) -> Result<Found, Option<Restart>> {
    let whole = |(context, mut sampled): (TraceContext, Option<bool>)| {
        let mut context = context;
        mark(&mut context, &mut sampled);
        (Some(context), sampled)
    };
    let from_b3 = |found: b3::B3| match found.context {
        Some(context) => whole((context, found.sampled)),
        None => (None, found.sampled),
    };
    match format {
        Format::W3c => match w3c(headers) {
            Ok(context) => {
                let sampled = context.flags & SAMPLED != 0;
                Ok((Some(context), Some(sampled)))
            }
            Err(Restart::Absent) => Err(None),
            Err(why) => Err(Some(why)),
        },
        Format::B3 => b3::extract_single(headers).map(from_b3).ok_or(None),
        Format::B3Multi => b3::extract_multi(headers).map(from_b3).ok_or(None),
        Format::Xray => xray::extract(headers).map(whole).ok_or(None),
        Format::Datadog => datadog::extract(headers).map(whole).ok_or(None),
    }
}

/// The sampled flag follows the decision; undecided is not sampled.
#[inline]
fn mark(context: &mut TraceContext, sampled: &mut Option<bool>) {
    if *sampled == Some(true) {
        context.flags |= SAMPLED;
    }
}

/// An invalid `tracestate` is dropped whole and leaves the `traceparent` valid.
#[inline]
fn w3c(headers: &Headers) -> Result<TraceContext, Restart> {
    let (trace_id, parent_id, flags) = traceparent::parse(headers.get_all("traceparent"))?;
    let tracestate = TraceState::parse(headers.get_all("tracestate")).unwrap_or_default();
    Ok(TraceContext {
        trace_id,
        parent_id,
        flags,
        tracestate,
    })
}

/// Hands `put` each field to set. `ctx.parent_id` is our own span; `upstream_parent` its parent, which B3 tells on.
/// `sampled` counts, not the flag in `ctx`. A field that is not put (an empty `tracestate`) must be removed by the
/// caller if the request has it: [`fields`] lists them.
pub fn inject(
    format: Format,
    ctx: &TraceContext,
    sampled: bool,
    upstream_parent: Option<[u8; 8]>,
    mut put: impl FnMut(&'static str, &[u8]),
) {
    match format {
        Format::W3c => {
            let flags = ctx.flags & !SAMPLED | u8::from(sampled);
            put(
                "traceparent",
                &traceparent::write(&ctx.trace_id, &ctx.parent_id, flags),
            );
            if let Some(state) = ctx.tracestate.to_header(MIN_CARRIED_LEN) {
                put("tracestate", state.as_bytes());
            }
        }
        Format::B3 => b3::inject_single(ctx, sampled, upstream_parent, &mut put),
        Format::B3Multi => b3::inject_multi(ctx, sampled, upstream_parent, &mut put),
        Format::Xray => xray::inject(ctx, sampled, &[], &mut put),
        Format::Datadog => datadog::inject(ctx, sampled, None, None, &mut put),
    }
}

/// The fields [`inject`] may put for a format.
pub const fn fields(format: Format) -> &'static [&'static str] {
    match format {
        Format::W3c => &["traceparent", "tracestate"],
        Format::B3 => &["b3"],
        Format::B3Multi => &[
            "x-b3-traceid",
            "x-b3-spanid",
            "x-b3-parentspanid",
            "x-b3-sampled",
            "x-b3-flags",
        ],
        Format::Xray => &["x-amzn-trace-id"],
        Format::Datadog => &[
            "x-datadog-trace-id",
            "x-datadog-parent-id",
            "x-datadog-sampling-priority",
            "x-datadog-tags",
        ],
    }
}
