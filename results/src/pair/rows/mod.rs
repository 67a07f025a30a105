//! The rows: one kind of work each, for one side at a time.
//!
//! A row needs a [`Calls`] and nothing else. So `ListHeap`, which the C library does not export, is
//! measured by the same rows, in a library of its own.

mod bulk;
mod load;
pub mod pattern;
pub mod ring;
mod small;
mod threads;
mod trace;

use std::path::Path;

use anyhow::{Context, Result};
use drystone_workloads::calls::Calls;

pub use self::load::{Load, touched};
use crate::evidence::RowPlan;

/// A row that is always there.
#[derive(Clone, Copy, Debug)]
pub struct RowKind {
    /// Its name: the work, then a size or a number of blocks.
    pub name: &'static str,
    /// What one operation is.
    pub operation: &'static str,
    /// Pairs of slices a process.
    pairs: u32,
    /// Processor microseconds of a slice. 250 where the heap is small. More where it is beyond 1
    /// MiB: two heaps drive each other out of the cache, and the first part of each slice pays for
    /// it.
    slice_us: f64,
    /// Whether threads take part: then every slice has context switches, and only one callgrind
    /// count in many is exact.
    pub threads: bool,
    make: fn(Calls) -> Box<dyn Load>,
}

const fn row(
    name: &'static str,
    operation: &'static str,
    slice_us: f64,
    make: fn(Calls) -> Box<dyn Load>,
) -> RowKind {
    RowKind { name, operation, pairs: 20, slice_us, threads: false, make }
}

const fn crowd(
    name: &'static str,
    operation: &'static str,
    make: fn(Calls) -> Box<dyn Load>,
) -> RowKind {
    RowKind { name, operation, pairs: 10, slice_us: 500.0, threads: true, make }
}

/// All rows but those of recorded traces.
pub const ROWS: [RowKind; 11] = [
    row("pair/16", "malloc and free of 16 bytes", 250.0, small::pair::<16>),
    row("pair/64", "malloc and free of 64 bytes", 250.0, small::pair::<64>),
    row("pair/1024", "malloc and free of 1 KiB", 250.0, small::pair::<1024>),
    row(
        "ring/256",
        "free of the oldest of 256 blocks of mixed sizes, malloc",
        250.0,
        ring::make::<256>,
    ),
    row("ring/16384", "the same among 16,384 blocks", 1000.0, ring::make::<16_384>),
    row("bulk/4096", "malloc of 4,096 blocks, free of them in random order", 500.0, bulk::make),
    row("calloc/64K", "calloc and free of 64 KiB", 250.0, small::calloc),
    row("realloc/1K", "growth from 16 bytes to 1 KiB by doubling", 250.0, small::realloc),
    crowd(
        "turns/2",
        "two threads in turn free the other's blocks and allocate as many",
        threads::turns,
    ),
    crowd("hand-off", "one thread allocates, another frees", threads::hand_off),
    crowd(
        "churn",
        "a thread that allocates and frees 64 blocks, from start to end",
        threads::churn,
    ),
];

/// Slices a process for the rows of traces: pieces of equal length of the whole trace.
const TRACE_PIECES: u32 = 20;

/// The names of the rows of traces begin with this.
pub const TRACE: &str = "trace/";

/// The plans of all rows that are always there.
pub fn plans() -> Vec<RowPlan> {
    let plan = |row: &RowKind| RowPlan {
        name: row.name.to_owned(),
        operation: row.operation.to_owned(),
        pairs: row.pairs,
        slice_us: row.slice_us,
    };
    ROWS.iter().map(plan).collect()
}

/// The plans of the rows of these traces, by the traces' names.
pub fn trace_rows(names: &[String]) -> Vec<RowPlan> {
    let plan = |name: &String| RowPlan {
        name: format!("{TRACE}{name}"),
        operation: "a call of a recorded program".to_owned(),
        pairs: TRACE_PIECES,
        slice_us: 0.0,
    };
    names.iter().map(plan).collect()
}

/// Whether threads take part in the row of this name.
pub fn has_threads(name: &str) -> bool {
    ROWS.iter().any(|row| row.name == name && row.threads)
}

/// A row of `N` sides, ready to be measured.
pub struct Prepared<const N: usize> {
    /// Each side's share.
    pub sides: [Box<dyn Load>; N],
    /// Operations of a slice, if they are fixed; else those that fill the plan's time.
    pub operations: Option<u64>,
    /// Whether threads take part.
    pub threads: bool,
}

/// Makes each side's share of the planned row.
///
/// # Errors
/// If there is no such row, or its trace cannot be read.
pub fn prepare<const N: usize>(
    plan: &RowPlan,
    sides: [Calls; N],
    scripts: &Path,
) -> Result<Prepared<N>> {
    if let Some(name) = plan.name.strip_prefix(TRACE) {
        let script = trace::read(&scripts.join(name))?;
        let operations = (script.steps.len() as u64).div_ceil(u64::from(plan.pairs)).max(1);
        let sides = sides.map(|calls| trace::make(calls, script.clone()));
        return Ok(Prepared { sides, operations: Some(operations), threads: false });
    }
    let row = ROWS.iter().find(|row| row.name == plan.name);
    let row = row.with_context(|| format!("there is no row `{}`", plan.name))?;
    Ok(Prepared { sides: sides.map(row.make), operations: None, threads: row.threads })
}
