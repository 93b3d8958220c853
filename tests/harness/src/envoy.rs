//! One running Envoy.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

use crate::admin::Admin;
use crate::artifacts::{self, Artifacts};
use crate::config::Config;
use crate::template::Template;
use crate::wait;

/// Five modules take a busy machine half a minute to compile.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// A proxy that serves. It ends when this is dropped, or with the test process.
#[derive(Debug)]
pub struct Envoy {
    child: Child,
    admin: Admin,
    ports: Mutex<BTreeMap<String, u16>>,
    version: u32,
    // Dropped last, after the process ended.
    artifacts: Artifacts,
}

/// Why an Envoy does not serve.
#[derive(Debug)]
pub enum StartError {
    /// No binary is named.
    NoBinary,
    /// The binary does not run, or a file cannot be written.
    Io(PathBuf, std::io::Error),
    /// It ended by itself: it refuses the configuration.
    Refused { status: ExitStatus, log: String },
    /// It runs and does not get ready.
    NotReady { log: String },
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoBinary => f.write_str(
                "ENVOY names no Envoy binary; run the suites by `make test`, which fetches one, or set ENVOY=/path/to/envoy",
            ),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Refused { status, log } => write!(f, "Envoy refused its configuration ({status}):\n{log}"),
            Self::NotReady { log } => write!(f, "Envoy does not get ready:\n{log}"),
        }
    }
}

impl std::error::Error for StartError {}

/// What came of new listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    Accepted,
    /// With the proxy's words.
    Rejected(String),
}

impl Envoy {
    /// Starts Envoy with this configuration and waits until it serves. `name` names its folder of artifacts.
    pub fn start(name: &str, config: &Config) -> Result<Self, StartError> {
        let artifacts = create(name)?;
        let bootstrap = config.bootstrap(artifacts.path());
        if config.live {
            let folder = artifacts.file("lds");
            fs::create_dir(&folder).map_err(io_at(&folder))?;
            write(
                &folder.join("listeners.json"),
                &config.discovery(artifacts.path(), 1),
            )?;
        }
        Self::launch(artifacts, &bootstrap, config.concurrency)
    }

    /// Starts Envoy with a changed configuration file.
    pub fn start_template(
        name: &str,
        template: &Template,
        concurrency: u32,
    ) -> Result<Self, StartError> {
        Self::launch(create(name)?, &template.0, concurrency)
    }

    /// Starts Envoy with a configuration that it must refuse: its exit status and its log. Panics if it serves.
    #[track_caller]
    pub fn refuse(name: &str, config: &Config) -> (ExitStatus, String) {
        match Self::start(name, config) {
            Ok(_) => panic!("Envoy serves with what it must refuse"),
            Err(StartError::Refused { status, log }) => (status, log),
            Err(error) => panic!("{error}"),
        }
    }

    fn launch(
        artifacts: Artifacts,
        bootstrap: &Value,
        concurrency: u32,
    ) -> Result<Self, StartError> {
        let config = artifacts.file("bootstrap.json");
        write(&config, bootstrap)?;
        let child = spawn(&artifacts, &config, concurrency)?;
        let mut envoy = Self {
            child,
            admin: Admin { port: 0 },
            ports: Mutex::default(),
            version: 1,
            artifacts,
        };
        let ready = wait::poll(START_DEADLINE, || envoy.look());
        match ready {
            Some(Ok(())) => Ok(envoy),
            Some(Err(status)) => Err(StartError::Refused {
                status,
                log: envoy.log(),
            }),
            None => Err(StartError::NotReady { log: envoy.log() }),
        }
    }

    /// Whether it serves, or ended; `None` if that is not yet known.
    fn look(&mut self) -> Option<Result<(), ExitStatus>> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(Err(status));
        }
        let address = fs::read_to_string(self.artifacts.file("admin.txt")).ok()?;
        self.admin.port = address.trim().rsplit_once(':')?.1.parse().ok()?;
        if !self.admin.is_ready() {
            return None;
        }
        *self.ports.lock().unwrap() = self.admin.listeners();
        Some(Ok(()))
    }

    /// How much memory it has (`VmRSS`), in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kilobytes.expect("a process has a resident set") * 1024
    }

    pub fn admin(&self) -> Admin {
        self.admin
    }

    /// The port of the listener of that name. Panics if there is none.
    #[track_caller]
    pub fn port(&self, listener: &str) -> u16 {
        let ports = self.ports.lock().unwrap().clone();
        *ports
            .get(listener)
            .unwrap_or_else(|| panic!("no listener {listener} among {ports:?}"))
    }

    /// All that it logged so far.
    pub fn log(&self) -> String {
        fs::read(self.artifacts.file("stderr.log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The JSON lines that it wrote to its standard output, where a shipped configuration sends its access log.
    pub fn output(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.artifacts.file("stdout.log")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The access log's lines of a listener so far.
    pub fn access_log(&self, listener: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.artifacts.file(&format!("access-{listener}.log")));
        let text = text.unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The lines that [`crate::Listener::access_log_line`] asked for so far.
    pub fn access_log_lines(&self, listener: &str) -> Vec<String> {
        let text = fs::read_to_string(self.artifacts.file(&format!("lines-{listener}.log")));
        let text = text.unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Asks it to end as a supervisor does first (SIGTERM), and waits for that.
    pub fn terminate(&mut self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.unwrap().success());
        self.wait_for_the_end();
    }

    /// Waits until it ended by itself.
    pub fn wait_for_the_end(&mut self) {
        wait::until("the proxy's end", || self.child.try_wait().unwrap());
    }

    /// The access log's line of the request with this `x-case`, as soon as it is written.
    #[track_caller]
    pub fn access_log_of(&self, listener: &str, case: &str) -> Value {
        wait::until("a line in the access log", || {
            self.access_log(listener)
                .into_iter()
                .find(|line| line["case"] == case)
        })
    }

    /// The folder of its files.
    pub fn folder(&self) -> &Path {
        self.artifacts.path()
    }

    /// Gives it other listeners and waits until it has taken or refused them. Only for a live [`Config`].
    #[track_caller]
    pub fn update(&mut self, config: &Config) -> Update {
        let rejected = self.rejections();
        self.version += 1;
        let next = self.artifacts.file("next.json");
        write(
            &next,
            &config.discovery(self.artifacts.path(), self.version),
        )
        .unwrap();
        // A watcher must never see half a file.
        fs::rename(&next, self.artifacts.file("lds/listeners.json")).unwrap();
        let version = self.version.to_string();
        let update = wait::until("the update", || {
            if self.rejections() > rejected {
                return Some(Update::Rejected(rejection(&self.admin.config_dump())));
            }
            is_active(&self.admin.config_dump(), &version).then_some(Update::Accepted)
        });
        *self.ports.lock().unwrap() = self.admin.listeners();
        update
    }

    fn rejections(&self) -> u64 {
        self.admin.stat("listener_manager.lds.update_rejected")
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // An error here means that it ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The part of a dump that tells of listeners that were updated.
fn listeners_dump(dump: &Value) -> Option<&Value> {
    dump["configs"]
        .as_array()?
        .iter()
        .find(|config| config["dynamic_listeners"].is_array())
}

fn dynamic_listeners(dump: &Value) -> &[Value] {
    listeners_dump(dump)
        .and_then(|dump| dump["dynamic_listeners"].as_array())
        .map_or(&[], Vec::as_slice)
}

/// Whether this version was taken and none of its listeners still warms.
fn is_active(dump: &Value, version: &str) -> bool {
    listeners_dump(dump).is_some_and(|dump| dump["version_info"] == version)
        && dynamic_listeners(dump)
            .iter()
            .all(|listener| listener["warming_state"].is_null())
}

/// The words of the last rejection.
fn rejection(dump: &Value) -> String {
    let details = |listener: &Value| Some(listener["error_state"]["details"].as_str()?.to_owned());
    dynamic_listeners(dump)
        .iter()
        .filter_map(details)
        .collect::<Vec<_>>()
        .join("\n")
}

fn create(name: &str) -> Result<Artifacts, StartError> {
    Artifacts::create(name).map_err(io_at(Path::new("tests/artifacts")))
}

fn io_at(path: &Path) -> impl FnOnce(std::io::Error) -> StartError + use<> {
    let path = path.to_owned();
    move |error| StartError::Io(path, error)
}

fn write(path: &Path, value: &Value) -> Result<(), StartError> {
    fs::write(path, format!("{value:#}")).map_err(io_at(path))
}

fn spawn(artifacts: &Artifacts, config: &Path, concurrency: u32) -> Result<Child, StartError> {
    let binary = std::env::var_os("ENVOY")
        .filter(|path| !path.is_empty())
        .ok_or(StartError::NoBinary)?;
    let binary = PathBuf::from(binary);
    let output = |name: &str| {
        let path = artifacts.file(name);
        File::create(&path).map_err(io_at(&path))
    };
    let mut command = ended_with_us(&binary);
    command
        .arg("--config-path")
        .arg(config)
        .arg("--admin-address-path")
        .arg(artifacts.file("admin.txt"))
        .args(["--concurrency", &concurrency.to_string()])
        .arg("--disable-hot-restart")
        .args(["--log-level", "warning"])
        .args(["--component-log-level", "wasm:info,config:info"])
        .args(["--file-flush-interval-msec", "20"])
        .args(["--drain-time-s", "1"])
        // Where relative paths in a configuration file start.
        .current_dir(artifacts::root())
        .stdin(Stdio::null())
        .stdout(output("stdout.log")?)
        .stderr(output("stderr.log")?);
    spawner::spawn(command).map_err(io_at(&binary))
}

/// The kernel ends a child with the *thread* that started it, and a test's thread is not the one that shares the proxy:
/// all are started by one thread that lives as long as the process.
mod spawner {
    use std::io;
    use std::process::{Child, Command};
    use std::sync::mpsc::{Sender, channel};
    use std::sync::{LazyLock, Mutex};

    type Job = (Command, Sender<io::Result<Child>>);

    static JOBS: LazyLock<Mutex<Sender<Job>>> = LazyLock::new(|| {
        let (jobs, received) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in received {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(jobs)
    });

    pub fn spawn(command: Command) -> io::Result<Child> {
        let (answer, child) = channel();
        JOBS.lock()
            .unwrap()
            .send((command, answer))
            .expect("the thread never ends");
        child.recv().expect("the thread answers")
    }
}

/// A killed test process runs no destructor; the kernel then ends the proxy where `setpriv` (util-linux) is installed.
fn ended_with_us(binary: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.is_file() {
        return Command::new(binary);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(binary);
    command
}
