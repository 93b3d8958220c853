//! Every format by tables; natively and, on 32 bits, in Node.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // A test that fails is to panic.

use portcullis_kit::Headers;
use request_tracing::baggage::{self, Decision, Policy};
use request_tracing::context::{DEBUG, SAMPLED, TraceContext};
use request_tracing::formats::{
    CONTEXT_HEADERS, Extracted, Format, extract, inject, is_context_header,
};
use request_tracing::traceparent::{self, Restart};
use request_tracing::tracestate::TraceState;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const T: &str = "0af7651916cd43dd8448eb211c80319c";
const S: &str = "b7ad6b7169203331";

fn parent(lines: &[&str]) -> Result<u8, Restart> {
    traceparent::parse(lines.iter().map(|line| line.as_bytes())).map(|(trace, span, flags)| {
        assert_eq!(
            (u128::from_be_bytes(trace), u64::from_be_bytes(span)),
            ids()
        );
        flags
    })
}

fn ids() -> (u128, u64) {
    (
        u128::from_str_radix(T, 16).unwrap(),
        u64::from_str_radix(S, 16).unwrap(),
    )
}

fn state(lines: &[&str]) -> Option<String> {
    TraceState::parse(lines.iter().map(|line| line.as_bytes()))
        .map(|state| state.to_header(usize::MAX).unwrap_or_default())
}

#[test]
fn a_traceparent_is_read_or_refused_with_its_reason() {
    for (value, expected) in [
        (format!("00-{T}-{S}-00"), Ok(0)),
        (format!("00-{T}-{S}-01"), Ok(1)),
        (format!("00-{T}-{S}-ff"), Ok(3)),
        (format!("00-{T}-{S}-fc"), Ok(0)),
        (format!("\t 00-{T}-{S}-02 \t"), Ok(2)),
        (format!("cc-{T}-{S}-01"), Ok(1)),
        (format!("cc-{T}-{S}-01-more"), Ok(1)),
        (format!("cc-{T}-{S}-01.more"), Err(Restart::Malformed)),
        (format!("00-{T}-{S}-01."), Err(Restart::Malformed)),
        (format!("00-{T}-{S}-01-more"), Err(Restart::Malformed)),
        (format!("ff-{T}-{S}-01"), Err(Restart::VersionFf)),
        (format!(".0-{T}-{S}-01"), Err(Restart::Malformed)),
        (format!("0.-{T}-{S}-01"), Err(Restart::Malformed)),
        (format!("000-{T}-{S}-01"), Err(Restart::Malformed)),
        (format!("0000-{T}-{S}-01"), Err(Restart::Malformed)),
        (format!("0-{T}-{S}-01"), Err(Restart::Malformed)),
        (
            format!("00-{}-{S}-01", "0".repeat(32)),
            Err(Restart::ZeroTraceId),
        ),
        (
            format!("00-{T}-{}-01", "0".repeat(16)),
            Err(Restart::ZeroParentId),
        ),
        (
            format!("00-{}-{S}-01", T.to_uppercase()),
            Err(Restart::Malformed),
        ),
        (format!("00-.{}-{S}-01", &T[1..]), Err(Restart::Malformed)),
        (format!("00-{}.-{S}-01", &T[1..]), Err(Restart::Malformed)),
        (format!("00-{T}1-{S}-01"), Err(Restart::Malformed)),
        (format!("00-{}-{S}-01", &T[1..]), Err(Restart::Malformed)),
        (format!("00-{T}-.{}-01", &S[1..]), Err(Restart::Malformed)),
        (format!("00-{T}-{S}1-01"), Err(Restart::Malformed)),
        (format!("00-{T}-{}-01", &S[1..]), Err(Restart::Malformed)),
        (format!("00-{T}-{S}-.0"), Err(Restart::Malformed)),
        (format!("00-{T}-{S}-0."), Err(Restart::Malformed)),
        (format!("00-{T}-{S}-001"), Err(Restart::Malformed)),
        (format!("00-{T}-{S}-1"), Err(Restart::Malformed)),
        (format!("00-{T}_{S}-01"), Err(Restart::Malformed)),
        (String::new(), Err(Restart::Malformed)),
    ] {
        assert_eq!(parent(&[&value]), expected, "{value:?}");
    }
    let line = format!("00-{T}-{S}-01");
    assert_eq!(parent(&[&line, &line]), Err(Restart::Duplicate));
    assert_eq!(parent(&[]), Err(Restart::Absent));
}

#[test]
fn a_tracestate_is_kept_in_order_or_dropped_whole() {
    let printable: String = (' '..='~').filter(|c| !matches!(c, ',' | '=')).collect();
    let full = (1..=32)
        .map(|n| format!("k{n}={n}"))
        .collect::<Vec<_>>()
        .join(",");
    let key = |len: usize| format!("{}=1", "z".repeat(len));
    let tenant =
        |tenant: usize, system: usize| format!("{}@{}=1", "t".repeat(tenant), "v".repeat(system));
    for (lines, expected) in [
        (
            vec!["foo=1,bar=2", "rojo=1", "baz=3"],
            Some("foo=1,bar=2,rojo=1,baz=3".to_owned()),
        ),
        (vec![""], Some(String::new())),
        (vec!["", "foo=1", ""], Some("foo=1".to_owned())),
        (vec![",a=1, \t,b=2,"], Some("a=1,b=2".to_owned())),
        (
            vec!["\t foo=1 \t , \t bar=2"],
            Some("foo=1,bar=2".to_owned()),
        ),
        (vec!["foo=  1"], Some("foo=  1".to_owned())),
        // Who sends a key twice is at fault; who receives it sends it on.
        (vec!["foo=1,foo=2"], Some("foo=1,foo=2".to_owned())),
        (vec!["foo=1", "foo=3"], Some("foo=1,foo=3".to_owned())),
        (vec!["0a@b=1,1c=2"], Some("0a@b=1,1c=2".to_owned())),
        (vec![&tenant(241, 14)], Some(tenant(241, 14))),
        (vec![&tenant(242, 1)], None),
        (vec![&tenant(1, 15)], None),
        (vec!["foo@=1,bar=2"], None),
        (vec!["foo@@bar=1,bar=2"], None),
        (vec!["foo@bar@baz=1,bar=2"], None),
        (
            vec![&format!("az_-*/={printable}")],
            Some(format!("az_-*/={printable}")),
        ),
        (vec![&key(256)], Some(key(256))),
        (vec![&full], Some(full.clone())),
        (vec!["foo=1", &key(257)], None),
        (vec![&full, "one=more"], None),
        (vec!["foo =1"], None),
        (vec!["FOO=1"], None),
        (vec!["foo.bar=1"], None),
        (vec!["@foo=1,bar=2"], None),
        (vec!["foo=bar=baz"], None),
        (vec!["foo=,bar=3"], None),
        (vec!["foo= ,bar=3"], None),
        (vec!["foo"], None),
        (vec!["foo=a\tb"], None),
        (vec!["foo=\u{e9}"], None),
        (vec![&format!("a={}", "v".repeat(257))], None),
    ] {
        assert_eq!(state(&lines), expected, "{lines:?}");
    }
}

#[test]
fn an_own_member_goes_left_and_truncation_takes_long_members_first() {
    let mut state = TraceState::parse([b"a=1,own=2,b=3".as_slice()].into_iter()).unwrap();
    state.set_leftmost("own", "9");
    assert_eq!(state.to_header(512).unwrap(), "own=9,a=1,b=3");
    state.set_leftmost("Bad", "9");
    state.remove("a");
    assert_eq!(state.to_header(512).unwrap(), "own=9,b=3");
    let long = "v".repeat(200);
    let short = "v".repeat(100);
    let text = format!("a={short},b={long},c={short},d={short},e={short}");
    let state = TraceState::parse([text.as_bytes()].into_iter()).unwrap();
    assert_eq!(
        state.to_header(0).unwrap(),
        format!("a={short},c={short},d={short},e={short}")
    );
    let text = format!("{text},f={short}");
    let state = TraceState::parse([text.as_bytes()].into_iter()).unwrap();
    assert_eq!(
        state.to_header(512).unwrap(),
        format!("a={short},c={short},d={short},e={short}")
    );
    assert_eq!(TraceState::default().to_header(512), None);
}

fn read(lines: &[(&str, &str)], format: Format) -> Option<(u128, u64, Option<bool>, bool)> {
    match extract(&Headers::from_lines(lines.iter().copied()), &[format]) {
        Extracted::Context {
            context, sampled, ..
        } => Some((
            u128::from_be_bytes(context.trace_id),
            u64::from_be_bytes(context.parent_id),
            sampled,
            context.flags & DEBUG != 0,
        )),
        _ => None,
    }
}

#[test]
fn other_formats_give_ids_and_decisions() {
    let (trace, span) = ids();
    let low = trace as u64;
    for (format, lines, expected) in [
        (
            Format::B3,
            vec![("b3", format!("{T}-{S}-1"))],
            Some((trace, span, Some(true), false)),
        ),
        (
            Format::B3,
            vec![("b3", format!("{T}-{S}"))],
            Some((trace, span, None, false)),
        ),
        (
            Format::B3,
            vec![("b3", format!("{T}-{S}-d-{S}"))],
            Some((trace, span, Some(true), true)),
        ),
        (
            Format::B3,
            vec![("b3", format!("{}-{S}-0", &T[16..]))],
            Some((u128::from(low), span, Some(false), false)),
        ),
        (Format::B3, vec![("b3", format!("{T}-{S}-2"))], None),
        (Format::B3, vec![("b3", format!("{T}-{S}-1-{S}-1"))], None),
        (
            Format::B3,
            vec![("b3", format!("{T}-{}", "0".repeat(16)))],
            None,
        ),
        (
            Format::B3Multi,
            vec![
                ("x-b3-traceid", T.to_owned()),
                ("x-b3-spanid", S.to_owned()),
            ],
            Some((trace, span, None, false)),
        ),
        (
            Format::B3Multi,
            vec![
                ("x-b3-traceid", T.to_owned()),
                ("x-b3-spanid", S.to_owned()),
                ("x-b3-flags", "1".to_owned()),
            ],
            Some((trace, span, Some(true), true)),
        ),
        (Format::B3Multi, vec![("x-b3-traceid", T.to_owned())], None),
        (
            Format::Xray,
            vec![(
                "x-amzn-trace-id",
                format!(
                    "Self=1-2-3; Root=1-{}-{};Parent={S};Sampled=1",
                    &T[..8],
                    &T[8..]
                ),
            )],
            Some((trace, span, Some(true), false)),
        ),
        (
            Format::Xray,
            vec![(
                "x-amzn-trace-id",
                format!("Root=1-{}-{};Sampled=?", &T[..8], &T[8..]),
            )],
            Some((trace, 0, None, false)),
        ),
        (
            Format::Xray,
            vec![("x-amzn-trace-id", format!("Root=2-{}-{}", &T[..8], &T[8..]))],
            None,
        ),
        (
            Format::Datadog,
            vec![
                ("x-datadog-trace-id", low.to_string()),
                ("x-datadog-parent-id", span.to_string()),
                ("x-datadog-sampling-priority", "2".to_owned()),
                (
                    "x-datadog-tags",
                    format!("_dd.p.dm=-0,_dd.p.tid={}", &T[..16]),
                ),
            ],
            Some((trace, span, Some(true), false)),
        ),
        (
            Format::Datadog,
            vec![
                ("x-datadog-trace-id", low.to_string()),
                ("x-datadog-sampling-priority", "-1".to_owned()),
            ],
            Some((u128::from(low), 0, Some(false), false)),
        ),
        (
            Format::Datadog,
            vec![("x-datadog-trace-id", "18446744073709551616".to_owned())],
            None,
        ),
        (
            Format::Datadog,
            vec![("x-datadog-trace-id", "0".to_owned())],
            None,
        ),
    ] {
        let lines: Vec<(&str, &str)> = lines
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(read(&lines, format), expected, "{format:?} {lines:?}");
    }
}

#[test]
fn the_first_valid_format_wins_and_a_bad_traceparent_restarts_only_alone() {
    let all = [Format::W3c, Format::B3];
    let good = format!("{T}-{S}-0");
    let headers = Headers::from_lines([("traceparent", "nonsense"), ("b3", &good)]);
    assert!(matches!(
        extract(&headers, &all),
        Extracted::Context {
            format: Format::B3,
            sampled: Some(false),
            ..
        }
    ));
    let headers = Headers::from_lines([
        ("traceparent", "nonsense"),
        ("tracestate", "a=1"),
        ("b3", "0"),
    ]);
    assert_eq!(
        extract(&headers, &all),
        Extracted::Restart(Restart::Malformed)
    );
    let headers = Headers::from_lines([("tracestate", "a=1"), ("b3", "0")]);
    assert_eq!(
        extract(&headers, &all),
        Extracted::Decision {
            sampled: false,
            format: Format::B3
        }
    );
    assert_eq!(extract(&Headers::default(), &all), Extracted::None);
}

#[test]
fn what_is_injected_is_read_back() {
    let (trace, span) = ids();
    let ctx = TraceContext {
        trace_id: trace.to_be_bytes(),
        parent_id: span.to_be_bytes(),
        flags: 0,
        tracestate: TraceState::default(),
    };
    for format in [
        Format::W3c,
        Format::B3,
        Format::B3Multi,
        Format::Xray,
        Format::Datadog,
    ] {
        for sampled in [false, true] {
            let mut headers = Headers::default();
            inject(format, &ctx, sampled, Some([7; 8]), |name, value| {
                headers.add(name, value)
            });
            assert!(
                headers
                    .iter()
                    .all(|(name, value)| is_context_header(name) && !value.is_empty())
            );
            let Extracted::Context {
                context,
                sampled: read,
                ..
            } = extract(&headers, &[format])
            else {
                panic!("{format:?}");
            };
            let flags = if sampled { SAMPLED } else { 0 };
            assert_eq!(
                (context, read),
                (
                    TraceContext {
                        flags,
                        ..ctx.clone()
                    },
                    Some(sampled)
                ),
                "{format:?}"
            );
        }
    }
    assert!(
        CONTEXT_HEADERS
            .iter()
            .all(|name| is_context_header(name.to_uppercase().as_bytes()))
    );
    assert!(
        is_context_header(b"x-b3-new")
            && !is_context_header(b"x-request-id")
            && !is_context_header(b"")
    );
}

#[test]
fn baggage_keeps_whole_members_within_the_limits() {
    let allow = Policy::Allow(vec!["a".to_owned(), "b".to_owned()]);
    let run = |lines: &[&str], policy: &Policy| {
        baggage::filter(lines.iter().map(|line| line.as_bytes()), policy)
    };
    assert_eq!(run(&["a=1"], &Policy::Drop), Decision::Remove);
    assert_eq!(run(&[], &Policy::Drop), Decision::Unchanged);
    assert_eq!(run(&["a=%20;p=1, b=2"], &allow), Decision::Unchanged);
    assert_eq!(
        run(&["a =%20;p=1,x=3", "b=2;q"], &allow),
        Decision::Replace(b"a =%20;p=1,b=2;q".to_vec())
    );
    assert_eq!(run(&["x=1,a,A=1,a;b=1"], &allow), Decision::Remove);
    assert_eq!(
        run(&["x=1", "y=\u{e9}"], &Policy::Pass),
        Decision::Unchanged
    );
    let many = (0..65).map(|n| format!("k{n}=1")).collect::<Vec<_>>();
    assert_eq!(
        run(&[&many.join(",")], &Policy::Pass),
        Decision::Replace(many[..64].join(",").into_bytes())
    );
    assert_eq!(
        run(&[&many[..64].join(",")], &Policy::Pass),
        Decision::Unchanged
    );
    let big = format!("a={}", "v".repeat(8190));
    assert_eq!(run(&[&big], &Policy::Pass), Decision::Unchanged);
    assert_eq!(
        run(&[&big, "b=1"], &Policy::Pass),
        Decision::Replace(big.into_bytes())
    );
}
