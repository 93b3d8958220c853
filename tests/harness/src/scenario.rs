//! The declarative files of `tests/scenarios`; their format is described in the README there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::artifacts;
use crate::expect::Expectations;
use crate::template::yaml;

/// Where a scenario can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The filter's own code, without wasm.
    Native,
    /// The compiled module in the in-process host.
    Host,
    /// The compiled module in a real Envoy.
    Envoy,
    /// The running harness of envoy/docker-compose.yaml, through its published ports.
    Harness,
}

/// Where a filter's scenarios run. The harness runs only what is written for it.
const EVERYWHERE: [Place; 3] = [Place::Native, Place::Host, Place::Envoy];
const NO_NARROWER: [Place; 4] = [Place::Native, Place::Host, Place::Envoy, Place::Harness];

/// One file: settings and the scenarios that share them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// The `root_id`: `security-headers`, `request-tracing`, `rate-limit` or `portcullis`. `shipped` stands for envoy/envoy.yaml.
    pub filter: String,
    pub settings: Value,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The client's connection is TLS.
    #[serde(default)]
    pub tls: bool,
    /// Merged into Envoy's HTTP connection manager.
    #[serde(default)]
    pub hcm: Value,
    #[serde(default = "everywhere")]
    pub on: Vec<Place>,
    pub scenarios: Vec<Scenario>,
    /// The file's path below `tests/scenarios`, without its ending; `-` for `/`.
    #[serde(skip)]
    pub name: String,
}

fn everywhere() -> Vec<Place> {
    EVERYWHERE.to_vec()
}

fn no_narrower() -> Vec<Place> {
    NO_NARROWER.to_vec()
}

/// One exchange and what must come of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// A sentence.
    pub name: String,
    /// Narrows the file's list.
    #[serde(default = "no_narrower")]
    pub on: Vec<Place>,
    #[serde(default)]
    pub route: RoutePart,
    #[serde(default)]
    pub request: RequestPart,
    #[serde(default)]
    pub upstream: UpstreamPart,
    pub expect: Expectations,
}

/// What the proxy's route says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutePart {
    /// Under the namespace `portcullis`.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub name: String,
}

/// The client's request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestPart {
    pub method: String,
    pub path: String,
    pub host: String,
    /// One map with one key per line; values have one character per byte.
    pub headers: Vec<BTreeMap<String, String>>,
    pub body: String,
}

impl Default for RequestPart {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            host: "api.example.com".to_owned(),
            headers: Vec::new(),
            body: String::new(),
        }
    }
}

/// The upstream's response.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamPart {
    pub status: u16,
    /// As in [`RequestPart`].
    pub headers: Vec<BTreeMap<String, String>>,
    pub body: String,
}

impl Default for UpstreamPart {
    fn default() -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: String::new(),
        }
    }
}

/// Header lines as bytes, in their order.
pub fn lines(headers: &[BTreeMap<String, String>]) -> Vec<(Vec<u8>, Vec<u8>)> {
    headers
        .iter()
        .map(|line| {
            assert_eq!(
                line.len(),
                1,
                "one header line is one map with one key: {line:?}"
            );
            let (name, value) = line.iter().next().unwrap();
            (name.clone().into_bytes(), bytes(value))
        })
        .collect()
}

/// One byte per character.
pub fn bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or_else(|_| panic!("{c:?} is not one byte")))
        .collect()
}

impl ScenarioFile {
    /// The scenarios that run at this place.
    pub fn at(&self, place: Place) -> impl Iterator<Item = &Scenario> {
        let here = self.on.contains(&place);
        self.scenarios
            .iter()
            .filter(move |scenario| here && scenario.on.contains(&place))
    }

    /// The module's file name in `dist/`, without `.wasm`.
    pub fn module(&self) -> String {
        self.filter.replace('-', "_")
    }
}

/// All files of `tests/scenarios`, in the order of their names. Panics, naming the file, if one is not of the format.
pub fn all() -> Vec<ScenarioFile> {
    let root = artifacts::root().join("tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&root)
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path()).filter(|path| path.is_dir()))
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no scenarios", root.display());
    files
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().with_extension("");
            let text = std::fs::read_to_string(path).unwrap();
            let file = yaml(&text).and_then(|value| {
                serde_json::from_value::<ScenarioFile>(value).map_err(|error| error.to_string())
            });
            let mut file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            file.name = name.to_string_lossy().replace('/', "-");
            file
        })
        .collect()
}
