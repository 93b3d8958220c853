//! Metric names: `portcullis_<filter>_<what>_total`, labels only from closed sets known at load.

use std::rc::Rc;

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

/// The metrics that one VM defined. A host that is asked for a name again gives another number, and keeps both: with each new
/// settings there would be more of them, here and there.
#[derive(Debug, Default)]
pub struct Defined(Vec<(Kind, Rc<str>, u32)>);

impl Defined {
    /// The metric of that name; `define` asks the host for it.
    #[inline(never)]
    pub fn define(
        &mut self,
        kind: Kind,
        name: &str,
        define: &dyn Fn(Kind, &str) -> Option<u32>,
    ) -> MetricId {
        for (of, known, id) in &self.0 {
            if *of == kind && **known == *name {
                return MetricId(Some(*id));
            }
        }
        let id = define(kind, name);
        if let Some(id) = id {
            self.0.push((kind, name.into(), id));
        }
        MetricId(id)
    }

    /// The name of that metric.
    #[inline(never)]
    pub fn name(&self, id: u32) -> Option<Rc<str>> {
        let found = self.0.iter().find(|(.., known)| *known == id);
        found.map(|(_, name, _)| Rc::clone(name))
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
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_host_is_asked_once_for_each_name_and_again_where_it_refused() {
        let mut defined = Defined::default();
        let asked = Cell::new(0);
        let define = |_: Kind, _: &str| {
            asked.set(asked.get() + 1);
            Some(asked.get())
        };
        for _ in 0..100 {
            for (kind, name, id) in [
                (Kind::Counter, "b", 1),
                (Kind::Gauge, "b", 2),
                (Kind::Gauge, "a", 3),
            ] {
                assert_eq!(defined.define(kind, name, &define), MetricId(Some(id)));
            }
        }
        assert_eq!(asked.get(), 3);
        assert_eq!(defined.name(3).as_deref(), Some("a"));
        assert_eq!(defined.name(4), None);
        for answer in [None, Some(7)] {
            let again = defined.define(Kind::Gauge, "c", &|_, _| answer);
            assert_eq!(again, MetricId(answer));
        }
    }

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
