//! The filters' modules as they are built: what they export, what they take and refuse, and what cannot break them.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may fail by panic.

mod common;

use common::{load, load_as, modules, typical};
use portcullis_host::{
    Failure, Form, Module, Outcome, Phase, Plugin, Response, Script, Status, dist,
};
use serde_json::{Value, json};

#[test]
fn a_module_exports_only_what_its_filters_need() {
    let always = [
        "_initialize",
        "memory",
        "proxy_abi_version_0_2_1",
        "proxy_on_configure",
        "proxy_on_context_create",
        "proxy_on_delete",
        "proxy_on_memory_allocate",
        "proxy_on_vm_start",
    ];
    let headers = ["proxy_on_request_headers", "proxy_on_response_headers"];
    // What delivers records asks for these.
    let delivery = ["proxy_on_tick", "proxy_on_http_call_response"];
    for (module, needed) in [
        ("security_headers", headers.as_slice()),
        (
            "request_tracing",
            &[
                headers[0],
                headers[1],
                "proxy_on_log",
                delivery[0],
                delivery[1],
            ],
        ),
        (
            "rate_limit",
            &[headers[0], headers[1], "proxy_on_log", "proxy_on_tick"],
        ),
        (
            "audit_log",
            &[
                headers[0],
                "proxy_on_request_body",
                "proxy_on_request_trailers",
                "proxy_on_log",
                delivery[0],
                delivery[1],
            ],
        ),
        (
            "problem_json",
            &[
                headers[0],
                headers[1],
                "proxy_on_response_body",
                "proxy_on_response_trailers",
            ],
        ),
        (
            "portcullis",
            &[
                headers[0],
                headers[1],
                "proxy_on_request_body",
                "proxy_on_request_trailers",
                "proxy_on_response_body",
                "proxy_on_response_trailers",
                "proxy_on_log",
                delivery[0],
                delivery[1],
            ],
        ),
        ("test/noop", &headers),
    ] {
        let module_file = Module::load(&dist(module));
        let mut exports: Vec<&str> = module_file.exports().collect();
        exports.sort_unstable();
        let mut expected = [&always[..], needed].concat();
        expected.sort_unstable();
        assert_eq!(exports, expected, "{module}");
    }
}

#[test]
fn both_forms_of_the_settings_load_and_behave_alike() {
    for (module, root_id, settings) in modules() {
        let outcome = |form| {
            let mut plugin = load_as(form, module, root_id, &settings);
            plugin.request(&typical()).unwrap()
        };
        let [a, b] = Form::BOTH.map(outcome);
        assert_eq!((a.request, a.response), (b.request, b.response), "{module}");
        assert_eq!(a.cost.calls, b.cost.calls, "{module}");
    }
}

#[test]
fn no_cookie_is_lost_on_a_host_that_refuses_to_write_headers() {
    let cookies = ["a=1", "b=2; Path=/", "c=3"];
    let answer = cookies.iter().fold(Response::new(200), |answer, cookie| {
        answer.header("set-cookie", *cookie)
    });
    let (set, add) = (
        "proxy_replace_header_map_value",
        "proxy_add_header_map_value",
    );
    for status in Status::all() {
        for calls in [&[set, add][..], &[set], &["proxy_remove_header_map_value"]] {
            let mut plugin = load("security_headers", "security-headers", &json!({}));
            let failures = calls.iter().map(|call| Failure::Status(call, status));
            plugin.world_mut().failures = failures.collect();
            let outcome = plugin.request(&typical().respond(answer.clone())).unwrap();
            let left = outcome.response.all("set-cookie");
            for cookie in cookies {
                let is_left = left.iter().any(|line| line.starts_with(cookie.as_bytes()));
                assert!(is_left, "{cookie} is lost where {calls:?} give {status:?}");
            }
        }
    }
}

#[test]
fn no_configuration_at_all_means_the_defaults() {
    for (module, root_id, _) in modules() {
        let empty = Module::load(&dist(module)).start().root_id(root_id).load();
        let mut empty = empty.unwrap_or_else(|refused| panic!("{module}: {refused}"));
        let mut object = load(module, root_id, &json!({}));
        let [a, b] = [&mut empty, &mut object].map(|plugin| plugin.request(&typical()).unwrap());
        assert_eq!((a.request, a.response), (b.request, b.response), "{module}");
    }
}

#[test]
fn a_mistake_is_refused_with_its_path_in_both_forms() {
    for (module, root_id, mut settings) in modules() {
        let at = if root_id == "portcullis" {
            settings["security_headers"]["profiles"]["public"]["prest"] = json!("api");
            "security_headers.profiles.public"
        } else {
            let name = settings["profiles"]
                .as_object()
                .unwrap()
                .keys()
                .next()
                .unwrap()
                .clone();
            settings["profiles"][&name]["prest"] = json!("api");
            "profiles."
        };
        for form in Form::BOTH {
            let start = Module::load(&dist(module)).start().root_id(root_id);
            let refused = start
                .configuration(&form.encode(&settings))
                .load()
                .err()
                .unwrap();
            assert!(refused.trap.is_none(), "{module}: {refused}");
            let line = refused.logs.last().unwrap();
            let logged: Value = serde_json::from_str(line).unwrap();
            assert_eq!(logged["event"], "configuration_rejected", "{line}");
            let error = logged["error"].as_str().unwrap();
            assert!(error.contains(at) && error.contains("prest"), "{error}");
        }
    }
}

#[test]
fn a_load_is_logged_by_its_fingerprint_and_never_by_its_content() {
    for (module, root_id, settings) in modules() {
        let plugin = load_as(Form::Json, module, root_id, &settings);
        let logs = plugin.logs();
        let [line] = logs.as_slice() else {
            panic!("{module}: one line: {logs:?}")
        };
        assert!(line.contains(r#""event":"configuration_loaded""#), "{line}");
        assert!(!line.contains("app.example.com"), "{line}");
    }
}

#[test]
fn configurations_that_are_noise_are_refused_in_words() {
    let nested = [b"[".repeat(100_000), b"{\"a\":".repeat(100_000)];
    let mut noise = vec![
        b"{".to_vec(),
        b"\xff\xfe\0".to_vec(),
        b"\x0a\x80".to_vec(),
        b"null".to_vec(),
    ];
    noise.extend(nested);
    for (module, root_id, settings) in modules() {
        let whole = Form::Struct.encode(&settings);
        let cuts = (1..whole.len()).map(|at| whole[..at].to_vec());
        for bytes in noise.iter().cloned().chain(cuts) {
            let start = Module::load(&dist(module)).start().root_id(root_id);
            if let Err(refused) = start.configuration(&bytes).load() {
                assert!(refused.trap.is_none(), "{module}: {refused}");
                assert!(
                    refused
                        .logs
                        .last()
                        .is_some_and(|line| line.contains("configuration_rejected")),
                    "{refused}"
                );
            }
        }
    }
}

#[test]
fn every_filter_of_the_bundle_can_be_run_alone_by_its_root_id() {
    for (_, root_id, settings) in modules() {
        let mut bundle = load("portcullis", root_id, &settings);
        let mut alone = load(&root_id.replace('-', "_"), root_id, &settings);
        let [a, b] = [&mut bundle, &mut alone].map(|plugin| plugin.request(&typical()).unwrap());
        assert_eq!(
            (a.request, a.response),
            (b.request, b.response),
            "{root_id}"
        );
    }
    let start = Module::load(&dist("portcullis"))
        .start()
        .root_id("rate-limitt");
    let refused = start.load().err().unwrap();
    assert!(
        refused.trap.is_none() && refused.logs[0].contains("request-tracing"),
        "{refused}"
    );
}

#[test]
fn the_chain_reads_the_request_headers_once() {
    let [.., (module, root_id, settings)] = modules();
    let outcome = load(module, root_id, &settings)
        .request(&typical())
        .unwrap();
    let reads = |phase| {
        let key = (phase, "proxy_get_header_map_pairs");
        outcome.cost.calls.get(&key).copied().unwrap_or_default()
    };
    assert_eq!(
        (reads(Phase::RequestHeaders), reads(Phase::ResponseHeaders)),
        (1, 1)
    );
}

/// Requests and responses that no well-behaved peer would send.
fn hostile() -> Vec<Script> {
    let every_byte: Vec<u8> = (1..=255).filter(|byte| !b"\r\n".contains(byte)).collect();
    let names = [
        "traceparent",
        "tracestate",
        "baggage",
        "b3",
        "x-b3-traceid",
        "x-b3-spanid",
        "x-b3-sampled",
        "x-amzn-trace-id",
        "x-datadog-trace-id",
        "x-datadog-parent-id",
        "x-datadog-tags",
        "x-request-id",
        "origin",
        "sec-fetch-site",
        "x-forwarded-proto",
        "x-forwarded-for",
        "cookie",
        ":authority",
        ":path",
        ":method",
        ":scheme",
    ];
    let answers = [
        "set-cookie",
        "content-security-policy",
        "vary",
        "access-control-allow-origin",
        "server",
        "cache-control",
        "access-control-allow-credentials",
        ":status",
        "content-type",
        "strict-transport-security",
        "permissions-policy",
    ];
    let values = [
        b"".to_vec(),
        b"\x80\xff\xfe".to_vec(),
        every_byte,
        b",".repeat(5000),
        b"=;,\"".repeat(2000),
        b"a".repeat(60_000),
        b"00-".to_vec(),
        "00-é".repeat(10).into_bytes(),
        b"00-00000000000000000000000000000000-0000000000000000-00".to_vec(),
    ];
    let mut scripts = Vec::new();
    for value in &values {
        for name in names {
            scripts.push(typical().set(name, value));
            scripts.push(typical().header(name, value).header(name, value));
        }
        for name in answers {
            let answer = Response::new(200).header(name, value).header(name, value);
            scripts.push(typical().respond(answer));
        }
    }
    let many = |script: Script| {
        (0..1000).fold(script, |script, at| script.header(&format!("x-{at}"), "1"))
    };
    scripts.push(many(typical()));
    scripts.push((0..1000).fold(typical(), |script, _| script.header("tracestate", "a=1")));
    let cookies = (0..1000).fold(Response::new(200), |answer, at| {
        answer.header("set-cookie", format!("c{at}=1"))
    });
    scripts.push(typical().respond(cookies));
    let nothing = || {
        let mut script = typical();
        script.request = portcullis_host::Lines::default();
        script
    };
    let mut empty = Response::new(200);
    empty.headers = portcullis_host::Lines::default();
    scripts.push(nothing().respond(empty));
    scripts.push(typical().abort());
    scripts.push(typical().answered_before(Response::new(400)));
    scripts.push(typical().set(":method", "HEAD"));
    scripts.push(typical().set(":method", "CONNECT"));
    scripts
}

#[test]
fn nothing_that_a_peer_sends_traps_or_hangs() {
    for (module, root_id, settings) in modules() {
        let mut plugin = load(module, root_id, &settings);
        for script in hostile() {
            let outcome = plugin
                .request(&script)
                .unwrap_or_else(|trap| panic!("{module}: {trap}\n{:?}", script.request));
            assert_eq!(outcome.hangs_in, None, "{module}");
            for (name, value) in outcome.request.iter().chain(outcome.response.iter()) {
                let name = name.escape_ascii();
                assert!(
                    !value.iter().any(|byte| b"\r\n\0".contains(byte)),
                    "{module}: {name}"
                );
            }
        }
    }
}

/// Every host call that a plugin makes for these.
fn calls(plugin: &mut Plugin, scripts: &[Script]) -> Vec<&'static str> {
    let mut names: Vec<&str> = plugin.start.calls.keys().map(|(_, name)| *name).collect();
    for script in scripts {
        let outcome = plugin.request(script).unwrap();
        names.extend(outcome.cost.calls.keys().map(|(_, name)| *name));
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn scripts() -> Vec<Script> {
    let refused = typical()
        .set(":method", "POST")
        .header("sec-fetch-site", "cross-site");
    let cookie = typical().respond(Response::new(200).header("set-cookie", "a=1"));
    vec![typical(), refused, cookie, typical().abort()]
}

#[test]
fn every_status_of_every_host_call_is_a_value() {
    for (module, root_id, settings) in modules() {
        let names = calls(&mut load(module, root_id, &settings), &scripts());
        assert!(names.len() > 5, "{names:?}");
        for name in names {
            for status in Status::all() {
                let failure = Failure::Status(name, status);
                let mut plugin = load(module, root_id, &settings);
                plugin.world_mut().failures = vec![failure.clone()];
                for script in scripts() {
                    let sound = |outcome: &Outcome| {
                        outcome.hangs_in.is_none() || name == "proxy_send_local_response"
                    };
                    let outcome = plugin
                        .request(&script)
                        .unwrap_or_else(|trap| panic!("{module}, {failure:?}: {trap}"));
                    assert!(
                        sound(&outcome),
                        "{module}, {failure:?} hangs in {:?}",
                        outcome.hangs_in
                    );
                }
                let start = Module::load(&dist(module)).start().root_id(root_id);
                let started = start
                    .configuration(&Form::Json.encode(&settings))
                    .failure(failure.clone())
                    .load();
                if let Err(refused) = started {
                    assert!(refused.trap.is_none(), "{module}, {failure:?}: {refused}");
                }
            }
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_requests_served() {
    for (module, root_id, settings) in modules() {
        let mut plugin = load(module, root_id, &settings);
        let run = |plugin: &mut Plugin| {
            for script in scripts().iter().cycle().take(2000) {
                plugin.request(script).unwrap();
            }
        };
        run(&mut plugin);
        let before = plugin.memory_bytes();
        run(&mut plugin);
        assert_eq!(plugin.memory_bytes(), before, "{module}");
    }
}
