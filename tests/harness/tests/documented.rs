//! The form of scenario files that `tests/scenarios/README.md` shows is the one that is read.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use portcullis_harness::scenario::ScenarioFile;

#[test]
fn the_file_that_the_page_shows_is_read_with_every_key() {
    let page = include_str!("../../scenarios/README.md");
    let shown = page.split("```yaml\n").nth(1).expect("a block of YAML");
    let shown = shown.split("```").next().expect("its end");
    let file: Result<ScenarioFile, _> = serde_saphyr::from_str(shown);
    let file = file.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(file.scenarios.len(), 1);
    for key in [
        "environment",
        "hcm",
        "route",
        "upstream",
        "expect",
        "same_as",
    ] {
        assert!(shown.contains(&format!("{key}:")), "{key}");
    }
}
