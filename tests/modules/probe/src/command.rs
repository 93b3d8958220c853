//! One thing to do.

use portcullis_kit::exchange::{Callout, CalloutError, CalloutId, Reply};
use portcullis_kit::{Exchange, Flow, Headers};

/// `PHASE ACTION ARGUMENTS`.
pub struct Command {
    pub phase: String,
    pub action: String,
    arguments: Vec<Vec<u8>>,
}

impl Command {
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ').map(decode);
        let mut text = || String::from_utf8(words.next()?).ok();
        let (phase, action) = (text()?, text()?);
        Some(Self {
            phase,
            action,
            arguments: words.collect(),
        })
    }

    /// Does it, and says what came of it.
    pub fn run<X: Exchange>(&self, exchange: &mut X, flow: &mut Flow) -> String {
        if let Some(shown) = self.read(exchange) {
            return shown;
        }
        if self.change(exchange) {
            return "done".to_owned();
        }
        match self.action.as_str() {
            "reply" => self.reply(exchange, flow),
            "pause" => {
                *flow = Flow::Pause;
                "paused".to_owned()
            }
            "leak" => {
                std::mem::forget(vec![1_u8; self.number(0)]);
                "leaked".to_owned()
            }
            "trap" => core::arch::wasm32::unreachable(),
            _ => "unknown".to_owned(),
        }
    }

    /// `call PATH CASE`, and `wait` that holds the request until the answer.
    pub fn call<X: Exchange>(&self, exchange: &mut X) -> Option<Result<CalloutId, CalloutError>> {
        if !matches!(self.action.as_str(), "call" | "wait") {
            return None;
        }
        let headers = [
            (":method", "POST"),
            (":path", self.text(0)),
            (":authority", "probe"),
            ("x-case", self.text(1)),
        ];
        Some(exchange.call(Callout {
            cluster: "probe",
            headers: &headers,
            body: b"ask",
            timeout_ms: 5000,
        }))
    }

    fn read<X: Exchange>(&self, exchange: &mut X) -> Option<String> {
        let name = self.text(0);
        Some(match self.action.as_str() {
            "request" => show_all(&exchange.request()),
            "response" => show_all(&exchange.response()),
            "request_header" => show(exchange.request_header(name).as_deref()),
            "response_header" => show(exchange.response_header(name).as_deref()),
            "request_body" => show(Some(&exchange.request_body(self.number(0), self.number(1)))),
            "response_body" => show(Some(
                &exchange.response_body(self.number(0), self.number(1)),
            )),
            "property" => {
                let path: Vec<&str> = name.split('|').collect();
                show(exchange.property(&path).as_deref())
            }
            "now" => exchange.now().to_string(),
            "random" => {
                let mut bytes = [0; 16];
                exchange.fill(&mut bytes);
                show(Some(&bytes))
            }
            _ => return None,
        })
    }

    /// Whether the action is a change.
    fn change<X: Exchange>(&self, exchange: &mut X) -> bool {
        let (name, value) = (self.text(0), self.bytes(1));
        match self.action.as_str() {
            "set_request_header" => exchange.set_request_header(name, value),
            "add_request_header" => exchange.add_request_header(name, value),
            "remove_request_header" => exchange.remove_request_header(name),
            "set_response_header" => exchange.set_response_header(name, value),
            "add_response_header" => exchange.add_response_header(name, value),
            "remove_response_header" => exchange.remove_response_header(name),
            "replace_response_body" => {
                exchange.replace_response_body(self.number(0), self.number(1), self.bytes(2));
            }
            "filter_state" => exchange.set_filter_state(name, value),
            _ => return false,
        }
        true
    }

    /// `reply STATUS BODY [NAME VALUE]`
    fn reply<X: Exchange>(&self, exchange: &mut X, flow: &mut Flow) -> String {
        let headers = match self.arguments.get(2..4) {
            Some([name, value]) => Headers::from_lines([(name, value)]),
            _ => Headers::default(),
        };
        exchange.reply(Reply {
            status: u16::try_from(self.number(0)).unwrap_or(500),
            headers,
            body: self.bytes(1).to_vec(),
            grpc_status: None,
            details: "probe_reply",
        });
        *flow = Flow::Replied;
        "replied".to_owned()
    }

    fn bytes(&self, at: usize) -> &[u8] {
        self.arguments
            .get(at)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    fn text(&self, at: usize) -> &str {
        std::str::from_utf8(self.bytes(at)).unwrap_or_default()
    }

    fn number(&self, at: usize) -> usize {
        self.text(at).parse().unwrap_or_default()
    }
}

fn show(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(
        || "none".to_owned(),
        |bytes| bytes.escape_ascii().to_string(),
    )
}

fn show_all(headers: &Headers) -> String {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()));
    lines.collect::<Vec<_>>().join("&")
}

/// Percent-decoding; a `%` without two hex digits stands for itself.
fn decode(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((byte, after)) = rest.split_first() {
        let escaped = match (byte, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
