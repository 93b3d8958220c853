//! Cleartext HTTP/2 on one connection, which gRPC needs.

use std::io;
use std::net::TcpStream;

use bytes::Bytes;
use h2::server::SendResponse;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, join};

use crate::answer::{Answer, Break, End};
use crate::recorder::Recorder;
use crate::request::{Line, Protocol, Request};
use crate::script;

/// Serves streams until the connection's end.
pub fn serve(stream: TcpStream, read: Vec<u8>, recorder: &Recorder) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (reader, writer) = tokio::net::TcpStream::from_std(stream)?.into_split();
        let rewound = join(io::Cursor::new(read).chain(reader), writer);
        let mut connection = h2::server::Builder::new()
            .max_header_list_size(1 << 20)
            .handshake(rewound)
            .await
            .map_err(io::Error::other)?;
        while let Some(accepted) = connection.accept().await {
            let (request, respond) = accepted.map_err(io::Error::other)?;
            let recorder = recorder.clone();
            // A stream's error ends that stream.
            tokio::spawn(async move {
                let _ = exchange(request, respond, &recorder).await;
            });
        }
        Ok(())
    })
}

async fn exchange(
    request: http::Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    recorder: &Recorder,
) -> Result<(), h2::Error> {
    let (parts, mut receive) = request.into_parts();
    let mut request = from_parts(&parts);
    let tunnel = request.method == b"CONNECT";
    if !tunnel {
        while let Some(data) = receive.data().await {
            let data = data?;
            receive.flow_control().release_capacity(data.len())?;
            request.body.extend(data);
        }
    }
    let answer = match recorder.record(&request) {
        Some(answer) => answer,
        None => script::answer(&request),
    };
    tokio::time::sleep(answer.delay).await;
    if let End::BeforeHead(_) = answer.end {
        respond.send_reset(h2::Reason::INTERNAL_ERROR);
        return Ok(());
    }
    let mut head = http::Response::new(());
    *head.status_mut() = http::StatusCode::from_u16(answer.status).unwrap_or_default();
    *head.headers_mut() = map(&answer.headers);
    let sent = answer.sent_body();
    let bodiless = request.method == b"HEAD" || !answer.may_have_body();
    let mut send = respond.send_response(head, bodiless)?;
    if bodiless {
        return Ok(());
    }
    send_body(&mut send, sent, &answer).await
}

async fn send_body(
    send: &mut h2::SendStream<Bytes>,
    body: &[u8],
    answer: &Answer,
) -> Result<(), h2::Error> {
    for piece in body.chunks(answer.chunk.max(1)) {
        // `send_data` keeps what the client's window does not yet take.
        send.send_data(Bytes::copy_from_slice(piece), false)?;
        tokio::task::yield_now().await;
    }
    match answer.end {
        End::InBody(Break::Reset | Break::Fin) => {
            // The head and the data must be on their way before the reset overtakes them.
            tokio::task::yield_now().await;
            send.send_reset(h2::Reason::INTERNAL_ERROR);
            Ok(())
        }
        _ if answer.trailers.is_empty() => send.send_data(Bytes::new(), true),
        _ => send.send_trailers(map(&answer.trailers)),
    }
}

fn from_parts(parts: &http::request::Parts) -> Request {
    let mut headers = Vec::new();
    if let Some(authority) = parts.uri.authority() {
        headers.push((b"host".to_vec(), authority.as_str().into()));
    }
    for (name, value) in &parts.headers {
        headers.push((name.as_str().into(), value.as_bytes().to_vec()));
    }
    let target = match parts.uri.path_and_query() {
        Some(target) if !target.as_str().is_empty() => target.as_str().into(),
        _ => parts.uri.to_string().into_bytes(),
    };
    Request {
        protocol: Protocol::Http2,
        head: Vec::new(),
        method: parts.method.as_str().into(),
        target,
        headers,
        body: Vec::new(),
    }
}

/// Lines that HTTP/2 cannot carry are left out.
fn map(lines: &[Line]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            map.append(name, value);
        }
    }
    map
}
