//! `harness-probe [--post JSON] URL`: exits with 0 if the URL answers 2xx.
//! `harness-probe --install FOLDER`: puts itself there, for containers of other images.

use std::path::Path;
use std::process::ExitCode;

use portcullis_compose::probe::Probe;

const USAGE: &str = "usage: harness-probe [--post JSON] URL\n       harness-probe --install FOLDER";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["--install", folder] => install(Path::new(folder)),
        ["--post", json, url] => ask(url, Some((*json).to_owned())),
        [url] if !url.starts_with('-') => ask(url, None),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(said) => {
            eprintln!("{said}");
            ExitCode::FAILURE
        }
    }
}

fn ask(url: &str, json: Option<String>) -> Result<(), String> {
    let asked = Probe::new(url, json).and_then(|probe| probe.ask());
    asked.map_err(|error| error.to_string())
}

fn install(folder: &Path) -> Result<(), String> {
    let (part, target) = (
        folder.join("harness-probe.part"),
        folder.join("harness-probe"),
    );
    // Permissions go along. Renamed when whole: a healthcheck never runs half of it.
    let copied =
        std::fs::copy("/proc/self/exe", &part).and_then(|_| std::fs::rename(&part, &target));
    copied.map_err(|error| format!("cannot write {}: {error}", target.display()))
}
