//! The filters this command knows. A later filter is one line in [`FILTERS`].

use std::cell::RefCell;

use audit_log::AuditLog;
use portcullis::Portcullis;
use portcullis_kit::Filter;
use portcullis_kit::chain::Bundle as _;
use portcullis_kit::config::{ConfigError, Environment, Path};
use portcullis_kit::metrics::NoMetrics;
use portcullis_kit::plugin::Plugin;
use problem_json::ProblemJson;
use rate_limit::RateLimit;
use request_tracing::RequestTracing;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use security_headers::SecurityHeaders;
use serde_json::Value;

/// Every filter of its own, outermost first.
pub static FILTERS: &[Entry] = &[
    Entry::of::<RequestTracing>(Place::Outer),
    Entry::of::<SecurityHeaders>(Place::Outer),
    Entry {
        waits: waits_for_records,
        ..Entry::of::<AuditLog>(Place::Evidence)
    },
    Entry {
        pauses: holds_errors,
        ..Entry::of::<ProblemJson>(Place::Errors)
    },
    Entry::of::<RateLimit>(Place::Decider),
];

/// Whether problem-json holds an error's headers until it has read the body, by the settings or one of their profiles.
fn holds_errors(settings: &Value) -> bool {
    let holds = |settings: &Value| settings.get("body").and_then(Value::as_str) == Some("hold");
    let profiles = settings.get("profiles").and_then(Value::as_object);
    holds(settings) || profiles.is_some_and(|profiles| profiles.values().any(holds))
}

/// Whether audit-log waits for a sink, or refuses requests for whose records there is no room.
fn waits_for_records(settings: &Value) -> bool {
    let waits = |settings: &Value| {
        let is_map = |value: Option<&Value>| value.is_some_and(Value::is_object);
        is_map(settings.get("fail_closed"))
            || settings
                .pointer("/delivery/queue/overflow")
                .and_then(Value::as_str)
                == Some("deny")
    };
    let profiles = settings.get("profiles").and_then(Value::as_object);
    waits(settings) || profiles.is_some_and(|profiles| profiles.values().any(waits))
}

/// The name of the plugin that runs them all.
pub const CHAIN: &str = "portcullis";

/// Where a filter stands among the others: the response phase of an outer one sees the replies of those inside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// What every response must pass: security-headers, request-tracing.
    Outer,
    /// What keeps evidence of every answer: audit-log.
    Evidence,
    /// What shapes errors: problem-json.
    Errors,
    /// What answers requests itself: rate-limit.
    Decider,
}

/// A filter of the bundle.
#[derive(Debug)]
pub struct Entry {
    /// Its `root_id`, and its key in route metadata.
    pub name: &'static str,
    pub place: Place,
    /// Whether these settings (the top and every profile) make it hold a message at its headers, which a host must be
    /// told of.
    pub pauses: fn(&Value) -> bool,
    /// Whether these settings (the top and every profile) make requests wait, or refuse them, for the sake of their records.
    pub waits: fn(&Value) -> bool,
    /// Whether it does its work as an access logger, too.
    pub logs_access: bool,
    load: fn(&Value, &dyn Environment) -> Result<(), ConfigError>,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

impl Entry {
    /// A filter that never holds a message at its headers.
    pub const fn of<F: Filter>(place: Place) -> Self
    where
        F::Settings: JsonSchema,
    {
        Self {
            name: F::NAME,
            place,
            pauses: |_| false,
            waits: |_| false,
            logs_access: F::LOGS_ACCESS,
            load: |settings, environment| {
                Plugin::<F>::load(settings, environment, &RefCell::new(NoMetrics)).map(|_| ())
            },
            schema: |generator| generator.subschema_for::<F::Settings>(),
        }
    }

    /// A filter that is only what it declares of itself.
    #[cfg(test)]
    pub const fn declared(name: &'static str, pauses: fn(&Value) -> bool) -> Self {
        Self {
            name,
            place: Place::Decider,
            pauses,
            waits: |_| false,
            logs_access: false,
            load: |_, _| Ok(()),
            schema: |_| Schema::default(),
        }
    }

    /// The key in the settings of the chain.
    pub fn key(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The schema of its own settings, without what all filters share.
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }
}

/// A plugin of one of our modules.
#[derive(Clone, Copy, Debug)]
pub enum Bundle {
    One(&'static Entry),
    Chain,
}

/// A filter that runs in a plugin, and where its settings stand in the plugin's.
pub struct Member<'a> {
    pub entry: &'static Entry,
    pub path: Path,
    pub settings: &'a Value,
}

impl Bundle {
    /// The plugin of a `root_id`.
    pub fn of_root_id(root_id: &str) -> Option<Self> {
        if root_id == CHAIN {
            return Some(Self::Chain);
        }
        FILTERS
            .iter()
            .find(|entry| entry.name == root_id)
            .map(Self::One)
    }

    /// The plugin of a module: `security_headers.wasm`, an URL that ends so, or an image such as
    /// `registry.example/security-headers:1.0`.
    pub fn of_module(location: &str) -> Option<Self> {
        let path = location.split(['?', '#', '@']).next()?;
        let file = path.rsplit(['/', '\\']).next()?;
        let stem = match file.strip_suffix(".wasm") {
            Some(stem) => stem,
            None => file.split(':').next()?,
        };
        Self::of_root_id(&stem.replace('_', "-"))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::One(entry) => entry.name,
            Self::Chain => CHAIN,
        }
    }

    /// Whether the module of this plugin runs that one when its `root_id` asks for it: the chain's runs each filter alone,
    /// too.
    pub fn hosts(self, other: Self) -> bool {
        matches!(self, Self::Chain) || self.name() == other.name()
    }

    /// All names that a `root_id` can have.
    pub fn names() -> Vec<&'static str> {
        FILTERS
            .iter()
            .map(|entry| entry.name)
            .chain([CHAIN])
            .collect()
    }

    /// Runs the plugin's own code on settings.
    pub fn load(self, settings: &Value, environment: &dyn Environment) -> Result<(), ConfigError> {
        match self {
            Self::One(entry) => (entry.load)(settings, environment),
            Self::Chain => {
                Portcullis::load(settings, environment, &RefCell::new(NoMetrics)).map(|_| ())
            }
        }
    }

    /// The filters that these settings run.
    pub fn members(self, settings: &Value) -> Vec<Member<'_>> {
        match self {
            Self::One(entry) => vec![Member {
                entry,
                path: Path::top(),
                settings,
            }],
            Self::Chain => FILTERS
                .iter()
                .filter_map(|entry| {
                    let settings = settings.get(entry.key())?;
                    Some(Member {
                        entry,
                        path: Path::top().key(entry.key()),
                        settings,
                    })
                })
                .collect(),
        }
    }
}
