//! `portcullis audit verify`.

use std::ffi::OsString;

use audit_chain::verify::{Progress, Terms, Verifier, verdict};
use lexopt::{Arg, Parser, ValueExt as _};

use super::super::{Outcome, print};
use super::{HELP, Refusal, failed, open, some};
use crate::audit::known;

pub fn run(mut arguments: Parser) -> Result<Outcome, super::super::Refusal> {
    let mut terms = Terms::default();
    let mut json = false;
    let mut files: Vec<OsString> = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("key") => {
                let key = known::key(&arguments.value()?.string()?)?;
                let id = key.id().to_owned();
                if !terms.keys.add(key) {
                    return Err(Refusal::KeyTwice(id).into());
                }
            }
            Arg::Long("expect-head") => {
                let (emitter, head) = known::head(&arguments.value()?.string()?)?;
                terms.heads.insert(emitter, head);
            }
            Arg::Long("heads") => {
                let heads = known::heads(&arguments.value()?.string()?)?;
                terms.heads.extend(heads);
            }
            Arg::Long("after") => terms
                .after
                .extend(known::heads(&arguments.value()?.string()?)?),
            Arg::Long("partial") => terms.partial = true,
            Arg::Long("in-order") => terms.in_order = true,
            Arg::Long("skip-others") => terms.skip_others = true,
            Arg::Long("allow-unkeyed") => terms.allow_unkeyed = true,
            Arg::Long("allow-restart-gaps") => terms.allow_restart_gaps = true,
            Arg::Long("window") => {
                let text = arguments.value()?.string()?;
                let window = text.parse().ok().filter(|window| *window > 0);
                terms.window = window.ok_or(Refusal::Window(text))?;
            }
            Arg::Long("format") => {
                json = match arguments.value()?.string()?.as_str() {
                    "text" => false,
                    "json" => true,
                    other => {
                        let found = other.to_owned();
                        let known = "text, json";
                        return Err(Refusal::Format { found, known }.into());
                    }
                }
            }
            Arg::Long("help") | Arg::Short('h') => return Ok(print(HELP)),
            Arg::Value(file) => files.push(file),
            other => return Err(other.unexpected().into()),
        }
    }
    if terms.partial && !terms.after.is_empty() {
        return Err(Refusal::TwoBeginnings.into());
    }
    let mut verifier = Verifier::new(terms);
    for file in some(files)? {
        let (name, mut log) = open(&file)?;
        match verifier.read(&name, &mut *log) {
            Ok(Progress::More) => {}
            Ok(Progress::Enough) => break,
            Err(error) => return Err(failed(name, error)),
        }
    }
    let verdict = verifier.close();
    if json {
        print(&format!("{:#}\n", verdict.to_json()));
    } else {
        print(&verdict.to_text());
    }
    Ok(match verdict.outcome {
        verdict::Outcome::Intact => Outcome::Fine,
        verdict::Outcome::Broken => Outcome::Mistakes,
        verdict::Outcome::Unusable => Outcome::Unusable,
    })
}
