//! How far one sample lies from another: the Hodges–Lehmann estimate and its exact interval.
//!
//! The estimate is the median of all n·m differences y − x. The interval runs from the k-th
//! smallest to the k-th largest of them: it misses the true shift on one side exactly if fewer than
//! k pairs lie on the other side of it, so it covers with probability 1 − 2·P(U < k), whatever the
//! distribution of the values, as long as both samples have the same one except for the shift. (J.
//! L. Hodges and E. L. Lehmann, "Estimates of Location Based on Rank Tests", Annals of Mathematical
//! Statistics 34, 1963; the interval: M. Hollander and D. A. Wolfe, "Nonparametric Statistical
//! Methods", 1973, chapter 4.) Ties only widen the coverage.

use super::median::median;
use super::rank_sum::distribution;

/// Where one sample lies relative to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// The Hodges–Lehmann estimate, in the unit of the values.
    pub estimate: f64,
    /// Its interval; none if the samples are too small for the level asked for.
    pub interval: Option<Interval>,
}

/// A confidence interval for a shift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end, which belongs to it.
    pub low: f64,
    /// The upper end, which belongs to it.
    pub high: f64,
    /// The probability that such an interval holds the true shift; at least the level asked for.
    pub coverage: f64,
}

/// The shift from `x` to `y`, with the narrowest of its intervals that covers at least with
/// probability `level`.
///
/// # Panics
/// If a sample is empty or holds a NaN.
pub fn shift(x: &[f64], y: &[f64], level: f64) -> Shift {
    let mut differences: Vec<f64> = y.iter().flat_map(|y| x.iter().map(move |x| y - x)).collect();
    differences.sort_by(|a, b| a.partial_cmp(b).expect("no value is NaN"));
    let interval = rank(x.len(), y.len(), level).map(|(k, coverage)| Interval {
        low: differences[k - 1],
        high: differences[differences.len() - k],
        coverage,
    });
    Shift { estimate: median(&differences), interval }
}

/// The fewest values per side for which there is an interval of probability `level`, both sides
/// having as many.
pub fn fewest_per_side(level: f64) -> usize {
    (1..).find(|&n| rank(n, n, level).is_some()).expect("coverage tends to 1 as n grows")
}

/// The largest k whose interval covers at least with probability `level`, and its coverage.
fn rank(n: usize, m: usize, level: f64) -> Option<(usize, f64)> {
    let mut best = None;
    let mut below = 0.0; // P(U < k)
    for (u, probability) in distribution(n, m).into_iter().enumerate() {
        below += probability;
        let coverage = 1.0 - 2.0 * below;
        if coverage < level {
            break;
        }
        best = Some((u + 1, coverage));
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Permeability of the placenta, Hollander and Wolfe 1973, p. 69, the example of R's
    /// `wilcox.test`.
    const TERM: [f64; 10] = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
    const EARLY: [f64; 5] = [1.15, 0.88, 0.90, 0.74, 1.21];

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    /// `wilcox.test(x, y, conf.int = TRUE, conf.level = 0.9)` in R 4.2.2 prints the estimate 0.305
    /// and the interval -0.08 to 0.72 (so recorded in the tests of the R package tidystats,
    /// `tests/data/htest.json`, "wilcoxon_rank_sum_conf").
    #[test]
    fn agrees_with_r() {
        let shift = shift(&EARLY, &TERM, 0.90);
        let interval = shift.interval.unwrap();
        assert!(close(shift.estimate, 0.305), "{shift:?}");
        assert!(close(interval.low, -0.08) && close(interval.high, 0.72), "{shift:?}");
        // 1 - 2 * 149 / 3003: of the 3,003 ways to choose 5 of 15, 149 have U < 12.
        assert!(close(interval.coverage, 1.0 - 298.0 / 3003.0), "{shift:?}");
    }

    /// The ranks that the critical values of U at 5 % imply, and 4 of 252 orders on either side.
    #[test]
    fn ranks_at_95_percent() {
        let (k, coverage) = rank(5, 5, 0.95).unwrap();
        assert_eq!(k, 3);
        assert!(close(coverage, 1.0 - 8.0 / 252.0), "{coverage}");
        assert_eq!(rank(4, 4, 0.95).unwrap().0, 1);
        assert_eq!(rank(10, 10, 0.95).unwrap().0, 24);
        assert_eq!(rank(3, 3, 0.95), None);
        assert_eq!(rank(3, 4, 0.95), None);
        assert_eq!(rank(1, 30, 0.95), None);
        assert_eq!(rank(1, 39, 0.95).unwrap().0, 1);
        assert_eq!(fewest_per_side(0.95), 4);
    }

    /// Of all ways to deal distinct values to two sides, exactly the promised share of intervals
    /// holds the true shift, which is zero.
    #[test]
    fn covers_exactly_as_often_as_it_says() {
        for (n, m) in [(4, 4), (5, 5), (4, 6), (3, 5), (7, 5)] {
            let values: Vec<f64> = (0..n + m).map(|i| f64::from(1u32 << i)).collect();
            let (mut dealt, mut covered) = (0, 0);
            let mut coverage = f64::NAN;
            for choice in 0u32..1 << (n + m) {
                if choice.count_ones() as usize != n {
                    continue;
                }
                let chosen = |i: &usize| choice >> i & 1 == 1;
                let x: Vec<f64> = (0..n + m).filter(chosen).map(|i| values[i]).collect();
                let y: Vec<f64> = (0..n + m).filter(|i| !chosen(i)).map(|i| values[i]).collect();
                let interval = shift(&x, &y, 0.95).interval.unwrap();
                coverage = interval.coverage;
                dealt += 1;
                covered += u32::from(interval.low <= 0.0 && 0.0 <= interval.high);
            }
            let share = f64::from(covered) / f64::from(dealt);
            assert!(close(share, coverage), "{n} and {m}: {share} against {coverage}");
            assert!(coverage >= 0.95);
        }
    }

    fn sample() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(-1e3..1e3f64, 4..12)
    }

    proptest! {
        #[test]
        fn swapping_the_sides_turns_the_sign(x in sample(), y in sample()) {
            let (there, back) = (shift(&x, &y, 0.95), shift(&y, &x, 0.95));
            prop_assert!(close(there.estimate, -back.estimate));
            let (there, back) = (there.interval.unwrap(), back.interval.unwrap());
            prop_assert_eq!((there.low, there.high), (-back.high, -back.low));
            prop_assert!(close(there.coverage, back.coverage));
        }

        #[test]
        fn moving_one_side_moves_the_shift(x in sample(), y in sample(), by in -1e3..1e3f64) {
            let moved: Vec<f64> = y.iter().map(|y| y + by).collect();
            let (before, after) = (shift(&x, &y, 0.95), shift(&x, &moved, 0.95));
            prop_assert!(close(before.estimate + by, after.estimate));
            let (before, after) = (before.interval.unwrap(), after.interval.unwrap());
            prop_assert!(close(before.low + by, after.low));
            prop_assert!(close(before.high + by, after.high));
        }

        #[test]
        fn the_order_of_values_does_not_matter(x in sample(), y in sample()) {
            let mut sorted = x.clone();
            sorted.sort_by(f64::total_cmp);
            prop_assert_eq!(shift(&x, &y, 0.95), shift(&sorted, &y, 0.95));
        }

        #[test]
        fn the_estimate_lies_in_the_interval(x in sample(), y in sample()) {
            let shift = shift(&x, &y, 0.95);
            let interval = shift.interval.unwrap();
            prop_assert!(interval.low <= shift.estimate && shift.estimate <= interval.high);
        }
    }
}
