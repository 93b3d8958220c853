//! One file per mistake a user can make, beside it the exact text that the command must give for it.
//!
//! `NAME.expected` is a transcript: the command, its output, its exit status. With `PORTCULLIS_BLESS=1` what follows the
//! command is written anew; read the difference before it is committed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_cli::check::check;
use portcullis_cli::document::Source;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn inputs(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ending == "yaml" || ending == "json")
        })
        .collect();
    found.sort();
    found
}

/// Runs a command line in a folder: what it prints, and `exit N`.
fn run(folder: &Path, line: &str) -> String {
    let words = line.strip_prefix("portcullis ").expect("a command of ours");
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(words.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{line}");
    let text = String::from_utf8(output.stdout).unwrap();
    format!("{text}exit {}\n", output.status.code().unwrap())
}

#[test]
fn every_fixture_gives_exactly_its_text_and_that_is_one_mistake() {
    let bless = std::env::var_os("PORTCULLIS_BLESS").is_some();
    let mut wrong = Vec::new();
    let inputs = inputs(&folder());
    assert!(inputs.len() >= 30, "{} fixtures", inputs.len());
    for input in &inputs {
        let file = input.file_name().unwrap().to_str().unwrap();
        let expected_file = input.with_extension("expected");
        let expected = fs::read_to_string(&expected_file).unwrap_or_default();
        let command = match expected
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("$ "))
        {
            Some(command) => command.to_owned(),
            None => format!("portcullis check {file}"),
        };
        assert!(command.ends_with(file), "{command}");
        let output = run(&folder(), &command);
        let got = format!("$ {command}\n{output}");
        let told = output.matches(": error: ").count() + output.matches(": warning: ").count();
        if told != 1 {
            wrong.push(format!("{file} tells of {told} mistakes:\n{output}"));
        }
        if got != expected {
            if bless {
                fs::write(&expected_file, &got).unwrap();
            } else {
                wrong.push(format!("{file} gives\n{got}\nand not\n{expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_expected_text_has_its_fixture() {
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "expected") {
            let inputs = ["yaml", "json"].map(|ending| path.with_extension(ending));
            assert!(
                inputs.iter().any(|input| input.exists()),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn what_is_right_passes_without_a_word_but_the_summary() {
    let folder = folder().join("fine");
    let inputs = inputs(&folder);
    assert!(!inputs.is_empty());
    for input in inputs {
        let file = input.file_name().unwrap().to_str().unwrap();
        let output = run(&folder, &format!("portcullis check {file}"));
        assert!(output.starts_with("no mistake; "), "{file}:\n{output}");
        assert!(
            output.ends_with("\nexit 0\n") && output.lines().count() == 2,
            "{file}:\n{output}"
        );
    }
}

#[test]
fn no_text_cut_short_or_bent_makes_the_check_panic() {
    let names = ["a.yaml", "a.json"].map(str::to_owned);
    let mut checked = 0;
    for input in inputs(&folder())
        .into_iter()
        .chain(inputs(&folder().join("fine")))
    {
        let whole: Vec<char> = fs::read_to_string(input).unwrap().chars().collect();
        for at in (0..whole.len()).step_by(97) {
            let cut: String = whole[..at].iter().collect();
            let mut bent = whole.clone();
            bent[at] = ['{', '"', '\t', '-', ':', '\u{e9}'][at % 6];
            for (name, text) in [
                (&names[at % 2], cut),
                (&names[0], bent.into_iter().collect()),
            ] {
                let source = Source {
                    name: name.clone(),
                    text,
                };
                checked += usize::from(!check(&[source], None).text.is_empty());
            }
        }
    }
    assert!(checked > 500, "{checked}");
}
