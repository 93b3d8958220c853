//! What the command writes for others to read: docs, local replies, configurations laid over one another.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::{err, folder, out, portcullis, status};
use std::fs;
use std::path::Path;

#[test]
fn docs_are_renewed_in_place_and_drift_is_found() {
    let folder = folder("docs");
    let page = folder.join("page.md");
    fs::write(
        &page,
        "# Page\n\n<!-- options:security-headers -->\nSTALE\n<!-- /options -->\nafter\n",
    )
    .unwrap();
    let drifted = portcullis(&folder, &["docs", "--check", "page.md"]);
    assert_eq!(status(&drifted), 1);
    assert!(out(&drifted).contains("portcullis docs --write page.md"));
    assert_eq!(
        status(&portcullis(&folder, &["docs", "--write", "page.md"])),
        0
    );
    let written = fs::read_to_string(&page).unwrap();
    let table = out(&portcullis(&folder, &["docs", "security-headers"]));
    assert!(written.contains(&table) && table.contains("| `mode` |") && !written.contains("STALE"));
    assert!(written.starts_with("# Page\n") && written.ends_with("after\n"));
    assert_eq!(
        status(&portcullis(&folder, &["docs", "--check", "page.md"])),
        0
    );
    fs::write(folder.join("bare.md"), "# Bare\n").unwrap();
    assert_eq!(
        status(&portcullis(&folder, &["docs", "--check", "bare.md"])),
        2
    );
}

#[test]
fn local_replies_are_printed_renewed_in_place_and_compared() {
    let folder = folder("local-replies");
    let defaults = portcullis(&folder, &["generate", "local-replies"]);
    assert_eq!(status(&defaults), 0);
    assert!(out(&defaults).starts_with("# local-replies:problem-json\n"));
    assert!(out(&defaults).ends_with("# /local-replies\n"));

    fs::write(
        folder.join("own.yaml"),
        "types: {\"404\": \"urn:gone:100%25\"}\n",
    )
    .unwrap();
    let own = portcullis(
        &folder,
        &[
            "generate",
            "local-replies",
            "--filter",
            "problem-json",
            "own.yaml",
        ],
    );
    assert!(
        out(&own).contains("type: \"urn:gone:100%%25\""),
        "{}",
        out(&own)
    );
    let bare = portcullis(
        &folder,
        &["generate", "local-replies", "--write", "own.yaml"],
    );
    assert_eq!(
        (status(&bare), out(&bare).contains("nothing was checked")),
        (1, true)
    );

    let fine = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fine/problem-json.yaml");
    let text = fs::read_to_string(fine).unwrap();
    let printed = |name: &str, text: &str, argument: &str| {
        fs::write(folder.join(name), text).unwrap();
        portcullis(&folder, &["generate", "local-replies", argument, name])
    };
    let check = printed("fine.yaml", &text, "--check");
    assert_eq!((status(&check), out(&check)), (0, String::new()));

    let changed = text.replace("[de, en]", "[en, de]");
    let check = printed("changed.yaml", &changed, "--check");
    assert_eq!(status(&check), 1);
    assert!(out(&check).contains("run `portcullis generate local-replies --write changed.yaml`"));
    assert_eq!(status(&printed("changed.yaml", &changed, "--write")), 0);
    let renewed = fs::read_to_string(folder.join("changed.yaml")).unwrap();
    assert!(text.contains("Nicht gefunden") && !renewed.contains("Nicht gefunden"));
    assert!(renewed.contains("title: \"Not Found\""));
    let check = portcullis(
        &folder,
        &["generate", "local-replies", "--check", "changed.yaml"],
    );
    assert_eq!(status(&check), 0);

    let unmarked = text.replace("# local-replies:problem-json", "# by hand");
    let refused = printed("unmarked.yaml", &unmarked, "--write");
    assert_eq!(status(&refused), 2);
    assert!(
        err(&refused)
            .starts_with("portcullis: unmarked.yaml: holds no `# local-replies:problem-json`;"),
        "{}",
        err(&refused)
    );
}

#[test]
fn render_prints_what_check_reads() {
    let folder = folder("render");
    let base = "static_resources: {listeners: [{name: edge, port: 1}], clusters: []}\n";
    let overlay = "static_resources: {listeners: [{name: edge, port: 2}]}\n";
    let typo = "static_resources: {listeners: [{name: egde, port: 2}]}\n";
    for (name, text) in [
        ("base.yaml", base),
        ("overlay.yaml", overlay),
        ("typo.yaml", typo),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    let rendered = portcullis(&folder, &["render", "base.yaml", "overlay.yaml"]);
    assert_eq!(status(&rendered), 0, "{}", err(&rendered));
    let value: serde_json::Value = serde_json::from_str(&out(&rendered)).unwrap();
    assert_eq!(value["static_resources"]["listeners"][0]["port"], 2);
    let refused = portcullis(&folder, &["render", "base.yaml", "typo.yaml"]);
    assert_eq!((status(&refused), out(&refused).as_str()), (2, ""));
    let complaint = err(&refused);
    let place = "typo.yaml: static_resources.listeners[egde]";
    assert!(complaint.contains(place), "{complaint}");
    assert_eq!(status(&portcullis(&folder, &["render"])), 2);
    assert_eq!(status(&portcullis(&folder, &["render", "nowhere.yaml"])), 2);
}
