//! Verdicts: what an interval says, given what change is worth knowing of.

use serde::Serialize;

use crate::records::stats::Interval;

/// A change of time per iteration up to which nobody cares, on the scale of natural logarithms.
///
/// The scale makes it the same both ways: B is slower if it takes more than 1 + t times A's time,
/// faster if A takes more than 1 + t times B's. So swapping the sides swaps the verdicts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// As given, in percent.
    pub percent: f64,
}

impl Threshold {
    fn log(self) -> f64 {
        (self.percent / 100.0).ln_1p()
    }

    /// The smallest true change, as a logarithm, that intervals of this width would have told from
    /// one within the threshold: threshold and width together.
    ///
    /// An interval that holds the true change (nearly all do, see its coverage) has its lower end
    /// at most one width below it; so a true change above this sum puts that end above the
    /// threshold.
    pub fn detectable(self, interval: Interval) -> f64 {
        self.log() + (interval.high - interval.low)
    }
}

/// What can be said of one benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The whole interval is above the threshold.
    Slower,
    /// The whole interval is below the threshold.
    Faster,
    /// The interval reaches over a threshold: more processes might tell.
    Unclear,
    /// There are too few processes for an interval.
    NoInterval,
    /// The sides were not measured together: a change of the machine in between would look the
    /// same.
    Apart,
    /// Another allocator's benchmark: it is not what changed.
    Peer,
    /// Only B has the benchmark.
    MissingInA,
    /// Only A has the benchmark.
    MissingInB,
    /// The whole interval is within the threshold.
    Same,
}

impl Verdict {
    /// All verdicts, those first that a reader looks for first.
    pub const ALL: [Self; 9] = [
        Self::Slower,
        Self::Faster,
        Self::Unclear,
        Self::NoInterval,
        Self::Apart,
        Self::Peer,
        Self::MissingInA,
        Self::MissingInB,
        Self::Same,
    ];

    /// The verdict of an interval for the logarithm of B's time over A's.
    pub fn of(interval: Option<Interval>, threshold: Threshold) -> Self {
        let limit = threshold.log();
        match interval {
            None => Self::NoInterval,
            Some(interval) if interval.low > limit => Self::Slower,
            Some(interval) if interval.high < -limit => Self::Faster,
            Some(interval) if interval.low >= -limit && interval.high <= limit => Self::Same,
            Some(_) => Self::Unclear,
        }
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::Unclear => "unclear",
            Self::NoInterval => "no interval",
            Self::Apart => "apart",
            Self::Peer => "peer",
            Self::MissingInA => "missing in A",
            Self::MissingInB => "missing in B",
            Self::Same => "same",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIVE: Threshold = Threshold { percent: 5.0 };

    fn interval(low: f64, high: f64) -> Interval {
        Interval { low, high, coverage: 0.968 }
    }

    #[test]
    fn each_verdict_and_its_edges() {
        let of = |low: f64, high: f64| Verdict::of(Some(interval(low.ln(), high.ln())), FIVE);
        assert_eq!(of(1.06, 1.20), Verdict::Slower);
        assert_eq!(of(1.04, 1.20), Verdict::Unclear);
        assert_eq!(of(0.98, 1.04), Verdict::Same);
        assert_eq!(of(1.01, 1.04), Verdict::Same); // a change, but not one worth knowing of
        assert_eq!(of(0.90, 1.10), Verdict::Unclear);
        assert_eq!(of(0.80, 0.94), Verdict::Faster);
        assert_eq!(of(0.80, 0.953), Verdict::Unclear); // 1 / 1.05 is 0.952
        assert_eq!(Verdict::of(None, FIVE), Verdict::NoInterval);
        // Without a threshold nothing is the same, except an interval of zero width.
        let none = Threshold { percent: 0.0 };
        assert_eq!(Verdict::of(Some(interval(0.01, 0.02)), none), Verdict::Slower);
        assert_eq!(Verdict::of(Some(interval(0.0, 0.0)), none), Verdict::Same);
    }

    #[test]
    fn all_lists_each_once() {
        let mut all = Verdict::ALL.to_vec();
        all.dedup();
        assert!(all.is_sorted() && all.len() == 9, "{all:?}");
    }

    proptest! {
        #[test]
        fn swapping_the_sides_swaps_the_verdict(a in -1.0..1.0f64, b in -1.0..1.0f64) {
            let (low, high) = (a.min(b), a.max(b));
            let swapped = match Verdict::of(Some(interval(low, high)), FIVE) {
                Verdict::Slower => Verdict::Faster,
                Verdict::Faster => Verdict::Slower,
                other => other,
            };
            prop_assert_eq!(Verdict::of(Some(interval(-high, -low)), FIVE), swapped);
        }

        /// An interval that holds a change above the detectable one is never called anything but
        /// slower.
        #[test]
        fn a_detectable_change_is_detected(
            width in 0.0..1.0f64, place in 0.0..1.0f64, above in 1e-6..1.0f64,
        ) {
            let change = FIVE.detectable(interval(0.0, width)) + above;
            let low = change - place * width;
            prop_assert_eq!(Verdict::of(Some(interval(low, low + width)), FIVE), Verdict::Slower);
        }
    }
}
