//! What holds for every input.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // A test that fails is to panic.

use portcullis_kit::Headers;
use proptest::prelude::*;
use request_tracing::baggage::{self, Decision, MAX_LEN, MAX_MEMBERS, Policy};
use request_tracing::context::TraceContext;
use request_tracing::formats::{CONTEXT_HEADERS, Extracted, Format, extract, inject};
use request_tracing::tracestate::{self, TraceState};

const ALL: [Format; 5] = [
    Format::W3c,
    Format::B3,
    Format::B3Multi,
    Format::Xray,
    Format::Datadog,
];

fn member() -> impl Strategy<Value = (String, String)> {
    (
        "[a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}",
        "[ -+\\--<>-~]{0,255}[!-+\\--<>-~]",
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_panic_and_every_context_is_valid(
        lines in prop::collection::vec((0..CONTEXT_HEADERS.len(), prop::collection::vec(any::<u8>(), 0..80)), 0..8),
    ) {
        let headers = Headers::from_lines(lines.iter().map(|(at, value)| (CONTEXT_HEADERS[*at], value)));
        for format in ALL {
            if let Extracted::Context { context, .. } = extract(&headers, &[format]) {
                prop_assert_ne!(context.trace_id, [0; 16]);
            }
        }
    }

    #[test]
    fn a_written_tracestate_parses_again_within_the_limits(
        members in prop::collection::vec(member(), 0..40),
        own in member(),
        max in 0_usize..2000,
    ) {
        let text = members.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
        let parsed = TraceState::parse([text.as_bytes()].into_iter());
        prop_assert_eq!(parsed.is_some(), members.len() <= tracestate::MAX_MEMBERS);
        let mut state = parsed.unwrap_or_default();
        state.set_leftmost(&own.0, &own.1);
        prop_assert!(state.len() <= tracestate::MAX_MEMBERS);
        prop_assert_eq!(state.iter().next(), Some((own.0.as_str(), own.1.as_str())));
        if let Some(header) = state.to_header(max) {
            prop_assert!(!header.is_empty() && header.len() <= max.max(512));
            let again = TraceState::parse([header.as_bytes()].into_iter()).unwrap();
            prop_assert_eq!(again.to_header(max), Some(header));
        }
    }

    #[test]
    fn every_format_gives_back_what_it_was_given(
        trace in 1..=u128::MAX, span in 1..=u64::MAX, sampled: bool, upstream: Option<[u8; 8]>,
    ) {
        // Datadog has no form for an id whose right half is zero.
        prop_assume!(trace as u64 != 0);
        let ctx = TraceContext {
            trace_id: trace.to_be_bytes(),
            parent_id: span.to_be_bytes(),
            flags: u8::from(sampled),
            tracestate: TraceState::default(),
        };
        for format in ALL {
            let mut headers = Headers::default();
            inject(format, &ctx, sampled, upstream, |name, value| headers.add(name, value));
            prop_assert_eq!(
                extract(&headers, &[format]),
                Extracted::Context { context: ctx.clone(), sampled: Some(sampled), format }
            );
        }
    }

    #[test]
    fn baggage_is_made_of_whole_members(
        members in prop::collection::vec("[a-c]=[a-z%;=]{0,300}", 1..90),
        allow: bool,
    ) {
        let text = members.join(",");
        let policy = if allow { Policy::Allow(vec!["a".to_owned()]) } else { Policy::Pass };
        if let Decision::Replace(kept) = baggage::filter([text.as_bytes()].into_iter(), &policy) {
            let kept = String::from_utf8(kept).unwrap();
            prop_assert!(!kept.is_empty() && kept.len() <= MAX_LEN);
            let parts: Vec<&str> = kept.split(',').collect();
            prop_assert!(parts.len() <= MAX_MEMBERS);
            prop_assert!(parts.iter().all(|part| members.iter().any(|member| member == part)));
        }
    }
}
