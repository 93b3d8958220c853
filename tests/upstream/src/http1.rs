//! HTTP/1.1 on one connection, written by hand so that the bytes received are known and any answer can be sent.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use crate::answer::{Answer, Break, End, Framing};
use crate::recorder::Recorder;
use crate::request::{Protocol, Request};
use crate::script;

/// A client that never ends its head must not take all memory.
const MAX_HEAD: usize = 4 << 20;
const MAX_BODY: usize = 64 << 20;

/// Serves requests until the connection's end.
pub fn serve(stream: TcpStream, read: Vec<u8>, recorder: &Recorder) -> io::Result<()> {
    let mut connection = Connection {
        stream,
        buffer: read,
    };
    while let Some(head) = connection.read_head()? {
        let Some(mut request) = Request::from_head(head) else {
            let refusal =
                b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            return connection.stream.write_all(refusal);
        };
        let tunnel = request.method == b"CONNECT" || request.wants_websocket();
        if !tunnel {
            request.body = connection.read_body(&request)?;
        }
        let scripted = recorder.record(&request);
        let answer = match scripted {
            Some(answer) => answer,
            None if tunnel => return connection.tunnel(&request),
            None => script::answer(&request),
        };
        thread::sleep(answer.delay);
        let goes_on = connection.send(&request, &answer)?;
        if !goes_on {
            return Ok(());
        }
    }
    Ok(())
}

struct Connection {
    stream: TcpStream,
    /// Read and not yet used.
    buffer: Vec<u8>,
}

impl Connection {
    fn fill(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 16 * 1024];
        let n = self.stream.read(&mut bytes)?;
        self.buffer
            .extend_from_slice(bytes.get(..n).unwrap_or_default());
        Ok(n)
    }

    /// The bytes up to and with the empty line; `None` at the connection's end.
    fn read_head(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = 0_usize;
        loop {
            let unsearched = self.buffer.get(searched..).unwrap_or_default();
            if let Some(at) = find(unsearched, b"\r\n\r\n") {
                return Ok(Some(self.take(searched + at + 4)));
            }
            searched = self.buffer.len().saturating_sub(3);
            if self.buffer.len() > MAX_HEAD {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(n.min(self.buffer.len()));
        std::mem::replace(&mut self.buffer, rest)
    }

    fn read_exactly(&mut self, n: usize) -> io::Result<Vec<u8>> {
        if n > MAX_BODY {
            return Err(io::ErrorKind::InvalidData.into());
        }
        while self.buffer.len() < n {
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.take(n))
    }

    fn read_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let mut line = self.take(at + 2);
                line.truncate(at);
                return Ok(line);
            }
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn read_body(&mut self, request: &Request) -> io::Result<Vec<u8>> {
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        if request.header("transfer-encoding").is_none() {
            let length = request.header("content-length").unwrap_or(b"0");
            let length = std::str::from_utf8(length)
                .ok()
                .and_then(|text| text.parse().ok());
            return self.read_exactly(length.ok_or_else(bad)?);
        }
        let mut body = Vec::new();
        loop {
            let line = self.read_line()?;
            let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
            let size = std::str::from_utf8(size).map_err(|_| bad())?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| bad())?;
            if size == 0 {
                while !self.read_line()?.is_empty() {}
                return Ok(body);
            }
            if body.len().saturating_add(size) > MAX_BODY {
                return Err(bad());
            }
            body.extend(self.read_exactly(size)?);
            self.read_line()?;
        }
    }

    /// Agrees to the upgrade or the CONNECT and sends every byte back.
    fn tunnel(&mut self, request: &Request) -> io::Result<()> {
        let head: &[u8] = if request.wants_websocket() {
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
        } else {
            b"HTTP/1.1 200 OK\r\n\r\n"
        };
        self.stream.write_all(head)?;
        loop {
            let received = std::mem::take(&mut self.buffer);
            self.stream.write_all(&received)?;
            if self.fill()? == 0 {
                return Ok(());
            }
        }
    }

    /// Sends the answer; whether the connection goes on.
    fn send(&mut self, request: &Request, answer: &Answer) -> io::Result<bool> {
        if let End::BeforeHead(how) = answer.end {
            return self.end(how).map(|()| false);
        }
        let framing = match answer.framing {
            // HTTP/1.0 knows no chunks.
            Framing::Chunked if request.protocol == Protocol::Http10 => Framing::Close,
            framing => framing,
        };
        let goes_on = framing != Framing::Close && request.keeps_alive();
        self.stream.write_all(&head(answer, framing, goes_on))?;
        if request.method == b"HEAD" || !answer.may_have_body() {
            return Ok(goes_on);
        }
        for piece in answer.sent_body().chunks(answer.chunk.max(1)) {
            if framing == Framing::Chunked {
                let size = format!("{:x}\r\n", piece.len());
                self.stream
                    .write_all(&[size.as_bytes(), piece, b"\r\n"].concat())?;
            } else {
                self.stream.write_all(piece)?;
            }
        }
        if let End::InBody(how) = answer.end {
            return self.end(how).map(|()| false);
        }
        if framing == Framing::Chunked {
            let mut last = b"0\r\n".to_vec();
            for (name, value) in &answer.trailers {
                last.extend([name, b": ".as_slice(), value, b"\r\n"].concat());
            }
            last.extend(b"\r\n");
            self.stream.write_all(&last)?;
        }
        if !goes_on {
            self.end(Break::Fin)?;
        }
        Ok(goes_on)
    }

    fn end(&mut self, how: Break) -> io::Result<()> {
        match how {
            Break::Fin => {
                self.stream.shutdown(Shutdown::Write)?;
                // What the client still sends is read: closing on unread bytes would make this a reset.
                self.stream.set_read_timeout(Some(Duration::from_secs(1)))?;
                while self.fill().is_ok_and(|n| n > 0) {
                    self.buffer.clear();
                }
                Ok(())
            }
            // With no time to linger, closing is a reset.
            Break::Reset => socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)),
        }
    }
}

fn head(answer: &Answer, framing: Framing, goes_on: bool) -> Vec<u8> {
    let reason = http::StatusCode::from_u16(answer.status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Status");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", answer.status).into_bytes();
    for (name, value) in &answer.headers {
        head.extend([name, b": ".as_slice(), value, b"\r\n"].concat());
    }
    if answer.may_have_body() {
        match framing {
            Framing::Length => {
                head.extend(format!("content-length: {}\r\n", answer.body.len()).bytes());
            }
            Framing::Chunked => head.extend(b"transfer-encoding: chunked\r\n"),
            Framing::Close => {}
        }
    }
    if !goes_on {
        head.extend(b"connection: close\r\n");
    }
    head.extend(b"\r\n");
    head
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
