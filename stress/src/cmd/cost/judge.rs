//! What the measurements come to: each check's cost, and the bounds.

use drystone_checker::checks::Check;
use drystone_harness::bounds::{Bound, Limit, Verdict, bound};
use drystone_harness::stats::quantile;
use serde::Serialize;

use crate::cmd::cost::campaign::{Measured, Results};
use crate::cmd::cost::cli::BLOCKS;
use crate::cmd::cost::job::Time;
use crate::cmd::cost::setups::{self, OFF, ON};

/// The part of the speed without checks that all of them must leave.
const LEAST_SPEED: f64 = 0.25;
/// The most bytes of the checker's for a live block.
const MOST_BYTES: f64 = 64.0;

/// A figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The median.
    pub median: f64,
    /// The lower quartile.
    pub low: f64,
    /// The upper one.
    pub high: f64,
}

impl Figure {
    /// None of no values.
    fn of(values: &[f64]) -> Option<Self> {
        let at = |order| quantile(values, order);
        Some(Self { median: at(0.5)?, low: at(0.25)?, high: at(0.75)? })
    }
}

impl Measured {
    /// A figure of two setups that were both measured in a round.
    fn of_two(
        &self,
        (one, other): (usize, usize),
        figure: impl Fn(&Time, &Time) -> f64,
    ) -> Option<Figure> {
        let rounds = self.times[one].iter();
        let both =
            rounds.filter_map(|(round, one)| Some(figure(one, self.times[other].get(round)?)));
        Figure::of(&both.collect::<Vec<_>>())
    }

    fn of_one(&self, setup: usize, figure: impl Fn(&Time) -> f64) -> Option<Figure> {
        Figure::of(&self.times[setup].values().map(figure).collect::<Vec<_>>())
    }

    /// Operations in a second: without checks, with all of them.
    pub fn speeds(&self) -> [Option<Figure>; 2] {
        [OFF, ON].map(|setup| self.of_one(setup, |time| time.per_second))
    }

    /// Nanoseconds of processor time for an operation: without checks, with all of them.
    pub fn nanoseconds(&self) -> [Option<Figure>; 2] {
        [OFF, ON].map(|setup| self.of_one(setup, |time| time.nanoseconds))
    }

    /// What is left of the speed with every check.
    pub fn left(&self) -> Option<Figure> {
        self.of_two((OFF, ON), |off, on| on.per_second / off.per_second)
    }

    /// What a check costs alone, nanoseconds of processor time for an operation.
    pub fn cost(&self, check: Check) -> Option<Figure> {
        self.of_two(setups::of(check), |without, with| with.nanoseconds - without.nanoseconds)
    }

    /// Bytes of the checker's for a live block, and what it has besides.
    pub fn memory(&self) -> Option<(f64, f64)> {
        let [few, many] = self.memory?.map(|bytes| bytes as f64);
        let [least, most] = BLOCKS.map(|blocks| blocks as f64);
        let each = (many - few) / (most - least);
        Some((each, few - each * least))
    }
}

/// The bounds, for each allocator.
pub fn judge(results: &Results) -> Vec<Bound> {
    let mut bounds = Vec::new();
    for (spec, measured) in results.plan.allocators.iter().zip(&results.allocators) {
        bounds.push(speed(&spec.allocator, measured, results.plan.quick));
        let seen = measured.memory().map(|(each, _)| each).ok_or("it was not measured".into());
        let measure = format!("{}: bytes of the checker's for a live block", spec.allocator);
        bounds.push(bound(measure, Limit::AtMost(MOST_BYTES), seen, None));
    }
    bounds
}

fn speed(allocator: &str, measured: &Measured, quick: bool) -> Bound {
    let measure = format!("{allocator}: operations per second with every check, of those without");
    let left = measured.left();
    let seen = left.map(|left| left.median).ok_or("it was not measured".into());
    let why = match left {
        _ if quick => Some("the runs were cut short".to_owned()),
        // Missed by the median, and not by a quarter of the rounds.
        Some(left) if left.median < LEAST_SPEED && left.high >= LEAST_SPEED => Some(format!(
            "missed by less than the rounds' spread, {:.2} to {:.2}",
            left.low, left.high
        )),
        _ => None,
    };
    bound(measure, Limit::AtLeast(LEAST_SPEED), seen, why)
}

/// Whether a bound is missed for sure.
pub fn missed(bounds: &[Bound]) -> bool {
    bounds.iter().any(|bound| matches!(bound.verdict, Verdict::Missed { .. }))
}

/// Whether one that was measured can't be judged.
pub fn open(bounds: &[Bound]) -> bool {
    bounds.iter().any(|bound| matches!(bound.verdict, Verdict::CannotTell { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn measured(off: f64, on: &[f64], memory: [u64; 2]) -> Measured {
        let mut times = vec![BTreeMap::new(); setups::all().len()];
        for (round, on) in on.iter().enumerate() {
            for (setup, times) in times.iter_mut().enumerate() {
                let nanoseconds = match setup {
                    OFF => off,
                    ON => *on,
                    other => off + other as f64,
                };
                times.insert(round as u32, Time { per_second: 2e9 / nanoseconds, nanoseconds });
            }
        }
        Measured { times, memory: Some(memory), failure: None }
    }

    fn verdict(on: &[f64]) -> Verdict {
        speed("x", &measured(10.0, on, [0, 0]), false).verdict
    }

    #[test]
    fn a_bound_is_missed_only_beyond_the_spread() {
        assert_eq!(verdict(&[39.0, 39.5, 40.0]), Verdict::Met);
        assert!(matches!(verdict(&[44.0, 45.0, 46.0]), Verdict::Missed { .. }));
        assert!(matches!(verdict(&[38.0, 41.0, 42.0]), Verdict::CannotTell { .. }));
        let quick = speed("x", &measured(10.0, &[90.0; 3], [0, 0]), true).verdict;
        assert!(matches!(quick, Verdict::CannotTell { .. }));
    }

    #[test]
    fn a_checks_cost_is_what_it_adds_to_those_it_needs() {
        let measured = measured(10.0, &[40.0; 3], [0, 0]);
        for &check in Check::ALL {
            let (without, with) = setups::of(check);
            let base = if without == OFF { 0.0 } else { without as f64 };
            let cost = measured.cost(check).unwrap();
            assert!((cost.median - (with as f64 - base)).abs() < 1e-9, "{check:?}: {cost:?}");
        }
    }

    #[test]
    fn the_constant_is_not_among_the_bytes_of_a_block() {
        let blocks = BLOCKS.map(|blocks| 1_000_000 + 40 * blocks as u64);
        let (each, constant) = measured(10.0, &[40.0], blocks).memory().unwrap();
        assert!((each - 40.0).abs() < 1e-9 && (constant - 1e6).abs() < 1e-3, "{each} {constant}");
    }
}
