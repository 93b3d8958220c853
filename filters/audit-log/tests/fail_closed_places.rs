//! Who waits at the same time: places and their number, clients that leave, and shadow mode, which takes none.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use common::site::{Site, refused, settings, stages};
use portcullis_kit::Flow;
use serde_json::json;

#[test]
fn no_more_wait_than_may() {
    let mut site = Site::new(&settings(&json!({"fail_closed": {"max_waiting": 3}})));
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let (request, _) = site.get("/");
        assert_eq!(request.flow, Flow::Pause);
        waiting.push(request);
    }
    let (fourth, _) = site.get("/");
    assert_eq!(refused(&fourth).details, "audit_log_limit");
    // One leaves: there is a place again, which the late acknowledgement of the other one's record does not touch.
    site.end(waiting.remove(0));
    let (fifth, _) = site.get("/");
    assert_eq!(fifth.flow, Flow::Pause);
    assert_eq!((site.denials("limit"), site.waiting()), (1, 3));
}

#[test]
fn those_in_shadow_take_nobodys_place() {
    let mut site = Site::new(&settings(&json!({
        "fail_closed": {"max_waiting": 1},
        "profiles": {"trial": {"mode": "shadow"}},
        "routes": [{"profile": "trial", "paths": [{"prefix": "/trial"}]}],
    })));
    for _ in 0..2 {
        assert_eq!(site.get("/trial").0.flow, Flow::Continue);
    }
    assert_eq!(site.get("/").0.flow, Flow::Pause);
    assert_eq!(refused(&site.get("/").0).details, "audit_log_limit");
}

#[test]
fn a_client_that_leaves_is_not_resumed_and_its_place_is_the_next_ones() {
    let mut site = Site::new(&settings(&json!({})));
    let (first, sent_first) = site.get("/");
    site.end(first);
    assert_eq!(site.waiting(), 0);
    let (_second, sent_second) = site.get("/");
    site.acknowledge(&sent_first[0]);
    assert!(site.resumed().is_empty(), "the slot is another's by now");
    site.acknowledge(&sent_second[0]);
    assert_eq!(site.resumed(), [(2, None)]);
}

#[test]
fn shadow_mode_neither_waits_nor_refuses_and_counts_what_it_would_have() {
    let over = json!({"mode": "shadow", "fail_closed": {"timeout_ms": 500, "max_waiting": 2}});
    let mut site = Site::new(&settings(&over));
    let mut all = Vec::new();
    for _ in 0..3 {
        let (request, sent) = site.get("/");
        assert_eq!(
            (request.flow, request.fake.replies.len()),
            (Flow::Continue, 0)
        );
        all.extend(sent);
        site.end(request);
    }
    assert!(stages(&all).contains(&"RequestReceived".to_owned()));
    site.acknowledge(&all[0]);
    site.tick_after(1000);
    assert!(site.resumed().is_empty());
    assert_eq!(site.waiting(), 0);
    let shadow =
        |reason: &str| site.count(&format!("fail_closed_shadow_denials_total.reason={reason}"));
    assert_eq!((shadow("limit"), shadow("timeout")), (1, 1));
    assert_eq!(site.count("fail_closed_shadow_waits_total"), 2);
    assert_eq!(site.denials("limit") + site.denials("timeout"), 0);
}
