//! `portcullis-link IN.wasm OUT.wasm`

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use portcullis_link::link;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        eprintln!("usage: portcullis-link IN.wasm OUT.wasm");
        return ExitCode::from(2);
    };
    match run(Path::new(from), Path::new(to)) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("portcullis-link: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Gives the line that says what was done, or the one that says why not.
fn run(from: &Path, to: &Path) -> Result<String, String> {
    let wasm = std::fs::read(from).map_err(|why| format!("{}: {why}", from.display()))?;
    let linked = link(&wasm).map_err(|why| format!("{}: {why}", from.display()))?;
    std::fs::write(to, &linked.wasm).map_err(|why| format!("{}: {why}", to.display()))?;
    Ok(format!(
        "{}: {} -> {} bytes; exports {}",
        to.display(),
        wasm.len(),
        linked.wasm.len(),
        linked.exports.join(" ")
    ))
}
