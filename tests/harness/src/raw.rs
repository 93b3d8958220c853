//! An HTTP/1.1 client that sends any bytes and shows every byte received.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::request::Request;
use crate::response::{Ending, Response};
use crate::tls::Certificate;
use portcullis_upstream::Line;

/// Longer than any answer takes; a proxy that hangs must fail the test, not hold it.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// One client connection.
pub struct Connection {
    wire: Box<dyn Wire>,
    /// Read and not yet used.
    buffer: Vec<u8>,
}

/// Why a read gave no byte.
enum NoBytes {
    End,
    Reset,
}

impl Connection {
    /// Opens a connection to the loopback. Panics if nothing listens.
    #[track_caller]
    pub fn open(port: u16) -> Self {
        Self::try_open(port).unwrap_or_else(|error| panic!("127.0.0.1:{port}: {error}"))
    }

    /// Opens a connection to the loopback, where perhaps nothing listens.
    pub fn try_open(port: u16) -> io::Result<Self> {
        Ok(Self {
            wire: Box::new(tcp(port)?),
            buffer: Vec::new(),
        })
    }

    /// Opens a TLS connection that trusts this certificate only. Panics if the handshake fails.
    #[track_caller]
    pub fn open_tls(port: u16, certificate: &Certificate) -> Self {
        Self::try_open_tls(port, certificate).expect("the TLS handshake failed")
    }

    /// The same, where the handshake may fail.
    pub fn try_open_tls(port: u16, certificate: &Certificate) -> io::Result<Self> {
        Self::over_tls(port, certificate.client())
    }

    /// The same, with this certificate for the client's own.
    #[track_caller]
    pub fn open_mutual_tls(port: u16, certificate: &Certificate) -> Self {
        Self::over_tls(port, certificate.mutual_client()).expect("the TLS handshake failed")
    }

    fn over_tls(port: u16, client: rustls::ClientConnection) -> io::Result<Self> {
        let mut stream = rustls::StreamOwned::new(client, tcp(port)?);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(Self {
            wire: Box::new(stream),
            buffer: Vec::new(),
        })
    }

    /// Sends bytes as they are. A peer that already hung up is noticed when reading.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.wire.write_all(bytes).and_then(|()| self.wire.flush());
    }

    /// Sends the request and reads the whole answer. Panics if there is none.
    #[track_caller]
    pub fn exchange(&mut self, request: &Request) -> Response {
        self.send(&request.to_bytes());
        match self.read_response(&request.method) {
            Some(response) => response,
            None => panic!(
                "{} {}: no answer",
                request.method,
                String::from_utf8_lossy(&request.target)
            ),
        }
    }

    /// Reads one whole response to a request of this method; `None` if the connection ends before its head.
    #[track_caller]
    pub fn read_response(&mut self, method: &str) -> Option<Response> {
        let mut interim = Vec::new();
        loop {
            let mut response = self.read_head()?;
            if matches!(response.status, 100 | 102..=199) {
                interim.push(response.head);
                continue;
            }
            response.interim = interim;
            self.read_body(method, &mut response);
            return Some(response);
        }
    }

    /// Reads exactly so many bytes. Panics if the connection ends before.
    #[track_caller]
    pub fn read_exactly(&mut self, n: usize) -> Vec<u8> {
        while self.buffer.len() < n {
            if self.fill().is_err() {
                panic!(
                    "the connection ended after {:?}",
                    crate::response::latin1(&self.buffer)
                );
            }
        }
        self.take(n)
    }

    /// Reads all until the connection's end.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.fill().is_ok() {}
        std::mem::take(&mut self.buffer)
    }

    #[track_caller]
    fn fill(&mut self) -> Result<(), NoBytes> {
        let mut bytes = [0; 16 * 1024];
        match self.wire.read(&mut bytes) {
            Ok(0) => Err(NoBytes::End),
            Ok(n) => {
                self.buffer.extend(&bytes[..n]);
                Ok(())
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                panic!(
                    "nothing came for {READ_TIMEOUT:?}; so far {:?}",
                    crate::response::latin1(&self.buffer)
                )
            }
            // TLS without a close_notify.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(NoBytes::End),
            Err(_) => Err(NoBytes::Reset),
        }
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(n);
        std::mem::replace(&mut self.buffer, rest)
    }

    #[track_caller]
    fn read_head(&mut self) -> Option<Response> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.fill().ok()?;
        };
        let head = self.take(end);
        let (status, headers) = parse_head(&head);
        Some(Response {
            head,
            status,
            headers,
            body: Vec::new(),
            trailers: Vec::new(),
            interim: Vec::new(),
            ending: Ending::Complete,
        })
    }

    #[track_caller]
    fn read_body(&mut self, method: &str, response: &mut Response) {
        let tunnel = method == "CONNECT" && response.status / 100 == 2;
        if method == "HEAD" || tunnel || matches!(response.status, 101 | 204 | 304) {
            return;
        }
        let result = if response
            .lines("transfer-encoding")
            .contains(&b"chunked".as_slice())
        {
            self.read_chunks(response)
        } else if let Some(length) = response.header("content-length") {
            let length = length.parse().expect("content-length is a number");
            self.read_length(length, response)
        } else {
            while self.fill().is_ok() {}
            response.body = std::mem::take(&mut self.buffer);
            Ok(())
        };
        response.ending = match result {
            Ok(()) => Ending::Complete,
            Err(NoBytes::End) => Ending::CutOff,
            Err(NoBytes::Reset) => Ending::Reset,
        };
    }

    #[track_caller]
    fn read_length(&mut self, length: usize, response: &mut Response) -> Result<(), NoBytes> {
        while self.buffer.len() < length {
            if let Err(end) = self.fill() {
                response.body.append(&mut self.buffer);
                return Err(end);
            }
        }
        response.body = self.take(length);
        Ok(())
    }

    #[track_caller]
    fn read_chunks(&mut self, response: &mut Response) -> Result<(), NoBytes> {
        loop {
            let line = self.read_line()?;
            let size = usize::from_str_radix(&line, 16)
                .unwrap_or_else(|_| panic!("{line:?} is no chunk size"));
            if size == 0 {
                break;
            }
            while self.buffer.len() < size + 2 {
                if let Err(end) = self.fill() {
                    response.body.append(&mut self.buffer);
                    return Err(end);
                }
            }
            let mut chunk = self.take(size + 2);
            chunk.truncate(size);
            response.body.append(&mut chunk);
        }
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(());
            }
            response.trailers.extend(parse_line(
                &line.chars().map(|c| c as u8).collect::<Vec<_>>(),
            ));
        }
    }

    #[track_caller]
    fn read_line(&mut self) -> Result<String, NoBytes> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line = self.take(at + 2);
                return Ok(crate::response::latin1(&line[..at]));
            }
            self.fill()?;
        }
    }
}

fn tcp(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[track_caller]
fn parse_head(head: &[u8]) -> (u16, Vec<Line>) {
    let mut lines = head
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.next().unwrap_or_default();
    let status = first
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok())
        .unwrap_or_else(|| panic!("{:?} is no status line", crate::response::latin1(first)));
    (
        status,
        lines
            .take_while(|line| !line.is_empty())
            .filter_map(parse_line)
            .collect(),
    )
}

fn parse_line(line: &[u8]) -> Option<Line> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let value = &line[colon + 1..];
    // One space is the sender's custom; more would be part of what a test wants to see.
    let value = value.strip_prefix(b" ").unwrap_or(value);
    Some((line[..colon].to_vec(), value.to_vec()))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
