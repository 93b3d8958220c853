//! `portcullis audit show`.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, BufWriter, Write as _};

use audit_chain::verify::input;
use lexopt::{Arg, Parser, ValueExt as _};

use super::super::{Outcome, print};
use super::{HELP, Refusal, failed, open, some};
use crate::audit::query::Query;
use crate::audit::reading::Reading;
use crate::audit::table;

pub fn run(mut arguments: Parser) -> Result<Outcome, super::super::Refusal> {
    let mut query = Query::default();
    let mut json = false;
    let mut files: Vec<OsString> = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long(option) if Query::knows(option) => {
                let option = option.to_owned();
                let value = arguments.value()?.string()?;
                query.add(&option, value).map_err(Refusal::Malformed)?;
            }
            Arg::Long("format") => {
                json = match arguments.value()?.string()?.as_str() {
                    "table" => false,
                    "json" => true,
                    other => {
                        let found = other.to_owned();
                        let known = "table, json";
                        return Err(Refusal::Format { found, known }.into());
                    }
                }
            }
            Arg::Long("help") | Arg::Short('h') => return Ok(print(HELP)),
            Arg::Value(file) => files.push(file),
            other => return Err(other.unexpected().into()),
        }
    }
    let files = some(files)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if !json {
        let _ = out.write_all(table::heading().as_bytes());
    }
    let mut shown = HashSet::new();
    let mut found = false;
    for file in files {
        let (name, mut log) = open(&file)?;
        let read = input::each_record(&mut *log, &mut |record| {
            found = true;
            if !query.matches(&record) {
                return;
            }
            let hash = Reading(&record).hash();
            if hash.is_some_and(|hash| !shown.insert(hash.to_owned())) {
                return;
            }
            // A closed pipe is the reader's wish, not a failure.
            let _ = if json {
                writeln!(out, "{record}")
            } else {
                out.write_all(table::row(&record).as_bytes())
            };
        });
        read.map_err(|error| failed(name, error))?;
    }
    let _ = out.flush();
    Ok(if found {
        Outcome::Fine
    } else {
        Outcome::Unusable
    })
}
