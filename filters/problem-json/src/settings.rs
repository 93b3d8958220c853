//! What a user may write.

use portcullis_kit::config::{Misread, Read, Setting};
use portcullis_kit::presets::Preset;
use portcullis_kit::table::Table;
use serde_json::Value;

/// Every error leaves as a problem document (RFC 9457), and nothing leaves with it that was not meant for clients.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The responses that are rewritten: classes (`4xx`, `5xx`) and status codes (`404`). Default: both classes.
    #[serde(default)]
    pub statuses: Option<Vec<StatusSet>>,
    /// The status that is sent in place of another one, by the upstream's status code. The document keeps that one as
    /// `upstream_status`.
    #[serde(default)]
    pub map_status: Table<String, u16>,
    /// `type` by status code: absolute URIs. Default: `about:blank`.
    #[serde(default)]
    pub types: Table<String, String>,
    /// What an error code in the upstream's body means, by that code.
    #[serde(default)]
    pub codes: Table<String, Code>,
    /// The languages of `title` and `detail`, the default first. `en` and `de` are there by themselves, others need `texts`.
    /// Default: `[en]`.
    #[serde(default)]
    pub languages: Option<Vec<String>>,
    /// Own titles and details, by language and then by status code.
    #[serde(default)]
    pub texts: Table<String, Table<String, Text>>,
    /// What `instance` names an occurrence by. Default: `request_id`.
    #[serde(default)]
    pub instance: Instance,
    /// `category` by status code, where it is not the default: `user` for 4xx; `external` for 502, 503, 504 and whatever the
    /// proxy says that the upstream failed at; else `system`.
    #[serde(default)]
    pub categories: Table<String, Category>,
    /// `retryable` by status code, where it is not the default: true for 408, 425, 429, 502, 503, 504. A response with
    /// `Retry-After` always is.
    #[serde(default)]
    pub retryable: Table<String, bool>,
    /// Whether the document tells when it was made, as `timestamp`. Default: no.
    #[serde(default)]
    pub timestamp: bool,
    /// What becomes of the upstream's error bodies.
    #[serde(default)]
    pub upstream: Upstream,
    /// What is taken out of texts that pass.
    #[serde(default)]
    pub redact: Redact,
    /// The formats that clients may ask for. Default: `[json, xml, html]`. With `[json]` alone nothing is negotiated and
    /// a request costs least.
    #[serde(default)]
    pub formats: Option<Vec<Format>>,
    /// How a body gets its place. Default: `replace`.
    #[serde(default)]
    pub body: Body,
    /// What becomes of errors without a body. Default: `reply`.
    #[serde(default)]
    pub empty: Empty,
    /// The preset of security-headers that replies to errors without a body follow (its headers, none that tell what the
    /// servers are made of, cookies hardened, CORS repaired), for where security-headers is a plugin of its own: the host
    /// shows it no such reply. Default: `off`.
    #[serde(default = "off")]
    pub reply_headers: Preset,
    /// Further response headers that are removed from errors, beside those that described the upstream's body.
    #[serde(default)]
    pub remove_headers: Vec<String>,
    /// Response headers that stay although frameworks send them for their developers, such as `x-error-type`. Default: none.
    #[serde(default)]
    pub keep_headers: Vec<String>,
}

/// A class (`4xx`, `5xx`) or a status code.
#[derive(Clone, Debug)]
pub struct StatusSet(pub String);

impl Read for StatusSet {
    fn read(&mut self, value: &Value) -> Result<(), Misread> {
        let mut code = 0_u64;
        self.0 = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) if code.read(value).is_ok() => code.to_string(),
            other => return Err(Misread::wrong_type(other, "`4xx`, `5xx` or a status code")),
        };
        Ok(())
    }
}

impl Setting for StatusSet {
    fn blank() -> Self {
        Self(String::new())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for StatusSet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StatusSet".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A class (`4xx`, `5xx`) or a status code.",
            "anyOf": [
                {"type": "string", "pattern": "^([45]xx|[45][0-9][0-9])$"},
                {"type": "integer", "minimum": 400, "maximum": 599},
            ],
        })
    }
}

fn off() -> Preset {
    Preset::Off
}

/// What an error code of the upstream means.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// `type`: an absolute URI.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// `title`, in place of the status phrase.
    #[serde(default)]
    pub title: Option<String>,
    /// `detail`, in place of what the upstream says.
    #[serde(default)]
    pub detail: Option<String>,
    /// The status that is sent. Only with `body: hold`: otherwise it has left before the code is known.
    #[serde(default)]
    pub status: Option<u16>,
}

/// Texts for a status.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The kind of problem, in a few words.
    #[serde(default)]
    pub title: Option<String>,
    /// What a client can do.
    #[serde(default)]
    pub detail: Option<String>,
}

/// What `instance` names an occurrence by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Instance {
    /// `urn:uuid:` and the request id, if that is a UUID.
    #[default]
    RequestId,
    /// This absolute URI and the request id after it.
    Prefix(String),
    /// Nothing.
    Off,
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The client's.
    User,
    /// The application's.
    System,
    /// Something's that the application depends on.
    External,
}

/// What becomes of the upstream's error bodies. HTML and plain text are always dropped; gRPC, gRPC-Web, Connect,
/// server-sent events and WebSocket are never touched.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// `keep` (default) leaves problem documents as they are, byte for byte; `enrich` adds ids that they lack.
    #[serde(default)]
    pub problem: KeepOrEnrich,
    /// `merge` (default) takes code, details and, for 4xx, the message out of JSON of known shapes; `drop` takes nothing.
    #[serde(default)]
    pub json: MergeOrDrop,
    /// `keep` (default) lets errors of OAuth 2.0 (RFC 6749) keep their members; `merge` treats them as other JSON.
    #[serde(default)]
    pub oauth: KeepOrMerge,
    /// Codes whose message passes although the status is 5xx.
    #[serde(default)]
    pub allow_server_text: Vec<String>,
    /// How much of a body is read, in bytes, 1024 to 1048576; of a longer one nothing is used. Default: 65536.
    #[serde(default = "max_bytes")]
    pub max_bytes: u32,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            problem: KeepOrEnrich::default(),
            json: MergeOrDrop::default(),
            oauth: KeepOrMerge::default(),
            allow_server_text: Vec::new(),
            max_bytes: max_bytes(),
        }
    }
}

fn max_bytes() -> u32 {
    65536
}

/// What is taken out of texts that pass. `[redacted]` stands in its place.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Redact {
    /// The built-in kinds that are looked for. Default: all of them.
    #[serde(default)]
    pub kinds: Option<Vec<String>>,
    /// Regular expressions of your own (the syntax of the crate regex-lite: no look-around, no back-references).
    #[serde(default)]
    pub patterns: Vec<String>,
    /// What the patterns mean. Default: `deny_list`.
    #[serde(default)]
    pub mode: RedactMode,
}

/// What the patterns of the settings mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RedactMode {
    /// What one finds is taken out.
    #[default]
    DenyList,
    /// Only texts that one matches as a whole pass, and the built-in kinds are still taken out of them.
    AllowList,
}

/// What becomes of problem documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeepOrEnrich {
    /// They stay as they are.
    #[default]
    Keep,
    /// They get `request_id` and `trace_id` where they have none.
    Enrich,
}

/// What becomes of JSON of known shapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MergeOrDrop {
    /// What is meant for clients passes.
    #[default]
    Merge,
    /// Nothing passes.
    Drop,
}

/// What becomes of errors of OAuth 2.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeepOrMerge {
    /// With `body: hold` a 4xx stays as it is, unless something in it is to be redacted. With `replace` its members stand in the document as they were.
    #[default]
    Keep,
    /// As other JSON.
    Merge,
}

/// A format of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `application/problem+json`; always there.
    Json,
    /// `application/problem+xml`, where only XML is acceptable.
    Xml,
    /// A small page, for the navigations of browsers.
    Html,
    /// `text/markdown`.
    Markdown,
}

/// How a body gets its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The headers leave first; the upstream's body is taken out as it comes. Works on every host.
    #[default]
    Replace,
    /// The headers wait for the body, so that they may depend on it. The plugin's configuration needs
    /// `allow_on_headers_stop_iteration: true`: without it such responses hang.
    Hold,
}

/// What becomes of errors without a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    /// A reply of the proxy's takes their place. Outer filters that are other plugins do not see it; see `reply_headers`.
    #[default]
    Reply,
    /// They stay without one.
    Leave,
}
