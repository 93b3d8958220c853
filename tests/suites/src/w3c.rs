//! What W3C Trace Context Level 2 says of each form of `traceparent` and `tracestate`: the requests of the W3C's own
//! conformance suite, and some that it does not send.

/// The trace that requests name, and the caller's span.
pub const TRACE: &str = "12345678901234567890123456789012";
pub const PARENT: &str = "1234567890123456";

/// A header line to send.
pub type Line = (&'static str, String);
/// A key and its value.
pub type Member = (String, String);

pub fn traceparent(value: impl Into<String>) -> Line {
    ("traceparent", value.into())
}

pub fn tracestate(value: impl Into<String>) -> Line {
    ("tracestate", value.into())
}

pub fn valid() -> Line {
    traceparent(format!("00-{TRACE}-{PARENT}-00"))
}

/// A `traceparent` that is continued, and the flags it goes on with.
pub fn continued() -> Vec<(String, u8)> {
    let base = format!("{TRACE}-{PARENT}");
    vec![
        (format!("00-{base}-01"), 1),
        (format!("00-{base}-00"), 0),
        // The random flag goes on, unknown flags do not.
        (format!("00-{base}-03"), 3),
        (format!("00-{base}-02"), 2),
        (format!("00-{base}-ff"), 3),
        (format!("00-{base}-fc"), 0),
        // Higher versions are read as far as this one goes.
        (format!("cc-{base}-01"), 1),
        (format!("01-{base}-01-"), 1),
        (format!("cc-{base}-01-what-the-future-brings"), 1),
        // Optional white space.
        (format!(" 00-{base}-01"), 1),
        (format!("\t00-{base}-01"), 1),
        (format!("00-{base}-01 "), 1),
        (format!("00-{base}-01\t"), 1),
        (format!("\t 00-{base}-01 \t"), 1),
    ]
}

/// A `traceparent` that starts a new trace.
pub fn restarting() -> Vec<String> {
    vec![
        format!("00-{TRACE}-{PARENT}-01."),
        format!("00-{TRACE}-{PARENT}-01-what-the-future-brings"),
        format!("cc-{TRACE}-{PARENT}-01.what-the-future-brings"),
        format!("ff-{TRACE}-{PARENT}-01"),
        format!(".0-{TRACE}-{PARENT}-01"),
        format!("0.-{TRACE}-{PARENT}-01"),
        format!("000-{TRACE}-{PARENT}-01"),
        format!("0000-{TRACE}-{PARENT}-01"),
        format!("0-{TRACE}-{PARENT}-01"),
        format!("00-{}-{PARENT}-01", "0".repeat(32)),
        format!("00-.{}-{PARENT}-01", &TRACE[1..]),
        format!("00-{}.-{PARENT}-01", &TRACE[..31]),
        format!("00-{TRACE}3-{PARENT}-01"),
        format!("00-{}-{PARENT}-01", &TRACE[..31]),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{TRACE}-.{}-01", &PARENT[1..]),
        format!("00-{TRACE}-{}.-01", &PARENT[..15]),
        format!("00-{TRACE}-{PARENT}7-01"),
        format!("00-{TRACE}-{}-01", &PARENT[..15]),
        format!("00-{TRACE}-{PARENT}-.0"),
        format!("00-{TRACE}-{PARENT}-0."),
        format!("00-{TRACE}-{PARENT}-001"),
        format!("00-{TRACE}-{PARENT}-1"),
        format!("00-{TRACE}-{PARENT}-0A"),
        format!("00-{TRACE}-ABCDEF7890123456-01"),
        format!("00_{TRACE}_{PARENT}_01"),
        format!("00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01"),
        String::new(),
    ]
}

/// All that Level 2 allows in a value.
fn every_value_character() -> String {
    (' '..='~').filter(|c| !matches!(c, ',' | '=')).collect()
}

/// Lines of `tracestate` behind a valid `traceparent`, and the members that go on.
pub fn kept() -> Vec<(Vec<Line>, Vec<Member>)> {
    let key = format!("{}0123456789_-*/", ('a'..='z').collect::<String>());
    let key_with_system = format!("{key}@a-z0-9_-*/");
    let value = every_value_character();
    let numbered = |from: usize, to: usize| {
        tracestate(
            (from..=to)
                .map(|i| format!("bar{i:02}={i:02}"))
                .collect::<Vec<_>>()
                .join(","),
        )
    };
    let all = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    let of_32: Vec<(String, String)> = (1..=32)
        .map(|i| (format!("bar{i:02}"), format!("{i:02}")))
        .collect();
    vec![
        (
            vec![tracestate("foo=1,bar=2")],
            all(&[("foo", "1"), ("bar", "2")]),
        ),
        (
            vec![
                tracestate("foo=1,bar=2"),
                tracestate("rojo=1,congo=2"),
                tracestate("baz=3"),
            ],
            all(&[
                ("foo", "1"),
                ("bar", "2"),
                ("rojo", "1"),
                ("congo", "2"),
                ("baz", "3"),
            ]),
        ),
        (vec![tracestate("")], vec![]),
        (
            vec![tracestate("foo=1"), tracestate("")],
            all(&[("foo", "1")]),
        ),
        (
            vec![tracestate(""), tracestate("foo=1")],
            all(&[("foo", "1")]),
        ),
        (
            vec![tracestate("foo=1,,bar=2,")],
            all(&[("foo", "1"), ("bar", "2")]),
        ),
        (vec![tracestate(", \t ,foo=1")], all(&[("foo", "1")])),
        (
            vec![tracestate("foo=1 \t , \t bar=2, \t baz=3")],
            all(&[("foo", "1"), ("bar", "2"), ("baz", "3")]),
        ),
        (
            vec![tracestate("foo=1\t \t,\t \tbar=2,\t \tbaz=3")],
            all(&[("foo", "1"), ("bar", "2"), ("baz", "3")]),
        ),
        (vec![tracestate(" foo=1")], all(&[("foo", "1")])),
        (vec![tracestate("\tfoo=1")], all(&[("foo", "1")])),
        (vec![tracestate("foo=1 ")], all(&[("foo", "1")])),
        (vec![tracestate("foo=1\t")], all(&[("foo", "1")])),
        (vec![tracestate("\t foo=1 \t")], all(&[("foo", "1")])),
        // Keys given twice are their sender's fault, not a reason to drop what it says.
        (
            vec![tracestate("foo=1,foo=1")],
            all(&[("foo", "1"), ("foo", "1")]),
        ),
        (
            vec![tracestate("foo=1,foo=2")],
            all(&[("foo", "1"), ("foo", "2")]),
        ),
        (
            vec![tracestate("foo=1"), tracestate("foo=1")],
            all(&[("foo", "1"), ("foo", "1")]),
        ),
        (
            vec![tracestate("foo=1"), tracestate("foo=2")],
            all(&[("foo", "1"), ("foo", "2")]),
        ),
        // A space before a value belongs to it.
        (
            vec![tracestate("foo=  1,bar=2")],
            all(&[("foo", "  1"), ("bar", "2")]),
        ),
        (
            vec![tracestate(format!("{key}={value}"))],
            all(&[(&key, &value)]),
        ),
        (
            vec![tracestate(format!("{key_with_system}={value}"))],
            all(&[(&key_with_system, &value)]),
        ),
        // Level 2 lets a key begin with a digit.
        (
            vec![tracestate("0foo=1,1@a=2")],
            all(&[("0foo", "1"), ("1@a", "2")]),
        ),
        (
            vec![tracestate(format!("foo=1,{}=1", "z".repeat(256)))],
            all(&[("foo", "1"), (&"z".repeat(256), "1")]),
        ),
        (
            vec![tracestate(format!(
                "{}@{}=1",
                "t".repeat(241),
                "v".repeat(14)
            ))],
            all(&[(&format!("{}@{}", "t".repeat(241), "v".repeat(14)), "1")]),
        ),
        (
            vec![tracestate(format!("foo={}", "v".repeat(256)))],
            all(&[("foo", &"v".repeat(256))]),
        ),
        (
            vec![
                numbered(1, 10),
                numbered(11, 20),
                numbered(21, 30),
                numbered(31, 32),
            ],
            of_32,
        ),
        (
            vec![
                ("TraceState", "foo=1".to_owned()),
                ("TrAcEsTaTe", "bar=2".to_owned()),
                ("TRACESTATE", "baz=3".to_owned()),
            ],
            all(&[("foo", "1"), ("bar", "2"), ("baz", "3")]),
        ),
    ]
}

fn thirty_two() -> String {
    let members: Vec<String> = (1..=32).map(|i| format!("bar{i:02}={i:02}")).collect();
    members.join(",")
}

/// A `tracestate` that is dropped whole.
pub fn dropped() -> Vec<String> {
    vec![
        "foo =1".to_owned(),
        "FOO=1".to_owned(),
        "foo.bar=1".to_owned(),
        "foo@=1,bar=2".to_owned(),
        "@foo=1,bar=2".to_owned(),
        "foo@@bar=1,bar=2".to_owned(),
        "foo@bar@baz=1,bar=2".to_owned(),
        "foo=1,foo =1".to_owned(),
        "foo=1,FOO=1".to_owned(),
        "foo=1,foo.bar=1".to_owned(),
        "foo=1,foo@=1".to_owned(),
        "foo=1,@foo=1".to_owned(),
        "foo=1,foo@@bar=1".to_owned(),
        "foo=1,foo@bar@baz=1".to_owned(),
        "foo=1,_bar=1".to_owned(),
        "foo=1,bar".to_owned(),
        "foo=1,=1".to_owned(),
        "foo=bar=baz".to_owned(),
        "foo=,bar=3".to_owned(),
        "foo=1,bar=\u{e9}".to_owned(),
        "foo=1,bar=a\tb".to_owned(),
        format!("foo=1,{}=1", "z".repeat(257)),
        format!("foo=1,{}@v=1", "t".repeat(242)),
        format!("foo=1,t@{}=1", "v".repeat(15)),
        format!("foo=1,bar={}", "v".repeat(257)),
        format!("foo=1,{}", thirty_two()),
    ]
}

/// A `tracestate` that, with one member more before it, is beyond a limit.
pub fn beyond_limits() -> Vec<String> {
    vec![
        format!("{}=1", "z".repeat(257)),
        format!("{}@v=1", "t".repeat(242)),
        format!("t@{}=1", "v".repeat(15)),
        thirty_two(),
    ]
}
