//! What may befall `envoy/rollout/rollout.py` on an operator's machine: a Prometheus that tells little or nothing, a file that cannot
//! be replaced, two hands at once. Prometheus is played here, so that each answer can be chosen; `rollout.rs` has real ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_harness::artifacts::{self, Artifacts};
use portcullis_harness::upstream::{Answer, Request, Upstream};
use portcullis_harness::{cases, suite, wait};
use serde_json::{Value, json};

fn main() -> ExitCode {
    suite::run(
        || (),
        cases![
            a_colour_that_is_good_gets_everything,
            without_traffic_a_rollout_goes_back,
            a_prometheus_that_tells_no_times_ends_a_rollout,
            a_prometheus_that_tells_no_statuses_ends_a_rollout,
            what_is_no_number_ends_a_rollout,
            a_prometheus_that_lost_the_proxy_ends_a_rollout,
            what_is_no_answer_of_prometheus_begins_nothing,
            a_second_rollout_begins_nothing,
            what_somebody_else_wrote_stays,
            a_second_interruption_keeps_nothing_from_going_back,
            an_interruption_in_the_moment_of_a_step_goes_back,
            an_interruption_before_the_first_step_begins_nothing,
            a_reader_that_went_away_ends_nothing,
            whoever_could_read_the_weights_still_can,
            weights_that_cannot_be_replaced_begin_nothing,
            weights_that_cannot_be_put_back_are_told_of,
            a_link_to_the_weights_is_refused,
            steps_that_are_behind_begin_nothing,
        ],
    )
}

/// What Prometheus says of the colour that gets more.
#[derive(Clone)]
struct Told {
    /// How many requests come between two looks.
    requests: u64,
    statuses: bool,
    times: bool,
    /// Instead of the number of requests.
    number: Option<&'static str>,
    /// Whether it still reaches the proxy.
    proxy: bool,
    /// Instead of every answer.
    instead: Option<&'static str>,
}

const GOOD: Told = Told {
    requests: 40,
    statuses: true,
    times: true,
    number: None,
    proxy: true,
    instead: None,
};

struct Scene {
    told: Arc<Mutex<Told>>,
    prometheus: Upstream,
    folder: Artifacts,
}

fn scene(name: &str, told: Told) -> Scene {
    let told = Arc::new(Mutex::new(told));
    let prometheus = Upstream::start().unwrap();
    let shared = Arc::clone(&told);
    let mut looks = 0;
    prometheus.recorder().rule(move |request| {
        Some(Answer::with_body(
            "application/json",
            answer(&shared.lock().unwrap(), request, &mut looks),
        ))
    });
    let folder = Artifacts::create(&format!("rollout-mishaps-{name}")).unwrap();
    let weights = artifacts::root().join("envoy/rollout/weights.yaml");
    fs::copy(weights, folder.file("weights.yaml")).unwrap();
    Scene {
        told,
        prometheus,
        folder,
    }
}

fn answer(told: &Told, request: &Request, looks: &mut u64) -> String {
    if let Some(instead) = told.instead {
        return instead.to_owned();
    }
    let query = String::from_utf8_lossy(&request.target);
    let asks = |what: &str| query.contains(what);
    let sample = |labels: Value, value: String| json!({"metric": labels, "value": [0, value]});
    let series = |labels: Value, there: bool| -> Vec<Value> {
        let value = (*looks * told.requests).to_string();
        Vec::from_iter((there && told.proxy).then(|| sample(labels, value)))
    };
    let result = if asks("membership_healthy") {
        vec![sample(json!({}), "1".to_owned())]
    } else if asks("timestamp") {
        vec![sample(json!({}), (*looks + 2).to_string())]
    } else if asks("vector") {
        vec![sample(json!({}), (*looks + 1).to_string())]
    } else if asks("rq_total") {
        *looks += 1;
        let value = (*looks * told.requests).to_string();
        let value = told.number.map_or(value, str::to_owned);
        Vec::from_iter(told.proxy.then(|| sample(json!({}), value)))
    } else if asks("rq_xx") {
        let asks_for_errors = asks("envoy_response_code_class");
        series(
            json!({"envoy_response_code_class": "2"}),
            told.statuses && !asks_for_errors,
        )
    } else if asks("rq_time_bucket") {
        [
            series(json!({"le": "5"}), told.times),
            series(json!({"le": "+Inf"}), told.times),
        ]
        .concat()
    } else {
        Vec::new()
    };
    json!({"status": "success", "data": {"result": result}}).to_string()
}

impl Scene {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("python3");
        command
            .arg(artifacts::root().join("envoy/rollout/rollout.py"))
            .args(["--to", "green"])
            .arg("--weights")
            .arg(self.folder.file("weights.yaml"))
            .arg("--prometheus")
            .arg(format!("http://127.0.0.1:{}", self.prometheus.port()))
            .args(["--hold", "0.4", "--interval", "0.05", "--flush", "0.1"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn roll(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Begins a rollout whose first step never ends by itself, and waits for that.
    fn under_way(&self, arguments: &[&str]) -> Child {
        let steps = [&["--steps", "30,100", "--hold", "600"], arguments].concat();
        let child = self.command(&steps).spawn().unwrap();
        wait::until("the first step", || {
            (self.share() == Some(30)).then_some(())
        });
        child
    }

    fn tell(&self, told: Told) {
        *self.told.lock().unwrap() = told;
    }

    fn weights(&self) -> String {
        fs::read_to_string(self.folder.file("weights.yaml")).unwrap()
    }

    /// The share of green in the file.
    fn share(&self) -> Option<u64> {
        let text = self.weights();
        let line = text.lines().find(|line| line.contains("upstream-green:"));
        line?.rsplit(' ').next()?.parse().ok()
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
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

fn a_colour_that_is_good_gets_everything((): &()) {
    let scene = scene("good", GOOD);
    assert_ended(&scene.roll(&[]), 0, "done: green has 100 %");
    assert_eq!(scene.share(), Some(100));
}

/// A rollout of that Prometheus goes back.
#[track_caller]
fn assert_taken_back(name: &str, told: Told, said: &str) {
    let scene = scene(name, told);
    let before = scene.weights();
    assert_ended(&scene.roll(&[]), 1, said);
    assert_eq!(scene.weights(), before);
}

fn without_traffic_a_rollout_goes_back((): &()) {
    let told = Told {
        requests: 0,
        ..GOOD
    };
    assert_taken_back("no-traffic", told, "too few to judge by");
}

fn a_prometheus_that_tells_no_times_ends_a_rollout((): &()) {
    let told = Told {
        times: false,
        ..GOOD
    };
    assert_taken_back("no-times", told, "envoy_cluster_upstream_rq_time_bucket");
}

fn a_prometheus_that_tells_no_statuses_ends_a_rollout((): &()) {
    let told = Told {
        statuses: false,
        ..GOOD
    };
    assert_taken_back("no-statuses", told, "envoy_cluster_upstream_rq_xx");
}

fn what_is_no_number_ends_a_rollout((): &()) {
    for number in ["NaN", "+Inf", "seven"] {
        let told = Told {
            number: Some(number),
            ..GOOD
        };
        assert_taken_back("no-number", told, "does not answer");
    }
}

fn a_prometheus_that_lost_the_proxy_ends_a_rollout((): &()) {
    let scene = scene("lost", GOOD);
    let before = scene.weights();
    let hold = ["--steps", "30", "--hold", "2", "--min-requests", "1000000"];
    let child = scene.command(&hold).spawn().unwrap();
    wait::until("the first step", || {
        (scene.share() == Some(30)).then_some(())
    });
    scene.tell(Told {
        proxy: false,
        ..GOOD
    });
    let output = child.wait_with_output().unwrap();
    assert_ended(&output, 1, "Prometheus has seen nothing of green");
    assert_eq!(scene.weights(), before);
}

fn what_is_no_answer_of_prometheus_begins_nothing((): &()) {
    for instead in [
        "<html>",
        "null",
        "[]",
        r#"{"status": "error"}"#,
        r#"{"data": null}"#,
    ] {
        let told = Told {
            instead: Some(instead),
            ..GOOD
        };
        let scene = scene("no-answer", told);
        let before = scene.weights();
        assert_ended(&scene.roll(&[]), 2, "does not answer");
        assert_eq!(scene.weights(), before);
    }
}

fn a_second_rollout_begins_nothing((): &()) {
    let scene = scene("second", GOOD);
    let first = scene.under_way(&[]);
    assert_ended(&scene.roll(&["--steps", "50"]), 2, "another rollout");
    assert_eq!(scene.share(), Some(30));
    signal(&first, "TERM");
    assert_ended(&first.wait_with_output().unwrap(), 1, "rolled back");
    assert_eq!(scene.share(), Some(0));
}

fn what_somebody_else_wrote_stays((): &()) {
    let scene = scene("overtaken", GOOD);
    let first = scene.under_way(&[]);
    assert_ended(&scene.roll(&["--now"]), 0, "green gets 100 %");
    let output = first.wait_with_output().unwrap();
    assert_ended(&output, 1, "somebody else changed");
    assert_eq!(scene.share(), Some(100));

    // Also where the rollout would go back, before it looks again.
    let scene = self::scene("overtaken-late", GOOD);
    let first = scene.under_way(&["--interval", "600"]);
    assert_ended(&scene.roll(&["--now"]), 0, "green gets 100 %");
    signal(&first, "TERM");
    let output = first.wait_with_output().unwrap();
    assert_ended(&output, 1, "somebody else changed");
    assert_eq!(scene.share(), Some(100));
}

fn a_second_interruption_keeps_nothing_from_going_back((): &()) {
    let scene = scene("twice", GOOD);
    let before = scene.weights();
    let child = scene.under_way(&[]);
    // The way back takes a moment, in which the others come: the folder takes no file.
    let blocked = scene.folder.file(".weights.yaml.new");
    fs::create_dir(&blocked).unwrap();
    for _ in 0..20 {
        signal(&child, "INT");
    }
    fs::remove_dir(&blocked).unwrap();
    assert_ended(&child.wait_with_output().unwrap(), 1, "rolled back");
    assert_eq!(scene.weights(), before);
}

fn an_interruption_in_the_moment_of_a_step_goes_back((): &()) {
    let scene = scene("moment", GOOD);
    let before = scene.weights();
    // The first time the file is replaced by itself, the second time is the step.
    let interrupted = "import os, runpy, sys\n\
        real, times = os.replace, []\n\
        def replace(*where):\n    \
            real(*where)\n    \
            times.append(where)\n    \
            if len(times) == 2: raise KeyboardInterrupt('interrupted')\n\
        os.replace = replace\n\
        sys.argv = sys.argv[1:]\n\
        runpy.run_path(sys.argv[0], run_name='__main__')\n";
    let plain = scene.command(&[]);
    let mut command = Command::new("python3");
    command.args(["-c", interrupted]).args(plain.get_args());
    assert_ended(&command.output().unwrap(), 1, "rolled back");
    assert_eq!(scene.weights(), before);
}

fn an_interruption_before_the_first_step_begins_nothing((): &()) {
    let scene = scene("early", GOOD);
    let asked = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&asked);
    scene.prometheus.recorder().rule(move |_| {
        *seen.lock().unwrap() = true;
        Some(Answer {
            delay: Duration::from_secs(20),
            ..Answer::default()
        })
    });
    let child = scene.command(&[]).spawn().unwrap();
    wait::until("a question", || asked.lock().unwrap().then_some(()));
    signal(&child, "INT");
    assert_ended(&child.wait_with_output().unwrap(), 2, "interrupted");
    assert_eq!(scene.share(), Some(0));
}

fn a_reader_that_went_away_ends_nothing((): &()) {
    let scene = scene("reader", GOOD);
    let mut child = scene.command(&[]).spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(scene.share(), Some(100));
}

fn whoever_could_read_the_weights_still_can((): &()) {
    let scene = scene("mode", GOOD);
    let file = scene.folder.file("weights.yaml");
    fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
    let strict = scene.command(&["--now"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    shell.arg(strict.get_program()).args(strict.get_args());
    assert_ended(&shell.output().unwrap(), 0, "green gets 100 %");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o664);
}

/// Nothing can take this file's place: what would be renamed is a folder.
fn hinder(scene: &Scene) {
    fs::create_dir(scene.folder.file(".weights.yaml.new")).unwrap();
}

fn weights_that_cannot_be_replaced_begin_nothing((): &()) {
    let scene = scene("fixed", GOOD);
    hinder(&scene);
    let before = scene.weights();
    for arguments in [&[][..], &["--now"]] {
        assert_ended(&scene.roll(arguments), 2, "cannot be replaced");
        assert_eq!(scene.weights(), before);
    }
}

fn weights_that_cannot_be_put_back_are_told_of((): &()) {
    let scene = scene("stuck", GOOD);
    let child = scene.under_way(&[]);
    hinder(&scene);
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_ended(&output, 3, "NOT rolled back");
    assert_ended(&output, 3, "'green': 0");
    assert_eq!(scene.share(), Some(30));
}

fn a_link_to_the_weights_is_refused((): &()) {
    let scene = scene("link", GOOD);
    let (file, other) = (
        scene.folder.file("weights.yaml"),
        scene.folder.file("there"),
    );
    fs::rename(&file, &other).unwrap();
    std::os::unix::fs::symlink(&other, &file).unwrap();
    assert_ended(&scene.roll(&[]), 2, "symbolic link");
    assert!(file.is_symlink());
}

fn steps_that_are_behind_begin_nothing((): &()) {
    let scene = scene("behind", GOOD);
    let text = scene.weights();
    let text = text.replace("upstream-green: 0", "upstream-green: 60");
    fs::write(scene.folder.file("weights.yaml"), &text).unwrap();
    assert_ended(&scene.roll(&["--steps", "5,25,50"]), 2, "60 % already");
    assert_eq!(scene.weights(), text);
}
