//! The demo's upstream: `demo-upstream [--host 127.0.0.1] --port 8080`.

use std::process::ExitCode;
use std::time::Duration;

use portcullis_upstream::{Faults, Recorder, Upstream, script};

const USAGE: &str = "\
usage: demo-upstream [--host ADDRESS] --port PORT [--colour NAME] [--error-percent 0-100] [--delay-ms NUMBER]

  --colour NAME          every response says `x-upstream-colour: NAME`
  --error-percent 10     of 100 requests in a row 10 are answered with 503
  --delay-ms 250         milliseconds before every answer

Health checks (/healthz) see neither errors nor delays.";

struct Options {
    host: String,
    port: u16,
    faults: Faults,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{USAGE}\n\n{}", script::HELP);
        return ExitCode::SUCCESS;
    }
    let Some(options) = read(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let recorder = Recorder::forgetting();
    recorder.rule(options.faults.answers());
    match Upstream::bind_with((options.host.as_str(), options.port), recorder) {
        Ok(upstream) => {
            println!("demo-upstream listens on {}", upstream.address());
            loop {
                std::thread::park();
            }
        }
        Err(error) => {
            eprintln!(
                "demo-upstream: cannot listen on {}:{}: {error}",
                options.host, options.port
            );
            ExitCode::FAILURE
        }
    }
}

/// `None` for what [`USAGE`] does not know.
fn read(arguments: &[String]) -> Option<Options> {
    let (mut host, mut port) = ("127.0.0.1".to_owned(), None);
    let mut faults = Faults::default();
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return None };
        match name.as_str() {
            "--host" => host = value.clone(),
            "--port" => port = value.parse().ok(),
            "--colour" => faults.colour = Some(value.clone()),
            "--error-percent" => {
                faults.error_percent = value.parse().ok().filter(|percent| *percent <= 100)?;
            }
            "--delay-ms" => faults.delay = Duration::from_millis(value.parse().ok()?),
            _ => return None,
        }
    }
    Some(Options {
        host,
        port: port?,
        faults,
    })
}
