//! Headers that tell a client what a server is made of.
//!
//! The names are those of the OWASP Secure Headers Project, "Prevent information disclosure via HTTP headers".

/// OWASP's names, in lower case and order.
pub const OWASP: [&str; 88] = [
    "$wsep",
    "host-header",
    "k-proxy-request",
    "liferay-portal",
    "oraclecommercecloud-version",
    "pega-host",
    "powered-by",
    "product",
    "server",
    "sourcemap",
    "teamcity-node-id",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-atmosphere-error",
    "x-atmosphere-first-request",
    "x-atmosphere-tracking-id",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-backside-transport",
    "x-beserver",
    "x-calculatedbetarget",
    "x-cf-powered-by",
    "x-cms",
    "x-cocoon-version",
    "x-content-encoded-by",
    "x-datadog-origin",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-tags",
    "x-datadog-trace-id",
    "x-diaginfo",
    "x-dtagentid",
    "x-dthealthcheck",
    "x-dtinjectedservlet",
    "x-envoy-attempt-count",
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-original-dst-host",
    "x-envoy-upstream-service-time",
    "x-feserver",
    "x-framework",
    "x-generated-by",
    "x-generator",
    "x-gitlab-meta",
    "x-jitsi-release",
    "x-joomla-version",
    "x-kong-admin-latency",
    "x-kong-client-latency",
    "x-kong-proxy-latency",
    "x-kong-request-id",
    "x-kong-response-latency",
    "x-kong-third-party-latency",
    "x-kong-total-latency",
    "x-kong-upstream-latency",
    "x-kong-upstream-status",
    "x-kubernetes-pf-flowschema-ui",
    "x-kubernetes-pf-prioritylevel-uid",
    "x-litespeed-cache",
    "x-litespeed-cache-control",
    "x-litespeed-purge",
    "x-litespeed-tag",
    "x-litespeed-vary",
    "x-mod-pagespeed",
    "x-nextjs-cache",
    "x-nextjs-matched-path",
    "x-nextjs-page",
    "x-nextjs-redirect",
    "x-old-content-length",
    "x-oneagent-js-injection",
    "x-owa-version",
    "x-page-speed",
    "x-php-version",
    "x-powered-by",
    "x-powered-by-plesk",
    "x-powered-cms",
    "x-redirect-by",
    "x-ruxit-js-agent",
    "x-server-powered-by",
    "x-sourcefiles",
    "x-sourcemap",
    "x-turbo-charged-by",
    "x-tyk-trace-id",
    "x-umbraco-version",
    "x-varnish-backend",
    "x-varnish-server",
    "x-woodpecker-version",
];

/// OWASP writes `X-Kubernetes-PF-FlowSchema-UI`; Kubernetes sends this.
const KUBERNETES_FLOW_SCHEMA: &str = "x-kubernetes-pf-flowschema-uid";

/// All names that are removed by default.
pub fn all() -> impl Iterator<Item = &'static str> {
    OWASP.into_iter().chain([KUBERNETES_FLOW_SCHEMA])
}

/// Whether that header, in lower case, is removed by default.
pub fn is_listed(name: &str) -> bool {
    all().any(|listed| listed == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_in_lower_case_and_without_doubles() {
        assert!(OWASP.is_sorted_by(|a, b| a < b));
        assert!(all().all(|name| name == name.to_ascii_lowercase()));
    }

    #[test]
    fn what_a_client_needs_is_not_on_the_list() {
        for needed in [
            "content-type",
            "set-cookie",
            "location",
            "x-request-id",
            "traceparent",
            "etag",
        ] {
            assert!(!is_listed(needed));
        }
        assert!(is_listed("server") && is_listed("x-powered-by") && is_listed("$wsep"));
    }
}
