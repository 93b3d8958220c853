//! Both ends of a connection through a proxy, by hand: what the upstream writes next can wait for what the client has read.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use portcullis_harness::{Request, wait};

/// Longer than anything takes; a proxy that holds bytes back must fail the test, not hang it.
const TIMEOUT: Duration = Duration::from_secs(20);

/// An upstream whose answers the test writes itself.
pub struct Upstream(TcpListener);

impl Upstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// The connection of the next request, whose head is read.
    #[track_caller]
    pub fn accept(&self) -> Wire {
        let stream = wait::until("a connection to the upstream", || self.0.accept().ok()).0;
        stream.set_nonblocking(false).unwrap();
        let mut wire = Wire::of(stream);
        wire.read_until(b"\r\n\r\n");
        wire
    }
}

/// One end of a connection.
pub struct Wire {
    stream: TcpStream,
    /// All that was read.
    pub seen: Vec<u8>,
}

impl Wire {
    fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            seen: Vec::new(),
        }
    }

    /// A client that has sent this request.
    pub fn client(port: u16, request: &Request) -> Self {
        let mut wire = Self::of(TcpStream::connect(("127.0.0.1", port)).unwrap());
        wire.write(&request.to_bytes());
        wire
    }

    #[track_caller]
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Writes until the other side is gone, and tells `wrote` after each piece.
    pub fn write_for_ever(mut self, piece: &[u8], mut wrote: impl FnMut(usize)) {
        while self.stream.write_all(piece).is_ok() {
            wrote(piece.len());
        }
    }

    /// Reads until these bytes stand in what was read. Panics at the connection's end, or if nothing more comes.
    #[track_caller]
    pub fn read_until(&mut self, end: &[u8]) {
        while !self.seen.windows(end.len()).any(|window| window == end) {
            let mut bytes = [0; 16 * 1024];
            let read = self.stream.read(&mut bytes).unwrap_or_default();
            assert!(
                read > 0,
                "{:?} did not come, but {:?}",
                String::from_utf8_lossy(end),
                String::from_utf8_lossy(&self.seen)
            );
            self.seen.extend(&bytes[..read]);
        }
    }

    /// The body that came in chunks, without their framing.
    #[track_caller]
    pub fn unchunked(&self) -> Vec<u8> {
        let split = |bytes: &[u8], by: &[u8]| {
            let at = bytes.windows(by.len()).position(|window| window == by);
            let at = at.expect("a whole message");
            (bytes[..at].to_vec(), bytes[at + by.len()..].to_vec())
        };
        let (_, mut rest) = split(&self.seen, b"\r\n\r\n");
        let mut body = Vec::new();
        loop {
            let (size, after) = split(&rest, b"\r\n");
            let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap(), 16).unwrap();
            if size == 0 {
                return body;
            }
            body.extend(&after[..size]);
            rest = after[size + 2..].to_vec();
        }
    }
}
