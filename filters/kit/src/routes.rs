//! Which profile a request gets.
//!
//! 1. The matched route's metadata `portcullis: {<filter>: NAME}`.
//! 2. Else its metadata `portcullis: {profile: NAME}`.
//! 3. Else the first entry of the plugin's own `routes:` that matches.
//! 4. Else the default.
//!
//! A name that this plugin does not define is passed over: the same metadata serves several filters.

use crate::config::Setting;

use crate::config::{ConfigError, Mistake, Path};
use crate::glob::{HostPattern, PathTemplate, path_only};
use crate::headers::{Headers, is_token};

/// One entry of `routes:`. Everything that is given must match; in a list, one of it.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The profile that a matching request gets; `default` for the settings at the top.
    pub profile: String,
    /// Hosts: exact, `*.example.com`, `example.*` or `*`. The port counts only if it is written.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Paths, without the query.
    #[serde(default)]
    pub paths: Vec<PathMatch>,
    /// Methods, such as `GET`.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Request headers.
    #[serde(default)]
    pub headers: Vec<HeaderMatch>,
}

/// How a path is matched.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// The path's beginning, at a segment's end: `/v1` matches `/v1` and `/v1/x`, not `/v10`.
    Prefix(String),
    /// Segments, `{name}` for any one, a last `{name...}` for the rest: `/users/{id}`.
    Template(String),
}

/// How a request header is matched.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    /// The header's name.
    pub name: String,
    /// The whole value of one of its lines. Without it the header must only be there.
    #[serde(default)]
    pub exact: Option<String>,
}

/// What is wrong with an entry of `routes:`.
#[derive(Debug, Clone, Copy)]
enum RouteMistake {
    Host,
    Path,
    Template,
    Method,
    HeaderName,
    Empty,
}

impl std::fmt::Display for RouteMistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Host => "not a host pattern; write `api.example.com`, `*.example.com`, `example.*` or `*`",
            Self::Path => "a path starts with `/` and holds no `?` and no `#`",
            Self::Template => {
                "not a path template; write `/users/{id}`, and `{name...}` only as the last segment"
            }
            Self::Method => "not a method; write it in capitals, such as `GET`",
            Self::HeaderName => "not a header name (RFC 9110 section 5.1)",
            Self::Empty => "this entry matches every request and hides those after it; give hosts, paths, methods or headers, or make it the last",
        })
    }
}

/// The compiled `routes:`; each entry gives the index of a profile.
#[derive(Debug, Default)]
pub struct RouteTable(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    profile: usize,
    hosts: Vec<HostPattern>,
    paths: Vec<CompiledPath>,
    methods: Vec<String>,
    headers: Vec<HeaderMatch>,
}

#[derive(Debug)]
enum CompiledPath {
    Exact(String),
    Prefix(String),
    Template(PathTemplate),
}

impl RouteTable {
    /// Compiles the list; an entry's profile is one of these names.
    #[inline(never)]
    pub fn compile(routes: &[Route], names: &[&str]) -> Result<Self, ConfigError> {
        let mut entries = Vec::with_capacity(routes.len());
        for (at, route) in routes.iter().enumerate() {
            let here = || Path::top().key("routes").index(at);
            let profile = names.iter().position(|name| *name == route.profile);
            let profile = profile.ok_or_else(|| {
                ConfigError::new(
                    here().key("profile"),
                    Mistake::UnknownProfile {
                        name: route.profile.clone(),
                        defined: names.iter().map(|name| (*name).to_owned()).collect(),
                    },
                )
            })?;
            let entry = Entry::compile(route, profile).map_err(|error| error.below(here()))?;
            if entry.matches_all() && at + 1 < routes.len() {
                return Err(ConfigError::rule(here(), RouteMistake::Empty));
            }
            entries.push(entry);
        }
        Ok(Self(entries))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The profile of the first entry that matches these request headers.
    #[inline]
    pub fn find(&self, request: &Headers) -> Option<usize> {
        let host = request
            .get(":authority")
            .or_else(|| request.get("host"))
            .unwrap_or_default();
        let path = path_only(request.get(":path").unwrap_or_default());
        let method = request.get(":method").unwrap_or_default();
        self.0
            .iter()
            .find(|entry| entry.matches(host, path, method, request))
            .map(|entry| entry.profile)
    }
}

impl Entry {
    fn compile(route: &Route, profile: usize) -> Result<Self, ConfigError> {
        let here = |list: &str, at: usize| Path::top().key(list).index(at);
        let refuse = |list, at, mistake: RouteMistake| ConfigError::rule(here(list, at), mistake);
        let mut hosts = Vec::with_capacity(route.hosts.len());
        for (at, host) in route.hosts.iter().enumerate() {
            let parsed = HostPattern::parse(host);
            hosts.push(parsed.ok_or_else(|| refuse("hosts", at, RouteMistake::Host))?);
        }
        let mut paths = Vec::with_capacity(route.paths.len());
        for (at, path) in route.paths.iter().enumerate() {
            let compiled = CompiledPath::compile(path);
            paths.push(compiled.map_err(|error| error.below(here("paths", at)))?);
        }
        for (at, method) in route.methods.iter().enumerate() {
            if !is_token(method.as_bytes()) || method.bytes().any(|b| b.is_ascii_lowercase()) {
                return Err(refuse("methods", at, RouteMistake::Method));
            }
        }
        for (at, header) in route.headers.iter().enumerate() {
            let name = header.name.strip_prefix(':').unwrap_or(&header.name);
            if !is_token(name.as_bytes()) {
                let path = here("headers", at).key("name");
                return Err(ConfigError::rule(path, RouteMistake::HeaderName));
            }
        }
        Ok(Self {
            profile,
            hosts,
            paths,
            methods: route.methods.clone(),
            headers: route.headers.clone(),
        })
    }

    fn matches_all(&self) -> bool {
        self.hosts.is_empty()
            && self.paths.is_empty()
            && self.methods.is_empty()
            && self.headers.is_empty()
    }

    #[inline]
    fn matches(&self, host: &[u8], path: &[u8], method: &[u8], request: &Headers) -> bool {
        (self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(host)))
            && (self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(path)))
            && (self.methods.is_empty()
                || self.methods.iter().any(|name| name.as_bytes() == method))
            && self.headers.iter().all(|header| match &header.exact {
                None => request.contains(&header.name),
                Some(exact) => request
                    .get_all(&header.name)
                    .any(|value| value == exact.as_bytes()),
            })
    }
}

/// A list of paths, compiled.
#[derive(Debug, Default)]
pub struct Paths(Vec<CompiledPath>);

impl Paths {
    /// # Errors
    /// What is wrong with which of them; the path starts at the list.
    pub fn compile(paths: &[PathMatch]) -> Result<Self, ConfigError> {
        let mut compiled = Vec::with_capacity(paths.len());
        for (at, path) in paths.iter().enumerate() {
            let path = CompiledPath::compile(path);
            compiled.push(path.map_err(|error| error.below(Path::top().index(at)))?);
        }
        Ok(Self(compiled))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them matches a request target.
    #[inline]
    pub fn match_target(&self, target: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let path = path_only(target);
        self.0.iter().any(|pattern| pattern.matches(path))
    }
}

impl CompiledPath {
    /// The path of an error starts at the kind: `template`.
    fn compile(path: &PathMatch) -> Result<Self, ConfigError> {
        let legal = |path: &String| path.starts_with('/') && !path.contains(['?', '#']);
        let (kind, mistake) = match path {
            PathMatch::Exact(path) if legal(path) => return Ok(Self::Exact(path.clone())),
            PathMatch::Prefix(path) if legal(path) => return Ok(Self::Prefix(path.clone())),
            PathMatch::Exact(_) => ("exact", RouteMistake::Path),
            PathMatch::Prefix(_) => ("prefix", RouteMistake::Path),
            PathMatch::Template(template) => match PathTemplate::parse(template) {
                Some(template) => return Ok(Self::Template(template)),
                None => ("template", RouteMistake::Template),
            },
        };
        Err(ConfigError::rule(Path::top().key(kind), mistake))
    }

    #[inline]
    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => path == exact.as_bytes(),
            Self::Prefix(prefix) => path.strip_prefix(prefix.as_bytes()).is_some_and(|rest| {
                rest.is_empty() || prefix.ends_with('/') || rest.starts_with(b"/")
            }),
            Self::Template(template) => template.matches(path),
        }
    }
}
