//! A host that fails: every status of every host call is a value to the adapter, and bytes that lie are not believed.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may fail by panic.

use portcullis_host::{Failure, Lines, Module, Plugin, Response, Script, Status, dist};

/// Every host call that the adapter makes.
const CALLS: [&str; 21] = [
    "proxy_log",
    "proxy_get_current_time_nanoseconds",
    "proxy_set_tick_period_milliseconds",
    "proxy_get_buffer_bytes",
    "proxy_set_buffer_bytes",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_add_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_get_property",
    "proxy_set_property",
    "proxy_send_local_response",
    "proxy_http_call",
    "proxy_set_effective_context",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_record_metric",
    "random_get",
    "environ_get",
    "environ_sizes_get",
];

/// One command for every facility, in every phase.
fn everything() -> Vec<String> {
    let actions = [
        "now",
        "random",
        "property a",
        "filter_state k v",
        "request_header x-in",
        "response_header x-up",
        "set_request_header x-a 1",
        "add_request_header x-a 2",
        "remove_request_header x-b",
        "set_response_header x-a 1",
        "add_response_header x-a 2",
        "remove_response_header x-b",
        "request",
        "response",
        "response_body 0 100",
        "replace_response_body 0 100 new",
    ];
    let phases = [
        "request_headers",
        "response_headers",
        "response_body",
        "finished",
    ];
    let in_phase = |phase| actions.map(|action| format!("{phase} {action}"));
    phases.into_iter().flat_map(in_phase).collect()
}

fn script(more: &[&str]) -> Script {
    let commands = everything();
    let answer = Response::new(200).header("x-up", "1").chunk("hello");
    let script = Script::get("/").header("x-in", "1").respond(answer);
    let all = commands
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied());
    all.fold(script, |script, command| script.header("x-probe", command))
}

fn module() -> Module {
    Module::load(&dist("test/probe"))
}

fn load() -> Plugin {
    module().start().cluster("probe").load().unwrap()
}

/// Runs all that there is; none of it may trap.
fn exercise(plugin: &mut Plugin, what: &str) {
    let sound = |result: Result<_, _>| {
        result
            .map(drop)
            .unwrap_or_else(|why| panic!("{what}: {why}"))
    };
    sound(plugin.request(&script(&[])).map(|_| ()));
    sound(
        plugin
            .request(&script(&["request_headers reply 403 no x-r 1"]))
            .map(|_| ()),
    );
    sound(plugin.tick().map(|_| ()));
    for callout in plugin.world().callouts.clone() {
        let headers = Lines::new([(":status", "200")]);
        sound(plugin.answer(&callout, headers, b"body").map(|_| ()));
    }
}

#[test]
fn every_status_of_every_call_is_a_value_at_a_request() {
    for call in CALLS {
        for status in Status::all() {
            let mut plugin = load();
            let failure = Failure::Status(call, status);
            plugin.world_mut().failures = vec![failure];
            exercise(&mut plugin, &format!("{call} gives {status:?}"));
        }
    }
}

#[test]
fn every_status_of_every_call_is_a_value_at_configuration() {
    for call in CALLS {
        for status in Status::all() {
            let failure = Failure::Status(call, status);
            let started = module()
                .start()
                .configuration(b"{}")
                .failure(failure)
                .load();
            if let Err(refused) = started {
                assert!(refused.trap.is_none(), "{call} gives {status:?}: {refused}");
            }
        }
    }
}

#[test]
fn a_request_passes_unchanged_through_a_host_that_refuses_everything() {
    for status in Status::all() {
        let mut plugin = load();
        plugin.world_mut().failures = vec![Failure::Everything(status)];
        let outcome = plugin.request(&script(&[])).unwrap();
        assert_eq!(outcome.status(), Some(200));
        assert_eq!(outcome.body, b"hello");
        assert_eq!(outcome.request, script(&[]).request);
    }
}

#[test]
fn bytes_that_lie_are_not_believed() {
    let lies: [&[u8]; 7] = [
        b"",
        b"\0",
        b"\xff\xff\xff\xff",
        b"\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x02\0\0\0\x01\0\0\0\x01\0\0\0a\0b\0",
        b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b\0 and more",
        &[0xff; 70_000],
    ];
    for call in [
        "proxy_get_header_map_pairs",
        "proxy_get_header_map_value",
        "proxy_get_property",
        "proxy_get_buffer_bytes",
    ] {
        for lie in lies {
            let mut plugin = load();
            plugin.world_mut().failures = vec![Failure::Bytes(call, lie.to_vec())];
            let shown = lie.get(..lie.len().min(20)).unwrap_or_default();
            exercise(
                &mut plugin,
                &format!("{call} gives {}", shown.escape_ascii()),
            );
            let started = module()
                .start()
                .configuration(b"{}")
                .failure(Failure::Bytes(call, lie.to_vec()))
                .load();
            if let Err(refused) = started {
                assert!(refused.trap.is_none(), "{call}: {refused}");
            }
        }
    }
}
