//! Exchanges that a proxy meets: ordinary ones and hostile ones. Suites send all of them and compare.

use portcullis_harness::Request;
use portcullis_harness::upstream::{Answer, Break, End, Framing};

/// One request and the upstream's answer to it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Unique; also its `x-case`.
    pub name: String,
    pub request: Request,
    pub answer: Answer,
}

impl Exchange {
    fn new(name: &str, request: Request, answer: Answer) -> Self {
        Self {
            name: name.to_owned(),
            request: request.case(name),
            answer,
        }
    }
}

/// Request headers that our filters look at.
pub const READ_ON_REQUEST: &[&str] = &[
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-amzn-trace-id",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-request-id",
    "x-csp-nonce",
    "origin",
    "sec-fetch-site",
    "x-forwarded-proto",
    "cookie",
    "user-agent",
];

/// Response headers that our filters look at.
pub const READ_ON_RESPONSE: &[&str] = &[
    "content-security-policy",
    "cache-control",
    "set-cookie",
    "vary",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "reporting-endpoints",
    "server-timing",
    "clear-site-data",
    "strict-transport-security",
    "x-request-id",
    "x-powered-by",
];

fn text(body: &str) -> Answer {
    Answer::with_body("text/plain", body)
}

/// What well-behaved clients and upstreams send.
pub fn ordinary() -> Vec<Exchange> {
    let mut all = vec![
        Exchange::new("get", Request::get("/v1/users?page=2"), text("users")),
        Exchange::new("head", Request::new("HEAD", "/v1/users"), text("users")),
        Exchange::new(
            "post",
            Request::post("/v1/users", "{}").header("content-type", "application/json"),
            text("made").status(201),
        ),
        Exchange::new(
            "options",
            Request::new("OPTIONS", "/v1/users").header("origin", "https://app.example.com"),
            text("").status(204),
        ),
        Exchange::new(
            "redirect",
            Request::get("/old"),
            text("").status(302).header("location", "/new"),
        ),
        Exchange::new(
            "not modified",
            Request::get("/cached").header("if-none-match", "\"1\""),
            text("").status(304).header("etag", "\"1\""),
        ),
        Exchange::new(
            "chunked",
            Request::get("/c"),
            Answer {
                framing: Framing::Chunked,
                chunk: 3,
                ..text("chunk by chunk")
            },
        ),
        Exchange::new(
            "until close",
            Request::get("/c"),
            Answer {
                framing: Framing::Close,
                ..text("until the end")
            },
        ),
        Exchange::new("empty", Request::get("/empty"), text("")),
        Exchange::new("large", Request::get("/large"), text(&"x".repeat(3 << 20))),
        Exchange::new(
            "traced",
            Request::get("/traced")
                .header(
                    "traceparent",
                    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                )
                .header("tracestate", "a=1")
                .header("tracestate", "b=2")
                .header("baggage", "k=v;p=1,k2=v2"),
            text("traced"),
        ),
        Exchange::new(
            "cookies",
            Request::get("/login").header("cookie", "a=1; b=2"),
            text("in")
                .header("set-cookie", "a=1")
                .header("set-cookie", "b=2; Path=/; Secure"),
        ),
        Exchange::new(
            "cors",
            Request::get("/cors")
                .header("origin", "https://app.example.com")
                .header("sec-fetch-site", "cross-site"),
            text("shared").header("access-control-allow-origin", "https://app.example.com"),
        ),
        Exchange::new(
            "cross-site post",
            Request::post("/transfer", "to=me")
                .header("origin", "https://evil.example")
                .header("sec-fetch-site", "cross-site"),
            text("sent"),
        ),
        Exchange::new(
            "already secured",
            Request::get("/own"),
            text("own")
                .header("content-security-policy", "default-src 'self'")
                .header("cache-control", "public, max-age=60")
                .header("x-frame-options", "SAMEORIGIN")
                .header("server", "nginx")
                .header("x-powered-by", "PHP"),
        ),
    ];
    for status in [
        200, 204, 206, 301, 400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 504,
    ] {
        all.push(Exchange::new(
            &format!("status {status}"),
            Request::get("/s"),
            text("any").status(status),
        ));
    }
    all
}

/// What the others send. Every one of these passes a proxy without filters.
pub fn hostile() -> Vec<Exchange> {
    let high: Vec<u8> = (0x80..=0xff).collect();
    let long = "a".repeat(60_000);
    let mut all = Vec::new();
    for name in READ_ON_REQUEST {
        let mut add = |what: &str, values: &[&[u8]]| {
            let request = values.iter().fold(Request::get("/h"), |request, value| {
                request.header(*name, *value)
            });
            all.push(Exchange::new(
                &format!("request {name} {what}"),
                request,
                text("fine"),
            ));
        };
        add("of high bytes", &[&high]);
        add("of 60 kB", &[long.as_bytes()]);
        add("empty", &[b""]);
        add("twice", &[b"a", b"b"]);
        add("many times", &[b"a=1,b=2".as_slice(); 200]);
        add("of separators", &[b",;=,;=--,  \t ,\"\\\";;;===,,,"]);
        add("of quotes", &[b"\"\"\"\\\"'''%00%ff%zz%"]);
        add("invalid UTF-8 in a list", &[b"a=1,\xc3\x28=\xff\xfe,b=2"]);
    }
    for name in READ_ON_RESPONSE {
        let mut add = |what: &str, values: &[&[u8]]| {
            let answer = values
                .iter()
                .fold(text("fine"), |answer, value| answer.header(*name, *value));
            all.push(Exchange::new(
                &format!("response {name} {what}"),
                Request::get("/h"),
                answer,
            ));
        };
        add("of high bytes", &[&high]);
        add("of 50 kB", &[&long.as_bytes()[..50_000]]);
        add("empty", &[b""]);
        add("many times", &[b"a=1; b".as_slice(); 200]);
        add("of separators", &[b",;=,;=--,  \t ,\"\\\";;;===,,,"]);
        add("invalid UTF-8 in a list", &[b"a=1,\xc3\x28=\xff\xfe,b=2"]);
    }
    let many = (0..1000).fold(Request::get("/h"), |request, i| {
        request.header(format!("x-{i}"), "v")
    });
    all.push(Exchange::new("1000 request headers", many, text("fine")));
    let many = (0..1000).fold(text("fine"), |answer, i| {
        answer.header(format!("x-{i}"), "v")
    });
    all.push(Exchange::new(
        "1000 response headers",
        Request::get("/h"),
        many,
    ));
    let high_anywhere = Request::get("/h")
        .header("x-any", high.clone())
        .header("x-any", high.clone());
    all.push(Exchange::new(
        "high bytes both ways",
        high_anywhere,
        text("fine").header("x-any", high),
    ));
    all.push(Exchange::new(
        "a long path",
        Request::get(format!("/{long}")),
        text("fine"),
    ));
    all.push(Exchange::new(
        "a path of encodings",
        Request::get("/%00%ff%2e%2e/%2F?%00&&&===#"),
        text("fine"),
    ));
    all.push(Exchange::new(
        "a strange method",
        Request::new("PROPFIND", "/h"),
        text("fine"),
    ));
    all.push(Exchange::new(
        "a host with a port",
        Request::get("/h").header("host", "api.example.com:8443"),
        text("fine"),
    ));
    all.push(Exchange::new(
        "a host of brackets",
        Request::get("/h").header("host", "[::1]:80"),
        text("fine"),
    ));
    all.push(Exchange::new(
        "a strange status",
        Request::get("/h"),
        text("fine").status(799),
    ));
    all
}

/// Upstreams that break off; the ending differs, so only the status compares.
pub fn broken() -> Vec<Exchange> {
    let mut all = Vec::new();
    for (name, how) in [("fin", Break::Fin), ("reset", Break::Reset)] {
        let head = Answer {
            end: End::BeforeHead(how),
            ..Answer::default()
        };
        let body = Answer {
            end: End::InBody(how),
            ..text(&"x".repeat(100_000))
        };
        let chunks = Answer {
            framing: Framing::Chunked,
            ..body.clone()
        };
        all.push(Exchange::new(
            &format!("{name} before the head"),
            Request::get("/b"),
            head,
        ));
        all.push(Exchange::new(
            &format!("{name} in the body"),
            Request::get("/b"),
            body,
        ));
        all.push(Exchange::new(
            &format!("{name} in the chunks"),
            Request::get("/b"),
            chunks,
        ));
    }
    all
}
