//! From the bytes a host hands over to the settings a filter compiles.
//!
//! bytes (protobuf Struct or JSON text) → one [`serde_json::Value`] → profiles merged → typed settings, each step
//! strict and each mistake with its path.

mod error;
mod kinds;
mod log_line;
mod merge;
mod misread;
mod path;
mod protobuf;
mod read;
mod secret;
mod setting;

pub use error::{ConfigError, Mistake, Rule, nearest};
pub use log_line::{json_text, log_line, number_text, write_json, write_text};
pub use merge::merge;
pub(crate) use merge::without;
pub use misread::Misread;
pub use path::{Path, Segment};
pub use read::{fingerprint, parse, read};
pub use secret::Secret;
pub use setting::{Read, Setting, from_value};

/// What `#[derive(Setting)]` writes uses.
#[doc(hidden)]
pub mod derived {
    pub use super::misread::Misread;
    pub use super::setting::{Choice, Keys, Read, Record, Setting, Value, choice, record};
}

/// The environment in which `{env: NAME}` is looked up.
pub trait Environment {
    fn variable(&self, name: &str) -> Option<String>;

    /// SHA-256 of the plugin's whole configuration as it arrived, in hex; `None` where it is not known.
    fn configuration(&self) -> Option<&str> {
        None
    }
}

/// Environments that hold nothing, or what a test put there.
impl Environment for std::collections::BTreeMap<String, String> {
    fn variable(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}
