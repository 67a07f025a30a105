//! The memory of one workload: a library is loaded, a heap filled, worked on and emptied.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::plan::Single;
use super::{library, rows};
use crate::evidence::MemoryRow;

/// Slices of work on a full heap: enough that it settles.
const SLICES: u64 = 20;
/// Operations of each, if the row does not fix them.
const OPERATIONS: u64 = 8192;

/// Runs the plan's one row.
///
/// # Errors
/// If the kernel does not tell of memory, or the row cannot be run.
pub fn measure(plan: &Single) -> Result<MemoryRow> {
    let [row] = &plan.rows[..] else { anyhow::bail!("a memory child has one row") };
    // Touched before the first look, so that it is nobody's growth.
    std::sync::LazyLock::force(&rows::pattern::PATTERN);
    // 5 sets the peak back to what is resident now (proc_pid_clear_refs(5)).
    fs::write("/proc/self/clear_refs", "5").context("cannot reset the peak of memory")?;
    let (before, faults_before) = (resident()?, faults());
    let calls = library::load(&plan.library)?;
    let mut load = rows::prepare(row, [calls], &plan.scripts)?;
    for _ in 0..SLICES {
        load.sides[0].run(load.operations.unwrap_or(OPERATIONS));
    }
    let peak = field("VmHWM:")?;
    ensure!(peak >= before, "the peak of memory lies below its beginning");
    drop(load);
    let drained = resident()?;
    Ok(MemoryRow {
        peak_kib: peak - before,
        drained_kib: drained.saturating_sub(before),
        faults: faults() - faults_before,
    })
}

/// Resident KiB, exactly: `/proc/self/status` rounds by what each processor has not yet added up.
fn resident() -> Result<u64> {
    number(&fs::read_to_string("/proc/self/smaps_rollup").context("no smaps_rollup")?, "Rss:")
}

fn field(name: &str) -> Result<u64> {
    number(&fs::read_to_string("/proc/self/status").context("no status")?, name)
}

fn number(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("the kernel tells no {name}"))
}

/// Minor page faults so far.
fn faults() -> u64 {
    // SAFETY: all-zero bytes are an rusage: it is numbers throughout.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is an rusage that the call may write.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    usage.ru_minflt as u64
}
