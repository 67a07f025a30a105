//! The time lane's verdicts, line by line: what the schedule asks while it measures, and what the
//! report is made of afterwards. Both come from the same lines in the same order, so they agree.

use std::collections::BTreeMap;

use super::verdict::{Judge, Limits, Verdict};
use crate::evidence::{Lane, Process, Settings, Tail};

/// A row's judge, with what is printed beside its verdict.
#[derive(Clone, Debug)]
pub struct RowJudge {
    /// Its name.
    pub name: String,
    /// The verdict and its values.
    pub judge: Judge,
    /// Each process's time of an operation in ns, A and B.
    pub ns: [Vec<f64>; 2],
    /// The same judge, of processes that loaded A twice.
    pub null: Judge,
}

/// The judge of a row's slow calls.
#[derive(Clone, Debug)]
pub struct TailJudge {
    /// The row, and the limit in microseconds.
    pub row: String,
    /// Calls longer than this many microseconds.
    pub over_us: u32,
    /// The verdict: values are B's slow calls per million less A's.
    pub judge: Judge,
    /// Slow calls and all calls, of A and of B.
    pub counts: [(u64, u64); 2],
    /// The slowest of each side, in ns.
    pub slowest_ns: [u64; 2],
}

/// All of the time lane's judges.
#[derive(Clone, Debug)]
pub struct Tables {
    settings: Settings,
    /// In the order of the header.
    pub rows: Vec<RowJudge>,
    /// By row and limit, in the order of their first appearance.
    pub tails: Vec<TailJudge>,
}

/// The limits that slow calls are counted over, in microseconds.
const OVER: [u32; 2] = [1, 10];

/// `OK` for slow calls: shown to lie within this many floors.
const TAIL_MARGIN: f64 = 3.0;

/// Processes that slow calls are waited for, once all rows have their verdicts.
const TAIL_PATIENCE: u32 = 40;

impl Tables {
    /// Nothing measured yet.
    pub fn new(settings: &Settings) -> Self {
        let limits = Limits::of_ratio(settings.floor, settings.margin);
        let judge = || Judge::new(limits, settings.rows.len(), settings.error);
        let row = |name: &String| RowJudge {
            name: name.clone(),
            judge: judge(),
            ns: [Vec::new(), Vec::new()],
            null: judge(),
        };
        let timed = settings.lanes.contains(&Lane::Time);
        let rows = settings.rows.iter().filter(|_| timed).map(|plan| row(&plan.name)).collect();
        Self { settings: settings.clone(), rows, tails: Vec::new() }
    }

    /// Takes a process.
    pub fn push(&mut self, process: &Process) {
        for row in &process.rows {
            let Some(judged) = self.rows.iter_mut().find(|judged| judged.name == row.name) else {
                continue;
            };
            if process.null {
                judged.null.push(row.value);
                continue;
            }
            judged.judge.push(row.value);
            judged.ns[0].push(row.ns[0]);
            judged.ns[1].push(row.ns[1]);
            if let Some(tails) = row.tails {
                for (at, over_us) in OVER.into_iter().enumerate() {
                    self.tail(&row.name, at, over_us, [tails.a, tails.b]);
                }
            }
        }
    }

    fn tail(&mut self, row: &str, at: usize, over_us: u32, sides: [Tail; 2]) {
        let slow = |tail: &Tail| if over_us == 1 { tail.over_1us } else { tail.over_10us };
        if sides.iter().any(|tail| tail.calls == 0) {
            return;
        }
        let found = self.tails.iter().position(|tail| tail.row == row && tail.over_us == over_us);
        let place = found.unwrap_or_else(|| {
            self.tails.push(self.new_tail(row, at, over_us));
            self.tails.len() - 1
        });
        let judged = &mut self.tails[place];
        let per_million = sides.map(|tail| slow(&tail) as f64 / tail.calls as f64 * 1e6);
        judged.judge.push(per_million[1] - per_million[0]);
        for (side, tail) in sides.iter().enumerate() {
            judged.counts[side].0 += slow(tail);
            judged.counts[side].1 += tail.calls;
            judged.slowest_ns[side] = judged.slowest_ns[side].max(tail.slowest_ns);
        }
    }

    fn new_tail(&self, row: &str, at: usize, over_us: u32) -> TailJudge {
        let floor = self.settings.tail_floor[at];
        let limits = Limits { floor, margin: TAIL_MARGIN * floor };
        // Two rows, two limits: the error is this lane's own.
        let judge = Judge::new(limits, 2 * OVER.len(), self.settings.error);
        TailJudge { row: row.to_owned(), over_us, judge, counts: [(0, 0); 2], slowest_ns: [0; 2] }
    }

    /// The names of rows without a verdict.
    pub fn undecided(&self) -> Vec<&str> {
        let open = |row: &&RowJudge| row.judge.verdict() == Verdict::Inconclusive;
        self.rows.iter().filter(open).map(|row| row.name.as_str()).collect()
    }

    /// The names of rows that are worth more processes: without a verdict, or with one that may yet
    /// become another.
    pub fn unsettled(&self) -> Vec<&str> {
        let open = |row: &&RowJudge| !row.judge.is_settled();
        self.rows.iter().filter(open).map(|row| row.name.as_str()).collect()
    }

    /// Rows in which processes that loaded A twice differ by more than the floor: the machine, or
    /// this tool, can't be trusted.
    pub fn null_failures(&self) -> Vec<&str> {
        let crossed = |row: &&RowJudge| row.null.is_beyond_floor();
        self.rows.iter().filter(crossed).map(|row| row.name.as_str()).collect()
    }

    /// Whether slow calls are worth waiting for no longer: each is judged, or has had its chance.
    /// Where interrupts are frequent, none but a coarse verdict may ever come.
    pub fn tails_are_done(&self) -> bool {
        self.tails
            .iter()
            .all(|tail| tail.judge.is_settled() || tail.judge.values().len() >= TAIL_PATIENCE)
    }

    /// How many rows have each verdict.
    pub fn count(&self) -> BTreeMap<Verdict, usize> {
        let mut counts: BTreeMap<_, _> = Verdict::ALL.map(|verdict| (verdict, 0)).into();
        for row in &self.rows {
            *counts.entry(row.judge.verdict()).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::fixtures::{header, process, row};
    use crate::evidence::{Process, Tails};

    fn tables(values: impl Iterator<Item = f64>) -> Tables {
        let mut tables = Tables::new(&header(&["pair/64", "bulk"]).settings);
        for (number, value) in values.enumerate() {
            tables.push(&process(number as u32, &[("pair/64", value), ("bulk", 0.0)]));
        }
        tables
    }

    #[test]
    fn verdicts_come_with_enough_processes_and_not_before() {
        let first = |change: f64, verdict| {
            let reached = |n: &usize| {
                tables(std::iter::repeat_n(change, *n)).rows[0].judge.verdict() == verdict
            };
            (1..100).find(reached)
        };
        // All above: the stake is the mean of (1 + λ)ⁿ, and must reach 4 / 0.02.
        assert_eq!(first(0.05, Verdict::Regressed), Some(11));
        assert_eq!(first(-0.05, Verdict::Improved), Some(11));
        assert_eq!(first(0.0, Verdict::Ok), Some(11));
        assert_eq!(first(0.005, Verdict::Regressed), None);
    }

    #[test]
    fn a_verdict_once_given_stands() {
        let values = std::iter::repeat_n(0.05, 11).chain(std::iter::repeat_n(-0.05, 50));
        let tables = tables(values);
        assert_eq!(tables.rows[0].judge.verdict(), Verdict::Regressed);
        assert_eq!(tables.rows[0].judge.values().len(), 11);
        assert_eq!(tables.undecided(), [""; 0]);
    }

    /// Half a margin beyond the floor: it is shown to lie within the margin first.
    #[test]
    fn a_row_that_leans_beyond_the_floor_is_measured_on_though_it_lies_within_the_margin() {
        let near = || [0.014, 0.016].into_iter().cycle();
        let spread = || [0.002, 0.018, 0.019, 0.02].into_iter().cycle();
        let sure = tables(near().take(10).chain([0.016]));
        assert_eq!(sure.rows[0].judge.verdict(), Verdict::Regressed);
        let so_far = tables(spread().take(40));
        assert_eq!(so_far.rows[0].judge.verdict(), Verdict::Ok);
        assert_eq!((so_far.undecided(), so_far.unsettled()), (vec![], vec!["pair/64"]));
        let on = tables(spread().take(200));
        assert_eq!(on.rows[0].judge.verdict(), Verdict::Regressed);
        let back = tables(spread().take(40).chain([0.0; 40]));
        assert_eq!(back.rows[0].judge.verdict(), Verdict::Ok);
        assert_eq!(back.rows[0].judge.values().len(), 60, "until no more than half lean");
        assert!(back.unsettled().is_empty());
    }

    #[test]
    fn a_machine_whose_null_moves_is_found() {
        let mut tables = tables(std::iter::empty());
        for number in 0..11 {
            tables.push(&Process { null: true, ..process(number, &[("bulk", 0.2)]) });
        }
        assert_eq!(tables.null_failures(), ["bulk"]);
        assert_eq!(tables.undecided(), ["pair/64", "bulk"]);
    }

    #[test]
    fn more_slow_calls_than_the_floor_are_a_regression() {
        let mut tables = Tables::new(&header(&["ring/256"]).settings);
        let tail = |over_1us| Tail { calls: 100_000, over_1us, over_10us: 0, slowest_ns: 3_000 };
        for number in 0..60 {
            let mut row = row("ring/256", 0.0);
            row.tails = Some(Tails { a: tail(2), b: tail(5) });
            tables.push(&Process { rows: vec![row], ..process(number, &[]) });
        }
        let verdicts: Vec<_> =
            tables.tails.iter().map(|tail| (tail.over_us, tail.judge.verdict())).collect();
        assert_eq!(verdicts, [(1, Verdict::Regressed), (10, Verdict::Ok)]);
    }
}
