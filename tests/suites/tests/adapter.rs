//! The adapter on a real proxy, by a filter that does what a request tells it: what the host gives and takes in each
//! phase, and what one module tells another.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::process::ExitCode;

use portcullis_harness::compare::{self, VOLATILE};
use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::Upstream;
use portcullis_harness::{
    Config, Connection, Envoy, Filter, Listener, Request, Response, cases, suite, wait,
};
use serde_json::json;

struct Shared {
    upstream: Upstream,
    certificate: Certificate,
    envoy: Envoy,
}

fn main() -> ExitCode {
    // In order: a case reads what its own request added to the log.
    suite::run_in_order(
        start,
        cases![
            a_filter_that_does_nothing_changes_nothing,
            headers_are_read_and_changed_in_their_own_phase,
            out_of_phase_nothing_is_read_and_nothing_changed,
            bytes_beyond_ascii_pass_through_the_guest,
            what_would_split_a_message_is_never_written,
            a_body_is_read_and_replaced,
            a_reply_takes_the_upstreams_place,
            a_reply_from_response_headers_takes_the_responses_place,
            tls_can_be_told_by_an_answer_without_bytes,
            a_later_module_reads_the_request_id,
            refusals_of_other_modules_name_the_request,
            a_callout_to_no_cluster_is_a_value,
            a_trap_costs_one_request,
        ],
    )
}

fn start() -> Shared {
    let upstream = Upstream::start().unwrap();
    let certificate = Certificate::new();
    let test = |name: &str| {
        Filter::wasm(&format!("test/{name}"), json!({}))
            .root_id(name)
            .named(name)
            .over(&json!({"vm_config": {"vm_id": name}}))
    };
    let probe = || test("probe");
    let tracing = || Filter::wasm("request_tracing", json!({}));
    let no_ids = json!({"generate_request_id": false});
    let once = json!({
        "identity": [{"client_address": {}}],
        "plans": "none",
        "tier": {"default": "t"},
        "tiers": {"t": {"limits": [{"name": "hour", "count": 1, "window": "1h"}]}},
    });
    let config = Config::new(upstream.port())
        .listener(Listener::new("bare").hcm(&no_ids))
        .listener(Listener::new("noop").filter(test("noop")).hcm(&no_ids))
        .listener(Listener::new("probe").filter(probe()))
        .listener(Listener::new("tls").filter(probe()).tls(&certificate))
        .listener(
            Listener::new("mutual")
                .filter(probe())
                .mutual_tls(&certificate),
        )
        .listener(Listener::new("traced").filter(tracing()).filter(probe()))
        .listener(
            Listener::new("separate")
                .filter(tracing())
                .filter(Filter::wasm("security_headers", json!({"preset": "web"})))
                .filter(Filter::wasm("rate_limit", once)),
        )
        .listener(
            Listener::new("untraced")
                .filter(Filter::wasm("security_headers", json!({"preset": "web"}))),
        );
    let envoy = Envoy::start("adapter", &config).unwrap_or_else(|error| panic!("{error}"));
    Shared {
        upstream,
        certificate,
        envoy,
    }
}

impl Shared {
    fn port(&self, listener: &str) -> u16 {
        self.envoy.port(listener)
    }

    fn open(&self, listener: &str) -> Connection {
        Connection::open(self.port(listener))
    }

    /// Sends a request with these commands, and gives the response and each command's result.
    #[track_caller]
    fn probe(
        &self,
        connection: &mut Connection,
        request: Request,
        commands: &[&str],
    ) -> (Response, Vec<String>) {
        let before = self.envoy.log().len();
        let request = commands.iter().fold(request, |request, command| {
            request.header("x-probe", *command)
        });
        let response = connection.exchange(&request);
        let results = wait::until("the results in the log", || {
            let log = self.envoy.log();
            let results: Vec<String> = log[before..].lines().filter_map(result).collect();
            (results.len() >= commands.len()).then_some(results)
        });
        (response, results)
    }

    /// The results alone.
    #[track_caller]
    fn results(&self, listener: &str, commands: &[&str]) -> Vec<String> {
        self.probe(&mut self.open(listener), Request::get("/text"), commands)
            .1
    }
}

/// `RESULT` of `… probe PHASE ACTION -> RESULT`.
fn result(line: &str) -> Option<String> {
    let (head, result) = line.split_once(" -> ")?;
    let mut words = head.rsplit(' ');
    let (_, phase) = (words.next()?, words.next()?);
    let phases = [
        "request_headers",
        "response_headers",
        "response_body",
        "finished",
    ];
    (phases.contains(&phase) && words.next() == Some("probe")).then(|| result.to_owned())
}

fn a_filter_that_does_nothing_changes_nothing(shared: &Shared) {
    for (at, target) in ["/text", "/chunked", "/status/404", "/cookies", "/sse"]
        .iter()
        .enumerate()
    {
        let [bare, noop] = ["bare", "noop"].map(|listener| {
            let case = format!("{listener} {at}");
            let response = Request::get(*target)
                .case(&case)
                .send(shared.port(listener));
            (
                response,
                shared.upstream.recorder().requests(&case).remove(0),
            )
        });
        assert_eq!(compare::responses(&bare.0, &noop.0, VOLATILE), None);
        let ignoring = ["x-case", "x-request-id"];
        assert_eq!(compare::requests(&bare.1, &noop.1, &ignoring), None);
    }
}

fn headers_are_read_and_changed_in_their_own_phase(shared: &Shared) {
    let case = "in phase";
    let request = Request::get("/text?header=x-up:1&header=x-gone:1")
        .case(case)
        .header("x-in", "a")
        .header("x-in", "b")
        .header("x-away", "1");
    let (response, results) = shared.probe(
        &mut shared.open("probe"),
        request,
        &[
            "request_headers request_header x-in",
            "request_headers set_request_header x-set 1",
            "request_headers add_request_header x-set 2",
            "request_headers remove_request_header x-away",
            "request_headers request_header x-set",
            "response_headers response_header x-up",
            "response_headers set_response_header x-up 2",
            "response_headers add_response_header x-up 3",
            "response_headers remove_response_header x-gone",
            "finished request_header x-in",
            "finished response_header x-up",
            "finished property response|code",
        ],
    );
    let d = "done";
    let expected = [
        "a",
        d,
        d,
        d,
        "1",
        "1",
        d,
        d,
        d,
        "a",
        "2",
        "\\xc8\\x00\\x00\\x00\\x00\\x00\\x00\\x00",
    ];
    assert_eq!(results, expected);
    assert_eq!(response.lines("x-up"), [b"2", b"3"]);
    assert_eq!(response.header("x-gone"), None);
    let received = shared.upstream.recorder().requests(case).remove(0);
    assert_eq!(received.header_lines("x-set"), [b"1", b"2"]);
    assert_eq!(received.header_lines("x-in"), [b"a", b"b"]);
    assert_eq!(received.header("x-away"), None);
}

fn out_of_phase_nothing_is_read_and_nothing_changed(shared: &Shared) {
    let case = "out of phase";
    let request = Request::get("/text?header=x-up:1")
        .case(case)
        .header("x-in", "a");
    let (response, mut results) = shared.probe(
        &mut shared.open("probe"),
        request,
        &[
            "request_headers response_header x-up",
            "request_headers set_response_header x-up 2",
            "response_headers request_header x-in",
            "response_headers set_request_header x-in b",
            "response_body reply 403 late",
            "finished set_response_header x-up 2",
            "finished remove_request_header x-in",
        ],
    );
    // A body comes in one callback or in two.
    results.dedup();
    assert_eq!(results, ["none", "done", "none", "done", "replied", "done"]);
    assert_eq!(
        (response.status, response.lines("x-up")),
        (200, vec![&b"1"[..]])
    );
    let received = shared.upstream.recorder().requests(case).remove(0);
    assert_eq!(received.header_lines("x-in"), [b"a"]);
}

fn bytes_beyond_ascii_pass_through_the_guest(shared: &Shared) {
    let value: Vec<u8> = (0x80..=0xff).collect();
    let request = Request::get("/text").header("x-in", value.clone());
    let encoded: String = value.iter().map(|byte| format!("%{byte:02x}")).collect();
    let (response, results) = shared.probe(
        &mut shared.open("probe"),
        request,
        &[
            "request_headers request_header x-in",
            &format!("response_headers set_response_header x-out {encoded}"),
        ],
    );
    assert_eq!(results[0], value.escape_ascii().to_string());
    assert_eq!(response.lines("x-out"), [value]);
}

fn what_would_split_a_message_is_never_written(shared: &Shared) {
    let case = "split";
    let (response, _) = shared.probe(
        &mut shared.open("probe"),
        Request::get("/text").case(case),
        &[
            "request_headers set_request_header x-split a%0d%0ax-more:1",
            "response_headers set_response_header x-split a%0d%0ax-more:1",
            "response_headers add_response_header x-split a%00",
            "response_headers set_response_header x-whole a",
        ],
    );
    assert_eq!(response.header("x-whole").as_deref(), Some("a"));
    assert_eq!(
        (response.header("x-split"), response.header("x-more")),
        (None, None)
    );
    let received = shared.upstream.recorder().requests(case).remove(0);
    assert_eq!(
        (received.header("x-split"), received.header("x-more")),
        (None, None)
    );
}

/// How many pieces a body comes in is the host's choice.
fn a_body_is_read_and_replaced(shared: &Shared) {
    let (response, results) = shared.probe(
        &mut shared.open("probe"),
        Request::get("/text?body=abcdef"),
        &[
            "response_headers remove_response_header content-length",
            "response_body response_body 0 1000",
            "response_body replace_response_body 0 1000 ",
        ],
    );
    let read = |result: &String| (result != "done").then(|| result.clone());
    assert_eq!(
        results.iter().filter_map(read).collect::<String>(),
        "abcdef"
    );
    assert_eq!((response.status, response.text().as_str()), (200, ""));
}

fn a_reply_takes_the_upstreams_place(shared: &Shared) {
    let case = "reply";
    let (response, results) = shared.probe(
        &mut shared.open("probe"),
        Request::get("/text").case(case),
        &[
            "request_headers reply 418 short%20and%20stout x-why tea",
            "response_headers set_response_header x-seen 1",
            "finished response_header x-why",
        ],
    );
    assert_eq!(results, ["replied", "done", "tea"]);
    assert_eq!(
        (response.status, response.text().as_str()),
        (418, "short and stout")
    );
    assert_eq!(response.header("x-why").as_deref(), Some("tea"));
    assert_eq!(response.header("x-seen").as_deref(), Some("1"));
    assert!(shared.upstream.recorder().requests(case).is_empty());
    assert_eq!(
        shared.envoy.access_log_of("probe", case)["details"],
        "probe_reply"
    );
}

fn a_reply_from_response_headers_takes_the_responses_place(shared: &Shared) {
    let case = "reply to a response";
    let (response, results) = shared.probe(
        &mut shared.open("probe"),
        Request::get("/text").case(case),
        &[
            "response_headers reply 418 short%20and%20stout x-why tea",
            "response_headers set_response_header x-seen 1",
            "response_headers response_header x-why",
        ],
    );
    assert_eq!(results, ["replied", "done", "tea"]);
    assert_eq!(
        (response.status, response.text().as_str()),
        (418, "short and stout")
    );
    assert_eq!(response.header("x-why").as_deref(), Some("tea"));
    assert_eq!(response.header("x-seen").as_deref(), Some("1"));
}

/// What `property::TlsReader` relies on: without TLS there is no such property, and with TLS it is there even where the
/// client showed no certificate.
fn tls_can_be_told_by_an_answer_without_bytes(shared: &Shared) {
    let commands = [
        "request_headers property connection|tls_version",
        "request_headers property connection|subject_peer_certificate",
        "response_headers property connection|subject_peer_certificate",
    ];
    assert_eq!(shared.results("probe", &commands), ["none"; 3]);
    let ask = |mut connection: Connection| {
        shared
            .probe(&mut connection, Request::get("/text"), &commands)
            .1
    };
    for listener in ["tls", "mutual"] {
        let port = shared.port(listener);
        let anonymous = ask(Connection::open_tls(port, &shared.certificate));
        assert_eq!(anonymous, ["TLSv1.3", "", ""], "{listener}");
    }
    let port = shared.port("mutual");
    let known = ask(Connection::open_mutual_tls(port, &shared.certificate));
    assert_eq!(known[0], "TLSv1.3");
    assert!(
        known[1].starts_with("CN=") && known[1] == known[2],
        "{known:?}"
    );
}

fn a_later_module_reads_the_request_id(shared: &Shared) {
    let command = "request_headers property portcullis.request_id";
    let (response, results) = shared.probe(
        &mut shared.open("traced"),
        Request::get("/text"),
        &[command],
    );
    assert_eq!(results, [response.header("x-request-id").expect("an id")]);
    assert_eq!(shared.results("probe", &[command]), ["none"]);
}

fn refusals_of_other_modules_name_the_request(shared: &Shared) {
    let forged = Request::post("/text", "{}").header("origin", "https://evil.example");
    let named = |response: &Response, status: u16| {
        assert_eq!(response.status, status, "{response}");
        let id = response.header("x-request-id").expect("an id");
        let problem = response.json();
        assert_eq!(problem["request_id"], id, "{response}");
        assert_eq!(problem["instance"], format!("urn:uuid:{id}"));
    };
    named(&forged.send(shared.port("separate")), 403);
    let call = || Request::get("/text").send(shared.port("separate"));
    assert_eq!(call().status, 200);
    named(&call(), 429);
    // Where nobody gave the request an id, none is told.
    let untraced = forged.send(shared.port("untraced"));
    assert_eq!(
        (untraced.status, &untraced.json()["request_id"]),
        (403, &json!(null))
    );
}

fn a_callout_to_no_cluster_is_a_value(shared: &Shared) {
    wait::until("a tick", || {
        shared
            .envoy
            .log()
            .contains("probe tick -> the proxy refused the call")
            .then_some(())
    });
}

/// The last case: it ends a VM.
fn a_trap_costs_one_request(shared: &Shared) {
    assert_eq!(
        shared.envoy.admin().vm_reloads(),
        0,
        "{}",
        shared.envoy.log()
    );
    let trapped = Request::get("/text")
        .header("x-probe", "request_headers trap")
        .send(shared.port("probe"));
    assert_eq!(trapped.status, 503);
    wait::until("the module to be loaded again", || {
        (Request::get("/text").send(shared.port("probe")).status == 200).then_some(())
    });
    assert_eq!(
        shared.results("probe", &["request_headers request_header x-none"]),
        ["none"]
    );
    assert!(shared.envoy.admin().vm_reloads() > 0);
    assert_eq!(Request::get("/text").send(shared.port("noop")).status, 200);
}
