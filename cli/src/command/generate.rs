//! `portcullis generate`.

use std::ffi::OsString;
use std::fmt;

use lexopt::{Arg, Parser, ValueExt as _};

use super::{HELP, Outcome, Parts, filter, print, read, write};
use crate::check;
use crate::find::Variables;
use crate::local_replies::{self, Drift, Missing};

/// Why nothing was generated.
#[derive(Debug)]
pub enum Refusal {
    NoSubject,
    UnknownSubject(String),
    Missing(Missing),
    Drift {
        file: String,
        drift: Drift,
    },
    /// The default settings are refused, which no file of the user's can change.
    Defaults,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSubject => f.write_str("say what to generate: local-replies"),
            Self::UnknownSubject(name) => {
                write!(f, "`{name}` cannot be generated; local-replies can")
            }
            Self::Missing(missing) => missing.fmt(f),
            Self::Drift { file, drift } => write!(f, "{file}: {drift}"),
            Self::Defaults => {
                f.write_str("problem-json refuses its own default settings; report this")
            }
        }
    }
}

impl From<Refusal> for super::Refusal {
    fn from(refusal: Refusal) -> Self {
        Self::Generate(refusal)
    }
}

pub fn run(mut arguments: Parser) -> Result<Outcome, super::Refusal> {
    let mut bundle = None;
    let mut parts = None;
    let mut subject = None;
    let mut files: Vec<OsString> = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("filter") => bundle = Some(filter(&arguments.value()?.string()?)?),
            Arg::Long("write") => parts = Some(Parts::Write),
            Arg::Long("check") => parts = Some(Parts::Check),
            Arg::Long("help") | Arg::Short('h') => return Ok(print(HELP)),
            Arg::Value(value) if subject.is_none() => subject = Some(value.string()?),
            Arg::Value(file) => files.push(file),
            other => return Err(other.unexpected().into()),
        }
    }
    match subject.as_deref() {
        None => return Err(Refusal::NoSubject.into()),
        Some("local-replies") => {}
        Some(other) => return Err(Refusal::UnknownSubject(other.to_owned()).into()),
    }
    if files.is_empty() {
        if parts.is_some() {
            return Err(super::Refusal::NoFile);
        }
        let settings = serde_json::Value::Object(serde_json::Map::new());
        let text = local_replies::text(&settings, &Variables::default());
        let text = text.ok().flatten().ok_or(Refusal::Defaults)?;
        return Ok(print(&text));
    }
    let sources = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let report = check::check(&sources, bundle);
    if report.errors > 0 {
        print(&report.text);
        return Ok(Outcome::Mistakes);
    }
    let findings = check::read(&sources, bundle);
    let Some(parts) = parts else {
        let text = local_replies::of_all(&findings).map_err(Refusal::Missing)?;
        return Ok(print(&text));
    };
    let mut outcome = Outcome::Fine;
    for (file, (number, source)) in files.iter().zip(sources.iter().enumerate()) {
        let renewed = local_replies::renew_file(&findings, number, source).map_err(|drift| {
            Refusal::Drift {
                file: source.name.clone(),
                drift,
            }
        })?;
        if renewed == source.text {
            continue;
        }
        let name = &source.name;
        if parts == Parts::Check {
            print(&format!(
                "{name}: the local replies are not those of the settings; run `portcullis generate local-replies --write {name}`\n"
            ));
            outcome = Outcome::Mistakes;
        } else {
            write(file, &renewed)?;
            print(&format!("{name}: local replies renewed\n"));
        }
    }
    Ok(outcome)
}
