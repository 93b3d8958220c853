//! The adapter in a host: the module `probe` does what the request header `x-probe` says, phase by phase.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may fail by panic.

use portcullis_host::{
    Failure, Lines, Module, Outcome, Phase, Plugin, Response, Script, Status, dist,
};

fn module() -> Module {
    Module::load(&dist("test/probe"))
}

fn load() -> Plugin {
    module().start().cluster("probe").load().unwrap()
}

/// A request with these commands, answered by a 200 with a body.
fn script(commands: &[&str]) -> Script {
    let answer = Response::new(200).header("x-up", "1").chunk("hello");
    let script = Script::get("/").header("x-in", "1").respond(answer);
    commands
        .iter()
        .fold(script, |script, command| script.header("x-probe", command))
}

fn run(commands: &[&str]) -> Outcome {
    load().request(&script(commands)).unwrap()
}

/// What each command came to.
fn results(outcome: &Outcome) -> Vec<String> {
    let lines = outcome.logs.iter().map(|(_, line)| line);
    lines
        .filter_map(|line| line.strip_prefix("probe "))
        .map(|line| line.split_once(" -> ").unwrap().1.to_owned())
        .collect()
}

fn refusals(outcome: &Outcome) -> i64 {
    let name = "portcullis_probe_host_refusals_total";
    outcome.metrics.get(name).copied().unwrap_or_default()
}

#[test]
fn request_headers_can_be_read_and_changed_in_their_phase() {
    let outcome = run(&[
        "request_headers request_header x-in",
        "request_headers request_header x-absent",
        "request_headers set_request_header x-in 2",
        "request_headers add_request_header x-in 3",
        "request_headers remove_request_header :scheme",
        "request_headers request",
    ]);
    let results = results(&outcome);
    assert_eq!(results[..2], ["1", "none"]);
    assert!(
        results[5].contains("x-in=2") && results[5].contains("x-in=3"),
        "{results:?}"
    );
    assert_eq!(outcome.request.all("x-in"), [b"2", b"3"]);
    assert_eq!(outcome.request.get(":scheme"), None);
    assert_eq!(refusals(&outcome), 0);
}

#[test]
fn response_headers_can_be_read_and_changed_in_their_phase() {
    let outcome = run(&[
        "response_headers response_header x-up",
        "response_headers response_header x-absent",
        "response_headers set_response_header x-up 2",
        "response_headers add_response_header x-up 3",
        "response_headers remove_response_header :status",
        "response_headers response",
    ]);
    let results = results(&outcome);
    assert_eq!(results[..2], ["1", "none"]);
    assert_eq!(results[5], "x-up=2&x-up=3");
    assert_eq!(outcome.response, Lines::new([("x-up", "2"), ("x-up", "3")]));
    assert_eq!(refusals(&outcome), 0);
}

#[test]
fn out_of_phase_a_read_is_empty_and_a_change_is_dropped_and_counted() {
    let outcome = run(&[
        "request_headers response",
        "request_headers response_header x-up",
        "request_headers set_response_header x-up 2",
        "response_headers request",
        "response_headers request_header x-in",
        "response_headers add_request_header x-in 2",
        "response_headers remove_request_header x-in",
        "response_body response",
        "response_body set_response_header x-up 2",
        "finished set_request_header x-in 2",
        "finished set_response_header x-up 2",
    ]);
    let results = results(&outcome);
    assert_eq!(results[..2], ["", "none"]);
    assert_eq!(results[3..5], ["", "none"]);
    assert_eq!(outcome.request.all("x-in"), [b"1"]);
    assert_eq!(outcome.response.all("x-up"), [b"1"]);
    assert_eq!(refusals(&outcome), 6);
}

#[test]
fn both_maps_can_be_read_at_the_end() {
    let outcome = run(&[
        "finished request_header x-in",
        "finished response_header x-up",
        "finished response",
    ]);
    assert_eq!(results(&outcome), ["1", "1", ":status=200&x-up=1"]);
}

#[test]
fn bytes_that_are_no_utf_8_pass_as_they_are() {
    let commands = [
        "request_headers request_header x-raw",
        "request_headers set_request_header x-out %80%FF",
        "response_headers response_header x-raw",
        "response_headers add_response_header x-out %80%FF",
    ];
    let answer = Response::new(200).header("x-raw", b"\xfe");
    let script = script(&commands)
        .header("x-raw", b"\x80\xff")
        .respond(answer);
    let outcome = load().request(&script).unwrap();
    let results = results(&outcome);
    assert_eq!(results[0], r"\x80\xff");
    assert_eq!(results[2], r"\xfe");
    assert_eq!(outcome.request.get("x-out"), Some(&b"\x80\xff"[..]));
    assert_eq!(outcome.response.get("x-out"), Some(&b"\x80\xff"[..]));
}

#[test]
fn a_value_with_cr_lf_or_nul_is_never_set() {
    for byte in ["%0d", "%0A", "%00", "a%0d%0ab: c"] {
        let commands = [
            format!("request_headers set_request_header x-bad 1{byte}"),
            format!("request_headers add_request_header x-bad 1{byte}"),
            format!("response_headers set_response_header x-bad 1{byte}"),
            format!("response_headers add_response_header x-bad 1{byte}"),
        ];
        let outcome = run(&commands.each_ref().map(String::as_str));
        assert_eq!(outcome.request.get("x-bad"), None, "{byte}");
        assert_eq!(outcome.response.get("x-bad"), None, "{byte}");
        assert_eq!(refusals(&outcome), 4, "{byte}");
    }
}

#[test]
fn a_replys_header_with_a_line_break_is_left_out() {
    let outcome = run(&["request_headers reply 403 no x-bad 1%0d%0ax: y"]);
    assert_eq!(outcome.status(), Some(403));
    assert_eq!(outcome.response.get("x-bad"), None);
}

#[test]
fn a_reply_goes_to_the_client_through_the_filters_own_response_phase() {
    let outcome = run(&[
        "request_headers reply 418 short%20and%20stout x-r 1",
        "response_headers add_response_header x-late 1",
    ]);
    let reply = outcome.reply.as_ref().unwrap();
    assert_eq!((reply.status, reply.details.as_str()), (418, "probe_reply"));
    assert!(!outcome.forwarded);
    assert_eq!(outcome.status(), Some(418));
    assert_eq!(outcome.body, b"short and stout");
    assert_eq!(outcome.response.text("x-r").as_deref(), Some("1"));
    assert_eq!(outcome.response.text("x-late").as_deref(), Some("1"));
    assert_eq!(outcome.hangs_in, None);
}

#[test]
fn a_reply_from_response_headers_takes_the_responses_place() {
    let outcome = run(&[
        "response_headers reply 403 short x-r 1",
        "response_headers add_response_header x-late 1",
        "response_headers remove_response_header x-r",
        "response_headers response",
    ]);
    assert_eq!(outcome.status(), Some(403));
    assert_eq!(outcome.body, b"short");
    assert_eq!(outcome.response.text("x-late").as_deref(), Some("1"));
    assert_eq!(outcome.response.text("x-r"), None);
    assert_eq!(refusals(&outcome), 0);
}

#[test]
fn a_reply_once_the_body_passes_is_dropped_and_counted() {
    let outcome = run(&["response_body reply 500 late"]);
    assert_eq!(
        (outcome.reply.as_ref(), outcome.status()),
        (None, Some(200))
    );
    assert_eq!(refusals(&outcome), 1);
}

#[test]
fn a_pause_holds_the_request_back() {
    let outcome = run(&["request_headers pause"]);
    assert_eq!(outcome.hangs_in, Some(Phase::RequestHeaders));
    assert!(!outcome.forwarded);
}

#[test]
fn a_body_can_be_read_and_replaced_chunk_by_chunk() {
    let commands = [
        "response_body response_body 1 3",
        "response_body replace_response_body 0 99 HELLO",
    ];
    let answer = Response::new(200).chunk("abcdef").chunk("ghi");
    let outcome = load().request(&script(&commands).respond(answer)).unwrap();
    assert_eq!(results(&outcome), ["bcd", "done", "hi", "done"]);
    assert_eq!(outcome.body, b"HELLOHELLO");
}

#[test]
fn a_requests_body_can_be_read_chunk_by_chunk_and_neither_changed_nor_answered() {
    let commands = [
        "request_body request_body 1 3",
        "request_body request",
        "request_body response",
        "request_body set_request_header x-late 1",
        "request_body reply 403 late",
    ];
    let script = script(&commands).chunk("abcdef").chunk("ghi");
    let outcome = load().request(&script).unwrap();
    let results = results(&outcome);
    assert_eq!(results[..3], ["bcd", "", ""]);
    assert_eq!(results[5..8], ["hi", "", ""]);
    assert!(outcome.forwarded && outcome.reply.is_none());
    assert_eq!(refusals(&outcome), 4);
}

#[test]
fn a_body_outside_of_its_callback_is_empty_and_a_change_is_counted() {
    let outcome = run(&[
        "response_headers response_body 0 9",
        "response_headers replace_response_body 0 9 x",
    ]);
    assert_eq!(results(&outcome)[0], "");
    assert_eq!(outcome.body, b"hello");
    assert_eq!(refusals(&outcome), 1);
}

#[test]
fn properties_filter_state_time_and_randomness_come_from_the_host() {
    let commands = [
        "request_headers property a|b.c",
        "request_headers property absent",
        "request_headers filter_state portcullis.id seven",
        "response_headers property portcullis.id",
        "request_headers now",
        "request_headers random",
        "request_headers random",
    ];
    let script = script(&commands).property(&["a", "b.c"], b"\xff");
    let mut plugin = load();
    plugin.world_mut().now = 12345;
    let outcome = plugin.request(&script).unwrap();
    let results = results(&outcome);
    assert_eq!(results[..2], [r"\xff", "none"]);
    assert_eq!(results[3], "12345");
    assert_ne!(results[4], results[5]);
    assert_eq!(results[6], "seven");
    assert_eq!(outcome.filter_state["portcullis.id"], b"seven");
}

#[test]
fn metrics_are_defined_at_load_and_counted_by_requests() {
    let mut plugin = load();
    let name = "portcullis_probe_commands_total.kind=a_b.profile=default";
    assert_eq!(plugin.world().metrics.values[name], 0);
    let outcome = plugin
        .request(&script(&["finished now", "response_headers now"]))
        .unwrap();
    assert_eq!(outcome.metrics[name], 2);
    assert_eq!(
        plugin.world().metrics.values["portcullis_probe_level.profile=default"],
        7
    );
    assert_eq!(
        plugin.world().metrics.recorded["portcullis_probe_size.profile=default"],
        [8, 8]
    );
    assert_eq!(outcome.cost.of("proxy_define_metric"), 0);
}

#[test]
fn a_tick_calls_out_and_gets_its_answer() {
    let mut plugin = load();
    assert_eq!(plugin.world().tick_period_ms, 200);
    plugin.tick().unwrap();
    let callout = plugin.world().callouts[0].clone();
    assert_eq!(
        (callout.cluster.as_str(), &callout.body[..]),
        ("probe", &b"tock"[..])
    );
    assert_eq!(
        (callout.timeout_ms, callout.headers.text(":path")),
        (1000, Some("/tick".into()))
    );
    plugin
        .answer(&callout, Lines::new([(":status", "204")]), b"\xff")
        .unwrap();
    plugin.tick().unwrap();
    let callout = plugin.world().callouts[0].clone();
    plugin.answer(&callout, Lines::default(), b"").unwrap();
    let logs = plugin.logs();
    assert!(
        logs.contains(&r"probe answer -> 204 \xff".to_owned()),
        "{logs:#?}"
    );
    assert!(
        logs.contains(&"probe answer -> reset".to_owned()),
        "{logs:#?}"
    );
}

#[test]
fn a_callout_to_an_unknown_cluster_is_an_error_at_once() {
    let mut plugin = module().start().load().unwrap();
    plugin.tick().unwrap();
    let last = plugin.logs().pop().unwrap();
    assert_eq!(
        last,
        "probe tick -> the proxy refused the call: is the cluster defined?"
    );
}

#[test]
fn the_root_id_picks_the_plugin_and_an_unknown_one_refuses_the_configuration() {
    assert!(module().start().root_id("probe").load().is_ok());
    assert!(module().start().root_id("").load().is_ok());
    let refused = module().start().root_id("prob").load().err().unwrap();
    assert!(refused.trap.is_none());
    let [line] = refused.logs.as_slice() else {
        panic!("one line: {:?}", refused.logs)
    };
    assert!(line.contains("prob") && line.contains("probe"), "{line}");
}

#[test]
fn a_configuration_that_is_none_is_refused_in_words() {
    for bad in [
        &b"{"[..],
        b"[]",
        b"{\"x\": 1}",
        b"\xff\xfe",
        b"\x0a\xff",
        b"\0",
    ] {
        let refused = module().start().configuration(bad).load().err().unwrap();
        assert!(refused.trap.is_none(), "{refused}");
        assert!(
            refused
                .logs
                .last()
                .unwrap()
                .contains("configuration_rejected"),
            "{refused}"
        );
    }
}

#[test]
fn without_randomness_no_configuration_is_taken() {
    let failure = Failure::Status("random_get", Status::NOT_FOUND);
    let refused = module().start().failure(failure).load().err().unwrap();
    assert!(refused.trap.is_none(), "{refused}");
    assert!(refused.logs[0].contains("random"), "{refused}");
}

#[test]
fn a_trap_is_reported_and_ends_the_vm() {
    let mut plugin = load();
    let trap = plugin
        .request(&script(&["request_headers trap"]))
        .unwrap_err();
    assert_eq!(trap.phase, Phase::RequestHeaders);
    assert!(trap.why.contains("unreachable"), "{trap}");
    assert!(plugin.request(&script(&[])).is_err());
}

#[test]
fn the_request_headers_are_read_from_the_host_once_a_phase() {
    let all = ["request_headers request"; 5];
    let outcome = run(&all);
    assert_eq!(outcome.cost.of("proxy_get_header_map_pairs"), 1);
    let one = ["request_headers request_header x-in"; 5];
    let outcome = run(&one);
    assert_eq!(outcome.cost.of("proxy_get_header_map_value"), 0);
    assert_eq!(outcome.cost.byte_returning(), 1);
}

#[test]
fn an_exchange_that_an_outer_filter_answered_is_seen_at_its_end_alone() {
    let script = script(&["response_headers now"]).answered_before(Response::new(503));
    let outcome = load().request(&script).unwrap();
    assert_eq!((outcome.status(), outcome.forwarded), (Some(503), false));
    assert!(results(&outcome).is_empty());
    let phases: Vec<Phase> = outcome.cost.fuel.keys().copied().collect();
    assert_eq!(phases, [Phase::Create, Phase::Log, Phase::Delete]);
}

#[test]
fn a_client_that_goes_away_ends_the_exchange() {
    let outcome = load()
        .request(&script(&["finished request_header x-in"]).abort())
        .unwrap();
    assert_eq!(results(&outcome), ["1"]);
    assert!(outcome.response.is_empty());
}
