//! What `docs/audit-evidence.md` says is what the code does, and what another language computes from it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // A test may fail by panic.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use audit_chain::{Chain, DOMAIN, Emitter, Key, Mark};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// The code between `<!-- example:NAME -->` and the end of it.
fn example(name: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/audit-evidence.md");
    let page = std::fs::read_to_string(page).unwrap();
    let begin = format!("<!-- example:{name} -->\n```");
    let behind = page.split(&begin).nth(1).expect(name);
    let code = behind.split_once('\n').unwrap().1;
    code.split("```").next().unwrap().trim_end().to_owned()
}

#[test]
fn the_example_is_sealed_as_the_page_shows() {
    let mut record = example("record").into_bytes();
    let at = record
        .windows(10)
        .position(|bytes| bytes == b",\"status\":")
        .unwrap();
    let emitter = Emitter::new("edge-1", 0x00c0_ffee_00c0_ffee, 0);
    let mut chain = Chain::start(emitter, Some(Key::new("k1", KEY.as_bytes()).unwrap()));
    let sealed = chain.seal(&mut record, at, Mark::None).unwrap();
    let record = String::from_utf8(record).unwrap();
    assert_eq!(record, example("sealed"));
    assert!(record.contains(&format!("{:02x}{:02x}", sealed.hash[0], sealed.hash[1])));
    let hash = record.find("\"hash\":").unwrap();
    let hashed = format!("{}{}", &record[..hash], &record[hash + 74..]);
    assert_eq!(hashed, example("hashed"));
    assert_eq!(DOMAIN.len(), 26);
}

#[test]
fn python_recomputes_the_hashes_of_the_page_and_of_the_golden_log_with_the_page_s_own_program() {
    let python = |record: &str, key: &str| {
        let mut child = Command::new("python3")
            .args(["-c", &example("python"), key])
            .env("PYTHONUTF8", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(record.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(python(&example("sealed"), KEY), "True\n");
    assert_eq!(python(&example("sealed"), "another"), "False\n");
    for line in include_str!("golden/keyed.ndjson").lines() {
        assert_eq!(python(line, KEY), "True\n");
    }
}
