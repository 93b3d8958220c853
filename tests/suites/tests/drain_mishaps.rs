//! What may befall `envoy/drain.py`: an admin interface that is closed, goes away or tells too little, and an impatient operator. The
//! admin interface is played here; `audit_ends.rs` drains a real Envoy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::{Arc, Mutex};

use portcullis_harness::artifacts;
use portcullis_harness::upstream::{Answer, Upstream};
use portcullis_harness::{cases, suite, wait};

fn main() -> ExitCode {
    suite::run(
        || (),
        cases![
            what_is_empty_is_stopped,
            an_admin_interface_that_is_closed_is_told_of,
            what_is_not_counted_is_not_taken_for_empty,
            an_interrupted_grace_is_taken_back,
            after_the_listeners_there_is_no_way_back,
            an_envoy_that_goes_away_is_told_of,
            a_reader_that_went_away_ends_nothing,
        ],
    )
}

const EMPTY: &str = "http.edge.downstream_rq_active: 0\nhttp.edge.downstream_rq_total: 7\n";
const BUSY: &str = "http.edge.downstream_rq_active: 3\nhttp.edge.downstream_rq_total: 7\n";

/// An admin interface that tells these statistics.
struct Admin {
    server: Upstream,
    /// What it is told to do, in order.
    told: Arc<Mutex<Vec<String>>>,
}

impl Admin {
    fn with(stats: &'static str) -> Self {
        let told = Arc::<Mutex<Vec<String>>>::default();
        let server = Upstream::start().unwrap();
        let heard = Arc::clone(&told);
        server.recorder().rule(move |request| {
            if request.method != b"POST" {
                return Some(Answer::with_body("text/plain", stats));
            }
            let target = String::from_utf8_lossy(&request.target).into_owned();
            heard.lock().unwrap().push(target);
            Some(Answer::with_body("text/plain", "OK\n"))
        });
        Self { server, told }
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    fn drain(&self, arguments: &[&str]) -> Child {
        drain(self.server.port(), arguments).spawn().unwrap()
    }

    /// Waits until it is told that.
    fn hears(&self, what: &str) {
        wait::until(what, || {
            self.told().iter().any(|told| told == what).then_some(())
        });
    }
}

fn drain(port: u16, arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(artifacts::root().join("envoy/drain.py"))
        .args(["--admin", &format!("127.0.0.1:{port}")])
        .args(["--grace", "0", "--quiet", "0.1"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// The exit status is this one, and this is said.
#[track_caller]
fn assert_ended(output: &Output, status: i32, said: &str) {
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{told}");
    assert!(told.contains(said), "{told}");
    assert!(!told.contains("Traceback"), "{told}");
}

fn what_is_empty_is_stopped((): &()) {
    let admin = Admin::with(EMPTY);
    let output = admin.drain(&[]).wait_with_output().unwrap();
    assert_ended(&output, 0, "ok: nothing is on its way");
    let steps = ["/healthcheck/fail", "/drain_listeners", "/quitquitquit"];
    assert_eq!(admin.told(), steps);
}

fn an_admin_interface_that_is_closed_is_told_of((): &()) {
    let output = drain(1, &[]).output().unwrap();
    assert_ended(&output, 2, "127.0.0.1:1 does not answer");
}

fn what_is_not_counted_is_not_taken_for_empty((): &()) {
    for stats in ["", "http.admin.downstream_rq_active: 1\n"] {
        let admin = Admin::with(stats);
        let output = admin.drain(&[]).wait_with_output().unwrap();
        assert_ended(&output, 2, "tells of no requests");
        assert!(admin.told().is_empty(), "{:?}", admin.told());
    }
}

fn an_interrupted_grace_is_taken_back((): &()) {
    let admin = Admin::with(EMPTY);
    let child = admin.drain(&["--grace", "60"]);
    admin.hears("/healthcheck/fail");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_ended(&output, 1, "it serves on");
    assert_eq!(admin.told(), ["/healthcheck/fail", "/healthcheck/ok"]);
}

fn after_the_listeners_there_is_no_way_back((): &()) {
    let admin = Admin::with(BUSY);
    let child = admin.drain(&[]);
    admin.hears("/drain_listeners");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_ended(&output, 1, "takes no new connections, and runs on");
    assert_eq!(admin.told(), ["/healthcheck/fail", "/drain_listeners"]);
}

fn an_envoy_that_goes_away_is_told_of((): &()) {
    let admin = Admin::with(BUSY);
    let child = admin.drain(&[]);
    admin.hears("/drain_listeners");
    let Admin { server, .. } = admin;
    drop(server);
    let output = child.wait_with_output().unwrap();
    assert_ended(&output, 2, "does not answer");
}

fn a_reader_that_went_away_ends_nothing((): &()) {
    let admin = Admin::with(EMPTY);
    let mut child = admin.drain(&[]);
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(
        admin.told().last().map(String::as_str),
        Some("/quitquitquit")
    );
}
