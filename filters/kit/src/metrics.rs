//! Metric names: `portcullis_<filter>_<what>_total`, labels only from closed sets known at load.

/// A metric the host knows, or none where the host refused it: counting is never a reason to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MetricId(pub Option<u32>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Where metrics are defined, at configure time. Defining a name again gives the same metric.
pub trait Registry {
    fn define(&mut self, kind: Kind, name: &str) -> MetricId;
}

/// A registry for settings that are only checked.
pub struct NoMetrics;

impl Registry for NoMetrics {
    fn define(&mut self, _: Kind, _: &str) -> MetricId {
        MetricId(None)
    }
}

/// The host's name of a metric. proxy-wasm has no labels, so they follow the name as `.label=value`, and Envoy's
/// `stats_config.stats_tags` cuts them out again by `(\.label=(.*?))(\.|$)`.
pub fn name(
    filter: &str,
    kind: Kind,
    what: &str,
    labels: &[(&str, &str)],
    profile: &str,
) -> String {
    let mut name = format!("portcullis_{}_{what}", filter.replace('-', "_"));
    if kind == Kind::Counter {
        name.push_str("_total");
    }
    for (label, value) in labels.iter().chain(&[("profile", profile)]) {
        name.push('.');
        name.push_str(label);
        name.push('=');
        // A dot would end the label for the tag expression.
        name.extend(value.chars().map(|c| if c == '.' { '_' } else { c }));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_carries_its_labels_in_the_order_given_and_the_profile_last() {
        assert_eq!(
            name(
                "security-headers",
                Kind::Counter,
                "csrf",
                &[("outcome", "refused")],
                "v1.2"
            ),
            "portcullis_security_headers_csrf_total.outcome=refused.profile=v1_2"
        );
    }
}
