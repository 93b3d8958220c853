//! The plans that are there without being written.

use crate::settings::{Limit, LimitMode, Plans, Tier};
use portcullis_kit::table::Table;

/// Requests per minute, hour and day, AI calls per day, and the next tier.
const STANDARD: [(&str, [u32; 4], Option<&str>); 4] = [
    ("free", [10, 100, 1_000, 10], Some("starter")),
    ("starter", [30, 500, 5_000, 100], Some("professional")),
    (
        "professional",
        [100, 2_000, 20_000, 500],
        Some("enterprise"),
    ),
    ("enterprise", [500, 10_000, 100_000, 5_000], None),
];

/// The tiers of these plans, as a user would write them.
pub fn tiers(plans: Plans) -> Table<String, Tier> {
    let mut tiers = Table::new();
    if plans == Plans::None {
        return tiers;
    }
    // One by one: collecting them would bring a whole sort into the module.
    for (name, [minute, hour, day, ai], next) in STANDARD {
        let limits = vec![
            limit("minute", "minute", minute, None),
            limit("hour", "hour", hour, None),
            limit("day", "day", day, None),
            limit("ai", "day", ai, Some("ai")),
        ];
        let tier = Tier {
            limits,
            upgrade_to: next.map(str::to_owned),
            ..Tier::default()
        };
        tiers.insert(name.to_owned(), tier);
    }
    tiers
}

fn limit(name: &str, window: &str, count: u32, resource: Option<&str>) -> Limit {
    Limit {
        name: name.to_owned(),
        count,
        window: window.to_owned(),
        algorithm: None,
        burst: None,
        resource: resource.map(str::to_owned),
        mode: LimitMode::Enforce,
        enforce_percent: 100,
        count_denied: false,
        dynamic: None,
    }
}
