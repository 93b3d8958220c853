//! A filter that does what a request tells it, so that tests can make the adapter do anything in any phase.
//!
//! Each line of the request header `x-probe` is one command: `PHASE ACTION ARGUMENTS`, separated by spaces, arguments
//! percent-encoded. Each command's result is logged as `probe PHASE ACTION -> RESULT`. On a tick it calls the cluster
//! `probe`, and logs the answer. A request that waits for a callout of its own goes on when it is answered by 200, and is
//! answered by 503 itself otherwise.

#![cfg(target_arch = "wasm32")]

mod command;

use std::cell::RefCell;
use std::collections::HashMap;

use portcullis_kit::exchange::{
    Callout, CalloutAnswer, CalloutId, ExchangeId, Reply, Resume, Worker,
};
use portcullis_kit::metrics::MetricId;
use portcullis_kit::plugin::Plugin;
use portcullis_kit::{Callbacks, Compiling, ConfigError, Exchange, Filter, Flow};

use command::Command;

/// The header with the commands.
const COMMANDS: &str = "x-probe";

/// The filter, with the requests that wait.
#[derive(Default)]
pub struct Probe {
    waiting: RefCell<HashMap<CalloutId, ExchangeId>>,
}

/// It has no settings.
#[derive(portcullis_kit::config::Setting)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// One metric of each kind.
pub struct Metrics {
    counter: MetricId,
    gauge: MetricId,
    histogram: MetricId,
}

impl Filter for Probe {
    const NAME: &'static str = "probe";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS
        .and(Callbacks::REQUEST_BODY)
        .and(Callbacks::RESPONSE_HEADERS)
        .and(Callbacks::RESPONSE_BODY)
        .and(Callbacks::RESPONSE_TRAILERS)
        .and(Callbacks::LOG)
        .and(Callbacks::TICK)
        .and(Callbacks::CALLOUT);
    const LOGS_ACCESS: bool = true;
    type Settings = Settings;
    type Profile = Metrics;
    type Stream = Vec<Command>;

    fn start() -> Self {
        Self::default()
    }

    fn compile(_: Settings, compiling: &Compiling<'_>) -> Result<Metrics, ConfigError> {
        Ok(Metrics {
            counter: compiling.counter("commands", &[("kind", "a.b")]),
            gauge: compiling.gauge("level", &[]),
            histogram: compiling.histogram("size", &[]),
        })
    }

    fn request_headers<X: Exchange>(
        &self,
        metrics: &Metrics,
        commands: &mut Vec<Command>,
        exchange: &mut X,
        _: bool,
    ) -> Flow {
        let request = exchange.request();
        *commands = request
            .get_all(COMMANDS)
            .filter_map(Command::parse)
            .collect();
        drop(request);
        self.run("request_headers", commands, metrics, exchange)
    }

    fn request_body<X: Exchange>(
        &self,
        metrics: &Metrics,
        commands: &mut Vec<Command>,
        exchange: &mut X,
        _: usize,
        _: bool,
    ) {
        self.run("request_body", commands, metrics, exchange);
    }

    fn response_headers<X: Exchange>(
        &self,
        metrics: &Metrics,
        commands: &mut Vec<Command>,
        exchange: &mut X,
        _: bool,
    ) -> Flow {
        self.run("response_headers", commands, metrics, exchange)
    }

    fn response_body<X: Exchange>(
        &self,
        metrics: &Metrics,
        commands: &mut Vec<Command>,
        exchange: &mut X,
        _: usize,
        _: bool,
    ) -> Flow {
        self.run("response_body", commands, metrics, exchange)
    }

    fn response_trailers<X: Exchange>(
        &self,
        metrics: &Metrics,
        commands: &mut Vec<Command>,
        exchange: &mut X,
    ) -> Flow {
        self.run("response_trailers", commands, metrics, exchange)
    }

    fn finished<X: Exchange>(
        &self,
        metrics: &Metrics,
        commands: &mut Vec<Command>,
        exchange: &mut X,
    ) {
        if commands.is_empty() {
            // As an access logger it sees the request here first.
            let request = exchange.request();
            let lines = request.get_all(COMMANDS);
            *commands = lines.filter_map(Command::parse).collect();
        }
        self.run("finished", commands, metrics, exchange);
    }

    fn tick_period_ms(&self) -> Option<u32> {
        Some(200)
    }

    fn tick<W: Worker>(&self, worker: &mut W) {
        let called = worker.call(Callout {
            cluster: "probe",
            headers: &[
                (":method", "POST"),
                (":path", "/tick"),
                (":authority", "probe"),
            ],
            body: b"tock",
            timeout_ms: 1000,
        });
        let line = match called {
            Ok(_) => "probe tick -> called".to_owned(),
            Err(why) => format!("probe tick -> {why}"),
        };
        worker.log(log::Level::Warn, &line);
    }

    fn callout<W: Worker>(&self, id: CalloutId, answer: &CalloutAnswer, worker: &mut W) {
        let line = match answer.status() {
            Some(status) => format!("probe answer -> {status} {}", answer.body.escape_ascii()),
            None => "probe answer -> reset".to_owned(),
        };
        worker.log(log::Level::Warn, &line);
        if let Some(request) = self.waiting.borrow_mut().remove(&id) {
            let how = match answer.status() {
                Some(200) => Resume::Continue,
                _ => Resume::Reply(Reply {
                    status: 503,
                    headers: portcullis_kit::Headers::default(),
                    body: b"not acknowledged".to_vec(),
                    grpc_status: None,
                    details: "probe_waited",
                }),
            };
            worker.resume(request, how.clone());
            // A second time is one too many.
            worker.resume(request, how);
        }
    }
}

impl Probe {
    fn run<X: Exchange>(
        &self,
        phase: &str,
        commands: &[Command],
        metrics: &Metrics,
        exchange: &mut X,
    ) -> Flow {
        let mut flow = Flow::Continue;
        for command in commands.iter().filter(|command| command.phase == phase) {
            exchange.increment(metrics.counter, 1);
            exchange.record(metrics.gauge, 7);
            exchange.record(metrics.histogram, 8);
            let result = match command.call(exchange) {
                None => command.run(exchange, &mut flow),
                Some(Err(why)) => why.to_string(),
                Some(Ok(id)) => {
                    if command.action == "wait" {
                        self.waiting.borrow_mut().insert(id, exchange.id());
                        flow = Flow::Pause;
                    }
                    "called".to_owned()
                }
            };
            let line = format!("probe {phase} {} -> {result}", command.action);
            exchange.log(log::Level::Warn, &line);
        }
        flow
    }
}

portcullis_adapter::export!(Plugin<Probe>);
