//! The demo's upstream: `demo-upstream [--host 127.0.0.1] --port 8080`.

use std::process::ExitCode;

use portcullis_upstream::{Upstream, script};

const USAGE: &str = "usage: demo-upstream [--host ADDRESS] --port PORT";

struct Options {
    host: String,
    port: u16,
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
    match Upstream::bind((options.host.as_str(), options.port)) {
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

fn read(arguments: &[String]) -> Option<Options> {
    let (mut host, mut port) = ("127.0.0.1".to_owned(), None);
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--host" => host = value.clone(),
            [name, value] if name == "--port" => port = value.parse().ok(),
            _ => return None,
        }
    }
    Some(Options { host, port: port? })
}
