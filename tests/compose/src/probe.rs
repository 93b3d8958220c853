//! One HTTP/1.1 exchange: is a service healthy?

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Below the `timeout` of the healthchecks, so that it is the probe that says what is wrong.
const TIMEOUT: Duration = Duration::from_secs(3);
/// As much of an answer as holds its status line.
const STATUS_LINE: u64 = 64;

/// What to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    authority: String,
    path: String,
    json: Option<String>,
}

/// Why a service is not healthy, or the question is none.
#[derive(Debug)]
pub enum Unhealthy {
    NoUrl(String),
    NoAnswer(String, io::Error),
    NoHttp(String),
    Status(String, u16),
}

impl std::fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoUrl(text) => write!(f, "{text} is no http://host:port/path"),
            Self::NoAnswer(at, error) => write!(f, "{at}: {error}"),
            Self::NoHttp(at) => write!(f, "{at}: the answer is no HTTP/1"),
            Self::Status(at, status) => write!(f, "{at}: {status}"),
        }
    }
}

impl std::error::Error for Unhealthy {}

impl Probe {
    /// `http://host:port/path`; with `json`, a POST of that text.
    pub fn new(url: &str, json: Option<String>) -> Result<Self, Unhealthy> {
        let wrong = || Unhealthy::NoUrl(url.to_owned());
        let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(slash).ok_or_else(wrong)?;
        let port = authority.rsplit_once(':').map(|(_, port)| port);
        if !port.is_some_and(|port| port.parse::<u16>().is_ok()) {
            return Err(wrong());
        }
        Ok(Self {
            authority: authority.to_owned(),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            json,
        })
    }

    /// `Ok` if the answer's status is 2xx.
    pub fn ask(&self) -> Result<(), Unhealthy> {
        let at = || format!("http://{}{}", self.authority, self.path);
        let answer = self
            .exchange()
            .map_err(|error| Unhealthy::NoAnswer(at(), error))?;
        match status(&answer) {
            Some(200..=299) => Ok(()),
            Some(status) => Err(Unhealthy::Status(at(), status)),
            None => Err(Unhealthy::NoHttp(at())),
        }
    }

    fn exchange(&self) -> io::Result<Vec<u8>> {
        let unknown = || io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        let address = self
            .authority
            .to_socket_addrs()?
            .next()
            .ok_or_else(unknown)?;
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(self.request().as_bytes())?;
        let mut answer = Vec::new();
        stream.take(STATUS_LINE).read_to_end(&mut answer)?;
        Ok(answer)
    }

    fn request(&self) -> String {
        let (authority, path) = (&self.authority, &self.path);
        let fields = format!("HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n");
        match &self.json {
            None => format!("GET {path} {fields}\r\n"),
            Some(json) => format!(
                "POST {path} {fields}content-type: application/json\r\ncontent-length: {}\r\n\r\n{json}",
                json.len()
            ),
        }
    }
}

fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.strip_prefix(b"HTTP/1.")?;
    let digits = line.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_upstream::{Answer, Upstream};

    fn ask(upstream: &Upstream, path: &str, json: Option<&str>) -> Result<(), Unhealthy> {
        let url = format!("http://{}{path}", upstream.address());
        Probe::new(&url, json.map(str::to_owned)).unwrap().ask()
    }

    #[test]
    fn only_a_status_of_2xx_is_healthy() {
        let upstream = Upstream::start().unwrap();
        assert!(ask(&upstream, "/healthz", None).is_ok());
        assert!(ask(&upstream, "/status/204", None).is_ok());
        for status in [302, 404, 500, 503] {
            let said = ask(&upstream, &format!("/status/{status}"), None);
            assert!(matches!(said, Err(Unhealthy::Status(_, found)) if found == status));
        }
    }

    #[test]
    fn nobody_at_the_port_or_no_answer_is_not_healthy() {
        let upstream = Upstream::start().unwrap();
        let said = ask(&upstream, "/abort/headers", None);
        assert!(matches!(said, Err(Unhealthy::NoHttp(_))), "{said:?}");
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let said = Probe::new(&format!("http://{closed}/"), None)
            .unwrap()
            .ask();
        assert!(matches!(said, Err(Unhealthy::NoAnswer(..))), "{said:?}");
    }

    #[test]
    fn a_body_is_posted_as_json() {
        let upstream = Upstream::start().unwrap();
        upstream.recorder().rule(|request| {
            let is_it = request.method == b"POST"
                && request.header("content-type") == Some(b"application/json")
                && request.body == b"{\"a\":[]}";
            is_it
                .then(Answer::default)
                .or(Some(Answer::default().status(400)))
        });
        assert!(ask(&upstream, "/v1/traces", Some("{\"a\":[]}")).is_ok());
        assert!(ask(&upstream, "/v1/traces", None).is_err());
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in [
            "",
            "localhost:80/",
            "https://localhost:80/",
            "http://localhost/",
            "http://localhost:x/",
        ] {
            assert!(
                matches!(Probe::new(url, None), Err(Unhealthy::NoUrl(_))),
                "{url}"
            );
        }
    }
}
