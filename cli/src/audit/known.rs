//! What a person knows beforehand: keys, and where emitters stood.

use std::collections::BTreeMap;
use std::fmt;

use audit_chain::verify::{self, Head};
use audit_chain::{Key, KeyError};

/// Why that is not known.
#[derive(Debug)]
pub enum Unknown {
    KeySource(String),
    Variable(String),
    KeyFile { file: String, error: std::io::Error },
    Key { id: String, error: KeyError },
    Head(String),
    Heads { file: String, error: std::io::Error },
    NoHeads(String),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // What was written could be a key: it is not repeated.
            Self::KeySource(id) => write!(
                f,
                "--key {id}=…: say where the key is, env:NAME or file:PATH; a key itself does not belong on a command line"
            ),
            Self::Variable(name) => {
                write!(f, "the environment has no variable {name} that is text")
            }
            Self::KeyFile { file, error } | Self::Heads { file, error } => {
                write!(f, "{file}: {error}")
            }
            Self::Key { id, error } => write!(f, "key {id:?}: {error}"),
            Self::Head(text) => write!(
                f,
                "--expect-head {text}: write EMITTER=SEQ or EMITTER=SEQ:HASH, as `portcullis audit verify` prints heads"
            ),
            Self::NoHeads(file) => write!(
                f,
                "{file}: no report of `portcullis audit verify --format json`: there is no `heads` of EMITTER: \"SEQ:HASH\" in it"
            ),
        }
    }
}

/// `ID=env:NAME` or `ID=file:PATH`. A file's last line break does not count.
pub fn key(text: &str) -> Result<Key, Unknown> {
    let (id, source) = text.split_once('=').unwrap_or(("ID", ""));
    let secret = if let Some(name) = source.strip_prefix("env:") {
        let value = std::env::var(name).map_err(|_| Unknown::Variable(name.to_owned()))?;
        value.into_bytes()
    } else if let Some(file) = source.strip_prefix("file:") {
        let mut bytes = std::fs::read(file).map_err(|error| Unknown::KeyFile {
            file: file.to_owned(),
            error,
        })?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        bytes
    } else {
        return Err(Unknown::KeySource(id.to_owned()));
    };
    Key::new(id, &secret).map_err(|error| Unknown::Key {
        id: id.to_owned(),
        error,
    })
}

/// `EMITTER=SEQ` or `EMITTER=SEQ:HASH`.
pub fn head(text: &str) -> Result<(String, Head), Unknown> {
    let head = text.split_once('=').and_then(|(emitter, head)| {
        let head = Head::from_text(head)?;
        Some((emitter.to_owned(), head))
    });
    head.ok_or_else(|| Unknown::Head(text.to_owned()))
}

/// The `heads` of an earlier report.
pub fn heads(file: &str) -> Result<BTreeMap<String, Head>, Unknown> {
    let text = std::fs::read(file).map_err(|error| Unknown::Heads {
        file: file.to_owned(),
        error,
    })?;
    let report = verify::parse(&text).ok();
    let heads = report.as_ref().and_then(|report| report.get("heads"));
    let heads = heads.and_then(|heads| heads.as_object());
    let heads = heads.and_then(|heads| {
        let each = heads.iter().map(|(emitter, head)| {
            let head = Head::from_text(head.as_str()?)?;
            Some((emitter.clone(), head))
        });
        each.collect()
    });
    heads.ok_or_else(|| Unknown::NoHeads(file.to_owned()))
}
