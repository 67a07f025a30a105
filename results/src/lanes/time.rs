//! The time lane: processes until every row's verdict stands, or the time is up.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::{Rng, RngExt};
use rand_pcg::Pcg64;

use super::context::{Context, Library, Until};
use super::state::{Ticks, load};
use crate::decide::Tables;
use crate::evidence::{Ended, Line, Process, RowPlan};
use crate::interrupt::Interrupted;
use crate::pair::{self, Plan, Report, Task};

/// After so many processes of a library that fail one after the other the lane gives up.
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
    let mut failed = 0;
    let mut in_a_row = vec![0; context.libraries.len()];
    for number in 1.. {
        let open = match context.until {
            Until::Decided => tables.unsettled(),
            Until::Processes(_) => tables.rows.iter().map(|row| row.name.as_str()).collect(),
        };
        let enough = match context.until {
            Until::Decided => open.is_empty() && tables.tails_are_done(),
            Until::Processes(wanted) => number > wanted,
        };
        if enough {
            return Ok(Outcome { why: Ended::Decided, failed });
        }
        if context.left() == Duration::ZERO {
            return Ok(Outcome { why: Ended::Budget, failed });
        }
        context.progress.detail(&told(number, &open, context.settings.rows.len()));
        // Every choice of a process follows from the comparison's seed and its number.
        let mut random = Pcg64::new(u128::from(context.seed), u128::from(number));
        let (at, rows) = next(&context.libraries, &open, &mut random);
        match one(context, number, at, rows, random) {
            Ok(process) => {
                in_a_row[at] = 0;
                tables.push(&process);
                context.keep(Line::Process(process))?;
            }
            Err(error) if error.is::<Interrupted>() => {
                return Ok(Outcome { why: Ended::Interrupted, failed });
            }
            Err(error) => {
                failed += 1;
                in_a_row[at] += 1;
                if in_a_row[at] == PATIENCE {
                    let whose = context.libraries[at].shown();
                    let what = format!("the last processes{whose} failed, one after the other");
                    return Err(error).context(what);
                }
                eprintln!("a process was left out: {error:#}");
            }
        }
    }
    unreachable!("the loop has no end but by return")
}

fn told(number: u32, open: &[&str], rows: usize) -> String {
    let done = rows - open.len();
    let waits = open.first().map(|row| format!(", next {row}")).unwrap_or_default();
    format!("process {number}, {done} of {rows} rows decided{waits}")
}

/// A library of those with `open` rows, and these rows. Drawn, not in turn: every eighth process is
/// a null, which must not be always of the same one. While only slow calls are undecided, the rows
/// that count them.
fn next(libraries: &[Library], open: &[&str], random: &mut impl Rng) -> (usize, Vec<RowPlan>) {
    let is_wanted = |row: &&RowPlan| match open.is_empty() {
        true => pair::counts_tails(&row.name),
        false => open.contains(&row.name.as_str()),
    };
    let rows = libraries.iter().map(|library| library.rows.iter().filter(is_wanted).cloned());
    let mut places: Vec<(usize, Vec<RowPlan>)> = rows
        .map(Iterator::collect)
        .enumerate()
        .filter(|(_, rows): &(_, Vec<_>)| !rows.is_empty())
        .collect();
    let place = if places.len() > 1 { random.random_range(0..places.len()) } else { 0 };
    places.swap_remove(place)
}

/// One process: fresh layouts of a library, one value for each row.
fn one(
    context: &mut Context,
    number: u32,
    at: usize,
    rows: Vec<RowPlan>,
    mut random: Pcg64,
) -> Result<Process> {
    let library = &context.libraries[at];
    let null = number.is_multiple_of(context.settings.null_every);
    let folder = tempfile::tempdir_in(&context.scratch).context("cannot make a folder")?;
    let before = Ticks::now();
    let libraries = [folder.path().join("a.so"), folder.path().join("b.so")];
    let mut layouts = [None, None];
    for side in 0..2 {
        let seed = u64::from(random.random::<u32>() >> 1);
        let fresh = library.make(if null { 0 } else { side }, seed, &libraries[side])?;
        layouts[side] = fresh.then_some(seed);
    }
    let seed = u64::from(random.random::<u32>());
    let rows = rows.iter().map(|row| library.bare(row)).collect();
    let counts_tails = library.prefix.is_empty();
    let plan = Plan { libraries, seed, rows, counts_tails, scripts: context.scripts.clone() };
    let mut report: Report = pair::spawn(&Task::Time(plan), folder.path(), context.interrupt)?;
    for row in &mut report.rows {
        row.name.insert_str(0, &library.prefix);
    }
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
