//! `portcullis audit`.

mod show;
mod verify;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

use lexopt::{Arg, Parser, ValueExt as _};

use super::{Outcome, print};
use crate::audit::known::Unknown;
use crate::audit::query::Malformed;

const HELP: &str = "\
Verifies and shows audit records: NDJSON, JSON arrays, OTLP JSON exports, access logs that carry records; `-` is the
standard input. Several logs, and several emitters in them, are judged together; duplicates and any order are fine.

USAGE
  portcullis audit verify [OPTION]… FILE…|-
      --key ID=env:NAME    a key with which records were hashed, in a variable; ID=file:PATH, in a file; repeatable
      --expect-head EMITTER=SEQ[:HASH]  a record that must be there, known from elsewhere; repeatable
      --heads FILE         the same, from an earlier report (--format json)
      --after FILE         begin behind the heads of an earlier report: for the next part of a rotated log
      --partial            begin with whatever record comes first
      --in-order           each emitter's records stand in their order
      --skip-others        pass over lines and objects that are no audit records
      --allow-unkeyed      take records without a key though keys are given
      --allow-restart-gaps  take records that a restart may have lost for lost
      --window RECORDS     an emitter's last records that duplicates are compared with (16384)
      --format text|json
  portcullis audit show [CONDITION]… FILE…|-
      --since TIME, --until TIME   2026-11-21T14:00:00Z, 2026-11-21 or seconds since 1970
      --actor ID           identity, subject or user
      --status CODE        403, or 4xx for a class
      --event NAME         an event, or where there is none the record's type
      --outcome NAME       success, denied, …
      --method NAME  --path PREFIX  --request-id ID  --emitter PREFIX
      --format table|json  json is a record a line, as it was sealed
      Says nothing about whether records are genuine: that is what verify is for. A duplicate is shown once.

EXIT STATUS
  0  intact    1  broken    2  wrong usage, unreadable input, no record in it, or a key is missing
";

/// Why nothing was verified or shown.
#[derive(Debug)]
pub enum Refusal {
    NoSubject,
    UnknownSubject(String),
    Format { found: String, known: &'static str },
    Window(String),
    KeyTwice(String),
    Unknown(Unknown),
    Malformed(Malformed),
    TwoBeginnings,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSubject => {
                f.write_str("say what to do: verify, show; see `portcullis audit --help`")
            }
            Self::UnknownSubject(name) => write!(
                f,
                "audit records cannot be asked to `{name}`: verify, show; see `portcullis audit --help`"
            ),
            Self::Format { found, known } => {
                write!(f, "there is no format `{found}`; formats: {known}")
            }
            Self::Window(text) => write!(f, "--window {text}: write a number of records from 1"),
            Self::KeyTwice(id) => write!(f, "--key {id}=… is given twice"),
            Self::Unknown(unknown) => unknown.fmt(f),
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::TwoBeginnings => f.write_str(
                "--partial and --after: either nothing is known of the beginning, or something is",
            ),
        }
    }
}

impl From<Refusal> for super::Refusal {
    fn from(refusal: Refusal) -> Self {
        Self::Audit(refusal)
    }
}

impl From<Unknown> for super::Refusal {
    fn from(unknown: Unknown) -> Self {
        Refusal::Unknown(unknown).into()
    }
}

pub fn run(mut arguments: Parser) -> Result<Outcome, super::Refusal> {
    match arguments.next()? {
        None => Err(Refusal::NoSubject.into()),
        Some(Arg::Long("help") | Arg::Short('h')) => Ok(print(HELP)),
        Some(Arg::Value(subject)) => match subject.string()?.as_str() {
            "verify" => verify::run(arguments),
            "show" => show::run(arguments),
            other => Err(Refusal::UnknownSubject(other.to_owned()).into()),
        },
        Some(other) => Err(other.unexpected().into()),
    }
}

/// A log to read, and its name. `-` is the standard input.
fn open(file: &OsStr) -> Result<(String, Box<dyn BufRead>), super::Refusal> {
    let name = file.to_string_lossy().into_owned();
    if file == "-" {
        return Ok(("-".to_owned(), Box::new(io::stdin().lock())));
    }
    match File::open(file) {
        Ok(file) => Ok((name, Box::new(BufReader::with_capacity(1 << 16, file)))),
        Err(error) => Err(failed(name, error)),
    }
}

fn failed(file: String, error: io::Error) -> super::Refusal {
    super::Refusal::File { file, error }
}

fn some(files: Vec<OsString>) -> Result<Vec<OsString>, super::Refusal> {
    if files.is_empty() {
        return Err(super::Refusal::NoFile);
    }
    Ok(files)
}
