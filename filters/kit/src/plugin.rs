//! One filter with all its profiles: which one a request gets, and what its mode lets happen.

use std::cell::RefCell;

use serde_json::Value;

use crate::chain::Bundle;
use crate::config::{ConfigError, Environment, Mistake, Path, from_value, merge, without};
use crate::exchange::{CalloutAnswer, CalloutId, Exchange, Worker};
use crate::filter::{Callbacks, Compiling, Filter, Flow, Mode};
use crate::gate::Gate;
use crate::metrics::Registry;
use crate::property;
use crate::routes::{Route, RouteTable};

/// The keys that every filter's settings have beside its own.
const SHARED_KEYS: [&str; 3] = ["mode", "profiles", "routes"];
/// The name of the settings at the top.
pub const DEFAULT: &str = "default";

/// A filter with its compiled profiles.
pub struct Plugin<F: Filter> {
    filter: F,
    /// The default first.
    profiles: Vec<Profile<F>>,
    routes: RouteTable,
}

struct Profile<F: Filter> {
    name: String,
    mode: Mode,
    compiled: F::Profile,
}

/// What one request remembers: the filter's own and the profile it got.
pub struct Stream<F: Filter> {
    profile: Option<usize>,
    own: F::Stream,
}

impl<F: Filter> Default for Stream<F> {
    fn default() -> Self {
        Self {
            profile: None,
            own: F::Stream::default(),
        }
    }
}

/// A rule about profiles.
#[derive(Debug)]
enum ProfileMistake {
    Nested,
    Reserved,
    Name,
}

impl std::fmt::Display for ProfileMistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nested => "a profile holds no `profiles` and no `routes`; write them at the top",
            Self::Reserved => "`default` is the name of the settings at the top; take another one",
            Self::Name => "a profile's name has 1 to 64 letters, digits, `-` and `_`",
        })
    }
}

impl<F: Filter> Plugin<F> {
    /// Compiles settings as a user wrote them. Paths in mistakes start at their top.
    pub fn load(
        settings: &Value,
        environment: &dyn Environment,
        registry: &RefCell<dyn Registry + '_>,
    ) -> Result<Self, ConfigError> {
        let written = Written::read(settings)?;
        let mut compiled = Vec::with_capacity(written.profiles.len());
        let routes =
            written.compile(F::NAME, environment, registry, &mut |profile, compiling| {
                let own = F::read(&profile.own).map_err(with_shared_keys)?;
                compiled.push(Profile {
                    name: profile.name.clone(),
                    mode: profile.mode,
                    compiled: F::compile(own, compiling)?,
                });
                Ok(())
            })?;
        let all: Vec<(&str, &F::Profile)> = compiled
            .iter()
            .map(|profile| (profile.name.as_str(), &profile.compiled))
            .collect();
        F::check(&all)?;
        let mut filter = F::start();
        filter.ready(&all);
        Ok(Self {
            filter,
            profiles: compiled,
            routes,
        })
    }

    /// The names of the profiles, the default first.
    pub fn profile_names(&self) -> impl Iterator<Item = &str> {
        self.profiles.iter().map(|profile| profile.name.as_str())
    }

    /// The settings at the top, as [`Plugin::profile`] gives them.
    pub fn default_profile(&self) -> Option<(Mode, &F::Profile)> {
        let profile = self.profiles.first()?;
        Some((profile.mode, &profile.compiled))
    }

    /// The filter's own state.
    pub fn filter(&self) -> &F {
        &self.filter
    }

    /// The profile that a request gets: its name, what its mode lets happen, and what it compiled to.
    pub fn profile<X: Exchange>(&self, exchange: &mut X) -> Option<(&str, Mode, &F::Profile)> {
        let profile = self.profiles.get(self.select(exchange))?;
        Some((&profile.name, profile.mode, &profile.compiled))
    }

    fn select<X: Exchange>(&self, exchange: &mut X) -> usize {
        if self.profiles.len() > 1 {
            let metadata = property::route_metadata(exchange);
            let named = [F::NAME, "profile"].into_iter().find_map(|key| {
                let name = metadata.get(key)?;
                self.profiles
                    .iter()
                    .position(|profile| profile.name.as_bytes() == name)
            });
            if let Some(found) = named {
                return found;
            }
        }
        if self.routes.is_empty() {
            return 0;
        }
        let request = exchange.request();
        self.routes.find(&request).unwrap_or(0)
    }

    /// Runs one callback under the request's profile and its mode.
    fn run<X: Exchange, T: Default>(
        &self,
        stream: &mut Stream<F>,
        exchange: &mut X,
        callback: impl FnOnce(&F, &F::Profile, &mut F::Stream, &mut Gate<'_, X>) -> T,
    ) -> T {
        let selected = match stream.profile {
            Some(selected) => selected,
            None => {
                let selected = self.select(exchange);
                stream.profile = Some(selected);
                selected
            }
        };
        match self.profiles.get(selected) {
            None => T::default(),
            Some(profile) if profile.mode == Mode::Off => T::default(),
            Some(profile) => callback(
                &self.filter,
                &profile.compiled,
                &mut stream.own,
                &mut Gate::new(exchange, profile.mode == Mode::Enforce),
            ),
        }
    }
}

/// What a user wrote, before a filter's own types see it. Not generic, so that a module with many filters has it once.
struct Written {
    /// The default first; each one laid over it already.
    profiles: Vec<WrittenProfile>,
    routes: Vec<Route>,
}

struct WrittenProfile {
    name: String,
    mode: Mode,
    own: Value,
}

impl Written {
    // Not inlined, as all that runs at load: inlined into a filter's crate, it would be optimised for speed.
    #[inline(never)]
    fn read(settings: &Value) -> Result<Self, ConfigError> {
        let Value::Object(top) = settings else {
            return Err(wrong(settings, Path::top()));
        };
        let base = without(top, &|key| key == "profiles" || key == "routes");
        let base = Value::Object(base);

        let mut written = vec![WrittenProfile::read(DEFAULT, &base)?];
        match top.get("profiles") {
            None | Some(Value::Null) => {}
            Some(Value::Object(profiles)) => {
                for (name, over) in profiles {
                    let here = Path::top().key("profiles").key(name.as_str());
                    check_profile(name, over, &here)?;
                    written.push(WrittenProfile::read(name, &merge(&base, over))?);
                }
            }
            Some(other) => return Err(wrong(other, Path::top().key("profiles"))),
        }
        let routes = match top.get("routes") {
            None | Some(Value::Null) => Vec::new(),
            Some(routes) => {
                from_value(routes).map_err(|error| error.below(Path::top().key("routes")))?
            }
        };
        Ok(Self {
            profiles: written,
            routes,
        })
    }

    /// Has every profile compiled, then the routes to them.
    #[inline(never)]
    fn compile(
        &self,
        filter: &'static str,
        environment: &dyn Environment,
        registry: &RefCell<dyn Registry + '_>,
        one: &mut dyn FnMut(&WrittenProfile, &Compiling<'_>) -> Result<(), ConfigError>,
    ) -> Result<RouteTable, ConfigError> {
        for profile in &self.profiles {
            let WrittenProfile { name, mode, .. } = profile;
            let compiling = Compiling::new(filter, name, *mode, environment, registry);
            one(profile, &compiling).map_err(|error| profile.place(error))?;
        }
        let names = self.profiles.iter().map(|profile| profile.name.as_str());
        RouteTable::compile(&self.routes, &names.collect::<Vec<_>>())
    }
}

impl WrittenProfile {
    fn read(name: &str, written: &Value) -> Result<Self, ConfigError> {
        let mut profile = Self {
            name: name.to_owned(),
            mode: Mode::default(),
            own: match written {
                Value::Object(map) => Value::Object(without(map, &|key| key == "mode")),
                other => other.clone(),
            },
        };
        if let Some(mode) = written.get("mode") {
            profile.mode = from_value(mode).map_err(|error: ConfigError| {
                profile.place(error.below(Path::top().key("mode")))
            })?;
        }
        Ok(profile)
    }

    /// A mistake of this profile, seen from the top. The default is checked first, so what is wrong in a profile was
    /// written there.
    #[inline(never)]
    fn place(&self, error: ConfigError) -> ConfigError {
        if self.name == DEFAULT {
            return error;
        }
        error.below(Path::top().key("profiles").key(self.name.as_str()))
    }
}

fn check_profile(name: &str, over: &Value, here: &Path) -> Result<(), ConfigError> {
    let Value::Object(map) = over else {
        return Err(wrong(over, here.clone()));
    };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name == DEFAULT {
        return Err(ConfigError::rule(here.clone(), ProfileMistake::Reserved));
    }
    // The name becomes a metric's label.
    if name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
        return Err(ConfigError::rule(here.clone(), ProfileMistake::Name));
    }
    for key in ["profiles", "routes"] {
        if map.contains_key(key) {
            return Err(ConfigError::rule(
                here.clone().key(key),
                ProfileMistake::Nested,
            ));
        }
    }
    Ok(())
}

/// The filter's own type does not know the keys that are read here.
#[inline(never)]
fn with_shared_keys(mut error: ConfigError) -> ConfigError {
    if error.path.segments().is_empty()
        && let Mistake::UnknownKey { allowed, .. } = &mut error.mistake
    {
        allowed.extend(SHARED_KEYS.map(Into::into));
    }
    error
}

pub(crate) fn wrong(found: &Value, path: Path) -> ConfigError {
    let found = match found {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    };
    ConfigError::new(
        path,
        Mistake::WrongType {
            found: found.to_owned(),
            expected: "a map".to_owned(),
        },
    )
}

impl<F: Filter> Bundle for Plugin<F> {
    const NAME: &'static str = F::NAME;
    const CALLBACKS: Callbacks = F::CALLBACKS;
    const SHARES_RESPONSE: bool = false;
    const LOGS_ACCESS: bool = F::LOGS_ACCESS;
    type Stream = Stream<F>;

    fn load(
        settings: &Value,
        environment: &dyn Environment,
        registry: &RefCell<dyn Registry + '_>,
    ) -> Result<Self, ConfigError> {
        Plugin::load(settings, environment, registry)
    }

    fn request_headers<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        end_of_stream: bool,
    ) -> Flow {
        self.run(stream, exchange, |filter, profile, own, gate| {
            let flow = filter.request_headers(profile, own, gate, end_of_stream);
            gate.allow(flow)
        })
    }

    fn request_body<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        size: usize,
        end_of_stream: bool,
    ) {
        self.run(stream, exchange, |filter, profile, own, gate| {
            filter.request_body(profile, own, gate, size, end_of_stream);
        });
    }

    fn response_headers<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        end_of_stream: bool,
    ) -> Flow {
        self.run(stream, exchange, |filter, profile, own, gate| {
            let flow = filter.response_headers(profile, own, gate, end_of_stream);
            gate.allow(flow)
        })
    }

    fn response_body<X: Exchange>(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut X,
        size: usize,
        end_of_stream: bool,
    ) -> Flow {
        self.run(stream, exchange, |filter, profile, own, gate| {
            let flow = filter.response_body(profile, own, gate, size, end_of_stream);
            gate.allow(flow)
        })
    }

    fn response_trailers<X: Exchange>(&self, stream: &mut Self::Stream, exchange: &mut X) -> Flow {
        self.run(stream, exchange, |filter, profile, own, gate| {
            let flow = filter.response_trailers(profile, own, gate);
            gate.allow(flow)
        })
    }

    fn finished<X: Exchange>(&self, stream: &mut Self::Stream, exchange: &mut X) {
        self.run(stream, exchange, |filter, profile, own, gate| {
            filter.finished(profile, own, gate);
        });
    }

    fn resume<X: Exchange>(&self, _: &mut Self::Stream, _: &mut X) -> Flow {
        Flow::Continue
    }

    fn log_access<X: Exchange>(&self, exchange: &mut X) {
        if F::LOGS_ACCESS {
            self.finished(&mut Stream::default(), exchange);
        }
    }

    fn tick_period_ms(&self) -> Option<u32> {
        self.filter.tick_period_ms()
    }

    fn tick<W: Worker>(&self, worker: &mut W) {
        self.filter.tick(worker);
    }

    fn stop<W: Worker>(&self, worker: &mut W) {
        self.filter.stop(worker);
    }

    fn callout<W: Worker>(&self, id: CalloutId, answer: &CalloutAnswer, worker: &mut W) {
        self.filter.callout(id, answer, worker);
    }
}

#[cfg(test)]
mod tests;
