//! What real frameworks and services say when they fail, and the document that comes of it.
//!
//! `golden/NAME.in` is a response (status, Content-Type, an empty line, the body), `golden/NAME.json` the document.
//! `UPDATE_GOLDEN=1` writes the documents anew.
#![allow(clippy::unwrap_used)] // A test may fail by panic.

mod merged;
mod schema;

use std::path::PathBuf;

use merged::document;

fn golden() -> Vec<(PathBuf, u16, String, Vec<u8>)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut found: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "in"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let (head, body) = text.split_once("\n\n").unwrap();
            let (status, content_type) = head.split_once('\n').unwrap();
            let status = status.strip_prefix("status: ").unwrap().parse().unwrap();
            let content_type = content_type.strip_prefix("content-type: ").unwrap();
            (
                path,
                status,
                content_type.to_owned(),
                body.trim_end().as_bytes().to_vec(),
            )
        })
        .collect();
    found.sort();
    found
}

#[test]
fn each_shape_becomes_the_document_beside_it() {
    let golden = golden();
    assert!(golden.len() >= 10);
    for (path, status, content_type, body) in golden {
        let found = document(status, &content_type, &body);
        schema::assert_valid(&found);
        let expected = path.with_extension("json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&expected, format!("{found}\n")).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap();
        assert_eq!(found, expected.trim_end(), "{}", path.display());
    }
}

#[test]
fn no_document_holds_what_must_not_leave() {
    for (path, status, content_type, body) in golden() {
        let found = document(status, &content_type, &body);
        for secret in [
            "Pool",
            "java",
            "IllegalState",
            "internal",
            "bob",
            "rejected",
            "hunter2",
            "pydantic",
            "ActiveRecord",
            "users_controller",
            "Illuminate",
            "/var/www",
            "SQLSTATE",
            "System.Int32",
            "projects/",
            "client_secret",
            "pi_1",
            "dashboard",
            "secret-bucket",
            "Uuag1Lu",
            "node_modules",
            "app-7",
            "index_uuid",
        ] {
            assert!(
                !found.contains(secret),
                "{secret} of {} in {found}",
                path.display()
            );
        }
    }
}
