//! A request as it arrived, without loss.

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http10,
    Http11,
    Http2,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// A name and a value, both as they arrived.
pub type Line = (Vec<u8>, Vec<u8>);

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    pub protocol: Protocol,
    /// The exact bytes up to and with the empty line; empty for HTTP/2, where the bytes are compressed.
    pub head: Vec<u8>,
    pub method: Vec<u8>,
    /// The request target: `/path?query`, or `host:port` for CONNECT.
    pub target: Vec<u8>,
    /// In the order received, duplicates kept. HTTP/2 pseudo-headers other than `:authority` are left out, and
    /// `:authority` stands first as `host`.
    pub headers: Vec<Line>,
    /// Empty for CONNECT and upgrades, whose bytes are not a body.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of the first line of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.header_lines(name).into_iter().next()
    }

    /// The values of all lines of that name, in their order.
    pub fn header_lines(&self, name: &str) -> Vec<&[u8]> {
        self.headers
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.as_slice())
            .collect()
    }

    /// Reads an HTTP/1 head. `None` if it is not one.
    pub fn from_head(head: Vec<u8>) -> Option<Self> {
        let mut lines = head
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut first = lines.next()?.split(|byte| *byte == b' ');
        let (method, target, version) = (first.next()?, first.next()?, first.next()?);
        let protocol = match version {
            b"HTTP/1.1" => Protocol::Http11,
            b"HTTP/1.0" => Protocol::Http10,
            _ => return None,
        };
        let mut headers = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            headers.push((name.to_vec(), trim(value.get(1..)?).to_vec()));
        }
        Some(Self {
            protocol,
            method: method.to_vec(),
            target: target.to_vec(),
            headers,
            body: Vec::new(),
            head,
        })
    }

    /// Whether the client asks for a WebSocket.
    pub fn wants_websocket(&self) -> bool {
        self.header("upgrade")
            .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
    }

    /// Whether the connection serves another request after this one (RFC 9112 section 9.3).
    pub fn keeps_alive(&self) -> bool {
        let says = |word: &[u8]| {
            self.header_lines("connection")
                .iter()
                .flat_map(|value| value.split(|byte| *byte == b','))
                .any(|option| trim(option).eq_ignore_ascii_case(word))
        };
        match self.protocol {
            Protocol::Http10 => says(b"keep-alive"),
            Protocol::Http11 | Protocol::Http2 => !says(b"close"),
        }
    }
}

/// Removes the optional white space of RFC 9110 section 5.6.3, nothing else.
fn trim(value: &[u8]) -> &[u8] {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value
        .iter()
        .position(|byte| !space(byte))
        .unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|byte| !space(byte))
        .map_or(start, |at| at + 1);
    value.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_keeps_order_duplicates_and_every_byte() {
        let head = b"GET /a?b HTTP/1.1\r\nHost: x\r\nA: 1\r\na:\t\xff\x80 \r\n\r\n".to_vec();
        let request = Request::from_head(head.clone()).unwrap();
        assert_eq!(request.head, head);
        assert_eq!(request.target, b"/a?b");
        assert_eq!(request.header_lines("A"), [b"1".as_slice(), b"\xff\x80"]);
        assert_eq!(request.headers[0], (b"Host".to_vec(), b"x".to_vec()));
    }

    #[test]
    fn what_is_not_a_head_is_none() {
        for head in [
            "",
            "GET",
            "GET / HTTP/2\r\n\r\n",
            "GET / HTTP/1.1\r\nno-colon\r\n\r\n",
        ] {
            assert!(Request::from_head(head.into()).is_none(), "{head}");
        }
    }

    #[test]
    fn a_connection_ends_when_the_client_says_so() {
        let of = |head: &str| Request::from_head(head.into()).unwrap().keeps_alive();
        assert!(of("GET / HTTP/1.1\r\n\r\n"));
        assert!(!of("GET / HTTP/1.1\r\nConnection: TE, Close\r\n\r\n"));
        assert!(!of("GET / HTTP/1.0\r\n\r\n"));
    }
}
