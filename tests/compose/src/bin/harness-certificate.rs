//! `harness-certificate FOLDER NAME…`: a self-signed certificate for these names and addresses, unless there is one.

use std::path::Path;
use std::process::ExitCode;

use portcullis_compose::certificate;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (folder, names) = (arguments.next(), arguments.collect::<Vec<_>>());
    let Some(folder) = folder.filter(|_| !names.is_empty()) else {
        eprintln!("usage: harness-certificate FOLDER NAME…");
        return ExitCode::from(2);
    };
    match certificate::make(Path::new(&folder), &names) {
        Ok(true) => println!("made a certificate for {}", names.join(", ")),
        Ok(false) => println!("the certificate is there"),
        Err(error) => {
            eprintln!("harness-certificate: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
