//! A filter that makes the host calls its settings list, and does nothing between them: what a filter with these calls
//! costs at least, whatever its logic.

#![cfg(target_arch = "wasm32")]

use portcullis_kit::config::Setting;
use portcullis_kit::exchange::{Reply, Version};
use portcullis_kit::metrics::MetricId;
use portcullis_kit::plugin::Plugin;
use portcullis_kit::{Callbacks, Compiling, ConfigError, Exchange, Filter, Flow, Headers};

/// The filter.
pub struct Floor;

/// The calls of each callback, in their order.
#[derive(Setting)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub struct Settings {
    request: Vec<Call>,
    response: Vec<Call>,
    finished: Vec<Call>,
}

/// One host call.
#[derive(Setting)]
#[serde(rename_all = "snake_case")]
enum Call {
    /// All request headers.
    RequestHeaders,
    RequestHeader(String),
    ResponseHeader(String),
    SetRequestHeader(String),
    SetResponseHeader(String),
    RemoveResponseHeader(String),
    Property(Vec<String>),
    FilterState(String),
    Now,
    Increment,
    /// Reads a shared value.
    Shared(String),
    /// Reads it, and writes so many bytes over it.
    Share(Share),
    /// Writes so many bytes into a shared value, whatever was there.
    Write(Share),
    /// Answers with this status and so many bytes; the last call of a request.
    Reply(Answer),
}

/// A shared value.
#[derive(Setting)]
#[serde(deny_unknown_fields)]
struct Share {
    key: String,
    size: usize,
}

/// An answer.
#[derive(Setting)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u16,
    size: usize,
}

/// What is written into headers and filter state: as long as a `RateLimit` of four windows.
const VALUE: &[u8] = b"\"minute\";r=999;t=60, \"hour\";r=9999;t=3600, \"day\";r=99999;t=86400";

impl Call {
    fn run<X: Exchange>(&self, metric: MetricId, exchange: &mut X) -> Flow {
        match self {
            Self::RequestHeaders => drop(exchange.request()),
            Self::RequestHeader(name) => drop(exchange.request_header(name)),
            Self::ResponseHeader(name) => drop(exchange.response_header(name)),
            Self::SetRequestHeader(name) => exchange.set_request_header(name, VALUE),
            Self::SetResponseHeader(name) => exchange.set_response_header(name, VALUE),
            Self::RemoveResponseHeader(name) => exchange.remove_response_header(name),
            Self::Property(path) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                drop(exchange.property(&path));
            }
            Self::FilterState(key) => exchange.set_filter_state(key, VALUE),
            Self::Now => drop(exchange.now()),
            Self::Increment => exchange.increment(metric, 1),
            Self::Shared(key) => drop(exchange.shared(key.as_bytes())),
            Self::Share(Share { key, size }) => {
                let (mut value, version) = match exchange.shared(key.as_bytes()) {
                    Ok(Some(found)) => found,
                    _ => (Vec::new(), Version::ABSENT),
                };
                value.resize(*size, 0);
                let _ = exchange.share(key.as_bytes(), &value, version);
            }
            Self::Write(Share { key, size }) => {
                let _ = exchange.share(key.as_bytes(), &vec![0; *size], Version(0));
            }
            Self::Reply(Answer { status, size }) => {
                let headers = [
                    "content-type",
                    "ratelimit",
                    "ratelimit-policy",
                    "retry-after",
                ];
                exchange.reply(Reply {
                    status: *status,
                    headers: Headers::from_lines(headers.map(|name| (name, VALUE))),
                    body: vec![b' '; *size],
                    grpc_status: None,
                    details: "floor_reply",
                });
                return Flow::Replied;
            }
        }
        Flow::Continue
    }
}

/// The settings, and a metric to increment.
pub struct Profile {
    calls: Settings,
    metric: MetricId,
}

impl Filter for Floor {
    const NAME: &'static str = "floor";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS
        .and(Callbacks::RESPONSE_HEADERS)
        .and(Callbacks::LOG);
    type Settings = Settings;
    type Profile = Profile;
    type Stream = ();

    fn start() -> Self {
        Self
    }

    fn compile(calls: Settings, compiling: &Compiling<'_>) -> Result<Profile, ConfigError> {
        let metric = compiling.counter("calls", &[]);
        Ok(Profile { calls, metric })
    }

    fn request_headers<X: Exchange>(
        &self,
        profile: &Profile,
        (): &mut (),
        exchange: &mut X,
        _: bool,
    ) -> Flow {
        run(&profile.calls.request, profile.metric, exchange)
    }

    fn response_headers<X: Exchange>(
        &self,
        profile: &Profile,
        (): &mut (),
        exchange: &mut X,
        _: bool,
    ) -> Flow {
        run(&profile.calls.response, profile.metric, exchange)
    }

    fn finished<X: Exchange>(&self, profile: &Profile, (): &mut (), exchange: &mut X) {
        run(&profile.calls.finished, profile.metric, exchange);
    }
}

fn run<X: Exchange>(calls: &[Call], metric: MetricId, exchange: &mut X) -> Flow {
    let mut flow = Flow::Continue;
    for call in calls {
        flow = call.run(metric, exchange);
    }
    flow
}

portcullis_adapter::export!(Plugin<Floor>);
