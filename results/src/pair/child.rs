//! The child: reads its plan, measures, reports.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use drystone_workloads::calls::Calls;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::plan::{Plan, Report, Task};
use super::rows::Prepared;
use super::{clock, instructions, library, memory, rows, slices, tail};
use crate::evidence::{Row, RowPlan};

/// Reads a task from stdin and writes a report to stdout.
///
/// # Errors
/// If the task cannot be read, a library not loaded, or a row not measured.
pub fn run() -> Result<u8> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read the task")?;
    let task = serde_json::from_str(&text);
    let report = match task.context("this is no task: `child` is for this program's own use")? {
        Task::Time(plan) => serde_json::to_string(&measure(&plan)?)?,
        Task::Memory(plan) => serde_json::to_string(&memory::measure(&plan)?)?,
        Task::Instructions(plan) => serde_json::to_string(&instructions::measure(&plan)?)?,
    };
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{report}")?;
    Ok(crate::exit::FINE)
}

fn measure(plan: &Plan) -> Result<Report> {
    let mut random = Pcg64::seed_from_u64(plan.seed);
    let calls = load(plan, &mut random)?;
    let mut order: Vec<_> = plan.rows.iter().collect();
    order.shuffle(&mut random);
    let mut rows = Vec::new();
    for row in order {
        let mut prepared = prepare(row, calls, &plan.scripts, random.random())?;
        let mut measured = slices::measure(row, &mut prepared, &mut random)?;
        drop(prepared);
        if plan.counts_tails {
            count_tails(&mut measured, calls, &mut random);
        }
        rows.push(measured);
    }
    Ok(Report { cpu_s: clock::now(libc::CLOCK_PROCESS_CPUTIME_ID) as f64 / 1e9, rows })
}

/// Prepares both sides, B's first if `swapped`. What is made first lies elsewhere, and its threads
/// start sooner: with A always first, hand-off was 0.4 to 0.9 % faster on B's side of one build on
/// a busy machine.
fn prepare(
    row: &RowPlan,
    [a, b]: [Calls; 2],
    scripts: &Path,
    swapped: bool,
) -> Result<Prepared<2>> {
    let mut prepared = rows::prepare(row, if swapped { [b, a] } else { [a, b] }, scripts)?;
    if swapped {
        prepared.sides.swap(0, 1);
    }
    Ok(prepared)
}

fn count_tails(row: &mut Row, calls: [Calls; 2], random: &mut impl Rng) {
    row.tails = match row.name.as_str() {
        // The rows that `counts_tails` names.
        "ring/256" => Some(tail::count::<256>(calls, 400, random)),
        "ring/16384" => Some(tail::count::<16_384>(calls, 100, random)),
        _ => None,
    };
}

/// Loads both, in random order, behind gaps of random size: where a library and its mappings lie
/// relative to the other's decides which cache lines and page-table entries they share.
fn load(plan: &Plan, random: &mut impl Rng) -> Result<[Calls; 2]> {
    let first = usize::from(random.random::<bool>());
    let mut calls = [None, None];
    for side in [first, 1 - first] {
        gap(random.random_range(1..=512))?;
        calls[side] = Some(library::load(&plan.libraries[side])?);
    }
    let [Some(a), Some(b)] = calls else { unreachable!("both sides were loaded above") };
    Ok([a, b])
}

/// Takes `pages` pages of address space, for ever.
fn gap(pages: usize) -> Result<()> {
    // SAFETY: a new private mapping at an address of the kernel's choice touches nothing that
    // exists.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            pages * 4096,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error()).context("cannot map a gap");
    }
    Ok(())
}
