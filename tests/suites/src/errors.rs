//! Errors as upstreams answer them, and what shall become of each.

use portcullis_harness::upstream::{Answer, Break, End, Framing};

/// It stands in every body that shall not pass, and in no answer of ours.
pub const SECRET: &str = "inside-7f3a";

/// What problem-json makes of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// A problem document with what the status says.
    Problem,
    /// The same bytes, with the same media type.
    Itself,
}

/// One error.
#[derive(Clone, Debug)]
pub struct Source {
    pub name: &'static str,
    pub answer: Answer,
    pub becomes: Becomes,
}

const HTML: &str = "<html><body>inside-7f3a at com.acme.Db.run(Db.java:7)</body></html>";

/// Errors of an upstream that answers.
pub fn sources() -> Vec<Source> {
    use Becomes::{Itself, Problem};
    let problem = r#"{ "type":"https://a.example/x", "title": "T", "status": 422, "n": 12345678901234567890.10 }"#;
    let bodies: [(&str, u16, &str, String, Becomes); 28] = [
        ("html 404", 404, "text/html; charset=utf-8", HTML.into(), Problem),
        ("html 500", 500, "text/html", HTML.into(), Problem),
        ("html 502", 502, "text/html", HTML.into(), Problem),
        ("text 400", 400, "text/plain", SECRET.into(), Problem),
        ("text 503", 503, "text/plain", SECRET.into(), Problem),
        ("json of a known shape 500", 500, "application/json", format!(r#"{{"error":{{"code":"db_down","message":"{SECRET}"}}}}"#), Problem),
        ("json of an unknown shape 409", 409, "application/json", format!(r#"{{"frobs":[1,2],"x":"{SECRET}"}}"#), Problem),
        ("json list 400", 400, "application/json", format!(r#"[["{SECRET}"]]"#), Problem),
        ("broken json 400", 400, "application/json", format!(r#"{{"message":"{SECRET}"#), Problem),
        ("spring 500", 500, "application/json", format!(r#"{{"timestamp":"2026","status":500,"error":"Internal Server Error","trace":"{SECRET}","path":"/{SECRET}"}}"#), Problem),
        ("vnd json 422", 422, "application/vnd.api+json", r#"{"errors":[{"status":"422","title":"Invalid","detail":"Name is short.","source":{"pointer":"/data/attributes/name"}}]}"#.into(), Problem),
        ("xml 403", 403, "application/xml", format!("<Error><Code>AccessDenied</Code><RequestId>{SECRET}</RequestId></Error>"), Problem),
        ("octets 500", 500, "application/octet-stream", format!("\u{0}{SECRET}"), Problem),
        ("image 404", 404, "image/png", SECRET.into(), Problem),
        ("css 404", 404, "text/css", SECRET.into(), Problem),
        ("multipart 500", 500, "multipart/form-data; boundary=x", SECRET.into(), Problem),
        ("405", 405, "text/plain", SECRET.into(), Problem),
        ("406", 406, "text/plain", SECRET.into(), Problem),
        ("413", 413, "text/plain", SECRET.into(), Problem),
        ("415", 415, "text/plain", SECRET.into(), Problem),
        ("422", 422, "text/plain", SECRET.into(), Problem),
        ("429 of the upstream", 429, "text/plain", SECRET.into(), Problem),
        ("451", 451, "text/plain", SECRET.into(), Problem),
        ("599", 599, "text/plain", SECRET.into(), Problem),
        ("problem+json", 422, "application/problem+json", problem.into(), Itself),
        ("problem+xml", 422, "application/problem+xml", "<problem xmlns=\"urn:ietf:rfc:7807\"/>".into(), Itself),
        ("events 503", 503, "text/event-stream", "data: x\n\n".into(), Itself),
        ("grpc 503", 503, "application/grpc", "x".into(), Itself),
    ];
    let mut sources: Vec<Source> = bodies
        .into_iter()
        .map(|(name, status, kind, body, becomes)| Source {
            name,
            answer: Answer::with_body(kind, body).status(status),
            becomes,
        })
        .collect();
    let mut add = |name, answer: Answer| {
        sources.push(Source {
            name,
            answer,
            becomes: Problem,
        });
    };
    let html = |status| Answer::with_body("text/html", HTML).status(status);
    let json = |status: u16| {
        Answer::with_body("application/json", format!(r#"{{"trace":"{SECRET}"}}"#)).status(status)
    };
    add(
        "no content type",
        Answer {
            body: SECRET.into(),
            ..Answer::default().status(500)
        },
    );
    add("no body", Answer::default().status(404));
    add(
        "no body 500",
        Answer::default().status(500).header("retry-after", "7"),
    );
    add(
        "chunked html",
        Answer {
            framing: Framing::Chunked,
            chunk: 16,
            ..html(500)
        },
    );
    add(
        "chunked json",
        Answer {
            framing: Framing::Chunked,
            chunk: 5,
            ..json(500)
        },
    );
    add(
        "json until the connection ends",
        Answer {
            framing: Framing::Close,
            ..json(500)
        },
    );
    add("gzip", html(500).header("content-encoding", "gzip"));
    add("brotli json", json(500).header("content-encoding", "br"));
    add(
        "html with trailers",
        Answer {
            framing: Framing::Chunked,
            trailers: vec![(b"x-sum".to_vec(), b"1".to_vec())],
            ..html(500)
        },
    );
    add(
        "json with trailers",
        Answer {
            framing: Framing::Chunked,
            trailers: vec![(b"x-sum".to_vec(), b"1".to_vec())],
            ..json(500)
        },
    );
    let large = |kind: &str| Answer::with_body(kind, vec![b'x'; 3 << 20]).status(500);
    add("3 MB of html", large("text/html"));
    add(
        "3 MB of json",
        Answer {
            framing: Framing::Chunked,
            ..large("application/json")
        },
    );
    add("3 MB of json, announced", large("application/json"));
    add(
        "many headers of the body",
        html(500)
            .header("etag", "\"1\"")
            .header("last-modified", "Sat, 21 Nov 2026 10:00:00 GMT")
            .header("content-language", "fr")
            .header("content-disposition", "attachment")
            .header("content-md5", "x")
            .header("digest", "sha-256=x")
            .header("repr-digest", "sha-256=:eA==:")
            .header("accept-ranges", "bytes")
            .header("content-location", "/inside-7f3a")
            .header("refresh", "0; url=/inside-7f3a")
            .header("link", "</inside-7f3a.css>; rel=preload"),
    );
    add(
        "what clients need",
        html(429)
            .header("retry-after", "7")
            .header("www-authenticate", "Bearer")
            .header("set-cookie", "a=1; Secure; HttpOnly; SameSite=Lax")
            .header("set-cookie", "b=2; Secure; HttpOnly; SameSite=Lax")
            .header("ratelimit", "\"minute\";r=0;t=7")
            .header("deprecation", "@1688169599")
            .header("vary", "Origin"),
    );
    sources
}

/// Errors of an upstream that fails.
pub fn failures() -> Vec<(&'static str, Answer, u16)> {
    let broken = |end| Answer {
        end,
        ..Answer::with_body("text/html", HTML)
    };
    vec![
        (
            "reset before the head",
            broken(End::BeforeHead(Break::Reset)),
            503,
        ),
        (
            "closed before the head",
            broken(End::BeforeHead(Break::Fin)),
            503,
        ),
        (
            "too late",
            Answer {
                delay: std::time::Duration::from_secs(3),
                ..Answer::default()
            },
            504,
        ),
    ]
}
