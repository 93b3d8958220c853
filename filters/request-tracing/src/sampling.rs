//! Whether a request is sampled.
//!
//! 1. A caller whose decision is followed decides (unless the caller left it open).
//! 2. Else the rule for new traces decides. `ratio` compares 56 bits of randomness (the trace id's last ones, or `rv` of
//!    the tracestate) with a threshold, so that all hops with that ratio decide alike, and tells the threshold on as
//!    `ot=th:…`.
//! 3. What rule 2 sampled beyond the cap of this second is not sampled. Where a cap is set, no threshold is told: it stands
//!    for a share, and the cap makes that unknown (OpenTelemetry, "TraceState: Probability Sampling").

use std::cell::Cell;
use std::num::NonZeroU32;

/// One more than the largest randomness.
const SPACE: f64 = (1_u64 << 56) as f64;
/// How many hex digits of a threshold are kept behind leading `f`s.
const PRECISION: u32 = 4;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The rule for new traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    Always,
    Never,
    /// Sampled where the randomness is at least this.
    Threshold(u64),
}

#[derive(Debug)]
pub struct Sampler {
    pub root: Root,
    /// Whether the caller's decision is followed.
    pub follow_parent: bool,
    pub cap: Option<Cap>,
}

/// What to do with the threshold in the tracestate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    Keep,
    Set(u64),
    Clear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub sampled: bool,
    pub threshold: Threshold,
    /// Whether the cap turned a yes into a no.
    pub capped: bool,
}

impl Decision {
    /// Whether it is the caller's.
    #[inline]
    pub fn is_followed(&self) -> bool {
        self.threshold == Threshold::Keep
    }
}

impl Sampler {
    /// Decides. `parent` is the caller's decision, if there is one; `randomness` is asked only where it decides; `now` in
    /// nanoseconds.
    pub fn decide(
        &self,
        parent: Option<bool>,
        randomness: impl FnOnce() -> u64,
        now: u64,
    ) -> Decision {
        if let Some(sampled) = parent.filter(|_| self.follow_parent) {
            return Decision {
                sampled,
                threshold: Threshold::Keep,
                capped: false,
            };
        }
        let (wanted, threshold) = match self.root {
            Root::Always => (true, Threshold::Clear),
            Root::Never => (false, Threshold::Clear),
            Root::Threshold(threshold) => (randomness() >= threshold, Threshold::Set(threshold)),
        };
        let sampled = wanted && self.cap.as_ref().is_none_or(|cap| cap.admit(now));
        Decision {
            sampled,
            // Under a cap nobody knows which share is sampled, and OpenTelemetry then wants no threshold.
            threshold: if sampled && self.cap.is_none() {
                threshold
            } else {
                Threshold::Clear
            },
            capped: wanted && !sampled,
        }
    }
}

/// The threshold of a ratio from 2^-56 to 1: the part of the randomness that is rejected, to four significant digits.
#[inline]
pub fn threshold(ratio: f64) -> Option<u64> {
    if !(1.0 / SPACE..=1.0).contains(&ratio) {
        return None;
    }
    let exact = ((1.0 - ratio) * SPACE) as u64;
    let leading = (exact << 8).leading_ones() / 4;
    let dropped = 4 * 14_u32.saturating_sub(leading + PRECISION);
    let half = if dropped == 0 { 0 } else { 1 << (dropped - 1) };
    let rounded = (exact + half) >> dropped << dropped;
    Some(rounded.min((1 << 56) - 1))
}

/// So many in each second of the wall clock.
#[derive(Debug)]
pub struct Cap {
    per_second: NonZeroU32,
    second: Cell<u64>,
    used: Cell<u32>,
}

impl Cap {
    #[inline]
    pub fn new(per_second: NonZeroU32) -> Self {
        Self {
            per_second,
            second: Cell::new(0),
            used: Cell::new(0),
        }
    }

    /// Takes one of this second's places, if one is left.
    #[inline]
    pub fn admit(&self, now: u64) -> bool {
        let second = now / NANOS_PER_SECOND;
        if self.second.replace(second) != second {
            self.used.set(0);
        }
        let used = self.used.get();
        let free = used < self.per_second.get();
        if free {
            self.used.set(used + 1);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn sampler(root: Root, follow_parent: bool) -> Sampler {
        Sampler {
            root,
            follow_parent,
            cap: None,
        }
    }

    #[test]
    fn thresholds_are_those_of_the_opentelemetry_specification() {
        for (ratio, expected) in [
            (1.0, 0),
            (0.75, 0x40_0000_0000_0000),
            (0.5, 0x80_0000_0000_0000),
            (0.25, 0xc0_0000_0000_0000),
            (0.1, 0xe6_6600_0000_0000),
            (0.01, 0xfd_70a0_0000_0000),
            (0.001, 0xff_be77_0000_0000),
            (1.0 / SPACE, 0xff_ffff_ffff_ffff),
        ] {
            let found = threshold(ratio).unwrap();
            assert_eq!(found, expected, "{ratio}: {found:014x}");
        }
        for bad in [0.0, -0.1, 1.1, f64::NAN, f64::INFINITY, 1e-30] {
            assert_eq!(threshold(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_callers_decision_is_followed_and_its_threshold_kept() {
        let all = sampler(Root::Always, true);
        let decision = all.decide(Some(false), || 0, 0);
        assert_eq!(
            (decision.sampled, decision.threshold),
            (false, Threshold::Keep)
        );
        let none = sampler(Root::Never, true);
        assert!(none.decide(Some(true), || 0, 0).sampled);
        assert!(
            !none.decide(None, || 0, 0).sampled,
            "an open decision is ours"
        );
        assert!(
            !sampler(Root::Never, false)
                .decide(Some(true), || 0, 0)
                .sampled
        );
    }

    #[test]
    fn a_ratio_decides_by_the_randomness_alone() {
        let half = sampler(Root::Threshold(1 << 55), true);
        let yes = half.decide(None, || 1 << 55, 0);
        assert_eq!(
            (yes.sampled, yes.threshold),
            (true, Threshold::Set(1 << 55))
        );
        let no = half.decide(None, || (1 << 55) - 1, 0);
        assert_eq!((no.sampled, no.threshold), (false, Threshold::Clear));
    }

    #[test]
    fn a_cap_makes_the_share_unknown_so_no_threshold_is_told() {
        let capped = |per_second| Sampler {
            root: Root::Threshold(1 << 55),
            follow_parent: true,
            cap: NonZeroU32::new(per_second).map(Cap::new),
        };
        let sampler = capped(1);
        let told = [1, 2].map(|_| sampler.decide(None, || 1 << 55, 0));
        assert_eq!(told.map(|decision| decision.sampled), [true, false]);
        assert_eq!(
            told.map(|decision| decision.threshold),
            [Threshold::Clear; 2]
        );
        let followed = sampler.decide(Some(true), || 0, 0);
        assert_eq!(
            followed.threshold,
            Threshold::Keep,
            "the caller's is no concern of our cap"
        );
        let uncapped = capped(0).decide(None, || 1 << 55, 0);
        assert_eq!(uncapped.threshold, Threshold::Set(1 << 55));
    }

    #[test]
    fn the_cap_holds_in_each_second_and_spares_followed_decisions() {
        let capped = Sampler {
            root: Root::Always,
            follow_parent: true,
            cap: NonZeroU32::new(2).map(Cap::new),
        };
        let at = |now| capped.decide(None, || 0, now);
        let second = NANOS_PER_SECOND;
        let sampled: Vec<bool> = [10 * second, 10 * second + 1, 10 * second + 2, 11 * second]
            .map(|now| at(now).sampled)
            .into();
        assert_eq!(sampled, [true, true, false, true]);
        assert!(
            at(9 * second).sampled,
            "a clock that steps back starts anew"
        );
        assert!(at(9 * second).sampled);
        let over = at(9 * second);
        assert_eq!(
            (over.sampled, over.capped, over.threshold),
            (false, true, Threshold::Clear)
        );
        assert!(capped.decide(Some(true), || 0, 9 * second).sampled);
    }

    #[cfg(not(target_arch = "wasm32"))]
    proptest::proptest! {
        #[test]
        fn a_lower_ratio_samples_a_part_of_what_a_higher_one_samples(a in 1e-6..1.0_f64, b in 1e-6..1.0_f64, randomness in 0..1_u64 << 56) {
            let (low, high) = (a.min(b), a.max(b));
            let decide = |ratio| sampler(Root::Threshold(threshold(ratio).unwrap()), true).decide(None, || randomness, 0).sampled;
            proptest::prop_assert!(!decide(low) || decide(high));
        }

        #[test]
        fn a_threshold_is_near_the_ratio(ratio in 1e-9..1.0_f64) {
            let kept = 1.0 - threshold(ratio).unwrap() as f64 / SPACE;
            proptest::prop_assert!((kept - ratio).abs() / ratio < 1e-3, "{ratio} {kept}");
        }
    }
}
