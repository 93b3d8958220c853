//! Keys that api_key_auth takes in several places: a client chooses by which one it is known.

use ::rate_limit::settings::{Identity, Settings};
use portcullis_kit::config::Path;

use super::{Place, Told};
use crate::document::Node;

const NAMED: &str = "have api_key_auth name the client by `forwarding: {header: …}` and take that header with `trusted: true`, or keep one of its `key_sources`";

impl Place<'_> {
    /// An identity by a header that is one of several places for the same key.
    pub(super) fn keys(&self, settings: &Settings) -> Option<Told> {
        let sources: Vec<Vec<String>> = self
            .configurations(".ApiKeyAuth")
            .map(|config| config.field("key_sources").map(|list| list.items()))
            .map(|list| {
                list.unwrap_or_default()
                    .iter()
                    .map(|item| place(item))
                    .collect()
            })
            .collect();
        let mut identities = settings.identity.iter().enumerate();
        let (at, mine, other) = identities.find_map(|(at, identity)| match identity {
            Identity::Header(header) if header.hash => {
                let mine = format!("header: {}", header.name.to_ascii_lowercase());
                let sources = sources.iter().find(|sources| sources.contains(&mine))?;
                let other = sources.iter().find(|source| **source != mine)?;
                Some((at, mine, other))
            }
            _ => None,
        })?;
        Some(Told {
            setting: "identity",
            path: Path::top().key("identity").index(at).key("header"),
            message: format!(
                "a client counts as another one if it sends its key as `{other}`, not as `{mine}`: api_key_auth takes both"
            ),
            help: NAMED,
        })
    }
}

/// `header: x-api-key`, `query: key`, `cookie: key`.
fn place(source: &Node) -> String {
    let named = |kind: &str| Some(format!("{kind}: {}", source.text_at(&[kind])?));
    let header = source.text_at(&["header"]).map(str::to_ascii_lowercase);
    header
        .map(|name| format!("header: {name}"))
        .or_else(|| named("query"))
        .or_else(|| named("cookie"))
        .unwrap_or_default()
}
