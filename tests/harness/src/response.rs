//! A response as it arrived.

use portcullis_upstream::Line;

/// How a response's bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Where its framing says.
    Complete,
    /// The connection ended before.
    CutOff,
    /// The connection or the stream was reset before.
    Reset,
}

/// One response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The exact bytes up to and with the empty line; empty for HTTP/2.
    pub head: Vec<u8>,
    pub status: u16,
    /// In the order received, duplicates kept.
    pub headers: Vec<Line>,
    /// Without chunk framing.
    pub body: Vec<u8>,
    pub trailers: Vec<Line>,
    /// The heads of 1xx responses that came before.
    pub interim: Vec<Vec<u8>>,
    pub ending: Ending,
}

impl Response {
    /// The values of all lines of that name, in their order.
    pub fn lines(&self, name: &str) -> Vec<&[u8]> {
        of(&self.headers, name)
    }

    /// The values of all trailer lines of that name.
    pub fn trailer_lines(&self, name: &str) -> Vec<&[u8]> {
        of(&self.trailers, name)
    }

    /// The only line of that name as text; `None` if there is none. Panics if there are several.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<String> {
        let lines = self.lines(name);
        assert!(
            lines.len() < 2,
            "{name} is there {} times:\n{self}",
            lines.len()
        );
        lines.first().map(|value| latin1(value))
    }

    pub fn text(&self) -> String {
        latin1(&self.body)
    }

    /// The body as JSON. Panics if it is not.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}:\n{self}"))
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in self.headers.iter().chain(&self.trailers) {
            writeln!(f, "{}: {}", latin1(name), latin1(value))?;
        }
        write!(f, "\n{}", self.text())
    }
}

fn of<'a>(lines: &'a [Line], name: &str) -> Vec<&'a [u8]> {
    lines
        .iter()
        .filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value.as_slice())
        .collect()
}

/// One character per byte.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
