//! A guest's memory does not grow with the requests it served.

#![allow(clippy::unwrap_used)] // A test may fail by panic.

use portcullis_host::{Module, Plugin, Response, Script, dist};

/// By how much the guest's memory grows over so many requests, after as many that warm it up.
fn growth(plugin: &mut Plugin, script: &Script, requests: usize) -> usize {
    let run =
        |plugin: &mut Plugin| (0..requests).for_each(|_| drop(plugin.request(script).unwrap()));
    run(plugin);
    let before = plugin.memory_bytes();
    run(plugin);
    plugin.memory_bytes() - before
}

fn probe(commands: &[&str]) -> Script {
    let script = Script::get("/").respond(Response::new(200).chunk("hello"));
    commands
        .iter()
        .fold(script, |script, command| script.header("x-probe", command))
}

#[test]
fn the_adapter_gives_back_all_that_a_request_took() {
    let mut plugin = Module::load(&dist("test/probe")).start().load().unwrap();
    let script = probe(&[
        "request_headers request",
        "request_headers set_request_header x-a 1",
        "request_headers property plugin_root_id",
        "request_headers filter_state k v",
        "response_headers response",
        "response_body response_body 0 9",
        "finished request",
    ]);
    assert_eq!(growth(&mut plugin, &script, 3000), 0);
}

#[test]
fn a_leak_of_a_few_bytes_shows_as_growth() {
    let mut plugin = Module::load(&dist("test/probe")).start().load().unwrap();
    let script = probe(&["request_headers leak 16"]);
    assert!(growth(&mut plugin, &script, 6000) > 0);
}

#[test]
fn contexts_that_are_never_deleted_show_as_growth() {
    let mut plugin = Module::load(&dist("test/noop")).start().load().unwrap();
    assert_eq!(growth(&mut plugin, &Script::get("/"), 3000), 0);
    plugin.keeps_contexts = true;
    assert!(growth(&mut plugin, &Script::get("/"), 3000) > 0);
}

/// Metrics that the host was asked for by so many configurations which came and went, and by how much the memory of the
/// guest grew.
fn come_and_go(plugin: &mut Plugin, configurations: usize) -> (usize, usize) {
    let before = (plugin.world().metrics.defined(), plugin.memory_bytes());
    for _ in 0..configurations {
        assert!(plugin.load_beside().unwrap(), "{:?}", plugin.logs());
        plugin.tick().unwrap();
    }
    let after = (plugin.world().metrics.defined(), plugin.memory_bytes());
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn settings_that_come_and_go_define_no_metric_anew_and_leave_no_memory() {
    for (module, settings) in [
        (
            "audit_log",
            r#"{"sinks": [{"otlp": {"cluster": "one"}}, {"webhook": {"cluster": "two"}}]}"#,
        ),
        (
            "rate_limit",
            r#"{"plans": "none", "tier": {"default": "t"}, "tiers": {"t": {"limits": [{"name": "minute", "count": 9, "window": "1m"}]}},
                "identity": [{"header": {"name": "x-api-key", "hash": true}}]}"#,
        ),
    ] {
        let start = Module::load(&dist(module)).start();
        let start = start.configuration(settings.as_bytes());
        let start = start.cluster("one").cluster("two");
        let mut plugin = start.load().unwrap();
        assert!(plugin.world().metrics.defined() > 10, "{module}");
        // What is allocated for good comes first.
        come_and_go(&mut plugin, 200);
        assert_eq!(come_and_go(&mut plugin, 1000), (0, 0), "{module}");
    }
}
