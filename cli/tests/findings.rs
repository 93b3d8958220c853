//! The table of findings in `README.md` has what the command tells, and nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis_cli::check::check;
use portcullis_cli::document::Source;
use portcullis_cli::registry::Bundle;

/// A check and its severity.
type Row = (String, String);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect()
}

/// The rows of the table: a check in code, what is found, its severity.
fn documented() -> Vec<Row> {
    let text = fs::read_to_string(folder("README.md")).unwrap();
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect();
    let lines = text.lines().map(cells);
    lines
        .filter_map(|cells: Vec<String>| {
            let check = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
            Some((check.to_owned(), cells.get(3)?.clone()))
        })
        .collect()
}

/// What the fixtures' commands `check` tell.
fn told() -> BTreeSet<Row> {
    let fixtures = folder("fixtures");
    let mut told = BTreeSet::new();
    for file in files(&fixtures, "expected") {
        let transcript = fs::read_to_string(file).unwrap();
        let command = transcript.lines().next().unwrap();
        let mut words = command.split_whitespace().skip(1);
        assert_eq!(words.next(), Some("portcullis"), "{command}");
        if words.next() != Some("check") {
            continue;
        }
        let (mut bundle, mut sources) = (None, Vec::new());
        while let Some(word) = words.next() {
            match word {
                "--filter" => bundle = Bundle::of_root_id(words.next().unwrap()),
                "--deny-warnings" => {}
                name => sources.push(Source {
                    name: name.to_owned(),
                    text: fs::read_to_string(fixtures.join(name)).unwrap(),
                }),
            }
        }
        let found = check(&sources, bundle).checks;
        assert_eq!(found.len(), 1, "{command}");
        let owned = |(check, severity): &(&str, &str)| (check.to_string(), severity.to_string());
        told.extend(found.iter().map(owned));
    }
    told
}

#[test]
fn the_table_of_findings_has_every_check_with_its_severities_and_no_other() {
    let rows = documented();
    let in_table: BTreeSet<Row> = rows.iter().cloned().collect();
    let told = told();
    let missing: Vec<&Row> = told.difference(&in_table).collect();
    let ghosts: Vec<&Row> = in_table.difference(&told).collect();
    assert!(missing.is_empty(), "not in cli/README.md: {missing:?}");
    assert!(ghosts.is_empty(), "no fixture tells of {ghosts:?}");
}

#[test]
fn every_lint_is_in_the_table_by_the_name_of_its_file() {
    let rows = documented();
    let lints = files(&folder("src/lint"), "rs");
    assert!(lints.len() > 10, "{}", lints.len());
    for lint in lints {
        let name = lint.file_stem().unwrap().to_str().unwrap();
        let name = name.replace('_', "-");
        assert!(rows.iter().any(|(check, _)| *check == name), "{name}");
    }
}
