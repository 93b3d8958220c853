//! A sink for what filters export, which can be as bad as real ones are, and remembers all that it got.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portcullis_upstream::{Answer, Break, End, Request, Upstream};
use serde_json::Value;

/// How a sink treats requests.
#[derive(Clone, Debug)]
pub enum Mood {
    /// Takes them: 200 and an empty JSON object, as OTLP asks.
    Up,
    /// Breaks the connection before it answers.
    Down,
    /// Takes them, after so long.
    Slow(Duration),
    /// Never answers, and takes nothing.
    Hang,
    /// Takes the first, breaks the second's connection, takes the third, and so on.
    Flap,
    /// Answers after so long: 503 to each so-manieth batch that it never failed, which it takes when it comes again.
    Once(usize, Duration),
    /// Answers this status.
    Status(u16),
    /// Answers 429 with this `Retry-After`.
    TooMany(String),
    /// Answers 400 to bodies in which this text stands.
    Refuses(String),
    /// Answers 503 to whatever has that text in it.
    FailsOn(String),
    /// Takes them save so many records, which `partialSuccess` tells.
    Partial(u32),
}

/// A request as a sink got it.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub request: Request,
    /// Whether the sink took its records.
    pub taken: bool,
    /// When its answer began, or is to begin.
    pub answered_at: Instant,
}

/// A running sink.
#[derive(Debug)]
pub struct Sink {
    upstream: Upstream,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    deliveries: Vec<Delivery>,
    /// Under [`Mood::Once`]: the bodies that it failed, and how many it got besides.
    failed: HashSet<Vec<u8>>,
    others: usize,
}

/// The folder in which every body of spans that any sink got is kept, where it is named: for judges of its form.
pub const KEEP: &str = "PORTCULLIS_OTLP_BODIES";

impl Sink {
    /// Serves on a free port of the loopback, and takes everything.
    pub fn start() -> Self {
        Self::with(Upstream::start().unwrap())
    }

    /// Serves on this port.
    pub fn on(port: u16) -> Self {
        Self::with(Upstream::bind(("127.0.0.1", port)).unwrap())
    }

    fn with(upstream: Upstream) -> Self {
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Up,
            deliveries: Vec::new(),
            failed: HashSet::new(),
            others: 0,
        }));
        let shared = Arc::clone(&state);
        upstream.recorder().rule(move |request| {
            keep(request);
            Some(lock(&shared).answer(request))
        });
        Self { upstream, state }
    }

    pub fn port(&self) -> u16 {
        self.upstream.port()
    }

    /// From now on it is in this mood.
    pub fn set(&self, mood: Mood) {
        lock(&self.state).mood = mood;
    }

    /// All that it got so far.
    pub fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.state).deliveries.clone()
    }

    /// The bodies that it took so far.
    pub fn taken(&self) -> Vec<Value> {
        let state = lock(&self.state);
        let taken = state.deliveries.iter().filter(|delivery| delivery.taken);
        let body = |delivery: &Delivery| serde_json::from_slice(&delivery.request.body).unwrap();
        taken.map(body).collect()
    }

    /// All audit records that it took so far, as they were written: the bodies of OTLP's log records, or lines.
    pub fn records(&self) -> Vec<String> {
        let state = lock(&self.state);
        let taken = state.deliveries.iter().filter(|delivery| delivery.taken);
        taken
            .flat_map(|delivery| records(&delivery.request))
            .collect()
    }

    /// All spans that it took so far, in the order in which they came.
    pub fn spans(&self) -> Vec<Value> {
        let bodies = self.taken();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        bodies
            .iter()
            .flat_map(|body| list(&body["resourceSpans"]))
            .flat_map(|resource| list(&resource["scopeSpans"]))
            .flat_map(|scope| list(&scope["spans"]))
            .collect()
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        let accepted = || Answer::with_body("application/json", "{}");
        let broken = || Answer {
            end: End::BeforeHead(Break::Reset),
            ..Answer::default()
        };
        let contains = |text: &str| {
            let mut windows = request.body.windows(text.len().max(1));
            windows.any(|window| window == text.as_bytes())
        };
        let even = self.deliveries.len().is_multiple_of(2);
        if matches!(self.mood, Mood::Once(..)) && !self.failed.contains(&request.body) {
            self.others += 1;
        }
        let (taken, answer) = match &self.mood {
            Mood::Once(every, delay) => {
                let fails =
                    self.others.is_multiple_of(*every) && self.failed.insert(request.body.clone());
                let answer = match fails {
                    true => Answer::default().status(503),
                    false => accepted(),
                };
                let delay = *delay;
                (!fails, Answer { delay, ..answer })
            }
            Mood::Up => (true, accepted()),
            Mood::Flap if even => (true, accepted()),
            Mood::Down | Mood::Flap => (false, broken()),
            Mood::Slow(delay) => (
                true,
                Answer {
                    delay: *delay,
                    ..accepted()
                },
            ),
            Mood::Hang => (
                false,
                Answer {
                    delay: Duration::from_secs(3600),
                    ..accepted()
                },
            ),
            Mood::Status(status) => (false, Answer::default().status(*status)),
            Mood::TooMany(after) => (
                false,
                Answer::default()
                    .status(429)
                    .header("retry-after", after.as_str()),
            ),
            Mood::Refuses(text) if contains(text) => (false, Answer::default().status(400)),
            Mood::FailsOn(text) if contains(text) => (false, Answer::default().status(503)),
            Mood::Refuses(_) | Mood::FailsOn(_) => (true, accepted()),
            Mood::Partial(rejected) => {
                let what = match request.target.as_slice() {
                    LOGS => "rejectedLogRecords",
                    _ => "rejectedSpans",
                };
                let told = serde_json::json!({"partialSuccess": {
                    what: rejected.to_string(), "errorMessage": "too many attributes",
                }});
                (
                    true,
                    Answer::with_body("application/json", told.to_string()),
                )
            }
        };
        self.deliveries.push(Delivery {
            request: request.clone(),
            taken,
            answered_at: Instant::now() + answer.delay,
        });
        answer
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A test that failed with the lock held must not hide its own message.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where OTLP's log records go.
const LOGS: &[u8] = b"/v1/logs";
/// Where its spans go.
const TRACES: &[u8] = b"/v1/traces";

fn records(request: &Request) -> Vec<String> {
    let body = String::from_utf8(request.body.clone()).unwrap();
    if request.target != LOGS {
        return body.lines().map(str::to_owned).collect();
    }
    let body: Value = serde_json::from_str(&body).unwrap();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let scopes = list(&body["resourceLogs"]);
    let scopes = scopes
        .iter()
        .flat_map(|resource| list(&resource["scopeLogs"]));
    let logs = scopes.flat_map(|scope| list(&scope["logRecords"]));
    let text = |log: Value| log["body"]["stringValue"].as_str().unwrap().to_owned();
    logs.map(text).collect()
}

fn keep(request: &Request) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let Some(folder) = std::env::var_os(KEEP).map(PathBuf::from) else {
        return;
    };
    if request.target != TRACES {
        return;
    }
    std::fs::create_dir_all(&folder).unwrap();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-{number}.json", std::process::id());
    std::fs::write(folder.join(name), &request.body).unwrap();
}
