//! Prometheus' text format, as far as counters need it.

/// The sum of a metric's samples that have these labels, maybe others too. `name` is as filters name metrics: `metric.label=value.label=value`.
/// 0 where there is none: a metric appears with its first count.
pub fn sum(page: &str, name: &str) -> u64 {
    let mut parts = name.split('.');
    let metric = parts.next().unwrap_or_default();
    let labels: Vec<String> = parts
        .filter_map(|part| part.split_once('='))
        .map(|(label, value)| format!("{label}=\"{value}\""))
        .collect();
    page.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(metric)?;
            let (found, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.split_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            let found: Vec<&str> = found.split(',').collect();
            let has_all = labels.iter().all(|label| found.contains(&label.as_str()));
            has_all.then(|| value.trim().parse::<u64>().ok())?
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::sum;

    const PAGE: &str = "\
# TYPE a_total counter
a_total{} 1
a_total{tier=\"free\",profile=\"default\"} 2
a_total{profile=\"web\",tier=\"free\"} 3
a_total_more{tier=\"free\"} 100
b 7
";

    #[test]
    fn samples_with_all_the_labels_are_added() {
        assert_eq!(sum(PAGE, "a_total"), 6);
        assert_eq!(sum(PAGE, "a_total.tier=free"), 5);
        assert_eq!(sum(PAGE, "a_total.tier=free.profile=web"), 3);
        assert_eq!(sum(PAGE, "b"), 7);
    }

    #[test]
    fn what_is_not_there_counts_nothing() {
        assert_eq!(sum(PAGE, "a_total.tier=fre"), 0);
        assert_eq!(sum(PAGE, "c"), 0);
    }
}
