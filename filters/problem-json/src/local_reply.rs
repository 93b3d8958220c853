//! What the proxy itself says where it answers with an error: the documents of its `local_reply_config`.
//!
//! No filter sees an answer to a request that is broken before there are headers, so the proxy has to know the words.

use crate::answer::{category, category_name, is_retryable};
use crate::document::ABOUT_BLANK;
use crate::profile::Profile;

/// The members of a document that only the status decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalReply<'p> {
    /// As it is sent.
    pub status: u16,
    /// The proxy's own, where another one is sent.
    pub upstream_status: Option<u16>,
    pub kind: &'p str,
    pub title: &'p str,
    /// Empty for none.
    pub detail: &'p str,
    pub category: &'static str,
    pub retryable: bool,
}

impl Profile {
    /// What is said of an error of the proxy's with this status, in the profile's first language; `None` where such errors
    /// stay as they are.
    pub fn local_reply(&self, status: u16) -> Option<LocalReply<'_>> {
        if !self.statuses.contains(status) {
            return None;
        }
        let sent = self.map_status.get(&status).copied().unwrap_or(status);
        let language = self.languages.first()?;
        Some(LocalReply {
            status: sent,
            upstream_status: (sent != status).then_some(status),
            kind: self.types.get(&status).map_or(ABOUT_BLANK, String::as_str),
            title: language.title(sent),
            detail: language.detail(sent),
            category: category_name(category(self, status, || false)),
            retryable: is_retryable(self, status),
        })
    }

    /// The statuses that the settings say something about.
    pub fn named_statuses(&self) -> impl Iterator<Item = u16> {
        let texts = self.languages.first().map(|language| &language.overrides);
        let texts = texts.into_iter().flatten().map(|own| own.status);
        let maps = self.map_status.keys().chain(self.types.keys());
        let maps = maps.chain(self.categories.keys());
        maps.chain(self.retryable.keys()).copied().chain(texts)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use portcullis_kit::metrics::NoMetrics;
    use portcullis_kit::plugin::Plugin;
    use serde_json::json;

    use crate::ProblemJson;

    struct Nothing;
    impl portcullis_kit::config::Environment for Nothing {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }
    }

    #[test]
    fn the_words_of_a_local_reply_are_those_of_the_settings() {
        let settings = json!({
            "statuses": ["5xx", "404"],
            "map_status": {"502": 503},
            "types": {"502": "https://example.com/gone"},
            "texts": {"en": {"503": {"title": "Away"}}},
            "categories": {"502": "system"},
            "retryable": {"502": false},
        });
        let plugin =
            Plugin::<ProblemJson>::load(&settings, &Nothing, &RefCell::new(NoMetrics)).unwrap();
        let (_, profile) = plugin.default_profile().unwrap();
        assert_eq!(profile.local_reply(400), None);
        let reply = profile.local_reply(502).unwrap();
        assert_eq!((reply.status, reply.upstream_status), (503, Some(502)));
        assert_eq!(
            (reply.kind, reply.title),
            ("https://example.com/gone", "Away")
        );
        assert_eq!((reply.category, reply.retryable), ("system", false));
        let plain = profile.local_reply(404).unwrap();
        assert_eq!((plain.status, plain.upstream_status), (404, None));
        assert_eq!((plain.kind, plain.title), ("about:blank", "Not Found"));
        assert_eq!((plain.category, plain.retryable), ("user", false));
        let mut named: Vec<u16> = profile.named_statuses().collect();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named, [502, 503]);
    }
}
