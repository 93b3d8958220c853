//! What is asked on the command line.

mod audit;
mod generate;

use std::ffi::OsString;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use lexopt::{Arg, Parser, ValueExt as _};

use crate::check;
use crate::docs::{self, Drift};
use crate::document::Source;
use crate::explain::{self, Malformed, Question};
use crate::registry::Bundle;
use crate::render;
use crate::schema;

const HELP: &str = "\
Checks and describes the settings of Portcullis' filters, and verifies and shows audit records.

USAGE
  portcullis check [--filter NAME] [--deny-warnings] FILE…
      Finds every plugin of ours in Envoy bootstraps, listeners, other resources (YAML or JSON), Istio WasmPlugins and
      Envoy Gateway EnvoyExtensionPolicies, and says what is wrong with its settings and around it. Files are looked at
      together: routes in one may name profiles of a plugin in another.
      --filter NAME     the files hold nothing but the settings of this filter
      --deny-warnings   warnings count as mistakes
      An error breaks on a host, or does not do what is written there. A warning works, and is most likely not wanted.
  portcullis explain --config FILE… --request 'METHOD TARGET' [-H 'NAME: VALUE']…
      Says what rate-limit makes of a request: profile, identity and its hash, tier, limits, and what a client sees of
      which nothing was counted before. Runs the plugin's own code; nothing is sent anywhere.
      --filter NAME     as above
      --address IP      the client's address, as the listener believes it
      --claim PATH=VALUE  a verified claim, such as payload.sub=alice, or payload.id:=7 for a number; of another filter's metadata NAMESPACE:PATH=VALUE
      --profile NAME    the profile that the route's metadata names
      --at SECONDS      the time, in seconds since 1970; without it, now
  portcullis render BASE OVERLAY…
      Prints BASE, an Envoy configuration, as JSON with the overlays laid over it: maps merge, `null` removes, lists whose
      items have names merge by name (`$patch: add`, `$before: NAME` and `$patch: delete` add and remove items), all else is
      replaced. Nothing is checked; `portcullis check` reads what comes out.
  portcullis schema FILTER
      Prints the JSON Schema (draft 2020-12) of a filter's settings.
  portcullis schema audit-record
      Prints that of audit-log's records (`format: native`).
  portcullis docs FILTER
      Prints the table of a filter's options in Markdown.
  portcullis docs --write FILE…
      Renews what stands between `<!-- options:FILTER -->` and `<!-- /options -->` in Markdown files.
  portcullis docs --check FILE…
      Fails if that part of a file is not what --write would write.
  portcullis generate local-replies [--filter NAME] [FILE…]
      Prints Envoy's local_reply_config with the documents that the problem-json of these files writes, for what Envoy
      answers before or without any filter. Without a file, those of its default settings.
  portcullis generate local-replies --write FILE…
      Renews what stands between `# local-replies:problem-json` and `# /local-replies` in Envoy's YAML files.
  portcullis generate local-replies --check FILE…
      Fails if that part of a file is not what --write would write.
  portcullis audit verify [--key ID=env:NAME]… FILE…|-
      Says whether the audit records in these logs are all there, unchanged and in their place. `portcullis audit --help`
      names the options.
  portcullis audit show [FILTER]… FILE…|-
      Prints those audit records that match.

EXIT STATUS
  0  no mistake, intact    1  mistakes, drifted parts, broken evidence
  2  wrong usage, a file that cannot be read or written, evidence that cannot be judged (a key is missing)
";

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Fine,
    Mistakes,
    Unusable,
}

/// Why nothing, or not everything, could be done.
#[derive(Debug)]
enum Refusal {
    Usage(lexopt::Error),
    NoCommand,
    UnknownCommand(String),
    UnknownFilter(String),
    NoFilter,
    NoFile,
    NoConfig,
    NoRequest,
    NoRateLimit,
    Malformed(Malformed),
    File { file: String, error: std::io::Error },
    Docs { file: String, drift: Drift },
    Generate(generate::Refusal),
    Render(render::Refusal),
    Audit(audit::Refusal),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filters = || Bundle::names().join(", ");
        match self {
            Self::Usage(error) => write!(f, "{error}; see `portcullis --help`"),
            Self::NoCommand => {
                f.write_str("say what to do: check, explain, render, schema, docs, generate, audit; see `portcullis --help`")
            }
            Self::UnknownCommand(name) => {
                write!(
                    f,
                    "there is no command `{name}`; commands: check, explain, render, schema, docs, generate, audit"
                )
            }
            Self::UnknownFilter(name) => {
                write!(f, "there is no filter `{name}`; filters: {}", filters())
            }
            Self::NoFilter => write!(f, "name a filter: {}", filters()),
            Self::NoFile => f.write_str("name at least one file"),
            Self::NoConfig => f.write_str("name the files with --config"),
            Self::NoRequest => f.write_str("name a request: --request 'GET /v1/orders'"),
            Self::NoRateLimit => f.write_str("no plugin in these files limits requests; for a file that holds nothing but settings, add --filter rate-limit"),
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::File { file, error } => write!(f, "{file}: {error}"),
            Self::Docs { file, drift } => write!(f, "{file}: {drift}"),
            Self::Generate(refusal) => refusal.fmt(f),
            Self::Render(refusal) => refusal.fmt(f),
            Self::Audit(refusal) => refusal.fmt(f),
        }
    }
}

impl From<lexopt::Error> for Refusal {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error)
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match run(Parser::from_env()) {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Mistakes) => ExitCode::from(1),
        Ok(Outcome::Unusable) => ExitCode::from(2),
        Err(refusal) => {
            complain(&refusal);
            ExitCode::from(2)
        }
    }
}

fn run(mut arguments: Parser) -> Result<Outcome, Refusal> {
    match arguments.next()? {
        None => Err(Refusal::NoCommand),
        Some(Arg::Long("help") | Arg::Short('h')) => Ok(print(HELP)),
        Some(Arg::Long("version") | Arg::Short('V')) => Ok(print(concat!(
            "portcullis ",
            env!("CARGO_PKG_VERSION"),
            "\n"
        ))),
        Some(Arg::Value(command)) => match command.string()?.as_str() {
            "check" => check(arguments),
            "explain" => explain(arguments),
            "render" => render(arguments),
            "schema" => schema(arguments),
            "docs" => docs(arguments),
            "generate" => generate::run(arguments),
            "audit" => audit::run(arguments),
            other => Err(Refusal::UnknownCommand(other.to_owned())),
        },
        Some(other) => Err(other.unexpected().into()),
    }
}

fn check(mut arguments: Parser) -> Result<Outcome, Refusal> {
    let mut bundle = None;
    let mut strict = false;
    let mut files: Vec<OsString> = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("filter") => bundle = Some(filter(&arguments.value()?.string()?)?),
            Arg::Long("deny-warnings") => strict = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(print(HELP)),
            Arg::Value(file) => files.push(file),
            other => return Err(other.unexpected().into()),
        }
    }
    if files.is_empty() {
        return Err(Refusal::NoFile);
    }
    let mut outcome = Outcome::Fine;
    let mut sources = Vec::with_capacity(files.len());
    for file in files {
        match read(&file) {
            Ok(source) => sources.push(source),
            Err(refusal) => {
                complain(&refusal);
                outcome = Outcome::Unusable;
            }
        }
    }
    if sources.is_empty() {
        return Ok(outcome);
    }
    let report = check::check(&sources, bundle);
    print(&report.text);
    if outcome == Outcome::Fine && (report.errors > 0 || strict && report.warnings > 0) {
        outcome = Outcome::Mistakes;
    }
    Ok(outcome)
}

fn explain(mut arguments: Parser) -> Result<Outcome, Refusal> {
    let mut bundle = None;
    let mut files: Vec<OsString> = Vec::new();
    let mut question = Question::default();
    while let Some(argument) = arguments.next()? {
        let set: fn(&mut Question, &str) -> Result<(), Malformed> = match argument {
            Arg::Long("config") => {
                files.extend(arguments.values()?);
                continue;
            }
            Arg::Long("filter") => {
                bundle = Some(filter(&arguments.value()?.string()?)?);
                continue;
            }
            Arg::Long("profile") => {
                question.profile = Some(arguments.value()?.string()?);
                continue;
            }
            Arg::Long("help") => return Ok(print(HELP)),
            Arg::Long("request") => Question::request,
            Arg::Short('H') | Arg::Long("header") => Question::header,
            Arg::Long("address") => Question::address,
            Arg::Long("claim") => Question::claim,
            Arg::Long("at") => Question::time,
            other => return Err(other.unexpected().into()),
        };
        set(&mut question, &arguments.value()?.string()?).map_err(Refusal::Malformed)?;
    }
    if files.is_empty() {
        return Err(Refusal::NoConfig);
    }
    if !question.is_asked() {
        return Err(Refusal::NoRequest);
    }
    let sources = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let report = check::check(&sources, bundle);
    if report.errors > 0 {
        print(&report.text);
        return Ok(Outcome::Mistakes);
    }
    let text = explain::explain(&sources, bundle, &question).ok_or(Refusal::NoRateLimit)?;
    Ok(print(&text))
}

fn render(mut arguments: Parser) -> Result<Outcome, Refusal> {
    let mut files: Vec<OsString> = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(print(HELP)),
            Arg::Value(file) => files.push(file),
            other => return Err(other.unexpected().into()),
        }
    }
    if files.is_empty() {
        return Err(Refusal::NoFile);
    }
    let sources = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let result = render::render(&sources).map_err(Refusal::Render)?;
    Ok(print(&format!("{result:#}\n")))
}

fn schema(mut arguments: Parser) -> Result<Outcome, Refusal> {
    let Some(argument) = arguments.next()? else {
        return Err(Refusal::NoFilter);
    };
    let schema = match argument {
        Arg::Value(name) if name == schema::AUDIT_RECORD => schema::AUDIT_RECORD_SCHEMA.to_owned(),
        Arg::Value(name) => format!("{:#}\n", schema::schema(filter(&name.string()?)?)),
        Arg::Long("help") | Arg::Short('h') => return Ok(print(HELP)),
        other => return Err(other.unexpected().into()),
    };
    match arguments.next()? {
        Some(more) => Err(more.unexpected().into()),
        None => Ok(print(&schema)),
    }
}

/// What to do with the generated parts of files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    Write,
    Check,
}

fn docs(mut arguments: Parser) -> Result<Outcome, Refusal> {
    let mut parts = None;
    let mut values: Vec<OsString> = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("write") => parts = Some(Parts::Write),
            Arg::Long("check") => parts = Some(Parts::Check),
            Arg::Long("help") | Arg::Short('h') => return Ok(print(HELP)),
            Arg::Value(value) => values.push(value),
            other => return Err(other.unexpected().into()),
        }
    }
    match (parts, values.as_slice()) {
        (None, [name]) => Ok(print(&docs::table(filter(&name.to_string_lossy())?))),
        (None, []) => Err(Refusal::NoFilter),
        (None, [_, more, ..]) => Err(Arg::Value(more.clone()).unexpected().into()),
        (Some(_), []) => Err(Refusal::NoFile),
        (Some(parts), files) => {
            let mut outcome = Outcome::Fine;
            for file in files {
                if !in_file(file, parts)? {
                    outcome = Outcome::Mistakes;
                }
            }
            Ok(outcome)
        }
    }
}

/// Whether the file is as it should be, at the end.
fn in_file(file: &OsString, parts: Parts) -> Result<bool, Refusal> {
    let Source { name, text } = read(file)?;
    let renewed = docs::renew(&text, docs::table).map_err(|drift| Refusal::Docs {
        file: name.clone(),
        drift,
    })?;
    if renewed == text {
        return Ok(true);
    }
    if parts == Parts::Check {
        print(&format!(
            "{name}: the options are not those of the code; run `portcullis docs --write {name}`\n"
        ));
        return Ok(false);
    }
    write(file, &renewed)?;
    print(&format!("{name}: options renewed\n"));
    Ok(true)
}

fn write(file: &OsString, text: &str) -> Result<(), Refusal> {
    std::fs::write(file, text).map_err(|error| Refusal::File {
        file: file.to_string_lossy().into_owned(),
        error,
    })
}

fn filter(name: &str) -> Result<Bundle, Refusal> {
    Bundle::of_root_id(name).ok_or_else(|| Refusal::UnknownFilter(name.to_owned()))
}

fn read(file: &OsString) -> Result<Source, Refusal> {
    let name = file.to_string_lossy().into_owned();
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Source { name, text }),
        Err(error) => Err(Refusal::File { file: name, error }),
    }
}

fn print(text: &str) -> Outcome {
    // A closed pipe is the reader's wish, not a failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Outcome::Fine
}

fn complain(refusal: &Refusal) {
    let _ = writeln!(std::io::stderr(), "portcullis: {refusal}");
}
