//! `harness-alerts HOST:PORT`: a webhook for Alertmanager. It writes each alert that it gets to its output, a line each.

use std::process::ExitCode;

use portcullis_compose::alerts;
use portcullis_upstream::{Answer, Recorder, Request, Upstream};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address] = arguments.as_slice() else {
        eprintln!("usage: harness-alerts HOST:PORT");
        return ExitCode::from(2);
    };
    let recorder = Recorder::forgetting();
    recorder.rule(hear);
    match Upstream::bind_with(address.as_str(), recorder) {
        Ok(_listening) => loop {
            std::thread::park();
        },
        Err(error) => {
            eprintln!("harness-alerts: cannot listen on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is posted is written down; everything else is left to the upstream, which answers `/healthz`.
fn hear(request: &Request) -> Option<Answer> {
    if request.method != b"POST" {
        return None;
    }
    Some(match alerts::lines(&request.body) {
        Ok(lines) => {
            for line in lines {
                println!("{line}");
            }
            Answer::default()
        }
        Err(error) => Answer::with_body("text/plain", format!("{error}\n")).status(400),
    })
}
