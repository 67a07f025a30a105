//! Comparisons that might have been: processes drawn, with replacement, from recorded ones of a
//! side beside itself, with a change added or not. How often is there a false verdict, and how
//! often is the change found?

use rand::{Rng, RngExt};

use super::sign::fewest_above;
use super::verdict::{Limits, Verdict};
use crate::evidence::{Process, Settings};

/// The verdict of a row as its values come, by counting alone. It agrees with
/// [`super::verdict::Judge`], and takes a hundredth of the time.
#[derive(Clone, Debug)]
struct Counter<'a> {
    rules: &'a Rules,
    n: u32,
    on: [u32; 4],
    shown: [bool; 4],
    verdict: Verdict,
}

/// What all rows are judged by.
#[derive(Clone, Debug)]
pub struct Rules {
    limits: Limits,
    /// The fewest of n values on one side of a limit that reject it, by n.
    fewest: Vec<Option<u32>>,
}

impl Rules {
    /// The rules of these settings, for at most so many processes.
    pub fn new(settings: &Settings, most: u32) -> Self {
        let questions = settings.rows.len().max(1) as f64;
        let ln_wanted = (2.0 * questions / settings.error).ln();
        let limits = Limits::of_ratio(settings.floor, settings.margin);
        Self { limits, fewest: (0..=most).map(|n| fewest_above(n, ln_wanted)).collect() }
    }

    /// Processes at most.
    fn most(&self) -> u32 {
        self.fewest.len() as u32 - 1
    }
}

impl<'a> Counter<'a> {
    fn new(rules: &'a Rules) -> Self {
        Self { rules, n: 0, on: [0; 4], shown: [false; 4], verdict: Verdict::Inconclusive }
    }

    fn push(&mut self, value: f64) {
        let Limits { floor, margin } = self.rules.limits;
        self.n += 1;
        let won = [value > floor, value < -floor, value < margin, value > -margin];
        for (on, won) in self.on.iter_mut().zip(won) {
            *on += u32::from(won);
        }
        let Some(fewest) = self.rules.fewest[self.n as usize] else { return };
        for (shown, on) in self.shown.iter_mut().zip(self.on) {
            *shown |= on >= fewest.max(1);
        }
        self.verdict = match self.shown {
            [true, ..] => Verdict::Regressed,
            [_, true, ..] => Verdict::Improved,
            [_, _, true, true] => Verdict::Ok,
            _ => Verdict::Inconclusive,
        };
    }

    /// Whether more values are of no use.
    fn is_settled(&self) -> bool {
        match self.verdict {
            Verdict::Regressed | Verdict::Improved => true,
            Verdict::Ok => 2 * self.on[0].max(self.on[1]) <= self.n,
            Verdict::Inconclusive => false,
        }
    }
}

/// What came of resampled comparisons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many there were.
    pub comparisons: u64,
    /// Of these, with any verdict beyond the floor in a row without a change.
    pub false_verdicts: u64,
    /// Of these, in which the changed row regressed.
    pub found: u64,
    /// Processes until then, each time.
    pub needed: Vec<u32>,
    /// Rows without a change, in all comparisons.
    pub rows: u64,
    /// Of these, `OK`.
    pub fine: u64,
}

/// Runs comparisons. Whole processes are drawn, so rows stay together as they were; `change` is a
/// row and the fraction it is made slower by.
pub fn compare(
    processes: &[Process],
    settings: &Settings,
    rules: &Rules,
    change: Option<(&str, f64)>,
    comparisons: u64,
    random: &mut impl Rng,
) -> Outcome {
    let names: Vec<&str> = settings.rows.iter().map(|row| row.name.as_str()).collect();
    let changed = change.and_then(|(row, _)| names.iter().position(|name| *name == row));
    let shift = change.map_or(0.0, |(_, fraction)| fraction.ln_1p());
    let pool: Vec<Vec<Option<f64>>> = processes.iter().map(|one| values(one, &names)).collect();
    let mut outcome = Outcome::default();
    for _ in 0..comparisons {
        let mut rows = vec![Counter::new(rules); names.len()];
        let mut at = 0;
        while at < rules.most() && rows.iter().any(|row| !row.is_settled()) {
            at += 1;
            let drawn = &pool[random.random_range(0..pool.len())];
            for (place, row) in rows.iter_mut().enumerate() {
                let Some(value) = drawn[place] else { continue };
                if !row.is_settled() {
                    row.push(value + if changed == Some(place) { shift } else { 0.0 });
                }
            }
        }
        outcome.take(&rows, changed);
    }
    outcome
}

fn values(process: &Process, names: &[&str]) -> Vec<Option<f64>> {
    let value = |name: &&str| Some(process.rows.iter().find(|row| row.name == **name)?.value);
    names.iter().map(value).collect()
}

impl Outcome {
    fn take(&mut self, rows: &[Counter], changed: Option<usize>) {
        self.comparisons += 1;
        let mut wrong = false;
        for (place, row) in rows.iter().enumerate() {
            if changed == Some(place) {
                if row.verdict == Verdict::Regressed {
                    self.found += 1;
                    self.needed.push(row.n);
                }
                continue;
            }
            self.rows += 1;
            self.fine += u64::from(row.verdict == Verdict::Ok);
            wrong |= matches!(row.verdict, Verdict::Regressed | Verdict::Improved);
        }
        self.false_verdicts += u64::from(wrong);
    }
}

/// The smallest slow-down of a row that at least this fraction of comparisons finds, by halving
/// between none and a half; none if a half is not found so often. `values` are the row's.
pub fn smallest_found(
    values: &[f64],
    rules: &Rules,
    power: f64,
    random: &mut impl Rng,
) -> Option<f64> {
    const COMPARISONS: u32 = 400;
    let mut is_found = |change: f64| {
        let found = (0..COMPARISONS).filter(|_| {
            let mut row = Counter::new(rules);
            for _ in 0..rules.most() {
                row.push(values[random.random_range(0..values.len())] + change.ln_1p());
                if row.is_settled() {
                    break;
                }
            }
            row.verdict == Verdict::Regressed
        });
        found.count() as f64 >= power * f64::from(COMPARISONS)
    };
    let (mut low, mut high) = (0.0, 0.5);
    if !is_found(high) {
        return None;
    }
    while high - low > 0.0005 {
        let middle = (low + high) / 2.0;
        if is_found(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    use super::super::verdict::Judge;
    use super::*;
    use crate::evidence::fixtures::{header, process};

    proptest! {
        /// The verdict, and the value that gives it, are those of the judge.
        #[test]
        fn counting_agrees_with_the_judge(
            values in prop::collection::vec(-0.06..0.06f64, 1..150), shift in -0.05..0.05f64,
        ) {
            let settings = header(&["pair/64", "bulk"]).settings;
            let rules = Rules::new(&settings, 200);
            let mut counter = Counter::new(&rules);
            let limits = Limits::of_ratio(settings.floor, settings.margin);
            let mut judge = Judge::new(limits, 2, settings.error);
            for value in values {
                judge.push(value + shift);
                if !counter.is_settled() {
                    counter.push(value + shift);
                }
                prop_assert_eq!(counter.verdict, judge.verdict());
                prop_assert_eq!(counter.is_settled(), judge.is_settled());
            }
        }

        /// Whatever the shape of values whose median is none, comparisons without a change that
        /// have regress are no more than the level allows: half of 2 % of 300, for one direction.
        /// Were it 2 %, 16 or more would come about in one of 4,000 trials (binomial).
        #[test]
        fn the_false_rate_is_held_whatever_the_shape(
            seed: u64, left in 0.001..0.3f64, right in 0.001..0.3f64, power in 0.3..4.0f64,
        ) {
            let settings = header(&["pair/64", "bulk"]).settings;
            let rules = Rules::new(&settings, 120);
            let mut random = Pcg64::seed_from_u64(seed);
            // The worst case: the median is the floor itself.
            let floor = settings.floor.ln_1p();
            let mut wrong = 0;
            for _ in 0..300 {
                let mut rows = [Counter::new(&rules), Counter::new(&rules)];
                for _ in 0..120 {
                    for row in rows.iter_mut().filter(|row| !row.is_settled()) {
                        let u: f64 = random.random_range(-1.0..1.0);
                        let scale = if u < 0.0 { -left } else { right };
                        row.push(floor + scale * u.abs().powf(power));
                    }
                }
                wrong += u32::from(rows.iter().any(|row| row.verdict == Verdict::Regressed));
            }
            prop_assert!(wrong < 16, "{} of 300", wrong);
        }
    }

    #[test]
    fn a_change_is_found_and_none_is_not() {
        let settings = header(&["pair/64", "bulk"]).settings;
        let processes: Vec<Process> = (1..=100)
            .map(|number| {
                let noise = (f64::from(number) * 0.618).fract() * 0.04 - 0.02;
                process(number, &[("pair/64", noise), ("bulk", -noise)])
            })
            .collect();
        let rules = Rules::new(&settings, 150);
        let mut random = Pcg64::seed_from_u64(1);
        let none = compare(&processes, &settings, &rules, None, 100, &mut random);
        assert_eq!((none.comparisons, none.found, none.rows), (100, 0, 200));
        assert!(none.false_verdicts == 0 && none.fine > 190, "{none:?}");
        let change = Some(("bulk", 0.06));
        let some = compare(&processes, &settings, &rules, change, 100, &mut random);
        assert!(some.found == 100 && some.needed.iter().all(|&n| n < 40), "{some:?}");
        let values: Vec<f64> = (1..=100).map(|n| (f64::from(n) * 0.618).fract() * 0.04).collect();
        let values: Vec<f64> = values.iter().map(|value| value - 0.02).collect();
        let [often, always] =
            [0.8, 0.95].map(|power| smallest_found(&values, &rules, power, &mut random).unwrap());
        assert!(0.01 < often && often <= always && always < 0.05, "{often} {always}");
    }
}
