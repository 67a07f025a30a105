//! How a row came to its verdict: its values in the order in which they came, and the stakes on
//! them.

use super::sign::ln_stake;
use super::verdict::Judge;
use crate::evidence::Process;

/// A row's values, and what was staked on them.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// In the order in which they came, as far as the verdict rests on them.
    pub points: Vec<Point>,
    /// The logarithm of the stake at which a verdict is given.
    pub ln_wanted: f64,
}

/// A process's share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The process.
    pub number: u32,
    /// Seconds from the beginning of the comparison to its end.
    pub at_s: f64,
    /// The row's value in it.
    pub value: f64,
    /// The layouts of A and of B, if they were drawn.
    pub layouts: [Option<u64>; 2],
    /// The logarithms of the stakes up to here, in the order of [`STAKES`].
    pub ln_stakes: [f64; 4],
}

/// The four stakes: the first gives REGRESSED, the second IMPROVED, the last two together OK.
pub const STAKES: [&str; 4] = ["above +floor", "below −floor", "below +margin", "above −margin"];

impl Course {
    /// The course of the row of this name through these processes, as far as its judge took them.
    pub fn of(name: &str, judge: &Judge, processes: &[Process]) -> Self {
        let limits = judge.limits();
        let counted = judge.values().len() as usize;
        let mut on = [0u32; 4];
        let mut points = Vec::new();
        let values = processes.iter().filter(|process| !process.null).filter_map(|process| {
            let found = process.rows.iter().find(|measured| measured.name == name)?;
            Some((process, found.value))
        });
        for (process, value) in values.take(counted) {
            let won = [
                value > limits.floor,
                value < -limits.floor,
                value < limits.margin,
                value > -limits.margin,
            ];
            for (on, won) in on.iter_mut().zip(won) {
                *on += u32::from(won);
            }
            let n = points.len() as u32 + 1;
            points.push(Point {
                number: process.number,
                at_s: process.at_s,
                value,
                layouts: process.layouts,
                ln_stakes: on.map(|on| ln_stake(on, n)),
            });
        }
        Self { points, ln_wanted: judge.values().ln_wanted() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Tables, Verdict};
    use super::*;
    use crate::evidence::fixtures::{header, process};

    /// The stake that gives a verdict is the one the course ends with.
    #[test]
    fn the_course_ends_where_the_verdict_was_given() {
        let processes: Vec<Process> =
            (1..=30).map(|number| process(number, &[("pair/64", 0.05), ("bulk", 0.0)])).collect();
        let mut tables = Tables::new(&header(&["pair/64", "bulk"]).settings);
        processes.iter().for_each(|process| tables.push(process));
        let course = |at: usize| {
            let row = &tables.rows[at];
            Course::of(&row.name, &row.judge, &processes)
        };
        let (slower, same) = (course(0), course(1));
        assert_eq!(tables.rows[0].judge.verdict(), Verdict::Regressed);
        assert_eq!(slower.points.len(), 11);
        let reached = |course: &Course, stake: usize, at: usize| {
            course.points[at].ln_stakes[stake] >= course.ln_wanted
        };
        assert!(reached(&slower, 0, 10) && !reached(&slower, 0, 9) && !reached(&slower, 1, 10));
        assert!(reached(&same, 2, 10) && reached(&same, 3, 10) && !reached(&same, 0, 10));
    }
}
