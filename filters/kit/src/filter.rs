//! The trait every filter implements.

use std::cell::RefCell;

use serde_json::Value;

use crate::config::{ConfigError, Environment, Mistake, Path, Setting, from_value};
use crate::exchange::{CalloutAnswer, CalloutId, Exchange, Worker};
use crate::metrics::{Kind, MetricId, Registry};

/// What the host does after a callback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// Goes on with the next filter.
    #[default]
    Continue,
    /// Waits. Never from response headers, unless the settings say that the host can.
    Pause,
    /// The filter replied; the request goes no further.
    Replied,
}

/// What a filter's profile does with its decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Decides and acts.
    #[default]
    Enforce,
    /// Decides, counts and logs, and changes nothing that the client or the upstream can see.
    Shadow,
    /// Does nothing.
    Off,
}

/// The host callbacks a filter needs. The linker's last step removes every other one from the module, because the
/// host pays for each that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callbacks(u32);

impl Callbacks {
    pub const NONE: Self = Self(0);
    pub const REQUEST_HEADERS: Self = Self(1);
    pub const REQUEST_BODY: Self = Self(1 << 1);
    pub const REQUEST_TRAILERS: Self = Self(1 << 2);
    pub const RESPONSE_HEADERS: Self = Self(1 << 3);
    pub const RESPONSE_BODY: Self = Self(1 << 4);
    pub const RESPONSE_TRAILERS: Self = Self(1 << 5);
    /// [`Filter::finished`].
    pub const LOG: Self = Self(1 << 6);
    pub const TICK: Self = Self(1 << 7);
    pub const CALLOUT: Self = Self(1 << 8);

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The form in which a module carries them to the linking step.
    pub const fn bits(self) -> u32 {
        self.0
    }

    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

/// What a filter has at hand while its settings are compiled.
pub struct Compiling<'a> {
    filter: &'static str,
    profile: &'a str,
    mode: Mode,
    environment: &'a dyn Environment,
    registry: &'a RefCell<dyn Registry + 'a>,
}

impl<'a> Compiling<'a> {
    pub fn new(
        filter: &'static str,
        profile: &'a str,
        mode: Mode,
        environment: &'a dyn Environment,
        registry: &'a RefCell<dyn Registry + 'a>,
    ) -> Self {
        Self {
            filter,
            profile,
            mode,
            environment,
            registry,
        }
    }

    /// The filter's name.
    pub fn filter(&self) -> &'static str {
        self.filter
    }

    /// The profile's name; `default` for the settings at the top.
    pub fn profile(&self) -> &str {
        self.profile
    }

    /// What happens to the profile's decisions: a filter that counts them says whether they had an effect.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The environment in which secrets given as `{env: NAME}` are looked up.
    pub fn environment(&self) -> &dyn Environment {
        self.environment
    }

    /// The environment variable that a setting names by `env` at that path; refused where it is missing or empty.
    #[inline(never)]
    pub fn secret(&self, variable: &str, path: &Path) -> Result<String, ConfigError> {
        let value = self.environment.variable(variable);
        value.filter(|value| !value.is_empty()).ok_or_else(|| {
            let name = variable.to_owned();
            ConfigError::new(path.clone().key("env"), Mistake::NoSuchVariable { name })
        })
    }

    /// A counter `portcullis_<filter>_<what>_total` with the labels given and `profile`. Labels come from closed sets.
    pub fn counter(&self, what: &str, labels: &[(&str, &str)]) -> MetricId {
        self.define(Kind::Counter, what, labels)
    }

    pub fn gauge(&self, what: &str, labels: &[(&str, &str)]) -> MetricId {
        self.define(Kind::Gauge, what, labels)
    }

    pub fn histogram(&self, what: &str, labels: &[(&str, &str)]) -> MetricId {
        self.define(Kind::Histogram, what, labels)
    }

    #[inline(never)]
    fn define(&self, kind: Kind, what: &str, labels: &[(&str, &str)]) -> MetricId {
        let name = crate::metrics::name(self.filter, kind, what, labels, self.profile);
        self.registry.borrow_mut().define(kind, &name)
    }
}

/// One filter: settings → decision → effects.
///
/// `&self` holds what all requests on one worker share; use `Cell`/`RefCell`, a VM has one thread. Each profile of
/// the settings is compiled once, at load; a request sees the profile that its route chose.
pub trait Filter: Sized {
    /// The name in settings, route metadata and metrics: `security-headers`.
    const NAME: &'static str;
    const CALLBACKS: Callbacks;
    /// Whether the plugin also works as an access logger: [`Filter::finished`] then runs with a stream of its own, for
    /// requests that no other callback saw.
    const LOGS_ACCESS: bool = false;
    /// What a user may write (`#[derive(Setting)]`), without `mode`, `profiles` and `routes`, which the
    /// [`crate::plugin`] reads for every filter.
    type Settings: Setting;
    /// What requests use.
    type Profile;
    /// What one request remembers between callbacks.
    type Stream: Default;

    /// What all profiles share on one worker.
    fn start() -> Self;

    /// Reads one profile's settings. A filter that is compiled for size reads them in a function of its own that is not
    /// generic: else they are read in the crate of its module, which is compiled for speed.
    ///
    /// # Errors
    /// What is wrong, with its path from the top of the profile.
    fn read(settings: &Value) -> Result<Self::Settings, ConfigError> {
        from_value(settings)
    }

    /// Compiles one profile. Everything known at load is computed here; every mistake is refused here.
    fn compile(
        settings: Self::Settings,
        compiling: &Compiling<'_>,
    ) -> Result<Self::Profile, ConfigError>;

    /// Refuses what no profile shows alone. Each profile comes with its name, the default first.
    ///
    /// # Errors
    /// What is wrong, with its path from the top of the settings.
    fn check(_profiles: &[(&str, &Self::Profile)]) -> Result<(), ConfigError> {
        Ok(())
    }

    /// All profiles were accepted: sets up what they share on this worker. The default profile comes first.
    fn ready(&mut self, _profiles: &[(&str, &Self::Profile)]) {}

    fn request_headers<X: Exchange>(
        &self,
        _profile: &Self::Profile,
        _stream: &mut Self::Stream,
        _exchange: &mut X,
        _end_of_stream: bool,
    ) -> Flow {
        Flow::Continue
    }

    /// A piece of the request's body on its way to the upstream, which can be read and neither changed nor held. No header
    /// can be read here.
    fn request_body<X: Exchange>(
        &self,
        _profile: &Self::Profile,
        _stream: &mut Self::Stream,
        _exchange: &mut X,
        _size: usize,
        _end_of_stream: bool,
    ) {
    }

    /// The stream may be its default, where a host runs the response phase alone. (Envoy does not: a reply made before
    /// this filter saw the request passes it by.)
    fn response_headers<X: Exchange>(
        &self,
        _profile: &Self::Profile,
        _stream: &mut Self::Stream,
        _exchange: &mut X,
        _end_of_stream: bool,
    ) -> Flow {
        Flow::Continue
    }

    fn response_body<X: Exchange>(
        &self,
        _profile: &Self::Profile,
        _stream: &mut Self::Stream,
        _exchange: &mut X,
        _size: usize,
        _end_of_stream: bool,
    ) -> Flow {
        Flow::Continue
    }

    /// The response ends with trailers: its last body callback did not say that it was the last. What the body callbacks
    /// paused for can still be changed.
    fn response_trailers<X: Exchange>(
        &self,
        _profile: &Self::Profile,
        _stream: &mut Self::Stream,
        _exchange: &mut X,
    ) -> Flow {
        Flow::Continue
    }

    /// After the response's end, the client's abort or the upstream's death. Both header maps can be read.
    fn finished<X: Exchange>(
        &self,
        _profile: &Self::Profile,
        _stream: &mut Self::Stream,
        _exchange: &mut X,
    ) {
    }

    /// How often [`Filter::tick`] is wanted, in milliseconds; the shortest of a chain's filters is asked of the host.
    fn tick_period_ms(&self) -> Option<u32> {
        None
    }

    fn tick<W: Worker>(&self, _worker: &mut W) {}

    /// The plugin's configuration ends on this worker, because the proxy does or another takes its place. What is logged is
    /// written; what is sent is not, if the proxy ends.
    fn stop<W: Worker>(&self, _worker: &mut W) {}

    fn callout<W: Worker>(&self, _id: CalloutId, _answer: &CalloutAnswer, _worker: &mut W) {}
}
