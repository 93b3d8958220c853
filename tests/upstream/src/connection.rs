//! Which protocol a connection speaks.

use std::io::{self, Read};
use std::net::TcpStream;

use crate::recorder::Recorder;
use crate::{http1, http2};

/// The start of an HTTP/2 connection (RFC 9113 section 3.4) that no HTTP/1 request shares.
const HTTP2_START: &[u8] = b"PRI * HTTP/2.0\r\n";

/// Serves until the connection's end. Errors end a connection, nothing more.
pub fn serve(mut stream: TcpStream, recorder: &Recorder) {
    recorder.connected();
    // Small answers must not wait for more.
    let _ = stream.set_nodelay(true);
    let Ok(read) = first_bytes(&mut stream) else {
        return;
    };
    let _ = if read.starts_with(HTTP2_START) {
        http2::serve(stream, read, recorder)
    } else {
        http1::serve(stream, read, recorder)
    };
}

/// Reads until it is clear whether this is HTTP/2. What was read belongs to the request.
fn first_bytes(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while read.len() < HTTP2_START.len() && HTTP2_START.starts_with(&read) {
        match stream.read(&mut buffer)? {
            0 => break,
            n => read.extend_from_slice(buffer.get(..n).unwrap_or_default()),
        }
    }
    Ok(read)
}
