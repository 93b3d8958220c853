//! What only this filter's settings can have wrong.

use std::fmt;

use portcullis_kit::config::nearest;

#[derive(Debug)]
pub enum Mistake {
    HashTwice,
    TrustedAndNot,
    NoSuchTier {
        name: String,
        defined: Vec<String>,
    },
    NoTiers,
    TierName,
    TierTwice {
        name: String,
    },
    LimitName,
    LimitTwice {
        name: String,
    },
    LimitRedefined {
        name: String,
        other: String,
    },
    /// The same of what a tier has at most one of, and so no name to choose.
    BurstRedefined {
        other: String,
    },
    ConcurrencyRedefined {
        other: String,
    },
    SameTag {
        name: String,
        other: String,
    },
    TooMuchToKeep,
    ZeroCount,
    LargeCount,
    Window,
    Length,
    MonthIsFixed,
    LongLog,
    BurstWithoutGcra,
    ZeroBurst,
    Percent,
    DynamicLog,
    LogOfDenied,
    LongPace,
    LongBurst,
    FewerInMore {
        longer: String,
        shorter: String,
    },
    UnlimitedWithLimits,
    NoLimits,
    UpgradeCircle {
        name: String,
    },
    UpgradeUrl,
    Cidr,
    Hash,
    CostZero,
    CostTooMuch {
        tier: String,
        limit: String,
        count: u64,
        own: bool,
    },
    Resource,
    UnusedResource {
        resource: String,
    },
    TwoStyles,
    PartitionWithoutIetf,
    NearPercent,
    Offset,
    MaxIdentities,
    Namespace,
    DiffersFromDefault {
        what: &'static str,
    },
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HashTwice => "upper and lower case are the same hash, which is given twice; keep one",
            Self::TrustedAndNot => "this header is believed in another place of the settings, and here it is removed because it is not; set `trusted: true` here too, or take this one out",
            Self::NoSuchTier { name, defined } => {
                write!(f, "there is no tier `{name}`")?;
                if let Some(near) = nearest(name, defined) {
                    write!(f, "; did you mean `{near}`?")?;
                }
                return write!(f, "; defined: {}", defined.join(", "));
            }
            Self::NoTiers => "with `plans: none` there are no tiers but one's own; write `tiers`, or `plans: standard`",
            Self::TierName => "a tier's name has 1 to 64 letters, digits, `-` and `_`",
            Self::TierTwice { name } => {
                return write!(f, "names of tiers compare without case, so `{name}` is given twice; keep one");
            }
            Self::LimitName => "a limit's name has 1 to 32 lower-case letters, digits, `-` and `_`; it stands in headers and metrics",
            Self::LimitTwice { name } => {
                return write!(f, "the tier has a limit `{name}` already; a limit's name is its counter");
            }
            Self::LimitRedefined { name, other } => {
                return write!(f, "`{name}` is counted in another way in {other}, and limits of one name are one counter; give both the same window, algorithm, resource and UTC offset, or different names");
            }
            Self::BurstRedefined { other } => {
                return write!(f, "`burst` is counted in another way in {other}, and the bursts of all tiers are one counter; give both the same window, or write one under `limits` with `algorithm: gcra` and a name of its own");
            }
            Self::ConcurrencyRedefined { other } => {
                return write!(f, "`concurrency` is counted in another way in {other}; give that limit another name");
            }
            Self::SameTag { name, other } => {
                return write!(f, "`{name}` and `{other}` get the same short mark in what is stored, by chance; rename one");
            }
            Self::TooMuchToKeep => "together with the limits before it, this one could fill more than is kept of one identity; write `sliding` for `log`, or have fewer limits",
            Self::ZeroCount => "a limit of 0 admits nobody; give 1 or more, or route such requests to a direct response",
            Self::LargeCount => "at most 1000000000; write `unlimited: true` for no limit",
            Self::Window => "not a window; write `90s`, `5m`, `2h`, `1d` (up to 366d), or `second`, `minute`, `hour`, `day`, `month`",
            Self::Length => "not a length of time; write `30s`, `5m`, `2h`, `1d` (up to 366d), or `second`, `minute`, `hour`, `day`",
            Self::MonthIsFixed => "a month is one of the calendar; take `algorithm` out, or write `fixed`",
            Self::LongLog => "a log remembers each request, up to 512; write `sliding` for larger counts",
            Self::BurstWithoutGcra => "only `algorithm: gcra` has a burst; set that, or take `burst` out",
            Self::ZeroBurst => "a burst of 0 admits nobody; give 1 or more",
            Self::Percent => "a percentage is 0 to 100",
            Self::DynamicLog => "a log is for counts up to 512, and metadata could tell more; take another algorithm",
            Self::LogOfDenied => "a log of refused requests would have no end; take another algorithm, or take `count_denied` out",
            Self::LongPace => "a pace this slow of a burst this large cannot be counted exactly; take a shorter window, or `fixed`",
            Self::LongBurst => "a pace this slow of a burst this large cannot be counted exactly; take a shorter window",
            Self::FewerInMore { longer, shorter } => {
                return write!(f, "`{longer}` allows fewer than `{shorter}` in more time, so `{shorter}` would never be met; raise `{longer}`, or take `{shorter}` out");
            }
            Self::UnlimitedWithLimits => "a tier is either unlimited or has limits; keep one",
            Self::NoLimits => "the tier has no limits; give some, or write `unlimited: true`",
            Self::UpgradeCircle { name } => {
                return write!(f, "the tiers advise each other in a circle (`{name}` comes again); leave `upgrade_to` out in the top one");
            }
            Self::UpgradeUrl => "not an absolute URL; write `https://example.com/plans`",
            Self::Cidr => "not a range of addresses; write `10.0.0.0/8`, `2001:db8::/32` or one address, without bits beside the network",
            Self::Hash => "not a SHA-256: 64 hex digits; `portcullis explain` prints identity hashes, `printf %s KEY | sha256sum` those of keys",
            Self::CostZero => "a request that costs nothing is exempt; write `exempt`, or a cost of 1 or more",
            Self::CostTooMuch { tier, limit, count, own } => {
                let instead = match own {
                    true => "raise the limit",
                    false => "write `plans: none` and tiers of your own",
                };
                return write!(f, "limit `{limit}` of tier `{tier}` holds {count}, so a request of this cost would never be admitted; lower the cost, or {instead}");
            }
            Self::Resource => "a resource's name has 1 to 32 lower-case letters, digits, `-` and `_`",
            Self::UnusedResource { resource } => {
                return write!(f, "no profile has `resource: {resource}`, so this limit counts nothing; set it in the profile of those routes, or take the limit out");
            }
            Self::TwoStyles => "`x_ratelimit` and `envoy` write the same headers; keep one",
            Self::PartitionWithoutIetf => "only the headers of `ietf` carry a partition key; set `ietf: true`, or take `partition_key` out",
            Self::NearPercent => "a percentage is 1 to 100",
            Self::Offset => "not an offset; write `+02:00`, at most 14 hours either way",
            Self::MaxIdentities => "a table holds 16 to 16777216 identities",
            Self::Namespace => "a namespace has 1 to 64 characters",
            Self::DiffersFromDefault { what } => {
                return write!(f, "`{what}` belongs to the plugin as a whole and must be the same in all profiles; write it at the top only");
            }
        })
    }
}
