//! Moving traffic between colours: `envoy/rollout` with a real Envoy, a real Prometheus and requests that never stop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::net::TcpListener;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portcullis_harness::artifacts::Artifacts;
use portcullis_harness::tls::Certificate;
use portcullis_harness::upstream::{Answer, Upstream};
use portcullis_harness::{Connection, Request, Template, artifacts, cases, suite, wait};
use portcullis_suites::shipped::{self, Edge};
use serde_json::json;

fn main() -> ExitCode {
    suite::run_in_order(
        start,
        cases![
            a_good_colour_gets_everything_and_no_request_fails,
            one_file_takes_everything_back,
            a_colour_that_fails_loses_its_share,
            a_slow_colour_loses_its_share,
            a_retry_hides_no_failure_from_the_rollout,
            an_interrupted_rollout_goes_back,
            a_file_that_is_no_good_changes_nothing,
            a_prometheus_that_falls_silent_ends_a_rollout,
            a_colour_that_nobody_knows_to_be_healthy_gets_nothing,
        ],
    )
}

/// What the green upstream does.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Good,
    /// One in two requests is answered with this status.
    Fails(u16),
    /// Requests take so many milliseconds.
    Slow(u64),
}

struct Shared {
    _upstreams: [Upstream; 2],
    edge: Arc<Edge>,
    green: Arc<Mutex<Mood>>,
    folder: Artifacts,
    prometheus: Server,
}

struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start() -> Shared {
    let blue = Upstream::start().unwrap();
    blue.recorder().rule(|_| Some(coloured("blue", 200)));
    let green = Upstream::start().unwrap();
    let mood = Arc::new(Mutex::new(Mood::Good));
    let shared = Arc::clone(&mood);
    let number = AtomicU64::new(0);
    green.recorder().rule(move |request| {
        let odd = number.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        Some(match *shared.lock().unwrap() {
            _ if request.target == b"/healthz" => coloured("green", 200),
            Mood::Fails(status) if odd => coloured("green", status),
            Mood::Good | Mood::Fails(_) => coloured("green", 200),
            Mood::Slow(milliseconds) => Answer {
                delay: Duration::from_millis(milliseconds),
                ..coloured("green", 200)
            },
        })
    });
    let folder = Artifacts::create("rollout-files").unwrap();
    let weights = artifacts::root().join("envoy/rollout/weights.yaml");
    std::fs::copy(weights, folder.file("weights.yaml")).unwrap();
    let certificate = Certificate::new();
    let mut template = shipped::template("envoy.yaml", blue.port(), &certificate);
    shipped::without_modules(&mut template);
    shipped::behind(&mut template, "upstream-green", green.port());
    let template = template.merge("stats_flush_interval", &json!("1s"));
    let template = template.merge(
        "layered_runtime.layers[1].rtds_layer.rtds_config.path_config_source",
        &json!({"path": folder.file("weights.yaml"), "watched_directory": {"path": folder.path()}}),
    );
    let edge = Edge::start("rollout", &template, certificate);
    Shared {
        prometheus: prometheus(&folder, edge.envoy.port("metrics")),
        edge: Arc::new(edge),
        green: mood,
        folder,
        _upstreams: [blue, green],
    }
}

fn coloured(colour: &str, status: u16) -> Answer {
    Answer::with_body("text/plain", colour).status(status)
}

fn prometheus(folder: &Artifacts, scraped: u16) -> Server {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let configuration = json!({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{
            "job_name": "edge",
            "metrics_path": "/stats/prometheus",
            "static_configs": [{"targets": [format!("127.0.0.1:{scraped}")]}],
        }],
    });
    std::fs::write(folder.file("prometheus.yaml"), configuration.to_string()).unwrap();
    let log = std::fs::File::create(folder.file("prometheus.log")).unwrap();
    let child = Command::new("prometheus")
        .arg(format!(
            "--config.file={}",
            folder.file("prometheus.yaml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.file("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("prometheus is missing; `apt-get install prometheus`");
    let server = Server { child, port };
    wait::until("Prometheus", || {
        let mut connection = Connection::try_open(port).ok()?;
        connection
            .send(b"GET /api/v1/query?query=envoy_cluster_membership_healthy HTTP/1.0\r\n\r\n");
        let text = connection.read_to_end();
        let text = String::from_utf8_lossy(&text);
        text.contains("upstream-green").then_some(())
    });
    server
}

/// Requests that go on until this is dropped, each on the loopback and waited for.
struct Traffic {
    stop: Arc<AtomicU64>,
    threads: Vec<std::thread::JoinHandle<Vec<Seen>>>,
}

/// What one request got: its colour and status.
#[derive(Clone, Debug)]
struct Seen {
    colour: String,
    status: u16,
}

impl Traffic {
    fn start(edge: &Arc<Edge>) -> Self {
        let stop = Arc::new(AtomicU64::new(0));
        let thread = |_| {
            let (edge, stop) = (Arc::clone(edge), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut seen = Vec::new();
                let mut connection = edge.open();
                while stop.load(Ordering::Relaxed) == 0 {
                    let response = connection.exchange(&Request::get("/text"));
                    seen.push(Seen {
                        colour: response.text(),
                        status: response.status,
                    });
                    std::thread::sleep(Duration::from_millis(5));
                }
                seen
            })
        };
        let threads = (0..4).map(thread).collect();
        Self { stop, threads }
    }

    fn end(self) -> Vec<Seen> {
        self.stop.store(1, Ordering::Relaxed);
        let threads = self.threads.into_iter();
        threads.flat_map(|thread| thread.join().unwrap()).collect()
    }
}

impl Shared {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("python3");
        command
            .arg(artifacts::root().join("envoy/rollout/rollout.py"))
            .arg("--weights")
            .arg(self.folder.file("weights.yaml"))
            .args([
                "--prometheus",
                &format!("http://127.0.0.1:{}", self.prometheus.port),
            ])
            .args(["--hold", "3", "--interval", "0.5", "--flush", "1"])
            .args(arguments);
        command
    }

    #[track_caller]
    fn roll(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn is(&self, mood: Mood) {
        *self.green.lock().unwrap() = mood;
    }

    /// The share of green in the file.
    fn share(&self) -> u64 {
        let file = Template::read(self.folder.file("weights.yaml")).0;
        file["resources"][0]["layer"]["rollout.upstream-green"]
            .as_u64()
            .unwrap()
    }

    /// Waits until so many requests in a row are answered by this colour.
    #[track_caller]
    fn settled(&self, colour: &str) {
        wait::until("one colour alone", || {
            let all = (0..50).all(|_| self.edge.send(&Request::get("/text")).text() == colour);
            all.then_some(())
        });
    }
}

#[track_caller]
fn assert_ended(output: &Output, status: i32) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{said}{complaint}");
    said + &complaint
}

fn a_good_colour_gets_everything_and_no_request_fails(shared: &Shared) {
    shared.is(Mood::Good);
    let traffic = Traffic::start(&shared.edge);
    let said = assert_ended(&shared.roll(&["--to", "green", "--steps", "10,50,100"]), 0);
    let seen = traffic.end();
    assert_eq!(shared.share(), 100);
    shared.settled("green");
    for step in ["10 %", "50 %", "100 %"] {
        assert!(said.contains(&format!("green gets {step}")), "{said}");
    }
    let failed: Vec<&Seen> = seen.iter().filter(|seen| seen.status != 200).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let of = |colour: &str| seen.iter().filter(|seen| seen.colour == colour).count();
    assert!(
        of("blue") > 100 && of("green") > 100,
        "{} {}",
        of("blue"),
        of("green")
    );
}

fn one_file_takes_everything_back(shared: &Shared) {
    assert_eq!(shared.share(), 100);
    let traffic = Traffic::start(&shared.edge);
    let begun = Instant::now();
    let old = artifacts::root().join("envoy/rollout/weights.yaml");
    std::fs::copy(old, shared.folder.file("old.yaml")).unwrap();
    std::fs::rename(
        shared.folder.file("old.yaml"),
        shared.folder.file("weights.yaml"),
    )
    .unwrap();
    shared.settled("blue");
    let took = begun.elapsed();
    let failed = traffic
        .end()
        .iter()
        .filter(|seen| seen.status != 200)
        .count();
    println!("one file: back after {took:?}");
    assert_eq!(failed, 0);
}

/// Rolls out a colour of that mood, which must go back by itself.
#[track_caller]
fn assert_taken_back(shared: &Shared, mood: Mood, arguments: &[&str]) -> (String, Vec<Seen>) {
    assert_eq!(shared.share(), 0);
    shared.settled("blue");
    shared.is(mood);
    let traffic = Traffic::start(&shared.edge);
    let begun = Instant::now();
    let said = assert_ended(&shared.roll(&[&["--to", "green"], arguments].concat()), 1);
    assert_eq!(shared.share(), 0);
    shared.settled("blue");
    let took = begun.elapsed();
    shared.is(Mood::Good);
    // Promised to operators. The settings here look sooner than the default ones, which take up to 20 s more.
    println!("{mood:?}: back after {took:?}");
    assert!(took < Duration::from_secs(90), "{took:?}: {said}");
    (said, traffic.end())
}

fn a_colour_that_fails_loses_its_share(shared: &Shared) {
    let (said, seen) = assert_taken_back(shared, Mood::Fails(500), &["--steps", "20,100"]);
    assert!(
        said.contains("rolled back") && said.contains("failed"),
        "{said}"
    );
    assert!(
        !said.contains("100 %\n"),
        "the second step never came: {said}"
    );
    // Blue's requests are none the worse for it.
    let failed = seen.iter().filter(|seen| seen.status != 200);
    let colours: Vec<&str> = failed.map(|seen| seen.colour.as_str()).collect();
    assert!(!colours.is_empty());
    assert!(
        colours.iter().all(|colour| *colour == "green"),
        "{colours:?}"
    );
}

fn a_slow_colour_loses_its_share(shared: &Shared) {
    let slow = ["--steps", "50", "--max-p95-ms", "200"];
    let (said, seen) = assert_taken_back(shared, Mood::Slow(400), &slow);
    assert!(said.contains("slower than 200 ms"), "{said}");
    assert!(seen.iter().all(|seen| seen.status == 200));
}

fn a_retry_hides_no_failure_from_the_rollout(shared: &Shared) {
    let (said, seen) = assert_taken_back(shared, Mood::Fails(503), &["--steps", "20"]);
    assert!(said.contains("failed"), "{said}");
    let failed = seen.iter().filter(|seen| seen.status != 200).count();
    assert!(failed * 20 < seen.len(), "{failed} of {}", seen.len());
}

fn an_interrupted_rollout_goes_back(shared: &Shared) {
    assert_eq!(shared.share(), 0);
    let mut command = shared.command(&["--to", "green", "--steps", "30", "--hold", "60"]);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    wait::until("the first step", || (shared.share() == 30).then_some(()));
    let told = Command::new("kill").arg(child.id().to_string()).status();
    assert!(told.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = assert_ended(&output, 1);
    assert!(said.contains("interrupted"), "{said}");
    assert_eq!(shared.share(), 0);
}

fn a_file_that_is_no_good_changes_nothing(shared: &Shared) {
    let good = std::fs::read(shared.folder.file("weights.yaml")).unwrap();
    let put = |text: &[u8]| {
        std::fs::write(shared.folder.file("new.yaml"), text).unwrap();
        let (new, old) = ("new.yaml", "weights.yaml");
        std::fs::rename(shared.folder.file(new), shared.folder.file(old)).unwrap();
    };
    let admin = shared.edge.envoy.admin();
    let refused = || {
        admin
            .stats(r"^runtime\..*update_failure$")
            .values()
            .sum::<u64>()
    };
    let before = refused();
    put(b"resources: [{rollout.upstream-green: 100");
    wait::until("the refusal", || (refused() > before).then_some(()));
    shared.settled("blue");
    put(&good);
}

fn a_prometheus_that_falls_silent_ends_a_rollout(shared: &Shared) {
    let prometheus = Upstream::start().unwrap();
    let asked = AtomicU64::new(0);
    prometheus.recorder().rule(move |_| {
        // Who is healthy, its time, a later scrape, and four counters; then the first step is begun.
        Some(match asked.fetch_add(1, Ordering::Relaxed) {
            number @ 0..7 => {
                let sample =
                    json!({"metric": {"le": "+Inf"}, "value": [0, (number + 1).to_string()]});
                let answer = json!({"data": {"result": [sample]}});
                Answer::with_body("application/json", answer.to_string())
            }
            _ => Answer::default().status(503),
        })
    });
    let url = format!("http://127.0.0.1:{}", prometheus.port());
    let said = assert_ended(&shared.roll(&["--to", "green", "--prometheus", &url]), 1);
    assert!(said.contains("green gets 5 %"), "{said}");
    assert!(said.contains("does not answer"), "{said}");
    assert_eq!(shared.share(), 0);
}

fn a_colour_that_nobody_knows_to_be_healthy_gets_nothing(shared: &Shared) {
    let nobody = ["--to", "green", "--labels", "job=\"elsewhere\""];
    let said = assert_ended(&shared.roll(&nobody), 2);
    assert!(said.contains("healthy"), "{said}");
    let unreachable = ["--to", "green", "--prometheus", "http://127.0.0.1:1"];
    let said = assert_ended(&shared.roll(&unreachable), 2);
    assert!(said.contains("does not answer"), "{said}");
    assert_eq!(shared.share(), 0);
}
