//! `portcullis audit` on logs that another implementation sealed, and on what was done to them.
//!
//! `fixtures/audit/NAME.expected` is a transcript: the command, its output, its exit status; renewed by `PORTCULLIS_BLESS=1`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/audit")
}

fn portcullis(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .current_dir(folder())
        .env("AUDIT_KEY", KEY)
        .env("OTHER_KEY", "another key, and long enough for one")
        .env("SHORT_KEY", "secret")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn every_fixture_gives_exactly_its_text() {
    let bless = std::env::var_os("PORTCULLIS_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut run = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|ending| ending != "expected") {
            continue;
        }
        run += 1;
        let expected = fs::read_to_string(&file).unwrap();
        let command = expected.lines().next().unwrap();
        let words = command.strip_prefix("$ portcullis ").unwrap();
        let words: Vec<&str> = words.split_whitespace().collect();
        let output = portcullis(&words, b"");
        assert_eq!(err(&output), "", "{command}");
        let status = output.status.code().unwrap();
        let got = format!("{command}\n{}exit {status}\n", out(&output));
        if got != expected {
            wrong.push(format!("{}:\n{got}\nand not\n{expected}", file.display()));
            if bless {
                fs::write(&file, &got).unwrap();
            }
        }
    }
    assert!(run >= 40, "{run}");
    assert!(bless || wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_standard_input_is_a_log_too() {
    let log = fs::read(folder().join("honest.ndjson")).unwrap();
    let output = portcullis(&["audit", "verify", "--key", "k1=env:AUDIT_KEY", "-"], &log);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    assert!(out(&output).starts_with("intact: 11 records of 2 emitters\n"));
    let output = portcullis(&["audit", "show", "--format", "json", "-"], &log);
    assert_eq!(out(&output), String::from_utf8(log).unwrap());
}

#[test]
fn a_report_is_what_the_next_run_begins_with() {
    let verify = |more: &[&str], input: &str| {
        let arguments = [
            &[
                "audit",
                "verify",
                "--key",
                "k1=env:AUDIT_KEY",
                "--format",
                "json",
                "-",
            ],
            more,
        ];
        portcullis(&arguments.concat(), input.as_bytes())
    };
    let log = fs::read_to_string(folder().join("honest.ndjson")).unwrap();
    let (today, tomorrow) = log.split_at(log.match_indices('\n').nth(5).unwrap().0 + 1);
    let report = verify(&[], today);
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.json");
    fs::write(&file, &report.stdout).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(verify(&["--after", file], tomorrow).status.code(), Some(0));
    assert_eq!(verify(&["--after", file], &log).status.code(), Some(0));
    assert_eq!(verify(&["--heads", file], &log).status.code(), Some(0));
    // An emitter of which nothing came keeps its place.
    let one: String = tomorrow
        .lines()
        .filter(|line| line.contains("ee/1\""))
        .map(|line| format!("{line}\n"))
        .collect();
    let heads = |output: Output| -> serde_json::Value {
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["heads"].clone()
    };
    let next = heads(verify(&["--after", file], &one));
    let idle = "edge-1/00c0ffee00c0ffee/0";
    assert_eq!(next[idle], heads(verify(&[], today))[idle]);
    assert_eq!(
        next["edge-1/00c0ffee00c0ffee/1"]
            .as_str()
            .map(|head| &head[..2]),
        Some("5:")
    );
    let without: String = tomorrow
        .lines()
        .skip(1)
        .map(|line| format!("{line}\n"))
        .collect();
    let output = verify(&["--after", file], &without);
    assert_eq!(output.status.code(), Some(1), "{}", out(&output));
    let short: String = today
        .lines()
        .take(4)
        .map(|line| format!("{line}\n"))
        .collect();
    let output = verify(&["--heads", file], &short);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        out(&output).contains("\"kind\": \"cut-tail\""),
        "{}",
        out(&output)
    );
}

#[test]
fn a_key_comes_from_a_file_too_and_never_from_the_command_line() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit.key");
    fs::write(&file, format!("{KEY}\n")).unwrap();
    let named = format!("k1=file:{}", file.display());
    let output = portcullis(&["audit", "verify", "--key", &named, "honest.ndjson"], b"");
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        out(&output),
        err(&output)
    );
    for (key, told) in [
        (format!("k1={KEY}"), "say where the key is"),
        (KEY.to_owned(), "say where the key is"),
        ("k1=env:NO_SUCH_KEY".to_owned(), "no variable NO_SUCH_KEY"),
        (
            "k1=env:SHORT_KEY".to_owned(),
            "has 6 bytes; it needs at least 32",
        ),
        ("k 1=env:AUDIT_KEY".to_owned(), "a key id has 1 to 64"),
        ("k1=file:no-such-file".to_owned(), "no-such-file: "),
    ] {
        let output = portcullis(&["audit", "verify", "--key", &key, "honest.ndjson"], b"");
        assert_eq!(output.status.code(), Some(2), "{key}");
        assert!(err(&output).contains(told), "{key}: {}", err(&output));
        let all = out(&output) + &err(&output);
        assert!(!all.contains(KEY) && !all.contains("secret"), "{all}");
    }
}

#[test]
fn wrong_usage_is_told_with_what_to_write() {
    for (line, told) in [
        ("audit", "say what to do: verify, show"),
        ("audit prove", "verify, show"),
        ("audit verify", "name at least one file"),
        ("audit show", "name at least one file"),
        ("audit verify no-such-file", "no-such-file: "),
        ("audit verify .", ".: "),
        (
            "audit verify --format table honest.ndjson",
            "formats: text, json",
        ),
        (
            "audit show --format text honest.ndjson",
            "formats: table, json",
        ),
        ("audit verify --window 0 honest.ndjson", "from 1"),
        (
            "audit verify --expect-head e:3 honest.ndjson",
            "EMITTER=SEQ",
        ),
        (
            "audit verify --expect-head e=3:abc honest.ndjson",
            "EMITTER=SEQ",
        ),
        (
            "audit verify --heads honest.ndjson honest.ndjson",
            "no report",
        ),
        (
            "audit verify --heads no-such-file honest.ndjson",
            "no-such-file: ",
        ),
        (
            "audit verify --after report.json --partial honest.ndjson",
            "--partial and --after",
        ),
        (
            "audit verify --key k1=env:AUDIT_KEY --key k1=env:OTHER_KEY honest.ndjson",
            "given twice",
        ),
        ("audit verify --sinec 1 honest.ndjson", "--sinec"),
        (
            "audit show --since noon honest.ndjson",
            "2026-11-21T14:00:00Z",
        ),
        ("audit show --status 6xx honest.ndjson", "4xx"),
        ("audit show --status 99 honest.ndjson", "4xx"),
    ] {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let output = portcullis(&arguments, b"");
        assert_eq!(output.status.code(), Some(2), "{line}: {}", out(&output));
        assert!(err(&output).starts_with("portcullis: "), "{line}");
        assert!(err(&output).contains(told), "{line}: {}", err(&output));
        assert_eq!(out(&output), "", "{line}");
    }
    let help = portcullis(&["audit", "--help"], b"");
    assert_eq!(help.status.code(), Some(0));
    assert!(out(&help).contains("--allow-restart-gaps"));
}
