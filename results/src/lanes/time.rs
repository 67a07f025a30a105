//! The time lane: processes until every row has its verdict, or the time is up.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::RngExt;
use rand_pcg::Pcg64;

use super::context::{Context, Until};
use super::state::{Ticks, load};
use crate::decide::Tables;
use crate::evidence::{Ended, Line, Process, RowPlan};
use crate::interrupt::Interrupted;
use crate::pair::{self, Plan, Report, Task};

/// Failed processes in a row after which the lane gives up.
const PATIENCE: u32 = 3;

/// How the lane ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why.
    pub why: Ended,
    /// Processes that failed and were left out.
    pub failed: u32,
}

/// Measures. What was measured before an error or an interrupt is kept.
///
/// # Errors
/// If the evidence cannot be written, or the first processes all fail: then with the end of what
/// they printed.
pub fn time(context: &mut Context) -> Result<Outcome> {
    let mut tables = Tables::new(context.settings);
    let (mut failed, mut in_a_row) = (0, 0);
    for number in 1.. {
        let undecided = match context.until {
            Until::Decided => tables.undecided(),
            Until::Processes(_) => tables.rows.iter().map(|row| row.name.as_str()).collect(),
        };
        let enough = match context.until {
            Until::Decided => undecided.is_empty() && tables.tails_are_done(),
            Until::Processes(wanted) => number > wanted,
        };
        if enough {
            return Ok(Outcome { why: Ended::Decided, failed });
        }
        if context.left() == Duration::ZERO {
            return Ok(Outcome { why: Ended::Budget, failed });
        }
        context.progress.detail(&told(number, &undecided, context.settings.rows.len()));
        let rows = wanted(&context.settings.rows, &undecided);
        match one(context, number, rows) {
            Ok(process) => {
                in_a_row = 0;
                tables.push(&process);
                context.keep(Line::Process(process))?;
            }
            Err(error) if error.is::<Interrupted>() => {
                return Ok(Outcome { why: Ended::Interrupted, failed });
            }
            Err(error) => {
                failed += 1;
                in_a_row += 1;
                if in_a_row == PATIENCE {
                    return Err(error).context("the last processes failed, one after the other");
                }
                eprintln!("a process was left out: {error:#}");
            }
        }
    }
    unreachable!("the loop has no end but by return")
}

fn told(number: u32, undecided: &[&str], rows: usize) -> String {
    let done = rows - undecided.len();
    let waits = undecided.first().map(|row| format!(", next {row}")).unwrap_or_default();
    format!("process {number}, {done} of {rows} rows decided{waits}")
}

/// The undecided rows; while only slow calls are undecided, the rows that count them.
fn wanted(rows: &[RowPlan], undecided: &[&str]) -> Vec<RowPlan> {
    let counts_tails = |row: &&RowPlan| pair::counts_tails(&row.name);
    let is_undecided = |row: &&RowPlan| undecided.contains(&row.name.as_str());
    match undecided.is_empty() {
        true => rows.iter().filter(counts_tails).cloned().collect(),
        false => rows.iter().filter(is_undecided).cloned().collect(),
    }
}

/// One process: fresh layouts, one value for each row.
fn one(context: &mut Context, number: u32, rows: Vec<RowPlan>) -> Result<Process> {
    // Every choice of a process follows from the comparison's seed and its number.
    let mut random = Pcg64::new(u128::from(context.seed), u128::from(number));
    let null = number.is_multiple_of(context.settings.null_every);
    let folder = tempfile::tempdir_in(&context.scratch).context("cannot make a folder")?;
    let before = Ticks::now();
    let libraries = [folder.path().join("a.so"), folder.path().join("b.so")];
    let mut layouts = [None, None];
    for side in 0..2 {
        let artifact = &context.sides[if null { 0 } else { side }].artifact;
        let seed = u64::from(random.random::<u32>() >> 1);
        let fresh = context.linker.make(artifact, seed, &libraries[side])?;
        layouts[side] = fresh.then_some(seed);
    }
    let seed = u64::from(random.random::<u32>());
    let plan = Plan { libraries, seed, rows, scripts: context.scripts.clone() };
    let report: Report = pair::spawn(&Task::Time(plan), folder.path(), context.interrupt)?;
    let steal = Ticks::now().steal_since(before);
    Ok(Process {
        number,
        null,
        at_s: context.at_s(),
        seed,
        layouts,
        cpu_s: report.cpu_s,
        load: load(),
        steal,
        rows: report.rows,
    })
}
