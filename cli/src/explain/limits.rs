//! Limits in words.

use rate_limit::counter::Algorithm;
use rate_limit::period::Period;
use rate_limit::plan::Limit;

const SECOND: u64 = 1_000;
const DAY: u64 = 86_400 * SECOND;

/// `10 in any 1m`
pub fn text(limit: &Limit, resource: Option<&str>) -> String {
    let count = limit.rule.limit;
    let mut text = match limit.rule.algorithm {
        Algorithm::Sliding { window_ms } => format!("{count} in any {}", length(window_ms)),
        Algorithm::Log { window_ms } => {
            format!("{count} in any {}, to the millisecond", length(window_ms))
        }
        Algorithm::Fixed(Period::Every {
            window_ms: DAY,
            offset_ms,
        }) => {
            format!("{count} a day, from midnight {}", zone(offset_ms))
        }
        Algorithm::Fixed(Period::Every { window_ms, .. }) => {
            format!("{count} in each {}", length(window_ms))
        }
        Algorithm::Fixed(Period::Month { offset_ms }) => {
            format!("{count} a month of the calendar, {}", zone(offset_ms))
        }
        Algorithm::Gcra { window_ms, burst } => {
            format!(
                "{burst} at once, then {count} in {} at an even pace",
                length(window_ms)
            )
        }
        Algorithm::Concurrency { lease_ms } => {
            format!(
                "{count} at the same time, each for {} at most",
                length(lease_ms)
            )
        }
    };
    let mut more = |words: String| {
        text.push_str("; ");
        text.push_str(&words);
    };
    if let Some(resource) = resource {
        more(format!("only requests of resource {resource}"));
    }
    if limit.rule.cost > 1 {
        more(format!("this request counts {}", limit.rule.cost));
    }
    if let Some(dynamic) = &limit.dynamic {
        more(format!("or as many as {} tells", claim(&dynamic.path)));
    }
    if !limit.rule.enforced {
        more("shadow: only tells".to_owned());
    } else if limit.enforce_percent < 100 {
        more(format!(
            "refuses {} % of clients, only tells of the others",
            limit.enforce_percent
        ));
    }
    if limit.rule.count_denied {
        more("refused requests count too".to_owned());
    }
    text
}

/// A claim by its metadata's path.
pub fn claim(path: &[String]) -> String {
    match path {
        [_, _, namespace, keys @ ..] if namespace.as_str() == rate_limit::settings::JWT_AUTHN => {
            format!("the claim {}", keys.join("."))
        }
        [_, _, namespace, keys @ ..] => format!("the metadata {} of {namespace}", keys.join(".")),
        other => other.join("."),
    }
}

fn length(milliseconds: u64) -> String {
    let units = [
        ("d", DAY),
        ("h", 3_600 * SECOND),
        ("m", 60 * SECOND),
        ("s", SECOND),
    ];
    let fits = units
        .iter()
        .find(|(_, unit)| milliseconds.is_multiple_of(*unit));
    fits.map_or_else(
        || format!("{milliseconds} ms"),
        |(name, unit)| format!("{}{name}", milliseconds / unit),
    )
}

fn zone(offset_ms: i64) -> String {
    let minutes = offset_ms / 60_000;
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    match minutes {
        0 => "UTC".to_owned(),
        _ => format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60),
    }
}
