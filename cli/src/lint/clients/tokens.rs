//! Claims that no client has: nothing before rate-limit verifies a token, or keeps what is in it under that key.

use ::rate_limit::settings::{Claim, Identity, JWT_AUTHN, Settings, TierSource};
use portcullis_kit::config::Path;

use super::{Place, Told};
use crate::document::Node;

const TOKEN: &str = "put jwt_authn before rate-limit, or take the claim out";
const KEY: &str = "make the path's first key the `payload_in_metadata` of the provider whose tokens have the claim";

impl Place<'_> {
    /// The first claim that is nobody's.
    pub(super) fn tokens(&self, settings: &Settings) -> Option<Told> {
        // They wrap another filter, or choose one.
        let unknown = |kind: &str| {
            ["ExtensionWithMatcher", "Composite"]
                .iter()
                .any(|name| kind.ends_with(name))
        };
        if self.natives().any(unknown) {
            return None;
        }
        let filters: Vec<&Node> = self.configurations(".JwtAuthentication").collect();
        let keys: Vec<&str> = filters.iter().flat_map(|filter| keys(filter)).collect();
        let mut of_tokens = claims(settings)
            .into_iter()
            .filter(|(_, _, claim)| claim.metadata == JWT_AUTHN);
        let is_kept = |claim: &Claim| {
            let key = claim.path.first();
            key.is_some_and(|key| keys.contains(&key.as_str()))
        };
        let (setting, path, claim) = of_tokens.find(|(_, _, claim)| !is_kept(claim))?;
        let (message, help) = if filters.is_empty() {
            let none = "no client has this claim: no jwt_authn stands before this filter";
            (none.to_owned(), TOKEN)
        } else {
            let key = claim.path.first().map_or("", String::as_str);
            let kept = match keys.is_empty() {
                true => "none of its providers has one".to_owned(),
                false => format!("there is `{}`", keys.join("`, `")),
            };
            let none = "no client has this claim: the jwt_authn before this filter has no";
            (format!("{none} `payload_in_metadata: {key}`; {kept}"), KEY)
        };
        Some(Told {
            setting,
            path,
            message,
            help,
        })
    }
}

/// The keys under which the providers of a jwt_authn keep what a token holds.
fn keys(filter: &Node) -> Vec<&str> {
    let providers = filter.field("providers");
    let providers = providers.map(|map| map.entries()).unwrap_or_default();
    let kept = ["payload_in_metadata", "header_in_metadata"];
    providers
        .iter()
        .flat_map(|provider| kept.map(|field| provider.value.text_at(&[field])))
        .flatten()
        .filter(|key| !key.is_empty())
        .collect()
}

/// All claims: the setting at the profile's top, and where below the profile.
fn claims(settings: &Settings) -> Vec<(&'static str, Path, &Claim)> {
    let mut all = Vec::new();
    for (at, identity) in settings.identity.iter().enumerate() {
        if let Identity::JwtClaim(claim) = identity {
            let path = Path::top().key("identity").index(at).key("jwt_claim");
            all.push(("identity", path, claim));
        }
    }
    for (at, source) in settings.tier.from.iter().enumerate() {
        if let TierSource::JwtClaim(claim) = source {
            let path = Path::top().key("tier").key("from").index(at);
            all.push(("tier", path.key("jwt_claim"), claim));
        }
    }
    for (name, tier) in &settings.tiers {
        for (at, limit) in tier.limits.iter().enumerate() {
            if let Some(claim) = &limit.dynamic {
                let path = Path::top().key("tiers").key(name.as_str()).key("limits");
                all.push(("tiers", path.index(at).key("dynamic"), claim));
            }
        }
    }
    all
}
