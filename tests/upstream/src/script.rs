//! From a request's target to the answer.

use std::time::Duration;

use crate::answer::{Answer, Break, End, Framing};
use crate::percent;
use crate::request::{Line, Request};

/// What `/` answers.
pub const HELP: &str = "\
demo-upstream: the request's target says what is answered.

  /                      this text
  /healthz               200 with `ok`, without faults
  /text /json /html      200 with such a body
  /sse                   three server-sent events, chunked
  /chunked               chunked, in small pieces
  /trailers              chunked, with a trailer
  /status/503            that status, with a JSON body
  /delay/250             200 after so many milliseconds
  /bytes/1048576         200 with so many bytes
  /cookies               three Set-Cookie lines
  /leaky                 headers that name the software behind
  /abort/headers         ends the connection before the head
  /abort/body            ends the connection in the middle of the body
  /grpc/0                a gRPC answer with that grpc-status (HTTP/2)
  anything else          200 with the request as JSON, header lines in order, one character per byte

These can follow any of them, percent-encoded:

  status=418             another status
  header=Name:value      one more header line; repeat it for more
  trailer=Name:value     one more trailer line
  type=text/plain        another Content-Type; empty for none
  body=text              another body
  size=100               a body of so many bytes
  delay=250              milliseconds before the head
  framing=chunked        length, chunked or close
  chunk=10               the most bytes sent at once
  abort=body             headers or body
  how=reset              how it aborts: fin or reset

An `Upgrade: websocket` is answered with 101, and then every byte is sent back; so is CONNECT, with 200.
";

/// The answer to a request.
pub fn answer(request: &Request) -> Answer {
    let target = request.target.as_slice();
    let at = target.iter().position(|byte| *byte == b'?');
    let (path, query) = match at.and_then(|at| target.split_at_checked(at)) {
        Some((path, query)) => (path, query.get(1..).unwrap_or_default()),
        None => (target, [].as_slice()),
    };
    let path = String::from_utf8_lossy(path);
    let mut answer = by_path(&path, request);
    for pair in query.split(|byte| *byte == b'&') {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let (key, value) = (
            halves.next().unwrap_or_default(),
            halves.next().unwrap_or_default(),
        );
        refine(&mut answer, key, &percent::decode(value));
    }
    answer
}

fn by_path(path: &str, request: &Request) -> Answer {
    let mut segments = path.trim_start_matches('/').splitn(2, '/');
    let first = segments.next().unwrap_or_default();
    let second = segments.next();
    let number = second.and_then(|text| text.parse::<u64>().ok());
    match (first, number) {
        ("", _) => Answer::with_body("text/plain; charset=utf-8", HELP),
        ("healthz", _) => Answer::with_body("text/plain; charset=utf-8", "ok\n"),
        ("text", _) => Answer::with_body("text/plain; charset=utf-8", "hello\n"),
        ("json", _) => Answer::with_body("application/json", "{\"hello\":\"world\"}\n"),
        ("html", _) => Answer::with_body("text/html; charset=utf-8", HTML),
        ("sse", _) => Answer {
            framing: Framing::Chunked,
            chunk: 9,
            ..Answer::with_body("text/event-stream", "data: 1\n\ndata: 2\n\ndata: 3\n\n")
        },
        ("chunked", _) => Answer {
            framing: Framing::Chunked,
            chunk: 7,
            ..Answer::with_body("text/plain", "one piece after another\n")
        },
        ("trailers", _) => Answer {
            framing: Framing::Chunked,
            trailers: vec![(b"x-trailer".to_vec(), b"last".to_vec())],
            ..Answer::with_body("text/plain", "a trailer follows\n")
        },
        ("status", Some(status)) => {
            let status = u16::try_from(status)
                .ok()
                .filter(|status| (200..=999).contains(status));
            let status = status.unwrap_or(400);
            Answer::with_body("application/json", format!("{{\"status\":{status}}}\n"))
                .status(status)
        }
        ("delay", Some(milliseconds)) => Answer {
            delay: Duration::from_millis(milliseconds.min(MAX_DELAY_MS)),
            ..Answer::with_body("text/plain", "late\n")
        },
        ("bytes", Some(size)) => Answer::with_body("application/octet-stream", filler(size)),
        ("cookies", _) => Answer::with_body("text/plain", "three cookies\n")
            .header("set-cookie", "session=1; Path=/")
            .header("set-cookie", "theme=dark; SameSite=Strict")
            .header("set-cookie", "embed=2; SameSite=None; Secure"),
        ("leaky", _) => Answer::with_body("text/plain", "who am I\n")
            .header("server", "demo-upstream/0.1")
            .header("x-powered-by", "Rust")
            .header("x-aspnet-version", "4.0.30319"),
        ("grpc", status) => grpc(status.unwrap_or(0)),
        ("abort", _) if second == Some("headers") => Answer {
            end: End::BeforeHead(Break::Fin),
            ..Answer::default()
        },
        ("abort", _) if second == Some("body") => Answer {
            end: End::InBody(Break::Fin),
            ..Answer::with_body("text/plain", "half of this is never sent\n")
        },
        _ => Answer::with_body("application/json", echo(request)),
    }
}

const HTML: &str = "<!doctype html><title>demo</title><p>hello\n";
/// A slip of a digit must not hold a connection for days.
const MAX_DELAY_MS: u64 = 60_000;
/// Nor take all memory.
const MAX_SIZE: u64 = 64 << 20;

fn filler(size: u64) -> Vec<u8> {
    vec![b'x'; usize::try_from(size.min(MAX_SIZE)).unwrap_or(0)]
}

/// One empty message, not compressed, then the status in the trailers.
fn grpc(status: u64) -> Answer {
    Answer {
        framing: Framing::Chunked,
        trailers: vec![(b"grpc-status".to_vec(), status.to_string().into_bytes())],
        ..Answer::with_body("application/grpc", [0; 5])
    }
}

fn refine(answer: &mut Answer, key: &[u8], value: &[u8]) {
    let text = String::from_utf8_lossy(value);
    let number = text.parse::<u64>().ok();
    match key {
        b"status" => answer.status = text.parse().unwrap_or(answer.status),
        b"header" => answer.headers.extend(line(value)),
        b"trailer" => {
            answer.framing = Framing::Chunked;
            answer.trailers.extend(line(value));
        }
        b"type" => {
            answer.headers.retain(|(name, _)| name != b"content-type");
            if !value.is_empty() {
                answer
                    .headers
                    .insert(0, (b"content-type".to_vec(), value.to_vec()));
            }
        }
        b"body" => answer.body = value.to_vec(),
        b"size" => answer.body = filler(number.unwrap_or(0)),
        b"delay" => answer.delay = Duration::from_millis(number.unwrap_or(0).min(MAX_DELAY_MS)),
        b"chunk" => answer.chunk = usize::try_from(number.unwrap_or(1)).unwrap_or(1).max(1),
        b"framing" => {
            answer.framing = match value {
                b"chunked" => Framing::Chunked,
                b"close" => Framing::Close,
                _ => Framing::Length,
            }
        }
        b"abort" => {
            answer.end = match value {
                b"headers" => End::BeforeHead(Break::Fin),
                _ => End::InBody(Break::Fin),
            }
        }
        b"how" => {
            let how = if value == b"reset" {
                Break::Reset
            } else {
                Break::Fin
            };
            answer.end = match answer.end {
                End::Complete => End::Complete,
                End::BeforeHead(_) => End::BeforeHead(how),
                End::InBody(_) => End::InBody(how),
            }
        }
        _ => {}
    }
}

fn line(text: &[u8]) -> Option<Line> {
    let colon = text.iter().position(|byte| *byte == b':')?;
    let (name, value) = text.split_at_checked(colon)?;
    Some((name.to_vec(), value.get(1..)?.to_vec()))
}

/// The request as JSON. One character per byte (Latin-1), so that nothing is lost.
fn echo(request: &Request) -> String {
    let latin1 = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| char::from(*byte))
            .collect::<String>()
    };
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| serde_json::json!([latin1(name), latin1(value)]))
        .collect();
    let echo = serde_json::json!({
        "protocol": request.protocol.name(),
        "method": latin1(&request.method),
        "target": latin1(&request.target),
        "headers": headers,
        "body": latin1(&request.body),
    });
    format!("{echo:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(target: &str) -> Answer {
        let head = format!("GET {target} HTTP/1.1\r\nhost: x\r\na: \u{e9}\r\nA: 2\r\n\r\n");
        answer(&Request::from_head(head.chars().map(|c| c as u8).collect()).unwrap())
    }

    #[test]
    fn the_path_picks_the_answer_and_the_query_refines_it() {
        let answer = of("/status/503?header=X-A:%ff&header=X-A:b&type=&body=%00&delay=3");
        assert_eq!(answer.status, 503);
        assert_eq!(answer.body, [0]);
        assert_eq!(answer.delay, Duration::from_millis(3));
        assert_eq!(
            answer.headers,
            [
                (b"X-A".to_vec(), vec![0xff]),
                (b"X-A".to_vec(), b"b".to_vec())
            ]
        );
    }

    #[test]
    fn an_abort_can_be_in_order_or_a_reset() {
        assert_eq!(of("/abort/body").end, End::InBody(Break::Fin));
        assert_eq!(
            of("/abort/headers?how=reset").end,
            End::BeforeHead(Break::Reset)
        );
        assert_eq!(of("/text?abort=body&how=reset").sent_body(), b"hel");
    }

    #[test]
    fn any_other_path_echoes_the_header_lines_in_order_and_without_loss() {
        let body = of("/v1/users?x=1").body;
        let echo: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(echo["target"], "/v1/users?x=1");
        assert_eq!(
            echo["headers"],
            serde_json::json!([["host", "x"], ["a", "\u{e9}"], ["A", "2"]])
        );
    }

    #[test]
    fn every_path_of_the_help_text_is_known() {
        let paths = HELP.lines().filter_map(|line| line.strip_prefix("  /"));
        let mut seen = 0;
        for path in paths.flat_map(|line| line.split("  ").next().unwrap().split(' ')) {
            let target = format!("/{}", path.trim_start_matches('/'));
            let answer = of(&target);
            assert!(
                !answer.body.starts_with(b"{\n"),
                "{target} is not in the script"
            );
            seen += 1;
        }
        assert!(seen > 12);
    }
}
