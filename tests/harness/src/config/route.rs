//! Routes and what they say to filters.

use serde_json::{Value, json};

use super::UPSTREAM;
use crate::patch;

/// One route, to [`UPSTREAM`] by default.
#[derive(Clone, Debug)]
pub struct Route(pub(super) Value);

impl Route {
    /// By any `RouteMatch`.
    pub fn matching(matcher: Value) -> Self {
        Self(json!({"match": matcher, "route": {"cluster": UPSTREAM}}))
    }

    pub fn prefix(prefix: &str) -> Self {
        Self::matching(json!({"prefix": prefix}))
    }

    pub fn path(path: &str) -> Self {
        Self::matching(json!({"path": path}))
    }

    /// To another cluster.
    pub fn cluster(mut self, cluster: &str) -> Self {
        self.0["route"] = json!({"cluster": cluster});
        self
    }

    /// Answered by Envoy itself.
    pub fn direct(mut self, status: u16, body: &str) -> Self {
        patch::merge(
            &mut self.0,
            &json!({
                "route": null,
                "direct_response": {"status": status, "body": {"inline_string": body}},
            }),
        );
        self
    }

    /// Metadata under `portcullis`: `{"profile": NAME}` or `{FILTER: NAME}`.
    pub fn profile(mut self, metadata: &Value) -> Self {
        self.0["metadata"] = json!({"filter_metadata": {"portcullis": metadata}});
        self
    }

    /// A filter's own configuration on this route.
    pub fn per_filter(mut self, filter: &str, typed_config: Value) -> Self {
        self.0["typed_per_filter_config"][filter] = typed_config;
        self
    }

    /// The filter is off on this route.
    pub fn without(self, filter: &str) -> Self {
        self.per_filter(filter, filter_config(&json!({"disabled": true})))
    }

    /// The filter that is off by default is on on this route.
    pub fn with(self, filter: &str) -> Self {
        self.per_filter(filter, filter_config(&json!({"config": {}})))
    }

    /// Merges into the route.
    pub fn over(mut self, over: &Value) -> Self {
        patch::merge(&mut self.0, over);
        self
    }
}

fn filter_config(fields: &Value) -> Value {
    let mut config = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig"});
    patch::merge(&mut config, fields);
    config
}
